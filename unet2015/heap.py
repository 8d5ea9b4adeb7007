"""How long freed memory stays with the process: glibc gives large blocks back at once, and asks anew."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1}
# Where glibc's own adjustment ends in a process that has freed large tensors.
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}

_lock = threading.Lock()
_users = 0


@contextmanager
def kept_heap() -> Iterator[bool]:
    """Keep freed memory for the next large tensor; give it back at the end.

    By default glibc maps every block of 32 MiB and more anew, and the system clears each of its pages
    when it is first touched: a fifth of the time of a training step on a CPU. Within this context
    such blocks come from the heap, whose pages stay; as a heap can break into pieces that no tensor
    fits, the process may hold more memory than at its fullest moment it uses. Results do not change.

    Yields
    ------
    bool
        Whether anything was changed: not where the C library is another than glibc.

    Notes
    -----
    Contexts may be nested, also across threads. The last one to end restores glibc's defaults, with
    the thresholds at which its own adjustment ends: 32 MiB for a mapping of its own.
    """
    global _users
    library = _glibc()
    if library is None:
        yield False
        return
    with _lock:
        _users += 1
        if _users == 1:
            for parameter, value in _KEEP.items():
                library.mallopt(parameter, value)
    try:
        yield True
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                for parameter, value in _USUAL.items():
                    library.mallopt(parameter, value)
                library.malloc_trim(0)


def usual_heap() -> bool:
    """Set glibc's thresholds to where its own adjustment ends; return whether anything was changed.

    A process whose environment sets one of them has no adjustment, so that every block of a megabyte is
    asked for anew: Dask starts its workers so (``MALLOC_TRIM_THRESHOLD_=65536``), which makes the
    network a third slower there.
    """
    library = _glibc()
    if library is None:
        return False
    with _lock:
        if _users == 0:
            for parameter, value in _USUAL.items():
                library.mallopt(parameter, value)
    return True


@cache
def _glibc() -> Any:
    """Return the C library of this process; None where it is another than glibc."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018
        return library if library.mallopt and library.malloc_trim else None
    except (OSError, TypeError, AttributeError):
        return None
