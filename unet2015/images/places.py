"""Where images lie, and images that declare different places."""

from collections.abc import Mapping

from unet2015.images.axes import unit_factor
from unet2015.images.image import Image
from unet2015.images.pixel_size import MICROMETRE

_LEAST = 0.99
"""Images that lie so many pixels apart, but for rounding one, are at different places."""
_STEPS = {"Z": "slices", "Y": "px", "X": "px"}


def other_place(image: Image, other: Image, called: str | None = None) -> str | None:
    """Return in words that two images declare places a pixel or more apart; None where they do not.

    Programs write 0 for a place that they do not know, so that alone says nothing: of the plane where it is
    0 in Y and in X. A place in no known unit says nothing either. A place is that of an OME-Zarr image, or
    where the stage stood for one of OME-TIFF; these two do not compare, as each has zero elsewhere.

    Parameters
    ----------
    image, other : Image
        Of the same number of pixels.
    called : str, optional
        What the other image is called. Default: its name.
    """
    apart = {letter: steps for letter in _compared(image, other) if (steps := _apart(image, other, letter))}
    if not apart:
        return None
    said = ", ".join(f"{steps:.4g} {_STEPS[letter]} along {letter}" for letter, steps in apart.items())
    return f"declares to lie {said} from {called or other.name}; see that they belong together"


def _compared(image: Image, other: Image) -> str:
    """Return the axes along which both declare a place."""
    depth = all(one.origin.get("Z") for one in (image, other))
    plane = all(one.origin.get("Y") or one.origin.get("X") for one in (image, other))
    stages = [*map(_stage, (image, other))]
    return "Z" * depth + "YX" * (plane or all(len(one) == 2 and any(one.values()) for one in stages))


def _stage(image: Image) -> Mapping[str, float]:
    """Return where the stage stood for an image that does not say its place in another way."""
    return {} if image.origin else image.stage


def _apart(image: Image, other: Image, letter: str) -> float | None:
    """Return how many pixels lie between two images along an axis; None for none, or if that is not known."""
    ours, theirs = (_in_micrometres(one, letter) for one in (image, other))
    if ours is None or theirs is None:
        return None
    steps = abs(ours[0] - theirs[0]) / max(ours[1], theirs[1])
    return steps if steps >= _LEAST else None


def _in_micrometres(image: Image, letter: str) -> tuple[float, float] | None:
    """Return place and length of a pixel along an axis; None if they or their unit are not known."""
    known = image.calibration
    length = {"Z": known.z_spacing, "Y": known.pixel_size_y, "X": known.pixel_size_x}[letter]
    factor = unit_factor(known.unit, MICROMETRE)
    if length is None or factor is None:
        return None
    stage = _stage(image).get(letter)
    return image.origin.get(letter, 0.0) * factor if stage is None else stage, length * factor
