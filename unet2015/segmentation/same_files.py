"""Files of a run that are copies of each other: what they hold is counted again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from unet2015.images.constant import LOST
from unet2015.images.copies import copies
from unet2015.segmentation.object_files import ObjectResult
from unet2015.wording import counted

if TYPE_CHECKING:  # torch comes with it
    from unet2015.segmentation.run import FileResult

_log = logging.getLogger("unet2015")
_Result = TypeVar("_Result", bound="FileResult | ObjectResult")


def with_copies(
    results: Sequence[_Result], partners: Mapping[Path, Path | None] | None = None
) -> list[_Result]:
    """Warn of files that are byte for byte another of the run; return results with that note.

    Files in which nothing is counted say nothing: the labels of frames without cells are alike, and so are
    lost frames. Nor do labels whose images differ, as those of several channels.

    Parameters
    ----------
    results : sequence of FileResult or ObjectResult
        Of all files.
    partners : mapping, optional
        The image of each label file or map, if there are any.
    """
    notes = _notes([one.input for one in results if one.error is None and not _is_empty(one)], partners or {})
    if notes:
        path, note = next(iter(notes.items()))
        more = f" (and {counted(len(notes) - 1, 'more copy', 'more copies')})" * (len(notes) > 1)
        _log.warning("%s: %s%s", path, note, more)
    return [
        replace(one, notes=(*one.notes, notes[one.input])) if one.input in notes else one for one in results
    ]


def _notes(paths: Sequence[Path], partners: Mapping[Path, Path | None]) -> dict[Path, str]:
    """Return what is said of each copy."""
    found = copies(paths)
    images = {path: partners.get(path) for path in (*found, *found.values())}
    same = copies(dict.fromkeys(image for image in images.values() if image is not None))
    first_images = {path: image and same.get(image, image) for path, image in images.items()}
    return {
        path: f"is byte for byte {first}, of the same run, and what is counted over all files counts it "
        "again; leave one of them out"
        for path, first in found.items()
        if first_images[path] == first_images[first]
    }


def _is_empty(result: "FileResult | ObjectResult") -> bool:
    """Tell whether nothing is counted of a file: it has no objects, or is a lost frame."""
    no_objects = result.objects is not None and not result.objects.get("objects")
    return no_objects or any(LOST in note for note in result.notes)
