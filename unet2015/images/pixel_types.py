"""Images with pixels of several types, or that use other bits: one number is another intensity in them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unet2015.images.image import Image

_DIFFERENCES = {
    "dtype": "differ in pixel type",
    "bits": "differ in bits of a pixel",
    "significant_bits": "differ in bits of a pixel that are used",
}
"""What is said of each fact, in this order: only of the first in which images differ."""


def pixel_type(image: Image) -> dict[str, Any]:
    """Return the type of the pixels of an image, their bits and, if it says so, how many are used."""
    used = {} if image.significant_bits is None else {"significant_bits": image.significant_bits}
    return {"dtype": str(image.dtype), "bits": image.bits, **used}


def other_types(images: Iterable[tuple[str, Mapping[str, Any]]]) -> str | None:
    """Return in words that images differ in the type of their pixels, or in their bits; else None.

    Parameters
    ----------
    images : iterable of (name, facts)
        The facts are those of `pixel_type`; what one of them does not say is like what others say.
    """
    images = list(images)
    for fact, difference in _DIFFERENCES.items():
        if len(first := _first_with_each(images, fact)) > 1:
            return f"{difference} ({', '.join(f'{value} ({name})' for value, name in sorted(first.items()))})"
    return None


def _first_with_each(images: Sequence[tuple[str, Mapping[str, Any]]], fact: str) -> dict[str, str]:
    """Return one image for each value of a fact."""
    return {str(said[fact]): name for name, said in reversed(images) if said.get(fact) is not None}
