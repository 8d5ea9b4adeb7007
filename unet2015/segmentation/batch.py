"""Segments files, folders and patterns; what fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unet2015.models import warn_unless_learned
from unet2015.models.model_file import Model
from unet2015.segmentation.cluster import segment_on
from unet2015.segmentation.failures import write_failures
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.outputs import find_inputs, is_one_file, plan_jobs
from unet2015.segmentation.run import FileResult, run_job
from unet2015.segmentation.segmenter import Segmenter


def segment_files(
    inputs: Sequence[str | Path],
    out: str | Path,
    model: Model | str | Path,
    options: SegmentOptions | None = None,
    *,
    dask: str | None = None,
) -> list[FileResult]:
    """Segment files, folders and patterns into `out`; what fails does not stop the rest.

    Parameters
    ----------
    inputs : sequence of path
        TIFF or PNG files, OME-Zarr images, folders of them, patterns.
    out : path
        A folder; or, for one input, the class map's own path, ending in .tif, .tiff or .zarr. In a
        folder, OME-Zarr in gives OME-Zarr out, ``NAME.classes.zarr``, and all else TIFF. An OME-Zarr
        image holds all products (see :mod:`unet2015.images.zarr_writer`).
    model : Model or path
        What to segment with.
    options : SegmentOptions, optional
        How to segment, and what to write. Default: the class map, with tiles by memory.
    dask : str, optional
        Compute on the workers of a Dask scheduler at this address, or ``local:N`` for N processes
        here; the results are the same bytes.

    Returns
    -------
    list of FileResult
        One a file. A file whose outputs are there, made from the same bytes by the same model with
        the same options, is not done again; one that was begun goes on from its last finished part.
        In a folder, ``failures.csv`` lists the files that failed this time, if any.

    Raises
    ------
    UsageError
        No input, outputs that collide, or options that no image can meet; nothing is written then.
    """
    options = options or SegmentOptions()
    segmenter = Segmenter(model, options)
    if isinstance(model, Model):  # else loading it has said so
        warn_unless_learned(model)
    out = Path(out)
    jobs = plan_jobs(find_inputs(inputs), out, options)
    results: list[FileResult] = []
    try:
        if dask is not None:
            results.extend(segment_on(dask, segmenter, jobs))
        else:
            for job in jobs:
                results.append(run_job(segmenter, job))
    finally:
        failures = [(result.input, result.error) for result in results if result.error]
        # A run that was interrupted has not seen all files, and keeps what is known of the others.
        if not is_one_file(out) and (failures or len(results) == len(jobs)):
            write_failures(out, failures)
    return results
