"""Objects of existing maps, and measures of existing labels: file by file."""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unet2015.errors import DataSetError, UNet2015Error, failure_of
from unet2015.images.display import display_of_labels
from unet2015.images.earlier_runs import without_earlier
from unet2015.images.image import Image
from unet2015.images.layout import flavour_of
from unet2015.images.notes import Repeated, Say, say_notes
from unet2015.images.page_order import other_names
from unet2015.images.pairs import named_files
from unet2015.images.reader import find_images, open_image
from unet2015.images.result_names import ome_ending
from unet2015.images.writer import ImageWriter
from unet2015.objects.files import Intensities, measure_labels
from unet2015.objects.labelling import StoredLabels, number_image
from unet2015.objects.masks import describe_mask
from unet2015.objects.table import (
    IN_PIXELS,
    Table,
    check_pyarrow,
    describe_summary,
    pixel_size,
    summary_of,
    write_table,
)
from unet2015.safe_files import RecordedOutput, Unchanged, claim, make_folder
from unet2015.segmentation.map_choice import describe_change, maps_of, with_recorded
from unet2015.segmentation.map_names import best_maps, named_results, partners_of
from unet2015.segmentation.object_output import write_views
from unet2015.segmentation.products import LABELS, OBJECT_PRODUCTS, TABLE, ProbabilityMap
from unet2015.segmentation.view_libraries import checked_views
from unet2015.settings.objects import ObjectSettings

_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class ObjectResult:
    """What became of one file: its outputs and the summary of its objects, or the error."""

    input: Path
    outputs: tuple[Path, ...] = ()
    objects: dict[str, Any] | None = None
    error: UNet2015Error | None = None


def label_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    settings: ObjectSettings | None = None,
    *,
    views: Sequence[str] = (),
    images: str | Path | None = None,
    axes: str | None = None,
    max_memory: int | None = None,
) -> list[ObjectResult]:
    """Find the objects of class maps and probability maps; a file that fails does not stop the others.

    Parameters
    ----------
    inputs : sequence of path
        Maps, folders of them, patterns. Of the two maps of one segmentation the probability map is taken;
        maps of an earlier run than the last are left out.
    out : path
        A folder. It gets ``NAME.labels.tif`` and ``NAME.objects.csv`` for each map, each with a record.
    settings : ObjectSettings, optional
        What counts as an object. What is not given is as in the segmentation that made the map, or in its
        model, by the record beside it. Without a threshold, a probability map has that of its segmentation,
        or 0.5. Without a class, a class map must have one class beside 0.
    views : sequence of str
        What else is made of the objects, as for :class:`unet2015.SegmentOptions`.
    images : path, optional
        The images that the maps are of; they go with them by what their names share. Their intensities are
        measured, and previews show them. Default: previews show the maps.
    axes : str, optional
        Axes of the maps, where they do not say.
    max_memory : int, optional
        Bytes that dividing one object may take. Default: no limit.

    Raises
    ------
    UsageError
        There is no map, two of them would have the same results, or a library that a view needs is missing.
    DataSetError
        By their names, several images could belong to a map.
    """
    settings, folder, views = settings or ObjectSettings(), Path(out), checked_views(views)
    jobs = named_results(best_maps(without_earlier(find_images(inputs), inputs)))
    partners = partners_of({path: name for name, path in jobs.items()}, images)
    make_folder(folder)
    notes = Repeated()

    def label(path: Path, name: str) -> tuple[list[Path], list[Table]]:
        watch = Unchanged(path)
        said: dict[str, Any] = {"input": os.path.realpath(path), "input_sha256": watch.sha256}
        with ExitStack() as stack:
            image = stack.enter_context(open_image(path, axes, labels=True))
            say_notes(image, say=notes.say)
            if changed := describe_change(image, path, watch.sha256):
                notes.say(path, changed)
            chosen = with_recorded(settings, image, path)
            maps = maps_of(image, path, chosen)
            said |= {"settings": chosen.model_dump(mode="json") | {"threshold": maps.threshold}}
            shown, measured, watched = image, [], [watch]
            if images is not None:
                shown, other = _image_of(path, partners[path], images, stack)
                watched.append(other)
                measured.append(Intensities.of(shown, "intensity"))
                said |= {"image": os.path.realpath(shown.name)}
            _compare(image, None if images is None else shown, notes.say)
            if maps.probability is not None:
                measured.append(_probability(maps.probability, maps.channel))
            places = _places(folder, name, image, views)
            guards = _guards([*places.values()], said)
            stack.enter_context(claim(places[TABLE.name]))
            labels = number_image(maps, chosen, max_memory)
            target, display = places[LABELS.name], display_of_labels(labels.largest)
            with ImageWriter(target, image, labels.dtype, guard=guards[target], display=display) as writer:
                tables = measure_labels(labels, image, measured, writer=writer, dtype=labels.dtype)
                for one in watched:
                    one.check()
                write_table(places[TABLE.name], tables, guards[places[TABLE.name]])  # at nearly one time
            write_views({one: places[one] for one in views}, labels, tables, shown, guards)
        return [*places.values()], tables

    return _all_done(jobs, label, notes)


def _places(folder: Path, name: str, image: Image, views: Sequence[str]) -> dict[str, Path]:
    """Return the paths of labels, table and views by their names."""
    endings = {one: OBJECT_PRODUCTS[one].ending for one in (LABELS.name, TABLE.name, *views)}
    if flavour_of(image, np.uint16) == "ome":
        endings[LABELS.name] = ome_ending(LABELS.ending)
    return {one: folder / f"{name}{ending}" for one, ending in endings.items()}


def _guards(paths: Sequence[Path], said: dict[str, Any]) -> dict[Path, RecordedOutput]:
    """Return what writes the record of each path; raise `ImageWriteError` if one may not be replaced."""
    guards = {path: RecordedOutput(path, "label", said) for path in paths}
    for guard in guards.values():
        guard.check()
    return guards


def _image_of(
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


def measure_files(
    labels: str | Path,
    out: str | Path,
    images: str | Path | None = None,
    *,
    axes: str | None = None,
) -> list[ObjectResult]:
    """Measure the objects of label images; a file that fails does not stop the others.

    Parameters
    ----------
    labels : path
        A label image, a folder of them or a pattern. Of a segmentation's results the label images.
    out : path
        A folder, which gets ``NAME.objects.csv`` for each label image; or one table of all, .csv or .parquet.
    images : path, optional
        The images whose intensities are measured, which go with the labels by what their names share.
    axes : str, optional
        Axes of the label images, where they do not say.

    Raises
    ------
    DataSetError
        By their names, several images could belong to a label image.
    UsageError
        There are no label images, or two of them would have the same table.
    """
    target, partners = Path(out), partners_of(named_files(labels, LABELS.ending), images)
    single = target.suffix.lower() in (".csv", ".parquet") and not target.is_dir()
    if not single:
        make_folder(target)
    elif target.suffix.lower() == ".parquet":
        check_pyarrow()
    every: list[Table] = []
    notes = Repeated()
    inputs: dict[str, str] = {}

    def measure(path: Path, name: str) -> tuple[list[Path], list[Table]]:
        watch = Unchanged(path)
        inputs[os.path.realpath(path)] = watch.sha256
        tables = _measured(path, partners[path], images, axes, notes.say)
        watch.check()
        every.extend(tables)
        if single:
            return [], tables
        table = target / f"{name}{TABLE.ending}"
        said = {"input": os.path.realpath(path), "input_sha256": watch.sha256}
        write_table(table, tables, RecordedOutput(table, "measure", said))
        return [table], tables

    jobs = named_results(list(partners))
    results = _all_done(jobs, measure, notes)
    if single and every:
        write_table(target, every, RecordedOutput(target, "measure", {"inputs": inputs}))
        results = [
            result if result.error else ObjectResult(result.input, (target,), result.objects)
            for result in results
        ]
    return results


def _measured(
    path: Path, partner: Path | None, images: str | Path | None, axes: str | None, say: Say
) -> list[Table]:
    """Return the tables of a label image; notes on it and its image are said."""
    with ExitStack() as stack:
        stored = stack.enter_context(open_image(path, axes, labels=True))
        say_notes(stored, say=say)
        measured = []
        if images is not None:
            image, watch = _image_of(path, partner, images, stack)
            stack.callback(watch.check)
            measured.append(Intensities.of(image, "intensity"))
        _compare(stored, None if images is None else image, say)
        tables = measure_labels(StoredLabels(stored), stored, measured)
        if mask := describe_mask(stored, tables):
            say(path, mask)
    return tables


def _compare(labels: Image, image: Image | None, say: Say) -> None:
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


def _all_done(
    jobs: dict[str, Path], work: Callable[[Path, str], tuple[list[Path], list[Table]]], notes: Repeated
) -> list[ObjectResult]:
    """Do the work of each file, and say which notes several had."""
    results = [_done(path, partial(work, path, name)) for name, path in jobs.items()]
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


def _probability(image: Image, channel: int) -> Intensities:
    return Intensities(image, (channel,), (ProbabilityMap.name,))
