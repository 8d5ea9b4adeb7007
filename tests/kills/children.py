"""Forked children that are killed: at a drawn call of the system, or after a drawn time."""

import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from unet2015.images.writer import ImageWriter
from unet2015.segmentation.part_store import PartWriter
from unet2015.tiling.predictor import Predictor
from unet2015.training.steps import GradientDescent

ANY = "any"
"""The kind of a call that stands for calls of all kinds."""


@dataclass
class Moment:
    """When a child is killed: at call number `number` of a kind, or after so many seconds."""

    kind: str = ANY
    number: int = 0
    after: float | None = None


@dataclass
class Ended:
    """How a child ended.

    Attributes
    ----------
    lived : bool
        Whether it was not killed.
    error : str
        What went wrong, empty if nothing did.
    units : dict of int
        Tiles that went through the network in a segmentation or a validation, and steps of a training.
    calls : dict of int
        Calls of the system by their kind.
    seconds : float
        How long it ran.
    """

    lived: bool
    error: str = ""
    units: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


_calls: Counter[str] = Counter()
_deadly: tuple[str, int] = (ANY, 0)
_units: Counter[str] = Counter()


def run(work: Callable[[], str], moment: Moment | None = None) -> Ended:
    """Do `work`, which returns what went wrong, in a child that is killed at a moment, if it gets there."""
    read, write = os.pipe()
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _be_child(work, moment, write)
    os.close(write)
    if moment is not None and moment.after is not None:
        time.sleep(moment.after)
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    seconds = time.monotonic() - start
    if os.WIFSIGNALED(status):
        return Ended(False, seconds=seconds)
    return Ended(True, **json.loads(said), seconds=seconds)


def _be_child(work: Callable[[], str], moment: Moment | None, pipe: int) -> None:
    global _deadly
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    if moment is not None and moment.after is None:
        _deadly = (moment.kind, moment.number)
    sys.addaudithook(_watch)
    try:
        error = work()
    except BaseException:  # whatever it is, the search reports it
        error = traceback.format_exc()
    os.write(pipe, json.dumps({"error": error, "units": _units, "calls": _calls}).encode())
    os._exit(0)


def _watch(event: str, arguments: Any) -> None:
    """Count calls of the system, and die before the chosen one."""
    if event == "open" or event.startswith(("os.", "shutil.", "fcntl.")):
        for kind in (event, ANY):
            _calls[kind] += 1
            if (kind, _calls[kind]) == _deadly:
                os.kill(os.getpid(), signal.SIGKILL)


def prepare() -> None:
    """Make this process one whose children can be killed; only for a process that does nothing else."""
    importlib.import_module("zarr")  # once, as it takes a child 2 seconds, which a kill would fall into
    os.fsync = lambda handle: None  # a kill, unlike a power cut, loses nothing that was written
    torch.set_num_threads(1)  # a forked child cannot use threads that its parent started
    gc.freeze()  # or each child looks through all modules, and copies their memory to do so
    for kind, name in ((PartWriter, "append"), (ImageWriter, "write")):
        _deadly_after(kind, name)
    _counting(Predictor, "__call__", "tiles", lambda tiles: len(tiles))
    _counting(GradientDescent, "_descend", "steps", lambda *rest: 1)


def _deadly_after(kind: type, name: str) -> None:
    """Let also a method that writes be a call to die after, when half of a file is written."""
    real = getattr(kind, name)

    def method(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        _watch("os.write", arguments)

    setattr(kind, name, method)


def _counting(kind: type, name: str, unit: str, count: Callable[..., int]) -> None:
    real = getattr(kind, name)

    def method(self: Any, *arguments: Any) -> Any:
        _units[unit] += count(*arguments)
        return real(self, *arguments)

    setattr(kind, name, method)
