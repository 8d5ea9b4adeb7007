"""The versions for a record, and the machine on which a result was measured."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from unet2015 import __version__

_LIBRARIES = ("torch", "numpy", "scipy", "tifffile", "imagecodecs", "zarr")


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of the libraries that it computes with."""
    # Its own version comes from the code: a checkout may have no metadata, or older metadata.
    found = {"python": platform.python_version(), "unet2015": __version__}
    return found | {name: _version(name) for name in _LIBRARIES}


def versions_and_date() -> dict[str, Any]:
    """Return what the record of an output says of how and when it was made, in UTC."""
    return {"versions": versions(), "date": datetime.now(UTC).isoformat(timespec="seconds")}


@cache
def _version(name: str) -> str:
    """Return the version of a library; its metadata take milliseconds to read, and a process loads one."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def machine(accelerators: Sequence[str]) -> dict[str, Any]:
    """Return what times depend on: processor, cores, system, the accelerators given, load, and versions."""
    found = versions()
    for name in ("numba", "distributed"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "accelerators": list(accelerators),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": found,
    }


def processor_details() -> str:
    """Return name, family, model and stepping of the processor, which a name alone may leave open."""
    return "; ".join(
        [_processor(), *(f"{name} {_said(name)}" for name in ("cpu family", "model", "stepping"))]
    )


def _processor() -> str:
    return _said("model name") or platform.processor()


def _said(name: str) -> str:
    """Return what Linux says of the first processor; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")
