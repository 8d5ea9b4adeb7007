"""The pixel size that was given when a result was made, where its header has none that is believed.

Such as that of a screen, which any program writes into any header. The record beside the result tells it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unet2015.errors import UsageError
from unet2015.images.image import Image
from unet2015.images.pixel_size import GivenSize, alike, in_words, pixel_size
from unet2015.images.result_records import is_as_written, record_of_result

_SIZE = "pixel_size"


def recorded_size(path: Path) -> GivenSize:
    """Return the size of a pixel that was given when a result was made, by the record beside it.

    Of a result that was changed since, or without such a record, it is none.
    """
    return size_by(record_of_result(path), path)


def size_by(record: Mapping[str, Any] | None, path: Path) -> GivenSize:
    """Return `recorded_size` of a file whose record was read."""
    record = record or {}
    settings = record.get("settings")
    said = record.get(_SIZE, settings.get(_SIZE) if isinstance(settings, dict) else None)
    try:
        found = GivenSize.of(said, replaces=False)
    except UsageError:
        return GivenSize()
    return found if found.size is None or is_as_written(path, record) else GivenSize()


def missing_size(image: Image) -> GivenSize:
    """Return the `recorded_size` of an image whose file has none; else none."""
    if image.path is None or pixel_size(image.calibration) is not None:
        return GivenSize()
    return recorded_size(image.path)


def describe_taken(size: tuple[float, float]) -> str:
    """Return in words that a recorded size is taken."""
    return f"by its record pixels of {in_words(size)} were given for it: they are taken"


def known_size(image: Image) -> tuple[float, float] | None:
    """Return height and width of a pixel in micrometres by the file, else by its record; None for neither."""
    return pixel_size(image.calibration) or missing_size(image).size


def other_size(image: Image, other: Image, called: str | None = None) -> str | None:
    """Return in words that two images have pixels of different size; None where they do not.

    The other image is `called` so; by default by its name.
    """
    ours, theirs = known_size(image), known_size(other)
    if ours is None or theirs is None or alike(ours, theirs):
        return None
    called = called or other.name
    return f"declares pixels of {in_words(ours)}, but {called} has {in_words(theirs)}; see which is right"
