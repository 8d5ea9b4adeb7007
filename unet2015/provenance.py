"""The versions that a record names."""

import platform
from importlib.metadata import PackageNotFoundError, version


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of what computes for it."""
    found = {"python": platform.python_version()}
    for name in ("unet2015", "torch", "numpy", "scipy", "tifffile", "imagecodecs", "zarr"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
