"""Whether freed memory stays with the process, for glibc's allocator.

By default, glibc returns the memory of a large tensor to the system as soon as it is freed. The next tensor
needs fresh pages, which the system must clear first. See ``man 3 mallopt``.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1}
# The values that glibc's dynamic thresholds reach in a process that has freed large tensors.
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}

_lock = threading.Lock()
_users = 0


@contextmanager
def kept_heap() -> Iterator[bool]:
    """Keep freed memory for the next large tensor, and return it to the system at the end.

    By default, glibc maps fresh pages for every block of 32 MiB and more, and the system clears each page
    when it is first used: a fifth of the time of a training step on a CPU. Within this context, such blocks
    come from the heap, whose pages stay with the process. A heap can become fragmented, so the process may
    hold more memory than it ever uses at once. Results do not change.

    Yields
    ------
    bool
        Whether anything was changed; False if the C library is not glibc.

    Notes
    -----
    Contexts may be nested, also across threads. The last one to end restores glibc's settings. They cannot be
    read, so it sets what glibc's dynamic thresholds reach by themselves once large tensors were freed: blocks
    of 32 MiB and more are mapped.
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
    """Set glibc's thresholds to the values that they reach by themselves; return whether this changed any.

    If the environment sets one threshold, glibc no longer adjusts any, and maps fresh pages for every block
    of more than 128 KiB. Dask starts its workers like that (``MALLOC_TRIM_THRESHOLD_=65536``), which makes
    the network a third slower there.
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
    """Return the C library of this process; None if it is not glibc."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018
        return library if library.mallopt and library.malloc_trim else None
    except (OSError, TypeError, AttributeError):
        return None
