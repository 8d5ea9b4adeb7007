"""Memory of this machine and of this process: what there is, and what can still be taken."""

import os
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

_UNKNOWN = 4 * 2**30
"""Bytes that count as free where the system does not say."""


def system_free() -> int:
    """Return the bytes that the system has free, within the limits of the control group of this process."""
    known = [value for value in (_system_memory(), _control_group_memory()) if value is not None]
    return min(known) if known else _UNKNOWN


def system_total() -> int:
    """Return the bytes of memory that this machine has, free or not."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return system_free()


def process_resident() -> int | None:
    """Return the bytes of memory that this process has; None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def process_free() -> int:
    """Return the bytes that this process can still take, also within its address space (``ulimit -v``)."""
    free = system_free()
    if resource is None:
        return free
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return free
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        used = 0
    return min(free, max(0, limit - used))


def _system_memory() -> int | None:
    """Return the memory that the system can hand out without swapping; None where it does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:  # without /proc, as on macOS: take half of what is installed
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError, AttributeError):
        return None


def _control_group_memory() -> int | None:
    """Return what the control group of this process has left (version 2); None without a limit."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        return None if limit == "max" else max(0, int(limit) - used)
    except (OSError, ValueError):
        return None
