"""A job in progress: whether it is done, what a killed run has left, and what is removed.

If a run is killed, a hidden work folder beside the output keeps its finished parts for the next run. The
folder's name has a digest of everything that decides the bytes: input, model, settings, device, versions. If
any of these differs, a run does not use the folder, and removes it. Beside the parts it holds ``job.json``:
the chosen plan, mapping and way of the convolutions, because free memory may suggest another plan the next
time, and another measurement another way. A job of a single part does not have this file, because there is
nothing to resume. The results are made in the folder, too, and come to their paths when all are whole
(:mod:`unet2015.segmentation.publication`).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from unet2015.errors import ImageWriteError, MemoryLimitError, UNet2015Error, UsageError, WorkerError
from unet2015.images.mapped_image import MappedImage
from unet2015.images.mapping import Scale
from unet2015.provenance import versions
from unet2015.safe_files import (
    claim,
    digest_without,
    hidden_prefix,
    leftovers,
    read_text,
    remove,
    write_json,
)
from unet2015.segmentation.jobs import Outputs
from unet2015.segmentation.publication import is_announced, publish, settle, staged, withdraw
from unet2015.segmentation.records import is_done
from unet2015.tiling.plan import TilePlan

_JOB = "job.json"
_FORMAT = 4
"""Version of the files in the folder; part of its name, so that files of another version are not read."""
_KEPT_AFTER = (ImageWriteError, MemoryLimitError, UsageError, WorkerError)
"""Errors after which running again may help: the folder stays, as after a kill or Ctrl-C."""


class Work:
    """The right to work on a job; a context manager.

    While the body runs, no other process works on the same outputs. First, what a killed run began to publish
    is finished. Other files left by killed runs are removed, except the folder that this run can resume. If
    the body fails because of the image, the folder is removed; if running again may help (after a kill,
    Ctrl-C, a full disk), it stays.

    Parameters
    ----------
    outputs : Outputs
        Where the results go; their folder exists.
    identity : dict
        Everything that decides the bytes of the outputs, for JSON; a part of the record.
    device : str
        The device that computes.

    Attributes
    ----------
    done : bool
        Whether the outputs exist, are whole, and were made as `identity` says. Known when the body starts.
    notes : tuple of str
        What the earlier run, once it is resumed, found when it measured the mapping.

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
        self.notes: tuple[str, ...] = ()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(claim(self._outputs.main))
            settle(self._outputs)
            self.done = is_done(self._outputs, self._identity)
            _clean(self._outputs.files, keep=None if self.done else self._folder)
            self._stack = stack.pop_all()
        return self

    def resume(
        self, plan: TilePlan, convolutions: str | None, admits: Callable[[TilePlan], bool]
    ) -> tuple[TilePlan, str | None, Scale | None]:
        """Return plan, convolutions and mapping of the earlier run; what is given and None if there was none.

        Parameters
        ----------
        plan, convolutions
            What is done without an earlier run, and in which way.
        admits : callable
            Whether there is memory for the plan of the earlier run.
        """
        try:
            job = json.loads(read_text(self._folder / _JOB))
            if job["sha256"] != digest_without(job, "sha256"):  # another mapping would go unnoticed
                raise ValueError("damaged")
            tile = tuple(job["tile"])
            before = TilePlan(plan.pages, plan.height, plan.width, tile, job["batch"], plan.geometry)
            scale = (np.array(job["offset"], np.float64), np.array(job["gain"], np.float64))
            same, notes = job["convolutions"], tuple(map(str, job.get("notes", ())))
            if len(before.parts) != job["parts"]:
                raise ValueError("divided otherwise")
            if not admits(before):
                raise ValueError("too large for the memory")
        except (OSError, ValueError, KeyError, TypeError, RecursionError, UNet2015Error):
            self._remove_folder()
            return plan, convolutions, None
        withdraw(self._folder)
        self._resumed, self.notes = True, notes
        return before, same, scale

    def folder(self, plan: TilePlan, source: MappedImage, convolutions: str | None, *, single: bool) -> Path:
        """Return the work folder: that of the earlier run, or a new one.

        Parameters
        ----------
        plan, source, convolutions
            The plan, the image with its mapping and the way of the convolutions, which a new folder stores.
        single : bool
            Let a later run resume also a plan of a single part; else it begins anew.

        Raises
        ------
        ImageWriteError
            It cannot be made.
        """
        if self._resumed:
            return self._folder
        try:
            self._folder.mkdir()
        except OSError as error:
            raise ImageWriteError(
                f"{self._folder}: cannot make the folder: {error.strerror or error}"
            ) from error
        if len(plan.parts) > 1 or single:
            job = plan.as_dict() | {"offset": source.offset.tolist(), "gain": source.gain.tolist()}
            job |= {"convolutions": convolutions, "notes": list(source.notes)}
            write_json(self._folder / _JOB, job | {"sha256": digest_without(job, "sha256")})
        return self._folder

    def staged(self) -> Outputs:
        """Return where the outputs are made: in the work folder, which is there."""
        return staged(self._outputs, self._folder)

    def finish(self, record: dict[str, Any]) -> None:
        """Move the outputs and their record to their paths, and remove the folder."""
        publish(self._outputs, self._folder, self._identity | record)
        self._remove_folder()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:  # the claim ends after the folder is removed
            refused = isinstance(error, UNet2015Error) and not isinstance(error, _KEPT_AFTER)
            useful = (self._folder / _JOB).exists() or is_announced(self._folder)
            if error is not None and (refused or not useful):
                self._remove_folder()

    def _remove_folder(self) -> None:
        remove(self._folder)


def _clean(outputs: Sequence[Path], keep: Path | None) -> None:
    """Remove files of these outputs that killed runs left; the caller has claimed the outputs."""
    for item in leftovers(*outputs):
        if item != keep:
            remove(item)
