"""Measures of existing instance labels: file by file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from unet2015.arguments import callback, file_path
from unet2015.images.notes import Repeated, Say
from unet2015.images.pairs import named_files
from unet2015.objects.files import Intensities, measure_labels, rows_to_measure
from unet2015.objects.labelling import StoredLabels
from unet2015.objects.masks import describe_mask
from unet2015.objects.progress import row_bar
from unet2015.objects.table import Table, check_pyarrow, write_table
from unet2015.safe_files import RecordedOutput, Unchanged, make_folder
from unet2015.segmentation.map_names import named_results
from unet2015.segmentation.object_files import ObjectResult, Opening, all_done, compare
from unet2015.segmentation.products import LABELS, TABLE


def measure_files(
    labels: str | Path,
    out: str | Path,
    images: str | Path | None = None,
    *,
    channel: int | str | None = None,
    scene: int | str | None = None,
    axes: str | None = None,
    progress: Callable[[str, int, int], object] | None = None,
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
    channel, scene : int or str, optional
        Of the images, as for :func:`unet2015.segment`. Default: all channels are measured.
    axes : str, optional
        Axes of the label images, where they do not say.
    progress : callable, optional
        Called with the path of the label image, how many of its rows are done, and how many there are; each
        row counts once for each pass. The work waits for it.

    Returns
    -------
    list of ObjectResult
        For each label image: ``input``, ``outputs``, ``objects`` (number, total and median area) and
        ``error``, which is None where all went well.

    Raises
    ------
    DataSetError
        By their names, several images could belong to a label image.
    UsageError
        There are no label images, or two of them would have the same table.
    """
    given, target = file_path(labels, "labels"), file_path(out, "out")
    opening = Opening(axes=axes, images=images, channel=channel, scene=scene)
    told = callback(progress, "progress")
    opening = opening.pair(named_files(given, LABELS.ending))
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
        tables = _measured(path, opening, notes.say)
        watch.check()
        every.extend(tables)
        if single:
            return [], tables
        table = target / f"{name}{TABLE.ending}"
        said = {"input": os.path.realpath(path), "input_sha256": watch.sha256}
        write_table(table, tables, RecordedOutput(table, "measure", said))
        return [table], tables

    jobs = named_results(list(opening.partners))
    results = all_done(jobs, measure, notes, told)
    if single and every:
        write_table(target, every, RecordedOutput(target, "measure", {"inputs": inputs}))
        results = [
            result if result.error else ObjectResult(result.input, (target,), result.objects)
            for result in results
        ]
    return results


def _measured(path: Path, opening: Opening, say: Say) -> list[Table]:
    """Return the tables of a label image; notes on it and its image are said."""
    with ExitStack() as stack:
        stored = opening.open(path, stack, say)
        image, watch = opening.image_of(path, stack) or (None, None)
        if watch is not None:
            stack.callback(watch.check)
        compare(stored, image, say)
        measured = [] if image is None else [Intensities.of(image, "intensity")]
        rows = stored.pages * stored.height + rows_to_measure(stored)
        progress = stack.enter_context(row_bar(rows, str(path)))
        tables = measure_labels(StoredLabels(stored, progress), stored, measured, progress=progress)
        if mask := describe_mask(stored, tables):
            say(path, mask)
    return tables
