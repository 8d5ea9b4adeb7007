"""Strips of fax compressions (CCITT) decoded, and refused where a part is lost.

Decoders, made for bad telephone lines, fill what is missing with white or go on with the next line. Here
each line must have all of its pixels and each code word must exist. What follows the last line is not
looked at. A strip that libtiff reads without a warning is read, as it reads it.

Each line is a list of changes: places where the colour becomes another, the first from white to black. Two
at one place are none.

Sources: ITU-T T.4 (Group 3) and T.6 (Group 4); TIFF 6.0, sections 10 and 11
"""

from array import array

import numpy as np
import numpy.typing as npt

from unet2015.images.fax_codes import (
    BITS,
    EXTENSION,
    HORIZONTAL,
    MODE_BITS,
    PASS,
    table_of_modes,
    table_of_runs,
)

RLE, GROUP_3, GROUP_4 = FAX = (2, 3, 4)
"""Compressions of a TIFF."""
TWO_DIMENSIONS, UNCOMPRESSED = 1, 2
"""Bits of the options of Group 3 (tag 292); the second is one of Group 4 (tag 293), too."""

_WHITE, _BLACK = (table_of_runs("white"), table_of_runs("black"))
_TURNS = ((_WHITE, _BLACK), (_BLACK, _WHITE))
_MODES = table_of_modes()
_RUN_SHIFT, _RUN_MASK = 32 - BITS, 2**BITS - 1
_MODE_SHIFT, _MODE_MASK = 32 - MODE_BITS, 2**MODE_BITS - 1
_ADDED = 16 * 64
"""From here on a code word is of a run to which more is added."""
_END_SHIFT = BITS - 11
_ZEROS = bytes(11)
"""So many bits of 0 are the end of a line, with further ones and a 1 behind them; no code words have them."""


class _LineError(Exception):
    """Says what a line has that it must not have."""


def decode_fax(
    data: bytes, compression: int, rows: int, width: int, options: int = 0
) -> npt.NDArray[np.uint8]:
    """Return the pixels of a strip or tile, shape (rows, width): 0 is white, 1 is black.

    Parameters
    ----------
    data : bytes
        The strip, the highest bit of each byte first.
    compression : int
        One of `FAX`.
    rows, width : int
        Its size.
    options : int
        The tag of `GROUP_3`, or of `GROUP_4`.

    Raises
    ------
    ValueError
        A code word does not exist, a line has fewer or more pixels than `width`, or lines are missing.
    NotImplementedError
        Pixels without compression are among the lines, as the options announce.
    """
    lines = _Lines(data, compression, width, options)
    pixels = np.zeros((rows, width + 1), np.uint8)
    for row in range(rows):
        try:
            changes = lines.read()
        except _LineError as broken:
            raise ValueError(f"line {row} of {rows} {broken}") from None
        if changes:
            pixels[row, changes] = 1
    np.bitwise_xor.accumulate(pixels, axis=1, out=pixels)
    return pixels[:, :width]


class _Lines:
    """Reads the lines of a strip, one after the other."""

    def __init__(self, data: bytes, compression: int, width: int, options: int) -> None:
        self._kind, self._width, self._options = compression, width, options
        self._words, self._end = _windows(data), 8 * len(data)
        self._place = 0
        self._above: list[int] = []
        if compression == GROUP_3:
            self._bits = np.unpackbits(np.frombuffer(data, np.uint8)).tobytes()
            self._marked = self._behind_mark() >= 0

    def read(self) -> list[int]:
        """Return the changes of the next line; one at `width` may be among them."""
        flat = self._kind != GROUP_4
        if self._kind == RLE:
            self._place = (self._place + 7) & ~7
        elif self._kind == GROUP_3:
            if self._marked:
                self._place = self._behind_mark()
            if not 0 <= self._place < self._end:
                raise _LineError("is missing: the data end before it")
            if self._options & TWO_DIMENSIONS:
                flat = self._bits[self._place] == 1
                self._place += 1
        try:
            if flat:
                changes, place, found = _read_flat(self._words, self._place, self._width)
            else:
                above = self._above + 4 * [self._width]
                changes, place, found = _read_relative(self._words, self._place, self._width, above)
        except NotImplementedError:
            if self._options & UNCOMPRESSED:
                raise
            raise _LineError("has a code word that does not exist") from None
        if place > self._end or (found < self._width and place + BITS > self._end):
            raise _LineError("is not complete: the data end within it")
        if found != self._width:
            raise _LineError(f"has {found} px, not {self._width}")
        self._place, self._above = place, changes
        return changes

    def _behind_mark(self) -> int:
        """Return the place behind the next end of a line, -1 if there is none."""
        zeros = self._bits.find(_ZEROS, self._place)
        return -1 if zeros < 0 else self._bits.find(b"\1", zeros + len(_ZEROS)) + 1 or -1


def _windows(data: bytes) -> "array[int]":
    """Return the 32 bits from each byte on, and some zeros."""
    padded = np.frombuffer(data + bytes(8), np.uint8).astype(np.uint32)
    four = padded[:-3] << 24 | padded[1:-2] << 16 | padded[2:-1] << 8 | padded[3:]
    return array("I", four.tobytes())


def _change(changes: list[int], at: int) -> None:
    """Add a change at the end of a run that may have no pixels."""
    if changes and changes[-1] == at:
        changes.pop()
    else:
        changes.append(at)


def _read_flat(words: "array[int]", place: int, width: int) -> tuple[list[int], int, int]:
    """Return the changes of a line that is coded by itself, the place behind it, and its pixels."""
    changes: list[int] = []
    at, table, other = 0, _WHITE, _BLACK
    while True:
        bits = words[place >> 3] >> (_RUN_SHIFT - (place & 7)) & _RUN_MASK
        code = table[bits]
        place += code & 15
        at += code >> 4
        if 0 < code < _ADDED:
            if code < 16:
                _change(changes, at)
            else:
                changes.append(at)
            if at >= width:
                return changes, place, at
            table, other = other, table
        elif not code:
            if bits >> _END_SHIFT:
                raise _LineError("has a code word that does not exist")
            return changes, place, at  # a run that ends with the line may lack its last code word


def _read_relative(
    words: "array[int]", place: int, width: int, above: list[int]
) -> tuple[list[int], int, int]:
    """Return the same of a line that is coded by its differences to the line above it.

    The changes of that one are followed by `width`, four times. `b1` is the index of the one that T.6 calls
    so: the first to the right of `at` that makes the colour another than it is there.
    """
    changes: list[int] = []
    at, b1 = -1, 0
    while at < width:
        bits = words[place >> 3] >> (_MODE_SHIFT - (place & 7)) & _MODE_MASK
        while above[b1] <= at:
            b1 += 2
        if bits > 63:  # the vertical mode of distance 0, quicker than by the table
            place += 1
            at = above[b1]
            changes.append(at)
            b1 += 1
            continue
        length, mode = _MODES[bits]
        place += length
        if mode <= 3:
            end = above[b1] + mode
            if end < max(at, 0):
                raise _LineError("has a change before the one before it")
            at = end
            _change(changes, at)
            b1 += 1
            if b1 > 1 and above[b1 - 2] > at:
                b1 -= 2
        elif mode == PASS:
            at = above[b1 + 1]
            b1 += 2
        elif mode == HORIZONTAL:
            place, at = _read_two(words, place, max(at, 0), changes)
        elif mode == EXTENSION:
            raise NotImplementedError("pixels without compression between those of Group 3 or 4")
        else:
            return changes, place, max(at, 0)
    return changes, place, at


def _read_two(words: "array[int]", place: int, at: int, changes: list[int]) -> tuple[int, int]:
    """Add two runs from `at` on to the changes, and return the places behind their code words and pixels."""
    for table in _TURNS[len(changes) & 1]:
        code = _ADDED
        while code >= _ADDED:
            code = table[words[place >> 3] >> (_RUN_SHIFT - (place & 7)) & _RUN_MASK]
            place += code & 15
            at += code >> 4
        if not code:
            raise _LineError("has a code word that does not exist")
        _change(changes, at)
    return place, at
