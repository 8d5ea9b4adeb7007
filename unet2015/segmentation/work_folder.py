"""The hidden work folder beside an output: what a run that is killed leaves to the next one.

It is named after all that decides on the bytes: input, model, settings, device, versions. A run that
differs in any of these does not find it, and removes it. It holds ``job.json``, the plan and the
mapping that were chosen, as free memory may suggest another plan the next time; and the finished
parts. A job of a single part has no folder: there is nothing to go on from.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from unet2015.errors import ImageWriteError, MemoryLimitError, UNet2015Error, UsageError, WorkerError
from unet2015.images.mapping import MappedImage, Scale
from unet2015.provenance import versions
from unet2015.safe_files import hidden_prefix, leftovers, write_json
from unet2015.segmentation.parts import PartStore
from unet2015.tiling.plan import TilePlan

_JOB = "job.json"


class WorkFolder:
    """A context manager: where the body fails because of the image, the folder is removed.

    It stays where running again may help: after a kill, Ctrl-C, a full disk.

    Parameters
    ----------
    output : Path
        The file that the folder belongs to and lies beside.
    identity : dict
        What decides on the bytes of the output, for JSON.
    device : str
        What computes.
    """

    def __init__(self, output: Path, identity: dict[str, Any], device: str) -> None:
        said = json.dumps([identity, device, versions()], sort_keys=True)
        key = hashlib.sha256(said.encode()).hexdigest()[:16]
        self.path = output.with_name(f"{hidden_prefix(output)}{key}.parts")

    def resume(self, plan: TilePlan) -> tuple[TilePlan, PartStore | None, Scale | None]:
        """Return plan, parts and mapping of the run before; `plan` and nothing where there was none."""
        try:
            job = json.loads((self.path / _JOB).read_text(encoding="utf-8"))
            tile = tuple(job["tile"])
            before = TilePlan(plan.pages, plan.height, plan.width, tile, job["batch"], plan.geometry)
            scale = (np.array(job["offset"], np.float64), np.array(job["gain"], np.float64))
            if len(before.parts) != job["parts"]:
                raise ValueError("divided otherwise")
        except (OSError, ValueError, KeyError, TypeError, UNet2015Error):
            self.remove()
            return plan, None, None
        for item in self.path.glob(".*.tmp"):
            item.unlink()
        return before, PartStore(self.path, before), scale

    def start(self, plan: TilePlan, source: MappedImage, *, single: bool = False) -> PartStore | None:
        """Make the folder for a new run; None where the plan has a single part, unless `single`."""
        if len(plan.parts) == 1 and not single:
            return None
        try:
            self.path.mkdir()
        except OSError as error:
            raise ImageWriteError(
                f"{self.path}: cannot make the folder: {error.strerror or error}"
            ) from error
        job = plan.as_dict() | {"offset": source.offset.tolist(), "gain": source.gain.tolist()}
        write_json(self.path / _JOB, job)
        return PartStore(self.path, plan)

    def remove(self) -> None:
        """Remove the folder and all in it."""
        _remove(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        passing = (ImageWriteError, MemoryLimitError, UsageError, WorkerError)
        of_image = isinstance(error, UNet2015Error) and not isinstance(error, passing)
        if of_image:
            self.remove()


def clean(outputs: Sequence[Path], keep: Path | None = None) -> None:
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
