"""What labelling and measuring of many files share: the image of a map, and what became of each file."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from unet2015.arguments import callback, file_path, number_or_name, text
from unet2015.errors import DataSetError, UsageError, failure_of
from unet2015.images.equal_pixels import same_pixels
from unet2015.images.image import Image
from unet2015.images.notes import Repeated, Say, say_notes
from unet2015.images.own_image import describe_own_image
from unet2015.images.page_order import other_names
from unet2015.images.pairs import labels_beside_images, pattern_of_labels
from unet2015.images.pixel_size import GivenSize, pixel_size
from unet2015.images.places import other_place
from unet2015.images.reader import open_image
from unet2015.images.recorded_size import describe_taken, size_by
from unet2015.images.reordered import ordered_like
from unet2015.images.result_records import name_by, notes_on_results, record_of_result
from unet2015.objects.table import describe_columns, describe_summary
from unet2015.safe_files import Unchanged
from unet2015.segmentation.map_names import partners_of
from unet2015.segmentation.results import ObjectResult
from unet2015.segmentation.source_record import SourceRecord, say_other_source
from unet2015.tiling.progress import Lines, reporting

_log = logging.getLogger("unet2015")


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How maps or label images are opened, and which images belong to them.

    Attributes
    ----------
    axes : str, optional
        Of the maps or label images, where they do not say.
    images : path, optional
        The images whose intensities are measured: a file, a folder or a pattern.
    channel, scene : int or str, optional
        Which channel, and which scene, of the images is taken.
    size : GivenSize
        Of the pixels of maps or label images that do not say it.
    partners : dict
        The image of each file, or None.
    beside : dict
        Those of the files that are named as labels of another of them, each with that one.
    measured : dict
        For the record of each file: its image, and what of that was measured.
    sizes : dict
        The size of the pixels of files that do not say it, where their records have it.
    titles : dict of str
        What tables call the files that were opened.

    Raises
    ------
    UsageError
        Channel or scene is given without images.
    """

    axes: str | None = None
    images: str | Path | None = None
    channel: int | str | None = None
    scene: int | str | None = None
    size: GivenSize = field(default_factory=GivenSize)
    partners: dict[Path, Path | None] = field(default_factory=dict)
    beside: dict[Path, Path] = field(default_factory=dict)
    measured: dict[Path, dict[str, str]] = field(default_factory=dict)
    sizes: dict[Path, GivenSize] = field(default_factory=dict)
    titles: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks: dict[str, Callable[[Any], object]] = {
            "axes": partial(text, name="axes", wanted="letters of TZCYXI"),
            "images": partial(file_path, name="images"),
            "channel": partial(number_or_name, name="channel"),
            "scene": partial(number_or_name, name="scene"),
        }
        for name, check in checks.items():
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, check(value))
        if self.images is None and (self.channel, self.scene) != (None, None):
            raise UsageError(
                "channel and scene choose among those of the images whose intensities are measured; give the "
                "images, too"
            )

    def pair(self, names: Mapping[Path, str]) -> Self:
        """Return the same with the image of each file, which is found by the names of the files."""
        return replace(self, partners=partners_of(names, self.images), beside=labels_beside_images(names))

    def _why_alone(self, path: Path) -> str:
        """Say why there is no image of a file, and what to do."""
        labels = next((one for one, image in self.beside.items() if path in (one, image)), None)
        if labels is None:
            source = SourceRecord.beside(path).source
            advice = (
                "name both alike, with the same folders"
                if source is None
                else f"by its record it was made from {source['input']}, which is not among them: give that"
            )
            return (
                f"by the names no image of {self.images} belongs to it; {advice}, or leave out the images to "
                "measure shapes alone"
            )
        image = self.beside[labels]
        pattern = pattern_of_labels(labels, image)
        shown = f", by a pattern in quotes such as '{pattern}'" if pattern else ""
        return (
            f"{image.name} and {labels.name} were both given as labels, but by the names one is the image of "
            f"the other; give the labels alone{shown}"
        )

    def open(self, path: Path, stack: ExitStack, say: Say) -> Image:
        """Open a map or a label image, and say the notes on it."""
        image = stack.enter_context(self.size.applied(open_image(path, self.axes, labels=True)))
        say_notes(image, say=say)
        record = record_of_result(path)  # once, for both
        image.title = self.titles[path] = name_by(record, path)
        if pixel_size(image.calibration) is None and (known := size_by(record, path)).size is not None:
            self.sizes[path] = known
            known.applied(image)
            say(path, describe_taken(known.size))
        return image

    def image_of(
        self, path: Path, like: Image, stack: ExitStack, say: Say
    ) -> tuple[Image, Unchanged] | tuple[None, None]:
        """Open the image that belongs to a map or to labels, with its pages in their order, and compare both.

        None where none is wanted. `like` is the map, or the labels.

        It is said where the record beside the map names another one, and in what both differ. What is
        returned with it tells whether its file has changed since.

        Raises
        ------
        DataSetError
            There is no such image.
        """
        if self.images is None:
            _compare(like, None, say)
            return None, None
        partner = self.partners[path]
        if partner is None:
            raise DataSetError(f"{path}: {self._why_alone(path)}")
        _log.info("%s: intensities of %s", path, partner)
        watch = Unchanged(partner)
        beside = SourceRecord.beside(path)
        say_other_source(beside, partner, watch, say)
        if own := describe_own_image(path, partner):
            say(path, own)
        made = beside.made_of(watch)
        chosen = made.chosen
        if self.scene is not None:
            if note := made.describe_other_scene(partner, str(self.scene)):
                say(path, note)
            chosen["scene"] = str(self.scene)
        elif chosen:
            said = " and the ".join(f"{name} {value}" for name, value in chosen.items())
            _log.info("%s: read with the %s, as for its segmentation", partner, said)
        opened = open_image(partner, chosen.get("axes"), channel=self.channel, scene=chosen.get("scene"))
        for note in (made.describe_other_companion(opened), made.describe_one_channel(opened)):
            if note:
                say(path, note)
        of = {} if self.channel is None else {"channel": str(self.channel)}
        self.measured[path] = {"image": os.path.realpath(partner)} | of | chosen
        image = stack.enter_context(ordered_like(opened, like))
        _compare(like, image, say)
        return image, watch

    def as_record(self, path: Path) -> dict[str, Any]:
        """Return for the record of a file which image was measured, and the pixel size that was given."""
        return self.measured.get(path, {}) | self.sizes.get(path, self.size).as_record()


def _compare(labels: Image, image: Image | None, say: Say) -> None:
    """Say the notes on an image, and where labels differ in pages, place or pixel size; theirs counts."""
    ours, theirs = pixel_size(labels.calibration), None
    if image is not None:
        if same_pixels(labels, image):
            raise DataSetError(
                f"{labels.name}: has the pixels of {image.name}, whose intensities are to be measured; give "
                "the image itself"
            )
        say_notes(image, say=say)
        theirs = pixel_size(image.calibration)
        if names := other_names(labels, image):
            say(Path(image.name), names)
        if place := other_place(labels, image, "its image"):
            say(Path(labels.name), place)
    lacking = describe_columns(ours)
    if lacking and (ours is not None or theirs is None):
        say(Path(labels.name), lacking)
    if image is None or theirs is None or (ours is not None and np.allclose(ours, theirs, rtol=1e-3)):
        return
    size = "no pixel size" if ours is None else f"{ours[0]:.4g} x {ours[1]:.4g} µm"
    said = size if ours is None else f"pixels of {size}"
    used = "the table is in pixels alone" if ours is None else f"the table uses {size}, of the labels"
    say(
        Path(labels.name),
        f"has {said}, but its image has pixels of {theirs[0]:.4g} x {theirs[1]:.4g} µm; {used}",
    )


def say_on_results(
    paths: Iterable[Path], chosen: Mapping[Path, Mapping[str, Any]] | None = None
) -> tuple[str, ...]:
    """Say what is to be known of results that are counted together, by their records; return it.

    `chosen` is as for `notes_on_results`.
    """
    notes = notes_on_results(paths, chosen)
    for note in notes:
        _log.warning("%s", note)
    return notes


def all_done(
    jobs: dict[str, Path],
    work: Callable[[Path, str], tuple[list[Path], dict[str, Any]]],
    notes: Repeated,
    progress: Callable[[str, int, int], object] | None,
) -> list[ObjectResult]:
    """Do the work of each file, and say which notes several had.

    Parameters
    ----------
    jobs : dict of Path
        The files by the names of their results.
    work : callable
        Takes file and name; returns the files that it wrote, and the summary of the objects.
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
                result = _done(path, partial(work, path, name))
                results.append(replace(result, notes=notes.taken(path)))
                if len(jobs) > 1:
                    lines.say(len(results), len(jobs))
    finally:
        notes.finish()
    return results


def _done(path: Path, work: Callable[[], tuple[list[Path], dict[str, Any]]]) -> ObjectResult:
    """Do the work of one file; any error is its result."""
    try:
        outputs, summary = work()
    except Exception as error:
        return ObjectResult(path, error=failure_of(error, path))
    _log.info("%s: %s", path, describe_summary(summary))
    return ObjectResult(path, tuple(outputs), summary)
