"""Carries out one job, from the input to the record; here, or with parts that are computed elsewhere."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unet2015.device import is_out_of_memory
from unet2015.errors import ImageWriteError, failure_of
from unet2015.images.constant import constant_pages, notes_on_constant
from unet2015.images.image import Image
from unet2015.images.notes import Say, say
from unet2015.images.pixel_size import pixel_size
from unet2015.images.result_records import CHOSEN_ON, TRAINED_ON
from unet2015.images.turned import page_digest
from unet2015.models.doubts import doubts_of_objects
from unet2015.models.training_pages import (
    ImageFile,
    chosen_pages,
    names_files,
    page_sizes,
    trained_pages,
)
from unet2015.models.unlike import notes_on_image, unchecked_scale
from unet2015.objects.table import describe_columns, describe_summary
from unet2015.objects.too_small import describe_left_out
from unet2015.safe_files import Unchanged, make_folder
from unet2015.segmentation.flavours import left_out
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.parts import Computation, Elsewhere, computation_of
from unet2015.segmentation.publication import named_after, say_earlier
from unet2015.segmentation.records import (
    check_before,
    check_free,
    describe_doubt,
    identity_of,
    is_done,
    is_of_other_version,
    outcome_of,
    read_notes,
    read_objects,
)
from unet2015.segmentation.results import FileResult
from unet2015.segmentation.segmenter import Segmenter
from unet2015.segmentation.summary import Summary
from unet2015.segmentation.tiff_output import is_bigtiff, write_tiff
from unet2015.segmentation.work import Work
from unet2015.segmentation.zarr_output import write_zarr
from unet2015.tiling.plan import TilePlan

_BIG = "the results are BigTIFF (--tiled, --pyramid, or large), which ImageJ opens with Bio-Formats alone"
_log = logging.getLogger("unet2015")


def run_job(
    segmenter: Segmenter,
    job: Job,
    *,
    plan: TilePlan | None = None,
    elsewhere: Elsewhere | None = None,
    warn: Say = say,
) -> FileResult:
    """Carry out a job; any error becomes part of the result, so that other jobs go on.

    Parameters
    ----------
    segmenter : Segmenter
        The model on its device, with the options of the job.
    job : Job
        The input, its outputs and its options.
    plan : TilePlan, optional
        Default: one is chosen here, by memory.
    elsewhere : Elsewhere, optional
        Computes the parts that are missing. Default: they are computed here.
    warn : callable, optional
        Takes what is said about the image. Default: it is logged.
    """
    heard = _Heard(warn, segmenter.model.doubts)
    if job.options.objects is not None:
        for doubt in doubts_of_objects(segmenter.info.training):
            heard.say(job.input, doubt)
    try:
        objects = _run(segmenter, job, plan, elsewhere, heard)
    except Exception as error:
        short = isinstance(error, RuntimeError) and is_out_of_memory(error)
        found = failure_of(MemoryError() if short else error, job.input)
        return FileResult(job.input, error=found, notes=tuple(heard.notes))
    if objects is not None:
        _log.info("%s: %s", job.input, describe_summary(objects))
    return FileResult(job.input, job.outputs.paths, objects=objects, notes=tuple(heard.notes))


def run_jobs(segmenter: Segmenter, jobs: Iterable[Job], warn: Say = say) -> Iterator[FileResult]:
    """Carry out jobs one after the other; yield the result of each, as `run_job` returns it."""
    for job in jobs:
        yield run_job(segmenter, job, warn=warn)


class _Heard:
    """Passes on what is said about an image, and keeps it for the record.

    So are the doubts about the model kept, which were said when it was loaded.
    """

    def __init__(self, warn: Say, doubts: Sequence[str]) -> None:
        self._warn = warn
        self.notes: list[str] = list(doubts)

    def say(self, path: Path, note: str) -> None:
        self.notes.append(note)
        self._warn(path, note)


def _run(
    segmenter: Segmenter,
    job: Job,
    plan: TilePlan | None,
    elsewhere: Elsewhere | None,
    heard: _Heard,
) -> dict[str, Any] | None:
    """Carry out a job; return the summary of its objects."""
    check_before(job)
    watched = Unchanged(job.input)
    with job.options.open(job.input) as image:
        plan = segmenter.plan(image) if plan is None else plan
        identity = identity_of(job, segmenter, watched.sha256, image)
        lost = () if job.outputs.zarr else left_out(image, job.outputs.main, job.options)
        for note in (*notes_on_image(image, segmenter.info, job.input), *lost):
            heard.say(job.input, note)
        heard.notes += unchecked_scale(image, segmenter.info)  # no warnings; see `segment_files`
        try:
            make_folder(job.outputs.main.parent)
        except ImageWriteError:  # in a folder that has become read-only, what is done stays done
            if not is_done(job.outputs, identity):
                raise
            return _done_before(job, heard)
        with Work(job.outputs, identity, segmenter.device_name()) as work:
            if work.done:
                return _done_before(job, heard)
            check_free(job)
            if is_of_other_version(job.outputs, watched.sha256):
                _log.info(
                    "%s: the result that lies there is of an image with other bytes, and is replaced",
                    job.input,
                )
            plan, same, scale = work.resume(
                plan, segmenter.convolutions, lambda before: segmenter.admits(image, before)
            )
            segmenter = segmenter.rounding_as(same)
            computation = computation_of(segmenter, image, plan, scale)
            for note in (*work.notes, *computation.source.notes):
                heard.say(job.input, note)
            single = job.outputs.zarr or elsewhere is not None or job.options.objects is not None
            folder = work.folder(plan, computation.source, same, single=single)
            made = replace(job, outputs=work.staged())
            kept = folder if single or len(plan.parts) > 1 else None
            with named_after(job.outputs, made.outputs):
                found, objects = write_products(made, computation, kept, watched.check, elsewhere)
            for note in _notes_on_results(made, found, image, objects, segmenter.mapping.fill_value):
                heard.say(job.input, note)
            said = {} if objects is None else {"objects": objects}
            said |= _trained_on(segmenter, job, watched.sha256, image)
            work.finish(outcome_of(made, computation, found) | {"notes": heard.notes} | said)
    return objects


def _done_before(job: Job, heard: _Heard) -> dict[str, Any] | None:
    """Say what the record says of a result that is there already; return the summary of its objects."""
    _log.info("%s: done before, with the same model and settings", job.input)
    say_earlier(job.outputs, job.outputs.recorded() or {})
    if doubt := describe_doubt(job.outputs):
        heard.say(job.input, doubt)
    for note in read_notes(job.outputs):
        if note not in heard.notes:
            heard.say(job.input, note)
    return read_objects(job.outputs)


def _trained_on(segmenter: Segmenter, job: Job, sha256: str, image: Image) -> dict[str, Any]:
    """Return, for the record, which pages the model was trained on or chosen by; null if it cannot tell."""
    training = segmenter.info.training
    if not names_files(training):
        return {TRAINED_ON: None}
    scene = None if job.options.scene is None else str(job.options.scene)
    file = ImageFile(sha256, image.pages, scene)
    known = trained_pages(training, file) or chosen_pages(training, file)
    if not known and (image.height, image.width) in page_sizes(training):
        file = file._replace(digests=[page_digest(image, page).short for page in range(image.pages)])
    found = {
        TRAINED_ON: sorted(trained_pages(training, file)),
        CHOSEN_ON: sorted(chosen_pages(training, file)),
    }
    return {key: pages for key, pages in found.items() if pages}


def _notes_on_results(
    job: Job, found: Summary, image: Image, objects: dict[str, Any] | None, fill_value: float | None
) -> Iterator[str]:
    """Say what is to be known of the results of a job, which are written."""
    yield from notes_on_constant(constant_pages(image, fill_value), image.pages)
    yield from found.notes(job.options.tile)
    if not job.outputs.zarr and is_bigtiff(job.outputs.main):
        yield _BIG
    lacking = describe_columns(pixel_size(image.calibration))
    if job.options.objects is not None and lacking:
        yield lacking
    if objects is not None and (note := describe_left_out(objects, image.pages)):
        yield note


def write_products(
    job: Job,
    computation: Computation,
    folder: Path | None,
    check: Callable[[], None],
    elsewhere: Elsewhere | None = None,
) -> tuple[Summary, dict[str, Any] | None]:
    """Write all results of a job, as TIFF files or as an OME-Zarr image.

    The parameters are those of :func:`write_tiff` and :func:`write_zarr`; OME-Zarr and objects need a folder.

    Returns
    -------
    Summary
        Of the probabilities.
    dict or None
        Of the objects, if they are among the results.
    """
    if job.outputs.zarr:
        assert folder is not None
        return write_zarr(job, computation, folder, check, elsewhere)
    return write_tiff(job, computation, folder, check, elsewhere)
