"""Segments on the workers of a Dask scheduler: the same plan, the same bytes, on more machines.

A task is one part of an image (see :mod:`unet2015.tiling.plan`), or one file where there are at least
as many files as workers. A worker reads the input and writes what it computed by itself, so all paths
must lead to the same files on all machines; through the network go a few kilobytes a task. A part is
the same bytes whoever computes it, and is whole or absent: a task whose worker was killed is done
again by another, and a run that was killed goes on with or without Dask.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from unet2015.errors import ModelError, UNet2015Error, UsageError, WorkerError
from unet2015.heap import usual_heap
from unet2015.images.image import Image
from unet2015.images.mapping import MappedImage, Scale
from unet2015.images.reader import open_image
from unet2015.images.writer import Layout
from unet2015.images.zarr_writer import ZarrLayout
from unet2015.models.model_file import read_model_file
from unet2015.provenance import versions
from unet2015.segmentation.batch import FileResult, Outputs, segment_file
from unet2015.segmentation.parts import PartStore, compute_part
from unet2015.segmentation.segmenter import Segmenter, SegmentOptions
from unet2015.segmentation.zarr_output import ZarrParts
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.progress import tile_bar
from unet2015.tiling.times import Times

WAIT = 20
"""Seconds in which a scheduler must answer, and a first worker be there."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# What Dask watches of itself takes a tenth of a core where two workers and their scheduler only wait.
_QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
}
_log = logging.getLogger("unet2015")
_lock = threading.Lock()
_loaded: dict[tuple[Any, ...], Segmenter] = {}
_opened = threading.local()  # an image a thread, as another thread may still read from it


@dataclass(frozen=True)
class Network:
    """Which model, and how it is used: what makes a `Segmenter` on a worker."""

    path: Path
    sha256: str
    options: SegmentOptions
    device: str
    threads: int

    def load(self) -> Segmenter:
        """Return the segmenter; the model is read once in each process.

        Raises
        ------
        ModelError
            The model cannot be read here, or is another one.
        UsageError
            This machine would compute on another device.
        """
        # As here, whatever the worker's cores: another number of threads may round in another way.
        torch.set_num_threads(self.threads)
        key = (self.sha256, self.options)
        with _lock:
            if key not in _loaded:
                usual_heap()
                model = read_model_file(self.path)
                if model.sha256 != self.sha256:
                    raise ModelError(
                        f"{self.path}: on {_here()} this is another model; share one file system"
                    )
                _loaded.clear()
                _loaded[key] = Segmenter(model, self.options)
            segmenter = _loaded[key]
        if segmenter.device_name() != self.device:
            raise UsageError(
                f"the worker {_here()} computes on {segmenter.device_name()}, but the plan was made for "
                f"{self.device}; run the command where the workers run, or choose with --device"
            )
        return segmenter


@dataclass(frozen=True)
class PartJob:
    """What a worker needs to compute any part of an image.

    Attributes
    ----------
    network : Network
        What computes.
    image : Path
        The input.
    axes : str or None
        As given by the user.
    plan : TilePlan
        The plan that the client made.
    scale : tuple of ndarray
        Offset and gain of the whole image.
    folder : Path
        The work folder.
    layout : ZarrLayout or None
        Where parts belong in an OME-Zarr image; None where they are kept for a TIFF.
    probability : bool
        Whether there is a probability map.
    """

    network: Network
    image: Path
    axes: str | None
    plan: TilePlan
    scale: Scale
    folder: Path
    layout: ZarrLayout | None
    probability: bool


def compute(job: PartJob, index: int) -> Times:
    """Compute and keep one part, on a worker; return its times."""
    segmenter, plan = job.network.load(), job.plan
    part = plan.parts[index]
    image = _open(job.image, job.axes)
    times = Times()
    source = MappedImage(image, segmenter.info.mapping, job.scale)
    bands = compute_part(segmenter, source, plan, part, str(job.image), job.probability, times=times)
    with times.measure("write"):
        if job.layout is None:
            PartStore(job.folder, plan).save(part, bands)
        else:
            ZarrParts(job.folder, plan, job.layout).save(part, bands)
    return times


def compute_file(
    network: Network, axes: str | None, layout: Layout, job: tuple[Path, Outputs, TilePlan]
) -> FileResult:
    """Segment one file, on a worker."""
    path, outputs, plan = job
    return segment_file(network.load(), path, outputs, axes, layout, plan=plan)


def segment_on(
    address: str,
    segmenter: Segmenter,
    jobs: Sequence[tuple[Path, Outputs]],
    axes: str | None,
    layout: Layout = Layout(),  # noqa: B008 - frozen
) -> list[FileResult]:
    """Segment files on the workers of a scheduler.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.1:8786``; or ``local:N`` for N processes here.
    segmenter : Segmenter
        The model, from a file.
    jobs : sequence of (Path, Outputs)
        Inputs and where their results go.
    axes : str or None
        Axes of the files where they do not say.
    layout : Layout
        Of TIFF.

    Raises
    ------
    UsageError
        Dask is not installed, the scheduler does not answer or has no workers, or a worker has other
        versions or does not see the files.
    """
    if segmenter.model.path is None:
        raise UsageError("workers read the model from its file; give a path, not a model in memory")
    jobs = [(path.absolute(), _absolute(outputs)) for path, outputs in jobs]
    network = Network(
        segmenter.model.path.absolute(),
        segmenter.model.sha256,
        segmenter.options,
        segmenter.device_name(),
        torch.get_num_threads(),
    )
    with connect(address) as client:
        _check_workers(client, [network.path, *(path for path, _ in jobs)])
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        if len(jobs) > 1 and len(jobs) >= workers:
            return _by_file(client, segmenter, network, jobs, axes, layout)
        distributed = partial(_by_part, client, network, axes)
        return [
            segment_file(segmenter, path, outputs, axes, layout, compute=distributed)
            for path, outputs in jobs
        ]


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """Yield a client of the scheduler at `address`, or of ``local:N`` worker processes made for it.

    Raises
    ------
    UsageError
        As `segment_on`.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise UsageError("--dask needs Dask: pip install 'unet2015[dask]'") from error
    kind, _, count = address.partition(":")
    if kind != "local":
        try:
            client = distributed.Client(address, timeout=WAIT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(
                f"no Dask scheduler answers at {address}: {error or 'timeout'}; give the address that "
                "dask-scheduler prints, such as tcp://HOST:8786, or local:N"
            ) from error
        with client:
            yield client
        return
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(f"--dask {address}: expected local:N with a number of processes, such as local:4")
    threads = str(max(1, torch.get_num_threads() // int(count)))
    with (
        _environment(dict.fromkeys(_THREADS, threads)),
        import_module("dask").config.set(_QUIET),
        distributed.LocalCluster(
            n_workers=int(count),
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port; None would insist on 8787
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables for processes that are started in the body, again and again if they die."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _check_workers(client: Any, paths: Sequence[Path]) -> None:
    """See that there are workers, of our versions, who see our files."""
    try:
        client.wait_for_workers(1, timeout=WAIT)
    except TimeoutError as error:
        raise UsageError(
            f"the Dask scheduler has no workers, and none came within {WAIT} s; start some with dask-worker"
        ) from error
    try:
        found = client.run(_look, [str(path) for path in paths])
    except ImportError as error:
        raise UsageError(f"the Dask workers cannot load unet2015: {error}; install it there too") from error
    ours = versions()
    for worker, (theirs, missing) in found.items():
        if missing:
            raise UsageError(
                f"the worker {worker} does not see {missing[0]}; inputs, model and outputs must lie on a "
                "file system that all machines share, under the same paths"
            )
        other = [
            f"{name} {theirs.get(name)}, not {version}"
            for name, version in ours.items()
            if theirs.get(name) != version
        ]
        if other:
            raise UsageError(
                f"the worker {worker} has {'; '.join(other)}; only the same versions give the same bytes"
            )


def _look(paths: list[str]) -> tuple[dict[str, str], list[str]]:
    return versions(), [path for path in paths if not os.path.exists(path)]


def _by_part(
    client: Any,
    network: Network,
    axes: str | None,
    source: MappedImage,
    plan: TilePlan,
    outputs: Outputs,
    times: Times,
    store: PartStore | ZarrParts,
    layout: ZarrLayout | None,
) -> None:
    """Have the missing parts of an image computed by the workers."""
    image = source.image
    assert image.path is not None
    job = PartJob(
        network,
        image.path,
        axes,
        replace(plan),  # without what it has worked out so far, which each worker does by itself
        (source.offset, source.gain),
        store.folder,
        layout,
        outputs.probability is not None,
    )
    finished = store.finished()
    missing = [part.index for part in plan.parts if part.index not in finished]
    with tile_bar(plan, image.name) as progress:
        progress(plan.tiles - sum(len(plan.parts[index].tiles) for index in missing))

        def done(position: int, spent: Times) -> None:
            times.add(spent)
            progress(len(plan.parts[missing[position]].tiles))

        _gather(client, partial(compute, job), missing, done, image.name)
    absent = set(missing) - set(store.finished())
    if absent:
        raise WorkerError(
            f"{outputs.classes}: the workers computed part {min(absent)}, but it is not in {store.folder}; "
            "all machines must share the file system"
        )


def _by_file(
    client: Any,
    segmenter: Segmenter,
    network: Network,
    jobs: Sequence[tuple[Path, Outputs]],
    axes: str | None,
    layout: Layout,
) -> list[FileResult]:
    """Have each file done by one worker, with the plan that this machine would choose."""
    results: dict[Path, FileResult] = {}
    tasks = []
    for path, outputs in jobs:
        try:
            with open_image(path, axes) as image:
                tasks.append((path, outputs, replace(segmenter.plan(image))))
        except UNet2015Error as error:
            results[path] = FileResult(path, (), error)

    def done(position: int, result: FileResult) -> None:
        results[result.input] = result
        _log.info("%s: %s", result.input, "failed" if result.error else "done")

    def failed(position: int, error: UNet2015Error) -> None:
        path = tasks[position][0]
        results[path] = FileResult(path, (), error)

    _gather(client, partial(compute_file, network, axes, layout), tasks, done, "a file", failed)
    return [results[path] for path, _ in jobs]


def _gather(
    client: Any,
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    done: Callable[[int, Any], None],
    name: str,
    failed: Callable[[int, UNet2015Error], None] | None = None,
) -> None:
    """Run `function` on all tasks; tell of each; stop at the first error unless `failed` takes it."""
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
                raise _known(error, name) from error
            else:
                failed(position, _known(error, name))
    finally:
        client.cancel(futures)


def _known(error: BaseException, name: str) -> UNet2015Error:
    """Return an error of this package for what came from a worker."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, UNet2015Error):
        return error
    if isinstance(error, KilledWorker):
        return WorkerError(
            f"{name}: several workers died at the same task; see their logs. If they lacked memory, give a "
            "smaller --max-memory, or start them with a larger --memory-limit; then run again"
        )
    return WorkerError(f"{name}: a worker failed: {type(error).__name__}: {error}")


def _open(path: Path, axes: str | None) -> Image:
    """Return an image that stays open, in this thread, until another is asked for."""
    state = path.stat()
    key = (path, axes, state.st_mtime_ns, state.st_ino)
    if getattr(_opened, "key", None) != key:
        if getattr(_opened, "image", None) is not None:
            _opened.image.close()
        _opened.key, _opened.image = None, None
        _opened.image = open_image(path, axes)
        _opened.key = key
    image: Image = _opened.image
    return image


def _here() -> str:
    import socket

    return f"{socket.gethostname()} (process {os.getpid()})"


def _absolute(outputs: Outputs) -> Outputs:
    shown = outputs.probability
    return Outputs(
        outputs.classes.absolute(), None if shown is None else shown.absolute(), outputs.record.absolute()
    )
