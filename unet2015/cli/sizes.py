"""Amounts of memory, and thresholds, as people write them."""

import re
from typing import Literal

from unet2015.errors import UsageError

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(text: str) -> int:
    """Return the bytes that a text like ``512M``, ``4G``, ``1.5GiB`` or ``4GB`` means.

    K, M, G and T, alone or with iB, are powers of 1024; with B, powers of 1000, as in GNU's tools.

    Raises
    ------
    UsageError
        It is not such a text, or means less than one byte.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(iB|B|)", text.strip(), re.IGNORECASE)
    if match is None or (match[3].lower() == "ib" and not match[2]):
        raise UsageError(f"{text!r} is not an amount of memory; write it like 512M, 4G or 1.5GiB")
    base = 1000 if match[3].lower() == "b" else 1024
    size = int(float(match[1]) * base ** _POWERS[match[2].upper()])
    if size < 1:
        raise UsageError(f"{text!r}: an amount of memory must be at least one byte")
    return size


def parse_threshold(text: str) -> float | Literal["f1", "rand"]:
    """Return the threshold that a text means: a name that a model may have, or a number.

    Raises
    ------
    UsageError
        It is neither.
    """
    word = text.strip().lower()
    if word == "f1":
        return "f1"
    if word == "rand":
        return "rand"
    try:
        return float(word)
    except ValueError:
        raise UsageError(
            f"{text!r} is no threshold; write f1, rand or a probability, 0 to 1, such as 0.4"
        ) from None
