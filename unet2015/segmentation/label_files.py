"""Measures of existing instance labels: file by file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unet2015.arguments import callback, file_path, flag, no_file_name
from unet2015.errors import UsageError
from unet2015.images.image import Image
from unet2015.images.notes import Repeated, Say, say
from unet2015.images.pairs import named_files
from unet2015.images.pixel_size import GivenSize
from unet2015.images.result_names import labels_inside
from unet2015.images.result_records import is_unchanged_result
from unet2015.images.whole_numbers import labels_of
from unet2015.objects.doubts import describe_covering, describe_volumes
from unet2015.objects.files import Intensities, measure_labels, rows_to_measure
from unet2015.objects.masks import describe_mask, describe_numbered_background
from unet2015.objects.progress import row_bar
from unet2015.objects.scattered import Scattered
from unet2015.objects.stored_labels import StoredLabels
from unet2015.objects.table import Table, check_pyarrow, summary_of, with_channels, write_table
from unet2015.safe_files import RecordedOutput, Unchanged, claim_outputs, left_by_earlier_run, make_folder
from unet2015.segmentation.joined_notes import Together, facts_of
from unet2015.segmentation.joined_results import join_results
from unet2015.segmentation.map_names import named_results
from unet2015.segmentation.object_files import Opening, all_done, say_on_results
from unet2015.segmentation.products import LABELS, PARQUET, TABLE
from unet2015.segmentation.record_beside import describe_other_labels, place_of_record
from unet2015.segmentation.results import ObjectResult
from unet2015.segmentation.same_files import with_copies

_NO_LABELS = "give a file in which every object has one number; label makes them of a probability map"


def measure_files(
    labels: str | Path,
    out: str | Path,
    images: str | Path | None = None,
    *,
    parquet: bool = False,
    channel: int | str | None = None,
    scene: int | str | None = None,
    axes: str | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    replace_pixel_size: bool = False,
    progress: Callable[[str, int, int], object] | None = None,
) -> list[ObjectResult]:
    """Measure the objects of label images; a file that fails does not stop the others.

    Parameters
    ----------
    labels : path
        A label image, a folder of them or a pattern. Of a segmentation's results the label images.
    out : path
        A folder, which gets ``NAME.objects.csv`` for each label image, and ``objects.csv`` with the rows of
        all; or one table of all, .csv or .parquet.
    images : path, optional
        The images whose intensities are measured, which go with the labels by what their names share.
    parquet : bool
        In a folder, also write all these tables as Parquet.
    channel, scene : int or str, optional
        Of the images, as for :func:`unet2015.segment`. Default: all channels are measured.
    axes : str, optional
        Axes of the label images, where they do not say.
    pixel_size, replace_pixel_size
        Of the label images, as for :class:`unet2015.SegmentOptions`.
    progress : callable, optional
        Called with the path of the label image, how many of its rows are done, and how many there are; each
        row counts once for each pass. The work waits for it.

    Returns
    -------
    list of ObjectResult
        For each label image: ``input``, ``outputs``, ``objects`` (number, total and median area),
        ``error``, which is None where all went well, and ``notes``, what was said of it. If a table of all
        cannot be written, the last result is that of the table, with the error.

    Raises
    ------
    DataSetError
        By their names, several images could belong to a label image.
    UsageError
        There are no label images, or two of them would have the same table.
    """
    given, target = file_path(labels, "labels"), file_path(out, "out")
    size = GivenSize.of(pixel_size, replace_pixel_size)
    opening = Opening(axes=axes, images=images, channel=channel, scene=scene, size=size)
    told = callback(progress, "progress")
    opening = opening.pair(named_files(given, LABELS.ending))
    single = target.suffix.lower() in (".csv", ".parquet") and not target.is_dir()
    both = flag(parquet, "parquet")
    if single and both:
        raise UsageError(f"{target}: one table; give a folder to have CSV and Parquet, or only a .parquet")
    if both or target.suffix.lower() == ".parquet":
        check_pyarrow()
    if not single:
        make_folder(no_file_name(target, "a folder, or one table of all, .csv or .parquet"))
    notes = Repeated()
    work = _Measuring(target, opening, notes.say, single=single, parquet=both)
    jobs = named_results(list(opening.partners))
    on_results = say_on_results(jobs.values())
    results = with_copies(all_done(jobs, work.measure, notes, told), opening.partners)
    if not single:
        failed = join_results(target, results, "measure", on_results, chosen=opening.channel is not None)
        results += [ObjectResult(path, error=error) for path, error in failed]
    elif work.tables:
        _write_all(work, on_results)
        results = [one if one.error else replace(one, outputs=(target,)) for one in results]
    return results


@dataclass
class _Measuring:
    """What is wanted of all label images, and what was measured.

    Attributes
    ----------
    target, parquet
        As `out` and `parquet` of `measure_files`.
    opening : Opening
        How the label images are opened, and their images.
    say : callable
        Takes what is said about a file.
    single : bool
        Whether one table of all is written in the end.
    tables : list of Table
        Then, those of all pages so far.
    images : list of (str, dict)
        For each of them, the name of its file and the summary of that.
    inputs : dict of str
        The SHA-256 of each label image so far.
    """

    target: Path
    opening: Opening
    say: Say
    single: bool
    parquet: bool
    tables: list[Table] = field(default_factory=list)
    images: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)

    def measure(self, path: Path, name: str) -> tuple[list[Path], dict[str, Any]]:
        """Measure a label image; return the files that were written, and the summary of its objects."""
        watch = Unchanged(path)
        self.inputs[os.path.realpath(path)] = watch.sha256
        if other := describe_other_labels(path, watch.sha256):
            self.say(path, other)
        tables, facts = _measured(path, self.opening, self.say)
        watch.check()
        summary = summary_of(tables) | facts
        if self.single:
            self.tables += tables
            self.images += [(self.opening.titles[path], summary)] * len(tables)
            return [], summary
        said = {"input": os.path.realpath(path), "input_sha256": watch.sha256} | self.opening.as_record(path)
        endings = (TABLE.ending, PARQUET.ending) if self.parquet else (TABLE.ending,)
        written = [self.target / f"{name}{ending}" for ending in endings]
        for table in written:
            _write(table, tables, said)
        places = [self.target / f"{name}{ending}" for ending in (TABLE.ending, PARQUET.ending)]
        for left in left_by_earlier_run(places, written):
            kept = f"{self.target / left} is of an earlier run, and kept; "
            self.say(path, f"{kept}the objects of this one are in {written[0]}")
        return written, summary


def _write_all(work: _Measuring, on_results: Sequence[str]) -> None:
    """Write the one table of all files, and say in what their images differ."""
    opening, together = work.opening, Together(work.images, work.opening.channel is not None)
    measured = {os.path.realpath(label): image for label, image in opening.measured.items()}
    said = {"inputs": work.inputs} | ({"images": measured} if measured else {}) | opening.size.as_record()
    tables, channels = work.tables, together.channels
    if channels is not None:
        tables = [with_channels(*both) for both in zip(tables, channels, strict=True)]
    _write(work.target, tables, said | together.as_record(on_results))
    for note in together.notes:
        say(work.target, note)


def _write(path: Path, tables: Sequence[Table], said: dict[str, Any]) -> None:
    """Write a table with its record."""
    output = RecordedOutput(path, "measure", said)
    output.check()
    with claim_outputs(path, output.paths):
        write_table(path, tables, output)


def _measured(path: Path, opening: Opening, say: Say) -> tuple[list[Table], dict[str, Any]]:
    """Return the tables of a label image, and facts about it and its image; notes on both are said."""
    with ExitStack() as stack:
        stored = labels_of(opening.open(path, stack, say), f"{_NO_LABELS}{labels_inside(path)}")
        image, watch = opening.image_of(path, stored, stack, say)
        if watch is not None:
            stack.callback(watch.check)
        measured = [] if image is None else [Intensities.of(image, "intensity")]
        rows = stored.pages * stored.height + rows_to_measure(stored)
        progress = stack.enter_context(row_bar(rows, str(path)))
        labels = StoredLabels(stored, progress)
        pieces = None if is_unchanged_result(path) else Scattered(labels)  # of its own, pieces are known
        tables = measure_labels(pieces or labels, stored, measured, progress=progress)
        for note in _doubts(path, stored, pieces, tables):
            say(path, note)
        return tables, facts_of(stored, image)


def _doubts(path: Path, labels: Image, pieces: Scattered | None, tables: Sequence[Table]) -> Iterator[str]:
    """Yield what makes it doubtful that a file holds labels, each page by itself."""
    mask = describe_mask(labels, tables)
    numbered = describe_numbered_background(labels, tables)
    yield from (note for note in (mask, numbered) if note)
    if mask is None and pieces is not None and (scattered := pieces.describe(tables)):
        yield scattered
    if place_of_record(path) is not None:  # of what this program made it is known how it is meant
        return
    if numbered is None and (covering := describe_covering(labels, tables)):
        yield covering
    if mask is None and (volumes := describe_volumes(labels, tables)):
        yield volumes
