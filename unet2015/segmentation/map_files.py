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

from unet2015.errors import DataSetError, UNet2015Error, UsageError, failure_of
from unet2015.images.display import display_of_labels
from unet2015.images.image import Image
from unet2015.images.layout import flavour_of
from unet2015.images.notes import Repeated, Say, say_notes
from unet2015.images.page_order import other_names
from unet2015.images.pairs import listed, named_files, pair_by_name
from unet2015.images.reader import find_images, open_image
from unet2015.images.result_names import name_before, ome_ending, stem_of
from unet2015.images.writer import ImageWriter
from unet2015.objects.files import Intensities, measure_labels
from unet2015.objects.labelling import StoredLabels, number_image
from unet2015.objects.masks import describe_mask
from unet2015.objects.table import Table, check_pyarrow, describe_summary, pixel_size, summary_of, write_table
from unet2015.safe_files import RecordedOutput, Unchanged, make_folder
from unet2015.segmentation.jobs import is_result
from unet2015.segmentation.map_choice import maps_of, with_recorded
from unet2015.segmentation.products import LABELS, MAIN, OBJECT_PRODUCTS, TABLE, ProbabilityMap
from unet2015.settings.objects import ObjectSettings

_MAPS = (ProbabilityMap.ending, MAIN.ending)
"""Endings of maps, the better one first: it also tells how certain an object is."""
_MADE = tuple(product.ending for product in OBJECT_PRODUCTS.values())
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
    axes: str | None = None,
    max_memory: int | None = None,
) -> list[ObjectResult]:
    """Find the objects of class maps and probability maps; a file that fails does not stop the others.

    Parameters
    ----------
    inputs : sequence of path
        Maps, folders of them, patterns. Of the two maps of one segmentation the probability map is taken.
    out : path
        A folder. It gets ``NAME.labels.tif`` and ``NAME.objects.csv`` for each map, each with a record.
    settings : ObjectSettings, optional
        What counts as an object. What is not given is as in the segmentation that made the map, or in its
        model, by the record beside it. Without a threshold, a probability map has that of its segmentation,
        or 0.5. Without a class, a class map must have one class beside 0.
    axes : str, optional
        Axes of the maps, where they do not say.
    max_memory : int, optional
        Bytes that dividing one object may take. Default: no limit.

    Raises
    ------
    UsageError
        There is no map, or two of them would have the same results.
    """
    settings, folder = settings or ObjectSettings(), Path(out)
    jobs = _named(_best_maps(find_images(inputs)))
    make_folder(folder)
    notes = Repeated()

    def label(path: Path, name: str) -> tuple[list[Path], list[Table]]:
        table = folder / f"{name}{TABLE.ending}"
        watch = Unchanged(path)
        said: dict[str, Any] = {"input": os.path.realpath(path), "input_sha256": watch.sha256}
        with open_image(path, axes, labels=True) as image:
            say_notes(image, say=notes.say)
            chosen = with_recorded(settings, image, path)
            maps = maps_of(image, path, chosen)
            said |= {"settings": chosen.model_dump(mode="json") | {"threshold": maps.threshold}}
            ome = flavour_of(image, np.uint16) == "ome"
            target = folder / f"{name}{ome_ending(LABELS.ending) if ome else LABELS.ending}"
            outputs = [RecordedOutput(one, "label", said) for one in (target, table)]
            for output in outputs:
                output.check()
            labels = number_image(maps, chosen, max_memory)
            measured = [] if maps.probability is None else [_probability(maps.probability, maps.channel)]
            display = display_of_labels(labels.largest)
            with ImageWriter(target, image, labels.dtype, guard=outputs[0], display=display) as writer:
                tables = measure_labels(labels, image, measured, writer=writer, dtype=labels.dtype)
                watch.check()
            write_table(table, tables, outputs[1])
        return [target, table], tables

    return _all_done(jobs, label, notes)


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
    target, partners = Path(out), _partners(labels, images)
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
        if images is not None and partners[path] is None:
            raise DataSetError(
                f"{path}: by the names no image of {images} belongs to these labels; name them alike, or "
                "leave out the images to measure shapes alone"
            )
        tables = _measured(path, partners[path], axes, notes.say)
        watch.check()
        every.extend(tables)
        if single:
            return [], tables
        table = target / f"{name}{TABLE.ending}"
        said = {"input": os.path.realpath(path), "input_sha256": watch.sha256}
        write_table(table, tables, RecordedOutput(table, "measure", said))
        return [table], tables

    jobs = _named(list(partners))
    results = _all_done(jobs, measure, notes)
    if single and every:
        write_table(target, every, RecordedOutput(target, "measure", {"inputs": inputs}))
        results = [
            result if result.error else ObjectResult(result.input, (target,), result.objects)
            for result in results
        ]
    return results


def _measured(path: Path, partner: Path | None, axes: str | None, say: Say) -> list[Table]:
    """Return the tables of a label image; notes on it and its image are said."""
    with ExitStack() as stack:
        stored = stack.enter_context(open_image(path, axes, labels=True))
        say_notes(stored, say=say)
        measured = []
        if partner is not None:
            _log.info("%s: intensities of %s", path, partner)
            watch = Unchanged(partner)
            stack.callback(watch.check)
            image = stack.enter_context(open_image(partner))
            measured.append(Intensities.of(image, "intensity"))
            _compare(stored, image, say)
        tables = measure_labels(StoredLabels(stored), stored, measured)
        if mask := describe_mask(stored, tables):
            say(path, mask)
    return tables


def _compare(labels: Image, image: Image, say: Say) -> None:
    """Say the notes on an image, and if labels differ in what pages mean, or in pixel size; theirs counts."""
    say_notes(image, say=say)
    if names := other_names(labels, image):
        say(Path(image.name), names)
    ours, theirs = pixel_size(labels.calibration), pixel_size(image.calibration)
    if theirs is None or (ours is not None and np.allclose(ours, theirs, rtol=1e-3)):
        return
    said = "no pixel size" if ours is None else f"pixels of {ours[0]:.4g} x {ours[1]:.4g} µm"
    used = "the table is in pixels alone" if ours is None else "the table uses that"
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


def _partners(labels: str | Path, images: str | Path | None) -> dict[Path, Path | None]:
    """Return each label image with its image."""
    files = named_files(labels, LABELS.ending)
    if images is None:
        return dict.fromkeys(files)
    own = {path.resolve() for path in files}  # labels may lie beside their images
    others = {path: name for path, name in named_files(images).items() if path.resolve() not in own}
    pairing = pair_by_name(files, others)
    return dict.fromkeys(files) | dict(pairing.pairs)


def _best_maps(paths: Sequence[Path]) -> list[Path]:
    """Leave out results of maps, and class maps beside the probability map of the same segmentation."""
    better = {(path.parent, name_before(path.name, [ProbabilityMap.ending])) for path in paths}
    kept, results = (
        [],
        [path for path in paths if name_before(path.name, _MADE) is not None and is_result(path)],
    )
    if results and len(results) < len(paths):
        _log.warning("results of maps are left out (%d): %s", len(results), listed(results))
    for path in paths:
        name = name_before(path.name, [MAIN.ending])
        beside = name is not None and (path.parent, name) in better
        if not beside and path not in results:
            kept.append(path)
    if not kept:
        raise UsageError(f"{listed(paths)}: these are results of maps; give class maps or probability maps")
    return kept


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the files by the names of their results."""
    found: dict[str, Path] = {}
    for path in paths:
        name = name_before(path.name, (*_MAPS, LABELS.ending)) or stem_of(path)
        if name in found:
            raise UsageError(
                f"the results of {found[name]} and {path} would both be named {name}; write them "
                "into different folders"
            )
        found[name] = path
    return found


def _probability(image: Image, channel: int) -> Intensities:
    return Intensities(image, (channel,), (ProbabilityMap.name,))
