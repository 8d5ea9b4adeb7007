"""Files of a run that are copies of each other: what they hold is counted again."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from unet2015.images.constant import LOST
from unet2015.images.copies import copies
from unet2015.segmentation.results import FileResult, Result, with_notes


def with_copies(
    results: Sequence[Result], partners: Mapping[Path, Path | None] | None = None
) -> list[Result]:
    """Warn of files that are byte for byte another of the run; return results with that note.

    Files in which nothing is counted say nothing: the labels of frames without cells are alike, and so are
    lost frames. Nor do labels whose images differ, as those of several channels.

    Parameters
    ----------
    results : sequence of FileResult
        Of all files.
    partners : mapping, optional
        The image of each label file or map, if there are any.
    """
    notes = _notes([one.input for one in results if one.error is None and not _is_empty(one)], partners or {})
    return with_notes(results, notes, "more copy", "more copies")


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


def _is_empty(result: FileResult) -> bool:
    """Tell whether nothing is counted of a file: it has no objects, or is a lost frame."""
    no_objects = result.objects is not None and not result.objects.get("objects")
    return no_objects or any(LOST in note for note in result.notes)
