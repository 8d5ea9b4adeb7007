"""What is wrong, or may be wrong, with the pixels of one image; found in one pass."""

import math
from collections.abc import Callable

import numpy as np

from unet2015.images.constant import ConstantPage, FewValues, notes_on_constant
from unet2015.images.image import Image
from unet2015.images.looks import Looks
from unet2015.settings import MappingSettings
from unet2015.training.checks.page_marks import PageMarker, PageMarks
from unet2015.training.checks.problem import Problem

_MOST_UNFIT = 2**32
"""Bytes of pixels that are read of an image whose labels do not go with it."""


def is_too_large(image: Image, problems: list[Problem]) -> bool:
    """Whether an image is too large to be read where its labels do not go with it; if so, it is a problem.

    A few bytes may declare pixels that nobody could read to their end. Labels of the image's size have been
    in memory, so only an image without such labels can be like that.
    """
    size = math.prod(image.shape) * image.dtype.itemsize
    if size <= _MOST_UNFIT:
        return False
    said = (
        f"{size / 2**30:.0f} GiB of pixels are declared, which are not read, as its labels do not go with it"
    )
    problems.append(Problem("error", image.name, said))
    return True


def read_all(
    image: Image,
    mapping: MappingSettings,
    problems: list[Problem],
    places: int,
    done: Callable[[], object] = lambda: None,
    *,
    several_types: bool = False,
) -> list[PageMarks | None]:
    """Read all pixels, a band at a time; return the marks of each page, None if all its pixels are equal.

    `places` is how many landmarks of a page are kept; `done` is called after each page; `several_types` is
    whether the images of the set differ in the type of their pixels.
    """
    looks = Looks(image, mapping.fill_value, mapping.each)
    lows: list[float] = []
    highs: list[float] = []
    constant: list[ConstantPage | None] = []
    marks: list[PageMarks | None] = []
    for page in range(image.pages):
        seen = FewValues(image, page, mapping.fill_value)
        marker = PageMarker(image.height, image.width, places, several_types=several_types)
        low, high = np.full(image.channels, np.inf), np.full(image.channels, -np.inf)
        for number, band in enumerate(image.bands(page)):
            bad = int(np.count_nonzero(~np.isfinite(band))) if band.dtype.kind == "f" else 0
            if bad:
                top = number * image.band_rows
                message = f"{bad} pixels of page {page} from row {top} on are NaN or infinite; replace them"
                problems.append(Problem("error", image.name, message))
                return marks
            low, high = np.minimum(low, band.min(axis=(1, 2))), np.maximum(high, band.max(axis=(1, 2)))
            looks.add(page, number * image.band_rows, band)
            seen.add(number * image.band_rows, band)
            marker.update(band)
        lows.append(float(low.min()))
        highs.append(float(high.max()))
        constant.append(seen.found())
        marks.append(marker.marks(low, high) if lows[-1] < highs[-1] else None)
        done()
    if min(lows) == max(highs):
        message = f"every pixel is {lows[0]:g}: there is nothing to learn from it"
        problems.append(Problem("warning", image.name, message))
    else:
        for note in notes_on_constant(filter(None, constant), image.pages):
            problems.append(Problem("warning", image.name, f"{note} Leave out what holds nothing"))
    if mapping.method != "integer-range" and not (mapping.method == "auto" and image.dtype == np.uint8):
        for note in looks.notes(_setting(mapping, "fill_value = {0}"), _setting(mapping, 'each = "page"')):
            problems.append(Problem("warning", image.name, note))
    return marks


def _setting(mapping: MappingSettings, wanted: str) -> str:
    """Return a setting of mappings that measure, with one of these where the mapping is none."""
    fits = mapping.method in ("standardise", "image-percentiles")
    return "[mapping] " + ("" if fits else 'method = "standardise", ') + wanted
