"""A label file as it is read, and how it goes with its image."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from unet2015.images.equal_pixels import same_pixels
from unet2015.images.image import Image
from unet2015.images.label_colours import UsedColours, used_colours
from unet2015.images.own_image import describe_own_image
from unet2015.images.page_order import other_names
from unet2015.images.places import other_place
from unet2015.images.reader import pages_of
from unet2015.images.recorded_size import other_size
from unet2015.images.result_records import is_unchanged_result
from unet2015.training.dataset import Labels, open_labels, order_difference, size_difference

_DRAWN = 32
"""Different rows of pixels that labels have which are not the same in several files by chance."""
_MADE = (
    "is a result of this program, by its record, and nobody has changed it since: who trains on it, and "
    "measures with it, repeats what another model did, right or wrong; correct it first"
)


@dataclass(frozen=True, eq=False)
class LabelsBeside:
    """The labels of an image.

    Attributes
    ----------
    pages : ndarray, shape (pages, height, width)
        Their pixels.
    misfit : str or None
        Why they are not the labels of the image, if they are not.
    notes : tuple of str
        What may be wrong with the file, or with how it goes with the image.
    colours : list of UsedColours
        What its palettes say.
    """

    pages: Labels
    misfit: str | None
    notes: tuple[str, ...]
    colours: list[UsedColours]


def read_beside(image: Image | None, file: Path, axes: str | None, *, cut: bool) -> LabelsBeside:
    """Read the labels of an image, or those of one that cannot be read (None); `cut` as for `open_labels`.

    Raises
    ------
    ImageError
        The labels cannot be read.
    """
    with open_labels(file, axes, cut=cut) as opened:
        made = (_MADE,) if is_unchanged_result(file) else ()
        pages, notes = pages_of(opened), (*opened.notes, *made)
        colours = used_colours(opened, pages)
        if image is None:
            return LabelsBeside(pages, None, notes, colours)
        misfit = size_difference(image, pages) or order_difference(image, opened)
        # An empty image has the pixels of its empty labels: other notes speak of it.
        if misfit is None and (pages != pages.flat[0]).any() and same_pixels(image, opened):
            misfit = f"it has the pixels of its image, {image.name}; give the labels, and the image itself"
        found = () if misfit else _differences(image, opened, file)
        return LabelsBeside(pages, misfit, (*notes, *found), colours)


def _differences(image: Image, labels: Image, file: Path) -> tuple[str, ...]:
    """Return in what labels that have the size of their image do not go with it."""
    found = [other_names(image, labels), other_size(labels, image), other_place(labels, image)]
    if image.path is not None:
        found.append(describe_own_image(file, image.path))
    return tuple(filter(None, found))


def digest_of_labels(pages: Labels) -> bytes | None:
    """Return the same for labels with equal pixels; None for simple ones, as a rectangle."""
    rows = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for page in pages for row in page]
    if len({*rows}) < _DRAWN:
        return None
    return hashlib.blake2b(str((pages.shape, pages.dtype)).encode() + b"".join(rows), digest_size=16).digest()
