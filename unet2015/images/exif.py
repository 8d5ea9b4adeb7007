"""What Exif data say of a picture: only that it is to be turned, which is said and not done.

Source: Exif 2.32.
"""

import struct

_ORIENTATION = 274


def describe_turned(orientation: int) -> tuple[str, ...]:
    """Return a note on an image that viewers turn; none where it is as it is stored (1)."""
    if orientation == 1:
        return ()
    return (
        f"its Exif data say that the image is to be turned (Orientation {orientation}); it is read as it is "
        "stored",
    )


def orientation_of(tiff: bytes) -> int:
    """Return the orientation in Exif data, which are a TIFF; 1 where they do not tell it."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for number in range(count):
            code, kind, values, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * number)
            if (code, kind, values) == (_ORIENTATION, 3, 1):
                return value if 1 <= value <= 8 else 1
    except struct.error:  # damaged, which does not matter to the pixels
        pass
    return 1
