"""Sizes of pixels, and thresholds, as people write them in options."""

from typing import Literal

from unet2015.errors import UsageError


def parse_pixel_size(text: str | None) -> tuple[float, float] | None:
    """Return height and width of a pixel that a text means: 0.65, or 0.65,0.5; None for none.

    Raises
    ------
    UsageError
        It is no such text, or two whole numbers, which may be one with a decimal comma.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 2 and all(part.isdecimal() for part in parts):
        whole, rest = parts
        raise UsageError(
            f"--pixel-size {text!r}: a number with a decimal comma, or height and width? Write "
            f"{whole}.{rest} for the first, {whole}.0,{rest}.0 for the second"
        )
    try:
        height, width = map(float, parts * 2 if len(parts) == 1 else parts)
    except ValueError:
        raise UsageError(
            f"--pixel-size {text!r}: expected micrometres, such as 0.65, or height and width, such as "
            "0.65,0.5"
        ) from None
    return height, width


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
