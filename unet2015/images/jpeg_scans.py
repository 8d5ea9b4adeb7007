"""The scans of a JPEG that is in memory, as a strip or tile of a TIFF is, with their restart markers.

Source: ITU-T T.81, annexes A, B; https://www.w3.org/Graphics/JPEG/itu-t81.pdf
"""

import re
import struct

from unet2015.images.jpeg_damage import MARKER, Scan, restarts_due
from unet2015.images.jpeg_markers import SCAN, segments

_OF_BLOCKS = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
"""Frames coded in blocks of 8 x 8; those without loss count their restarts in pixels."""
_END, _INTERVAL = 0xD9, 0xDD
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")


def scans_of(data: bytes) -> tuple[Scan, ...]:
    """Return the scans of a JPEG, as far as it can be followed; none if its frame is not one of blocks."""
    scans: list[Scan] = []
    size, sampling, interval = (0, 0), dict[int, tuple[int, int]](), 0
    position = 2
    try:
        while True:
            for marker, place in segments(data, position):
                position = place + int(struct.unpack_from(">H", data, place)[0])
                body = data[place + 2 : position]
                if marker in _OF_BLOCKS:
                    size, sampling = _frame(body)
                elif marker == _INTERVAL:
                    interval = int(struct.unpack(">H", body)[0])
                elif marker in (SCAN, _END):
                    break
            else:
                return tuple(scans)
            parts = [part for part in body[1 : 1 + 2 * body[0] : 2] if part in sampling]
            if marker == _END or not parts or not all(size):
                return tuple(scans)
            scans.append(_scan(data, position, restarts_due(size, sampling, parts, interval)))
            position = scans[-1].end
    except (IndexError, struct.error, ZeroDivisionError):  # the end marker may be the last that there is
        return tuple(scans)


def _frame(body: bytes) -> tuple[tuple[int, int], dict[int, tuple[int, int]]]:
    """Return height and width, and the sampling of each component."""
    height, width = struct.unpack_from(">HH", body, 1)
    parts = [body[at : at + 3] for at in range(6, len(body) - 2, 3)]
    return (height, width), {part[0]: (part[1] & 15, part[1] >> 4) for part in parts}


def _scan(data: bytes, start: int, due: int) -> Scan:
    found = MARKER.search(data, start)
    end = found.start() if found else len(data)
    numbers = [marker[1][0] - 0xD0 for marker in _RESTART.finditer(data, start, end)]
    if len(numbers) == due + 1 and data[end - 2] == 0xFF and 0xD0 <= data[end - 1] <= 0xD7:
        numbers.pop()  # a part of another JPEG may end with the marker that came behind it
    return Scan(start, end, len(numbers), due, numbers == [number % 8 for number in range(len(numbers))])
