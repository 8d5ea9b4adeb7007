"""Messages in the wire format of protocol buffers, as numbered fields.

Source: https://protobuf.dev/programming-guides/encoding

Nothing is copied: what a field holds is a view of the message.
"""

from collections.abc import Iterator

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
"""How a field is coded. Groups (3 and 4) have not been made for decades."""
_LONGEST_VARINT = 10
_LARGEST_FIELD = (1 << 29) - 1


class WireError(ValueError):
    """Bytes that are no such message."""


def fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield number, coding and value of each field: a whole number for `VARINT`, else bytes.

    Raises
    ------
    WireError
        The message ends within a field, or has what no message has.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, coding = key >> 3, key & 7
        if not 1 <= number <= _LARGEST_FIELD:
            raise WireError(f"a field has the number {number}")
        if coding == VARINT:
            value, place = _varint(message, place)
            yield number, coding, value
            continue
        if coding == LENGTH:
            length, place = _varint(message, place)
        elif coding in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if coding == EIGHT_BYTES else 4
        else:
            raise WireError(f"field {number} has the coding {coding}")
        if length > len(message) - place:
            raise WireError(f"field {number} has {length} bytes, but only {len(message) - place} are left")
        yield number, coding, message[place : place + length]
        place += length


def varints(packed: memoryview) -> list[int]:
    """Return the whole numbers of a packed field."""
    found, place = [], 0
    while place < len(packed):
        value, place = _varint(packed, place)
        found.append(value)
    return found


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the whole number at a place, and where it ends: 7 bits a byte, the lowest first."""
    value = 0
    for count, byte in enumerate(message[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value & ((1 << 64) - 1), place + count + 1
    raise WireError("a number does not end")
