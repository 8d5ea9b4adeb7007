"""Pages of one TIFF whose resolution tags give pixels of different size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from unet2015.images.axes import Calibration
from unet2015.images.declared import Declared
from unet2015.images.pixel_size import alike, in_words, pixel_size
from unet2015.images.repeated import first_of
from unet2015.wording import listed

_SHOWN = 3
"""How many sizes, and ranges of pages of each, are named."""


def with_common_size(
    declared: Declared, pages: Sequence[Any], calibrated: Callable[[Any], Calibration]
) -> Declared:
    """Return what is declared, without a pixel size where the pages have different ones, and with a note.

    Pages that say no size, or that of a screen, are taken to have that of the others.

    Parameters
    ----------
    declared : Declared
        By the first page.
    pages : sequence of tifffile.TiffPage or RepeatedPage
        The pages of the image.
    calibrated : callable
        Returns the calibration that a page has by itself.
    """
    if pixel_size(declared.calibration) is None:
        return declared
    sizes = _pages_of_sizes(pages, calibrated)
    if len(sizes) < 2:
        return declared
    said = [f"{in_words(size)} ({_numbered(numbers)})" for size, numbers in sizes.items()]
    note = (
        f"the resolution tags of its pages differ: pixels of {listed(said, _SHOWN)}: taken as no pixel size; "
        "split the file by them, or see which is right"
    )
    known = declared.calibration
    lost = replace(known, pixel_size_y=None, pixel_size_x=None, unit=known.unit if known.z_spacing else None)
    return replace(declared, calibration=lost, notes=(*declared.notes, note))


def _pages_of_sizes(
    pages: Sequence[Any], calibrated: Callable[[Any], Calibration]
) -> Mapping[tuple[float, float], list[int]]:
    """Return the pages that give each size, counted from 0."""
    of_directory: dict[int, tuple[float, float] | None] = {}
    found: dict[tuple[float, float], list[int]] = {}
    for number, page in enumerate(pages):
        first = first_of(page)
        if id(first) not in of_directory:
            size = pixel_size(calibrated(first))
            # One of those that are known, so that sizes that were rounded count as one.
            same = None if size is None else next((known for known in found if alike(known, size)), size)
            of_directory[id(first)] = same
        size = of_directory[id(first)]
        if size is not None:
            found.setdefault(size, []).append(number)
    return found


def _numbered(numbers: Sequence[int]) -> str:
    """Return pages in words, neighbours as one: ``pages 0-1, 3``."""
    starts = [numbers[0], *(after for before, after in pairwise(numbers) if after != before + 1)]
    ends = [*(before for before, after in pairwise(numbers) if after != before + 1), numbers[-1]]
    ranges = [
        f"{start}" if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True)
    ]
    return f"page{'s' if len(numbers) > 1 else ''} {listed(ranges, _SHOWN)}"
