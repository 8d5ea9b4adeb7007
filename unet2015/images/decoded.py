"""Decoded pixels that are kept, as neighbouring regions share strips, tiles and chunks."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy.typing as npt

KEPT_BYTES = 2**26
"""Most bytes of decoded pixels that an open image keeps."""


def beyond_kept(size: int) -> int:
    """Return by how many bytes decoding takes more than what an image keeps anyway."""
    return max(0, size - KEPT_BYTES)


class Decoded:
    """The strips, tiles or chunks that were decoded last, at least one; for several threads.

    Attributes
    ----------
    nbytes : int
        What they take.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self._kept: OrderedDict[Hashable, npt.NDArray[Any]] = OrderedDict()  # the one used last at the end
        self._lock = threading.Lock()

    def get(self, key: Hashable, decode: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Return the pixels of a key; they are decoded unless they are kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        pixels = decode()
        with self._lock:
            # Another thread may have decoded the same ones meanwhile.
            self.nbytes += pixels.nbytes if key not in self._kept else 0
            self._kept[key] = pixels
            while len(self._kept) > 1 and self.nbytes > KEPT_BYTES:
                self.nbytes -= self._kept.popitem(last=False)[1].nbytes
        return pixels

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._kept.clear()
            self.nbytes = 0
