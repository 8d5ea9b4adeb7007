"""A job in progress: what is done already, what goes on, and what is removed.

If a run is killed, a hidden work folder beside the output keeps its finished parts for the next run. The
folder is named after all that decides the bytes: input, model, settings, device, versions. A run in which
any of these differs does not find it, and removes it. Beside the parts it holds ``job.json``: the plan and
the mapping that were chosen, because free memory may suggest another plan the next time. A job of a single
part has no folder: there is nothing to go on from.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from unet2015.errors import ImageWriteError, MemoryLimitError, UNet2015Error, UsageError, WorkerError
from unet2015.images.mapping import MappedImage, Scale
from unet2015.provenance import versions
from unet2015.safe_files import claim, hidden_prefix, leftovers, write_json
from unet2015.segmentation.outputs import Outputs
from unet2015.segmentation.records import is_done
from unet2015.tiling.plan import TilePlan

_JOB = "job.json"
_FORMAT = 2
"""Of the files in the folder; part of its name, so that those of another version are not read."""
_KEPT_AFTER = (ImageWriteError, MemoryLimitError, UsageError, WorkerError)
"""Errors after which running again may help: the folder stays, as after a kill or Ctrl-C."""


class Work:
    """The right to work on a job; a context manager.

    While the body runs, no other process works on the same outputs. What killed runs left of them is
    removed first, except the folder that this run can go on from. If the body fails because of the image,
    the folder is removed; if running again may help (after a kill, Ctrl-C, a full disk), it stays.

    Parameters
    ----------
    outputs : Outputs
        Where the results go; their folder exists.
    identity : dict
        What decides the bytes of the outputs, for JSON; a part of the record.
    device : str
        What computes.

    Attributes
    ----------
    done : bool
        Whether the outputs are there, whole and made as `identity` says. Known when the body starts.

    Raises
    ------
    ImageWriteError
        On entering: another process works on the same outputs, or their folder cannot be written.
    """

    def __init__(self, outputs: Outputs, identity: dict[str, Any], device: str) -> None:
        said = json.dumps([_FORMAT, identity, device, versions()], sort_keys=True)
        key = hashlib.sha256(said.encode()).hexdigest()[:16]
        self.done = False
        self._outputs, self._identity = outputs, identity
        self._folder = outputs.main.with_name(f"{hidden_prefix(outputs.main)}{key}.parts")
        self._resumed = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(claim(self._outputs.main))
            self.done = is_done(self._outputs, self._identity)
            _clean(self._outputs.files, keep=None if self.done else self._folder)
            self._stack = stack.pop_all()
        return self

    def resume(self, plan: TilePlan) -> tuple[TilePlan, Scale | None]:
        """Return plan and mapping of the run before; `plan` and None where there was none."""
        try:
            job = json.loads((self._folder / _JOB).read_text(encoding="utf-8"))
            tile = tuple(job["tile"])
            before = TilePlan(plan.pages, plan.height, plan.width, tile, job["batch"], plan.geometry)
            scale = (np.array(job["offset"], np.float64), np.array(job["gain"], np.float64))
            if len(before.parts) != job["parts"]:
                raise ValueError("divided otherwise")
        except (OSError, ValueError, KeyError, TypeError, UNet2015Error):
            self._remove_folder()
            return plan, None
        for item in self._folder.glob(".*.tmp"):
            item.unlink()
        self._resumed = True
        return before, scale

    def folder(self, plan: TilePlan, source: MappedImage, *, single: bool = False) -> Path | None:
        """Return the work folder, that of the run before or a new one.

        Parameters
        ----------
        plan, source
            What a new folder notes: the plan, and the mapping of the image.
        single : bool
            Make a folder for a plan of a single part, too; without it such a plan has none.

        Raises
        ------
        ImageWriteError
            It cannot be made.
        """
        if self._resumed:
            return self._folder
        if len(plan.parts) == 1 and not single:
            return None
        try:
            self._folder.mkdir()
        except OSError as error:
            raise ImageWriteError(
                f"{self._folder}: cannot make the folder: {error.strerror or error}"
            ) from error
        job = plan.as_dict() | {"offset": source.offset.tolist(), "gain": source.gain.tolist()}
        write_json(self._folder / _JOB, job)
        return self._folder

    def finish(self, record: dict[str, Any]) -> None:
        """Write the record, the last of the outputs, and remove the folder."""
        write_json(self._outputs.record, self._identity | record)
        self._remove_folder()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if isinstance(error, UNet2015Error) and not isinstance(error, _KEPT_AFTER):
                self._remove_folder()

    def _remove_folder(self) -> None:
        _remove(self._folder)


def _clean(outputs: Sequence[Path], keep: Path | None) -> None:
    """Remove what killed runs left of these outputs; the caller has claimed them."""
    for output in outputs:
        for item in leftovers(output):
            if item != keep:
                _remove(item)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
