"""What a Dask worker does: it computes and keeps one part of an image, or segments one file."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from unet2015.errors import ModelError, UNet2015Error, UsageError, failure_of
from unet2015.heap import usual_heap
from unet2015.images.image import Image
from unet2015.images.mapping import Scale
from unet2015.models.model_file import read_model_file
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.part_store import Store
from unet2015.segmentation.parts import computation_of, compute_parts
from unet2015.segmentation.results import FileResult
from unet2015.segmentation.run import run_job
from unet2015.segmentation.segmenter import Segmenter
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.times import Times

_lock = threading.Lock()
_loaded: dict[tuple[Any, ...], Segmenter] = {}
_opened = threading.local()  # one image per thread, because another thread may still read from its own


@dataclass(frozen=True)
class ModelOnWorkers:
    """Which model workers load, and what they must compute on, so that all give the same bytes.

    Attributes
    ----------
    path : Path
        The model file, on a file system that all machines share.
    sha256 : str
        Of its bytes.
    device : str
        The device of the client, as in a record.
    threads : int
        Threads of the client's network; with another number, results may round differently.
    convolutions : str or None
        How the client's network computes convolutions; in another way, results round differently.
    """

    path: Path
    sha256: str
    device: str
    threads: int
    convolutions: str | None

    def load(self, options: SegmentOptions) -> Segmenter:
        """Return the segmenter; the model is read once in each process.

        Raises
        ------
        ModelError
            The model cannot be read here, or is another one.
        UsageError
            This machine would compute on another device.
        """
        torch.set_num_threads(self.threads)  # whatever the worker's cores
        key = (self.sha256, options, self.convolutions)
        with _lock:
            if key not in _loaded:
                usual_heap()
                model = read_model_file(self.path)
                if model.sha256 != self.sha256:
                    raise ModelError(
                        f"{self.path}: on {_here()} this is another model; share one file system"
                    )
                _loaded.clear()
                _loaded[key] = Segmenter(model, options, self.convolutions)
            segmenter = _loaded[key]
        if segmenter.device_name() != self.device:
            raise UsageError(
                f"the worker {_here()} computes on {segmenter.device_name()}, but the plan was made for "
                f"{self.device}; run the command where the workers run, or choose with --device"
            )
        return segmenter


@dataclass(frozen=True)
class ImageTask:
    """What a worker needs to compute any part of an image.

    Attributes
    ----------
    model : ModelOnWorkers
        The model, and the device to compute on.
    job : Job
        The input, its outputs and its options; paths are absolute.
    plan : TilePlan
        The plan that the client made.
    scale : tuple of ndarray
        Offset and gain of the whole image, or of each page.
    open_store : callable
        Opens the store where the parts are kept.
    run : str
        Another one for each run, so that a worker that outlives it opens the image anew for the next: no file
        of it, however it was changed between, is taken for the old one.
    """

    model: ModelOnWorkers
    job: Job
    plan: TilePlan
    scale: Scale
    open_store: Callable[[TilePlan], Store]
    run: str = field(default_factory=lambda: uuid4().hex)


def compute(task: ImageTask, index: int) -> Times:
    """Compute and keep the part of this number; return its times.

    Raises
    ------
    UNet2015Error
        Of whatever kind an error was, so that the client can say which file failed and why.
    """
    try:
        return _compute(task, index)
    except UNet2015Error:
        raise
    except Exception as error:
        raise failure_of(error, task.job.input) from error


def _compute(task: ImageTask, index: int) -> Times:
    segmenter = task.model.load(task.job.options)
    image = _open(task)
    computation, part = computation_of(segmenter, image, task.plan, task.scale), task.plan.parts[index]
    with task.open_store(task.plan).keeping(part) as keep:  # a band is written while the next is computed
        compute_parts(computation, [part], keep)
    return computation.times


def compute_file(model: ModelOnWorkers, task: tuple[Job, TilePlan]) -> FileResult:
    """Carry out one job with the plan of the client, which says the notes of the result."""
    job, plan = task
    return run_job(model.load(job.options), job, plan=plan, warn=lambda path, note: None)


def _open(task: ImageTask) -> Image:
    """Return an image that stays open, in this thread, until that of another run is opened."""
    if getattr(_opened, "run", None) != task.run:
        if getattr(_opened, "image", None) is not None:
            _opened.image.close()
        _opened.run, _opened.image = None, None
        _opened.image = task.job.options.open(task.job.input)
        _opened.run = task.run
    image: Image = _opened.image
    return image


def _here() -> str:
    import socket

    return f"{socket.gethostname()} (process {os.getpid()})"
