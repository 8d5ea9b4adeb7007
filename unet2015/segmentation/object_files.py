"""What labelling and measuring of many files share: the image of a map, and what became of each file."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unet2015.arguments import callback
from unet2015.errors import DataSetError, UNet2015Error, failure_of
from unet2015.images.image import Image
from unet2015.images.notes import Repeated, Say, say_notes
from unet2015.images.page_order import other_names
from unet2015.images.reader import open_image
from unet2015.objects.table import IN_PIXELS, Table, describe_summary, pixel_size, summary_of
from unet2015.safe_files import Unchanged
from unet2015.tiling.progress import Lines, reporting

_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class ObjectResult:
    """What became of one file: its outputs and the summary of its objects, or the error."""

    input: Path
    outputs: tuple[Path, ...] = ()
    objects: dict[str, Any] | None = None
    error: UNet2015Error | None = None


def image_of(
    path: Path, partner: Path | None, images: str | Path, stack: ExitStack
) -> tuple[Image, Unchanged]:
    """Open the image that belongs to a map or to labels; raise `DataSetError` if there is none.

    What is returned with it tells whether its file has changed since.
    """
    if partner is None:
        raise DataSetError(
            f"{path}: by the names no image of {images} belongs to it; name them alike, or leave out the "
            "images to measure shapes alone"
        )
    _log.info("%s: intensities of %s", path, partner)
    watch = Unchanged(partner)
    return stack.enter_context(open_image(partner)), watch


def compare(labels: Image, image: Image | None, say: Say) -> None:
    """Say the notes on an image, and if labels differ in what pages mean, or in pixel size; theirs counts."""
    ours, theirs = pixel_size(labels.calibration), None
    if image is not None:
        say_notes(image, say=say)
        theirs = pixel_size(image.calibration)
        if names := other_names(labels, image):
            say(Path(image.name), names)
    if ours is None and theirs is None:
        say(Path(labels.name), IN_PIXELS)
    if image is None or theirs is None or (ours is not None and np.allclose(ours, theirs, rtol=1e-3)):
        return
    size = "no pixel size" if ours is None else f"{ours[0]:.4g} x {ours[1]:.4g} µm"
    said = size if ours is None else f"pixels of {size}"
    used = "the table is in pixels alone" if ours is None else f"the table uses {size}, of the labels"
    _log.warning(
        "%s: has %s, but %s has pixels of %.4g x %.4g µm; %s", labels.name, said, image.name, *theirs, used
    )


def all_done(
    jobs: dict[str, Path],
    work: Callable[[Path, str], tuple[list[Path], list[Table]]],
    notes: Repeated,
    progress: Callable[[str, int, int], object] | None,
) -> list[ObjectResult]:
    """Do the work of each file, and say which notes several had.

    Parameters
    ----------
    jobs : dict of Path
        The files by the names of their results.
    work : callable
        Takes file and name; returns the files that it wrote, and the tables of the pages.
    notes : Repeated
        What `work` says.
    progress : callable, optional
        As of `label_files`.
    """
    results: list[ObjectResult] = []
    lines = Lines("done", "file")
    try:
        with reporting(callback(progress, "progress")):
            for name, path in jobs.items():
                results.append(_done(path, partial(work, path, name)))
                if len(jobs) > 1:
                    lines.say(len(results), len(jobs))
    finally:
        notes.finish()
    return results


def _done(path: Path, work: Callable[[], tuple[list[Path], list[Table]]]) -> ObjectResult:
    """Do the work of one file; any error is its result."""
    try:
        outputs, tables = work()
    except Exception as error:
        return ObjectResult(path, error=failure_of(error, path))
    summary = summary_of(tables)
    _log.info("%s: %s", path, describe_summary(summary))
    return ObjectResult(path, tuple(outputs), summary)
