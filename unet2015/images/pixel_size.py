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


def pixel_size(calibration: Calibration) -> tuple[float, float] | None:
    """Return height and width of a pixel in micrometres; None if they or their unit are not known."""
    factor = unit_factor(calibration.unit, MICROMETRE)
    height, width = calibration.pixel_size_y, calibration.pixel_size_x
    if factor is None or height is None or width is None:
        return None
    return height * factor, width * factor


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
        known = pixel_size(image.calibration)
        if self.size is None or (known is not None and _alike(known, self.size)):
            return image
        if known is not None and not self.replaces:
            image.close()
            raise ImageValueError(
                f"{image.name}: has pixels of {in_words(known)}, but {in_words(self.size)} was given; leave "
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


def other_size(image: Image, other: Image, called: str | None = None) -> str | None:
    """Return in words that two images declare pixels of different size; None where they do not.

    The other image is `called` so; by default by its name.
    """
    ours, theirs = pixel_size(image.calibration), pixel_size(other.calibration)
    if ours is None or theirs is None or _alike(ours, theirs):
        return None
    called = called or other.name
    return f"declares pixels of {in_words(ours)}, but {called} has {in_words(theirs)}; see which is right"


def sizes_of(images: Iterable[Image]) -> dict[tuple[float, float], str]:
    """Return the sizes of pixels that images declare, each with the name of the first image that has it."""
    found: dict[tuple[float, float], str] = {}
    for image in images:
        size = pixel_size(image.calibration)
        if size is not None and not any(_alike(size, known) for known in found):
            found[size] = image.name
    return found


def common_width(images: Iterable[Image]) -> float | None:
    """Return the width of a pixel of all images in micrometres; None if they differ, or one does not say."""
    sizes = [pixel_size(image.calibration) for image in images]
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes) or not all(_alike(size, known[0]) for size in known):
        return None
    return known[0][1]


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(math.isclose(a, b, rel_tol=_SAME) for a, b in zip(one, other, strict=True))
