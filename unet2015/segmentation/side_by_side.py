"""Segments the images of a folder two at a time, so that the network need not wait for files.

Before the network, an image is opened, hashed and mapped; after it, results are encoded, flushed to the disk,
hashed and renamed, with their record. Where an image is a single batch of tiles, the network would wait for
all of this. So two jobs are carried out in two threads, and the network, one call after the other, in the
thread that called. A job is the same as alone, with the same bytes; results come in the order of the jobs.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from unet2015.images.image import Image
from unet2015.images.notes import Say, say
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.results import FileResult
from unet2015.segmentation.run import run_job
from unet2015.segmentation.segmenter import Segmenter
from unet2015.tiling.memory import LIBRARIES, default_cap
from unet2015.tiling.plan import TilePlan

JOBS = 2
"""Jobs at a time: one in the network, one that is read or written."""

Pixels = NDArray[Any]
_Ended = tuple[FileResult, list[tuple[Path, str]]]


def run_side_by_side(segmenter: Segmenter, jobs: Sequence[Job], warn: Say = say) -> Iterator[FileResult]:
    """Carry out jobs; yield the result of each in their order, as `run_job` returns it.

    What is said about an image is said when its turn has come. Jobs of more than one batch of tiles, and
    those that would not fit into the memory cap together, are carried out alone.
    """
    on_cpu = segmenter.device.type == "cpu"
    cap = segmenter.options.max_memory if on_cpu else None
    desk = _Desk(default_cap(torch.device("cpu")) if cap is None else cap)
    shared = _SharedSegmenter(segmenter, desk)
    waiting, running = deque(jobs), deque[Future[_Ended]]()
    with _threads(desk) as threads:
        while waiting or running:
            while waiting and len(running) < JOBS:
                job = partial(_carry_out, shared, waiting.popleft(), desk)
                running.append(threads.submit(copy_context().run, job))
            desk.serve(segmenter.predict, until=running[0])
            result, notes = running.popleft().result()
            for note in notes:
                warn(*note)
            yield result


def may_share(options: SegmentOptions, plan: TilePlan) -> bool:
    """Whether an image may be segmented at the same time as another: it is one batch, without objects.

    The memory for objects is not part of a plan.
    """
    return options.objects is None and len(plan) == 1


def _carry_out(segmenter: Segmenter, job: Job, desk: "_Desk") -> _Ended:
    notes: list[tuple[Path, str]] = []
    try:
        return run_job(segmenter, job, warn=lambda path, note: notes.append((path, note))), notes
    finally:
        desk.leave()


@contextmanager
def _threads(desk: "_Desk") -> Iterator[ThreadPoolExecutor]:
    """Yield the threads of the jobs; after an interruption the jobs end where they are, as if killed."""
    threads = ThreadPoolExecutor(JOBS)
    try:
        yield threads
    finally:
        desk.close()
        threads.shutdown(cancel_futures=True)


class _Desk:
    """Where the threads of the jobs ask for memory and for the network, and wait for both.

    Parameters
    ----------
    cap : int
        Bytes that all jobs together may take.
    """

    def __init__(self, cap: int) -> None:
        self._cap, self._closed = cap, False
        self._inside: dict[int, tuple[int, int, bool]] = {}  # by thread: all bytes, its own, whether alone
        self._line: deque[int] = deque()
        self._calls: deque[tuple[Pixels, Future[Pixels]]] = deque()
        self._changed = threading.Condition()

    def enter(self, whole: int, own: int, alone: bool) -> None:
        """Wait until a job may go on that takes `whole` bytes, of which `own` are not shared; in line."""
        me = threading.get_ident()
        with self._changed:
            self._line.append(me)
            self._changed.wait_for(lambda: self._closed or self._may_enter(me, whole, own, alone))
            self._check()
            self._line.popleft()
            self._inside[me] = whole, own, alone
            self._changed.notify_all()

    def _may_enter(self, me: int, whole: int, own: int, alone: bool) -> bool:
        jobs = [*self._inside.values(), (whole, own, alone)]
        shared = max(every - its for every, its, _ in jobs)
        fits = shared + sum(its for _, its, _ in jobs) <= self._cap
        return self._line[0] == me and (len(jobs) == 1 or (fits and not any(only for *_, only in jobs)))

    def leave(self) -> None:
        """Say that the job of this thread has ended."""
        with self._changed:
            self._inside.pop(threading.get_ident(), None)
            self._changed.notify_all()

    def ask(self, tiles: Pixels) -> Pixels:
        """Return what the network gives for tiles, when its turn has come."""
        answer: Future[Pixels] = Future()
        with self._changed:
            self._check()
            self._calls.append((tiles, answer))
            self._changed.notify_all()
        return answer.result()

    def serve(self, predict: Callable[[Pixels], Pixels], until: Future[_Ended]) -> None:
        """Compute what is asked for, in this thread, until a job has ended."""
        until.add_done_callback(lambda _: self._wake())
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls or until.done())
                if until.done():  # first of all, so that another job is read while the network computes
                    return
                tiles, answer = self._calls.popleft()
            try:
                answer.set_result(predict(tiles))
            except Exception as error:  # of this image; others go on
                answer.set_exception(error)
            except BaseException as error:
                answer.set_exception(error)
                raise

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Let no job go on to the network, and end those that wait for it."""
        with self._changed:
            self._closed = True
            for _, answer in self._calls:
                answer.set_exception(KeyboardInterrupt())
            self._calls.clear()
            self._changed.notify_all()

    def _check(self) -> None:
        if self._closed:
            raise KeyboardInterrupt


class _SharedSegmenter(Segmenter):
    """A segmenter whose network is computed at the desk, where a plan waits until there is memory for it."""

    def __init__(self, segmenter: Segmenter, desk: _Desk) -> None:
        vars(self).update(vars(segmenter))
        self._desk, self._planning = desk, threading.Lock()
        self.predict = desk.ask

    def plan(self, image: Image) -> TilePlan:
        """Return the plan of an image as soon as there is memory for it beside the other job."""
        with self._planning:
            plan = super().plan(image)
        own = self.own_memory(image, plan)
        whole = self.memory(image, plan) if self.device.type == "cpu" else LIBRARIES + own
        self._desk.enter(whole, own, alone=not may_share(self.options, plan))
        return plan
