"""The markers of a JPEG that is in memory, up to its coded pixels.

Source: ITU-T T.81, table B.1; https://www.w3.org/Graphics/JPEG/itu-t81.pdf
"""

import struct
from collections.abc import Iterator

SCAN = 0xDA
"""Begins the header of a scan, behind which coded pixels come."""
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
"""Among the markers C0 to CF, those of tables, which begin no frame."""
_ALONE = (0x01, *range(0xD0, 0xD9))


def begins_frame(marker: int) -> bool:
    """Whether a marker begins the header of a frame, which has the size."""
    return 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES


def is_alone(marker: int) -> bool:
    """Whether nothing belongs to a marker: no length follows it."""
    return marker in _ALONE


def segments(data: bytes, position: int = 2) -> Iterator[tuple[int, int]]:
    """Go through the markers behind which a length stands, each with the place of that, from a position on.

    Raises
    ------
    IndexError, struct.error
        The data end within them.
    """
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill bytes
            position += 1
        elif is_alone(marker):
            position += 2
        else:
            yield marker, position + 2
            position += 2 + int(struct.unpack_from(">H", data, position + 2)[0])
