"""Segments files, folders and patterns; a file that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from unet2015.arguments import callback, file_path, file_paths, text
from unet2015.device import usual_torch
from unet2015.images.notes import Repeated
from unet2015.models import warn_of_doubts
from unet2015.models.as_it_is import as_it_is
from unet2015.models.model_file import Model
from unet2015.models.unlike import tell_scale_not_said
from unet2015.segmentation.channel_names import with_other_channels
from unet2015.segmentation.cluster import segment_on
from unet2015.segmentation.failure_log import LOG, write_failure_log
from unet2015.segmentation.failures import write_failures
from unet2015.segmentation.jobs import Job, find_inputs, is_one_file, plan_jobs
from unet2015.segmentation.options import SegmentOptions, checked_options
from unet2015.segmentation.results import FileResult
from unet2015.segmentation.run import run_jobs
from unet2015.segmentation.same_files import with_copies
from unet2015.segmentation.segmenter import Segmenter
from unet2015.segmentation.side_by_side import run_side_by_side
from unet2015.tiling.progress import Lines, reporting


@usual_torch()
def segment_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    model: Model | str | Path,
    options: SegmentOptions | None = None,
    *,
    dask: str | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> list[FileResult]:
    """Segment files, folders and patterns into `out`; a file that fails does not stop the others.

    Parameters
    ----------
    inputs : sequence of path
        TIFF, PNG or JPEG files, OME-Zarr images, folders of them, patterns.
    out : path
        A folder; or, for one input, the path of the class map, ending in .tif, .tiff or .zarr. In a
        folder, the results of OME-Zarr images are OME-Zarr (``NAME.classes.zarr``), all others TIFF. An
        OME-Zarr image holds all products (see :mod:`unet2015.images.zarr_writer`).
    model : Model or path
        What to segment with.
    options : SegmentOptions, optional
        How to segment, and what to write. Default: the class map, with tiles chosen by memory.
    dask : str, optional
        Compute on the workers of a Dask scheduler at this address, or ``local:N`` for N processes
        here; the results are the same bytes.
    progress : callable, optional
        Called with the path of the image, the number of its tiles that are done, and of all its tiles; the
        work waits for it. Where workers segment whole files, it is not called. With objects it is called
        as well, while they are found and measured, with the path and ``: objects``, how many rows are done,
        and how many there are; each row counts once for each pass.

    Returns
    -------
    list of FileResult
        One result for each file. A file is not segmented again if its outputs exist and were made from
        the same bytes with the same model and options. A file that was begun goes on after its last
        finished part. In a folder, ``failures.csv`` lists the files that failed this time, if any. Where an
        error was unexpected, ``failures.log`` beside it has the traceback. With objects, ``objects.csv`` (and
        ``objects.parquet``) has the rows of all files; if such a table cannot be written, the last result is
        that of the table, with the error.

    Raises
    ------
    UsageError
        There is no input, outputs collide, or no image can meet the options. Then nothing is written.
    """
    options = checked_options(options)
    inputs, out = file_paths(inputs, "inputs"), file_path(out, "out")
    dask = None if dask is None else text(dask, "dask", "an address such as tcp://HOST:8786 or local:4")
    report = callback(progress, "progress")
    if isinstance(model, Model):  # else it is read from its file, and the warning comes then
        model = as_it_is(model)
        warn_of_doubts(model)
    segmenter = Segmenter(model, options)
    out = Path(out)
    options = segmenter.options
    jobs = plan_jobs(find_inputs(inputs), out, options, segmenter.info.classes)
    results: list[FileResult] = []
    repeated = Repeated()
    try:
        with reporting(report):
            if dask is not None:
                results.extend(segment_on(dask, segmenter, jobs, repeated.say))
            else:
                lines = Lines("segmented", "image")
                alone = len(jobs) == 1 or report is not None  # which is called from one thread at a time
                for result in (run_jobs if alone else run_side_by_side)(segmenter, jobs, repeated.say):
                    results.append(result)
                    if len(jobs) > 1:
                        lines.say(len(results), len(jobs))
    finally:
        repeated.finish()
        _list_failures(out, results, whole=len(results) == len(jobs))
    results = _told_of_all(results, jobs, segmenter)
    return [*results, *_joined_tables(out, results, options)]


def _list_failures(out: Path, results: Sequence[FileResult], *, whole: bool) -> None:
    """Write which files failed and, where an error was unexpected, how; `whole` says that none is missing."""
    failures = [(result.input, result.error) for result in results if result.error]
    # An interrupted run has not seen all files, so an earlier list may still be right about the others.
    if not failures and not whole:
        return
    one = is_one_file(out)
    write_failure_log(out.with_name(f"{out.name}.failures.log") if one else out / LOG, failures)
    if not one:
        write_failures(out, failures)


def _joined_tables(out: Path, results: Sequence[FileResult], options: SegmentOptions) -> list[FileResult]:
    """Join the tables of all files in a folder; return a result for each joined table that failed."""
    earlier = any(out.glob("objects.*"))  # tables that a run without objects does not make again
    if (options.objects is None and not earlier) or is_one_file(out):
        return []
    from unet2015.segmentation.joined_results import join_results  # it measures

    failed = join_results(out, results, "segment", chosen=options.channel is not None)
    return [FileResult(path, error=error) for path, error in failed]


def _told_of_all(results: list[FileResult], jobs: Sequence[Job], segmenter: Segmenter) -> list[FileResult]:
    """Say what is to be known of all images together; return results with their notes."""
    results = with_copies(with_other_channels(results, jobs))
    tell_scale_not_said([(one.input, one.notes) for one in results], segmenter.info)
    return results
