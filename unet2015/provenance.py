"""The versions that a record names."""

import platform
from importlib.metadata import PackageNotFoundError, version

from unet2015 import __version__


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of what computes for it."""
    # Its own version it knows: a checkout may have no metadata, or those of an older installation.
    found = {"python": platform.python_version(), "unet2015": __version__}
    for name in ("torch", "numpy", "scipy", "tifffile", "imagecodecs", "zarr"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
