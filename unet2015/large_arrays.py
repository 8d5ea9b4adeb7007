"""Large arrays whose memory goes back to the system when they are freed."""

import errno
import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGE = 2**22


def large_array(shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of any values; if it is large, of pages that go back to the system when it is freed.

    From the C library's heap, which has parts for different threads, each part would keep what was freed.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size < _LARGE or not hasattr(mmap, "MAP_PRIVATE"):
        return np.empty(shape, kind)
    try:
        pages = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        if error.errno == errno.ENOMEM:  # as numpy says it
            raise MemoryError(f"cannot get {size} bytes of memory") from error
        raise
    return np.frombuffer(pages, kind).reshape(shape)
