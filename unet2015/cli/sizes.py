"""Amounts of memory, and thresholds, as people write them."""

from typing import Literal

from unet2015.arguments import parse_size as parse_size
from unet2015.errors import UsageError


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
