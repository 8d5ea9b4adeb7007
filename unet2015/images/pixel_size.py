"""The size of a pixel, and images that declare different ones."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from unet2015.arguments import flag, items, number
from unet2015.errors import ImageValueError, UsageError
from unet2015.images.axes import Calibration, unit_factor
from unet2015.images.image import Image

MICROMETRE = "µm"
_SAME = 1e-2
"""By how much, relatively, pixel sizes may differ without a word: microscopes and programs round them."""

_NEAR = 1.5
"""So many times as large as the smallest may pixels be that have one size for a model (`models.unlike`)."""


def pixel_size(calibration: Calibration) -> tuple[float, float] | None:
    """Return height and width of a pixel in micrometres; None if they or their unit are not known."""
    height, width = _known_sides(calibration)
    return None if height is None or width is None else (height, width)


def _known_sides(calibration: Calibration) -> tuple[float | None, float | None]:
    """Return height and width of a pixel in micrometres, each None where it is not known."""
    factor = unit_factor(calibration.unit, MICROMETRE)
    sides = calibration.pixel_size_y, calibration.pixel_size_x
    height, width = (None if factor is None or side is None else side * factor for side in sides)
    return height, width


@dataclass(frozen=True)
class GivenSize:
    """A pixel size that a user gives, for files that have none.

    Attributes
    ----------
    size : tuple of float or None
        Height and width in micrometres. None: what the file says.
    replaces : bool
        Whether it also takes the place of another one in the file.
    """

    size: tuple[float, float] | None = None
    replaces: bool = False

    @classmethod
    def of(cls, size: Any, replaces: Any) -> "GivenSize":
        """Return what a caller means by a number, or height and width; raise `UsageError` if it is none."""
        found = flag(replaces, "replace_pixel_size")
        if size is None:
            if found:
                raise UsageError("replace_pixel_size says what becomes of a pixel size; give pixel_size, too")
            return cls()
        return cls(sides(size), found)

    def applied(self, image: Image) -> Image:
        """Return the image, with this pixel size where its file has none.

        Raises
        ------
        ImageValueError
            The file has another one, which is not to be replaced. The image is closed then.
        """
        known = _known_sides(image.calibration)
        same = [_alike_side(one, given) for one, given in zip(known, self.size or known, strict=True)]
        if self.size is None or (all(same) and None not in known):
            return image
        if not all(same) and not self.replaces:
            image.close()
            raise ImageValueError(
                f"{image.name}: has {_sides_in_words(known)}, but {in_words(self.size)} was given; leave "
                "it out to take what the file says, or say that the file is wrong (--replace-pixel-size)"
            )
        _take(image, self.size)
        return image

    def as_record(self) -> dict[str, Any]:
        """Return it for a record; nothing where none was given."""
        if self.size is None:
            return {}
        return {"pixel_size": list(self.size)} | ({"replace_pixel_size": True} if self.replaces else {})


def _take(image: Image, size: tuple[float, float]) -> None:
    """Give an image another size of pixels; its other lengths become micrometres, or are left out."""
    known = image.calibration
    factor = unit_factor(known.unit, MICROMETRE)
    before = {"Z": known.z_spacing, "Y": known.pixel_size_y, "X": known.pixel_size_x}
    notes, origin = [], dict(image.origin)
    for letter in before.keys() & origin.keys():
        # Without a spacing z has no unit before and after; y and x get one.
        if factor is not None and before[letter] is not None:
            origin[letter] *= factor
        elif letter != "Z" or before[letter] is not None:
            del origin[letter]
    if factor is None and known.unit and (known.pixel_size_y or known.pixel_size_x):
        notes.append(f"its pixel size is in {known.unit}, no known unit of length: what was given is taken")
    spacing = None if factor is None or known.z_spacing is None else known.z_spacing * factor
    if known.z_spacing is not None and spacing is None:
        notes.append(f"its z spacing, {known.z_spacing:g}, is in no known unit of length: left out")
    if lost := sorted(image.origin.keys() - origin.keys()):
        notes.append(f"its place along {', '.join(lost)} is in no known unit of length: left out")
    height, width = size
    image.calibration = replace(
        known, pixel_size_y=height, pixel_size_x=width, z_spacing=spacing, unit=MICROMETRE
    )
    image.origin = origin
    image.add_notes(*notes)


def sides(value: Any) -> tuple[float, float]:
    """Return height and width of a pixel from one number or two, above 0 and finite."""
    given = [value] * 2 if _is_number(value) else items(value, "pixel_size", "micrometres, one or two")
    found = [number(one, "pixel_size") for one in given]
    if len(found) != 2 or not all(0 < one < math.inf for one in found):
        raise UsageError(f"pixel_size: expected micrometres above 0, one or height and width, got {found}")
    return found[0], found[1]


def _is_number(value: Any) -> bool:
    """Tell whether a value is one thing, which `number` looks at; an array without axes is one."""
    return getattr(value, "ndim", None) == 0 or not (hasattr(value, "__len__") or hasattr(value, "__iter__"))


def in_words(size: tuple[float, float]) -> str:
    """Return height and width of a pixel as text."""
    return f"{size[0]:.4g} x {size[1]:.4g} {MICROMETRE}"


def sizes_of(images: Iterable[Image]) -> dict[tuple[float, float], str]:
    """Return the sizes of pixels that images declare, each with the name of the first image that has it."""
    found: dict[tuple[float, float], str] = {}
    for image in images:
        size = pixel_size(image.calibration)
        if size is not None and not any(alike(size, known) for known in found):
            found[size] = image.name
    return found


def usual_size(images: Iterable[Image]) -> tuple[float, float] | None:
    """Return height and width of a pixel in µm that images have, as far as they say it.

    Where sizes differ by up to half, as of two microscopes, it is the middle of the least and the largest.
    None if they differ by more, or if half of the images or more do not say it.
    """
    sizes = [pixel_size(image.calibration) for image in images]
    known = [size for size in sizes if size is not None]
    if 2 * len(known) <= len(sizes):
        return None
    if all(alike(size, known[0]) for size in known):
        return known[0]
    ends = [(min(side), max(side)) for side in zip(*known, strict=True)]
    if any(most > _NEAR * least for least, most in ends):
        return None
    height, width = (math.sqrt(least * most) for least, most in ends)
    return height, width


def alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Tell whether two sizes of pixels are one, but for rounding."""
    return all(map(_alike_side, one, other))


def square_side(size: tuple[float, float]) -> float | None:
    """Return the side of pixels that are square, but for rounding, and None of others.

    Where height and width differ, it is their geometric mean: that of a square of the same area.
    """
    height, width = size
    if height == width:
        return height
    return math.sqrt(height * width) if _alike_side(height, width) else None


def _alike_side(known: float | None, other: float | None) -> bool:
    """Return whether a side may be of this length; one that is not known may."""
    return known is None or other is None or math.isclose(known, other, rel_tol=_SAME)


def _sides_in_words(known: tuple[float | None, float | None]) -> str:
    height, width = known
    if height is not None and width is not None:
        return f"pixels of {in_words((height, width))}"
    return f"pixels {height or width:.4g} {MICROMETRE} {'wide' if height is None else 'high'}"
