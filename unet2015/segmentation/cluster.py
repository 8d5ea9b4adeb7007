"""Segments on the workers of a Dask scheduler: the same plan, the same bytes, on more machines.

A task is one part of an image (see :mod:`unet2015.tiling.plan`), or one file where there are at least
as many files as workers. A worker reads the input and writes its results itself, so all paths must lead
to the same files on all machines; each task sends only a few kilobytes between them, and 16 bytes for each
page and channel where pages are mapped by themselves. A part has the same bytes on any worker, and is whole
or absent: if a worker is killed, another does its task again, and a run that was killed goes on with or
without Dask.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from unet2015.device import thread_count
from unet2015.errors import UNet2015Error, UsageError, WorkerError, failure_of
from unet2015.images.notes import Say, say
from unet2015.segmentation.connection import check_workers, connect
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.part_store import Store
from unet2015.segmentation.parts import Computation
from unet2015.segmentation.results import FileResult
from unet2015.segmentation.run import run_job
from unet2015.segmentation.segmenter import Segmenter
from unet2015.segmentation.worker import ImageTask, ModelOnWorkers, compute, compute_file
from unet2015.tiling.progress import tile_bar
from unet2015.tiling.times import Times

_log = logging.getLogger("unet2015")


def segment_on(address: str, segmenter: Segmenter, jobs: Sequence[Job], warn: Say = say) -> list[FileResult]:
    """Carry out jobs on the workers of a scheduler.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.1:8786``; or ``local:N`` for N processes here.
    segmenter : Segmenter
        The model, from a file, with the options of the jobs.
    jobs : sequence of Job
        Inputs, outputs and options.
    warn : callable
        Takes what is said about an image.

    Raises
    ------
    UsageError
        Dask is not installed, the scheduler does not answer or has no workers, or a worker has different
        versions or does not see the files.
    """
    if segmenter.model.path is None:
        raise UsageError("workers read the model from its file; give a path, not a model in memory")
    given, jobs = jobs, [job.absolute() for job in jobs]
    path, digest = segmenter.model.path.absolute(), segmenter.model.sha256
    model = ModelOnWorkers(path, digest, segmenter.device_name(), thread_count(), segmenter.convolutions)
    with connect(address) as client:
        check_workers(client, [path, *(job.input for job in jobs)])
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        if len(jobs) > 1 and len(jobs) >= workers:
            results = _by_file(client, segmenter, model, jobs, warn)
        else:
            elsewhere = _Workers(client, model)
            results = [run_job(segmenter, job, elsewhere=elsewhere, warn=warn) for job in jobs]
    return [
        replace(result, input=job.input, outputs=job.outputs.paths if result.outputs else ())
        for job, result in zip(given, results, strict=True)
    ]


def model_for(model: ModelOnWorkers, segmenter: Segmenter) -> ModelOnWorkers:
    """Return the model for workers that compute as a segmenter does: as the run did that goes on."""
    return replace(model, convolutions=segmenter.convolutions)


class _Workers:
    """The workers, as :class:`unet2015.segmentation.parts.Elsewhere`."""

    def __init__(self, client: Any, model: ModelOnWorkers) -> None:
        self._client, self._model = client, model

    def compute(self, job: Job, computation: Computation, store: Store) -> None:
        """Let the workers compute the missing parts of an image."""
        source = computation.source
        model = model_for(self._model, computation.segmenter)
        plan = replace(computation.plan)  # without its cached values: each worker computes them itself
        task = ImageTask(model, job, plan, (source.offset, source.gain), store.opener)
        name = source.image.name
        finished = store.finished()
        missing = [part.index for part in plan.parts if part.index not in finished]
        with tile_bar(plan, name) as progress:
            progress(plan.tiles - sum(len(plan.parts[index].tiles) for index in missing))

            def done(position: int, spent: Times) -> None:
                computation.times.add(spent)
                progress(len(plan.parts[missing[position]].tiles))

            _gather(self._client, partial(compute, task), missing, done, name)
        absent = set(missing) - set(store.finished())
        if absent:
            raise WorkerError(
                f"{job.input}: the workers computed part {min(absent)}, but it is not in {store.folder}; "
                "all machines must share the file system"
            )

    def each(self, function: Callable[[Any], None], items: Sequence[Any]) -> None:
        """Let the workers call a function with each item."""
        _gather(self._client, function, items, lambda position, nothing: None, "after the last tile")


def _by_file(
    client: Any, segmenter: Segmenter, model: ModelOnWorkers, jobs: Sequence[Job], warn: Say
) -> list[FileResult]:
    """Let one worker do each file, with the plan that this machine would choose."""
    results: dict[Path, FileResult] = {}
    tasks = []
    for job in jobs:
        try:
            with job.options.open(job.input) as image:
                tasks.append((job, replace(segmenter.plan(image))))
        except Exception as error:
            results[job.input] = FileResult(job.input, error=failure_of(error, job.input))

    def done(position: int, result: FileResult) -> None:
        results[result.input] = result
        for note in result.notes:
            warn(result.input, note)
        _log.info("%s: %s", result.input, "failed" if result.error else "done")

    def failed(position: int, error: UNet2015Error) -> None:
        path = tasks[position][0].input
        results[path] = FileResult(path, error=error)

    _gather(client, partial(compute_file, model), tasks, done, "a file", failed)
    return [results[job.input] for job in jobs]


def _gather(
    client: Any,
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    done: Callable[[int, Any], None],
    name: str,
    failed: Callable[[int, UNet2015Error], None] | None = None,
) -> None:
    """Run `function` on all tasks and report each; stop at the first error unless `failed` handles it."""
    as_completed = import_module("distributed").as_completed
    futures = client.map(function, tasks, pure=False)
    places = {future.key: position for position, future in enumerate(futures)}
    try:
        for future in as_completed(futures, loop=client.loop):
            position = places[future.key]
            error = future.exception()
            if error is None:
                done(position, future.result())
            elif failed is None:
                raise _translated(error, name) from error
            else:
                failed(position, _translated(error, name))
    finally:
        client.cancel(futures)


def _translated(error: BaseException, name: str) -> UNet2015Error:
    """Return an error of this package for an error from a worker."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, UNet2015Error):
        return error
    if isinstance(error, KilledWorker):
        return WorkerError(
            f"{name}: several workers died at the same task; see their logs. If they lacked memory, give a "
            "smaller --max-memory, or start them with a larger --memory-limit; then run again"
        )
    return WorkerError(f"{name}: a worker failed: {type(error).__name__}: {error}")
