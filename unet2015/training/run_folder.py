"""The folder of a training: what in it is a training's own, and what is left alone."""

import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from unet2015.arguments import no_file_name
from unet2015.errors import ImageWriteError, ModelError, UNet2015Error, UsageError
from unet2015.images.figure_files import figure_guard
from unet2015.models.model_file import OF_A_TRAINING
from unet2015.models.tensors import is_ours as is_tensor_file
from unet2015.models.tensors import read_description, tensors_guard
from unet2015.safe_files import Guard, claim, only_over, open_regular, read_text
from unet2015.settings import TrainingSettings

MODEL, SETTINGS, LOG = OF_A_TRAINING, "settings.json", "log.jsonl"
ANIMATION, FIGURE, CURVES = "progress.gif", "examples.png", "curves.png"
PROGRESS = "progress"
"""Folder of the frames of ``progress.gif``."""
EVENTS, CHECKPOINTS = "tensorboard", "checkpoints"

_log = logging.getLogger("unet2015")
_LEFT = re.compile(r"\..+\.[0-9a-f]{8}-[0-9a-f]{12}\.tmp")


class Before(NamedTuple):
    """Which pages a training was begun with.

    Attributes
    ----------
    pages : int
        How many there were.
    held_out : sequence of int
        Those held out, counted over the whole set.
    together : sequence of sequence of str
        Names of the pages that share pixels, where that decided which are held out.
    """

    pages: int
    held_out: Sequence[int]
    together: Sequence[Sequence[str]] = ()


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, oldest first."""
    found = (path for path in folder.glob("step-*.safetensors") if not path.is_dir())
    return sorted(path for path in found if re.fullmatch("[0-9]{8,}", path.stem.removeprefix("step-")))


def held_out_before(folder: Path) -> Before | None:
    """Return which pages the training in a folder holds out; None where no checkpoint says it."""
    for path in reversed(checkpoints(folder / CHECKPOINTS)):
        with suppress(ModelError, ValueError, TypeError, KeyError, RecursionError):
            said = json.loads(read_description(path))["identity"]
            pages, held_out = sum(map(int, said["pages"])), sorted(map(int, said["held_out"]))
            if {*held_out} < {*range(pages)}:
                return Before(pages, held_out)
    return None


def frames(folder: Path) -> list[Path]:
    """Return the frames of the animation in a training's folder, oldest first."""
    found = (folder / PROGRESS).glob("*.png")
    return sorted(path for path in found if re.fullmatch("[0-9]{8,}", path.stem))


def check_folder(folder: Path) -> None:
    """Raise `ImageWriteError` if a training would replace a file that no training of this program wrote.

    All that it writes is looked at, also what it would write after hours. Events of TensorBoard are not: a
    training can do without them, and says so. Raise `UsageError` if the folder would have the name of a file.
    """
    no_file_name(folder, "a folder for the run")
    guards: dict[str, Guard] = {MODEL: tensors_guard, SETTINGS: settings_guard, LOG: log_guard}
    guards |= {FIGURE: figure_guard, CURVES: figure_guard, ANIMATION: figure_guard}
    for name, guard in guards.items():
        guard(folder / name, folder / name)
    for name in (CHECKPOINTS, PROGRESS):
        if os.path.lexists(folder / name) and not (folder / name).is_dir():
            raise ImageWriteError(
                f"{folder / name}: exists, is no folder, and is not replaced; move it away, or choose "
                "another folder for the training"
            )
    for path in checkpoints(folder / CHECKPOINTS):
        tensors_guard(path, path)
    for path in frames(folder):
        figure_guard(path, path)


def say_place(folder: Path, images: Sequence[Path], labels: Sequence[Path]) -> None:
    """Warn if a training goes to where its images or labels lie, or into a folder that is given for them."""
    real = Path(os.path.realpath(folder))
    for what, given in (("images", images), ("labels", labels)):
        for path in given:
            own = path if path.is_dir() else path.parent
            there = os.path.realpath(own)
            if real != Path(there) and not (path.is_dir() and real.is_relative_to(there)):
                continue
            _log.warning(
                "%s: the run goes into the folder of the %s (%s): nothing that it writes there is taken for "
                "images by this program, but by others; better choose a folder elsewhere",
                folder,
                what,
                own,
            )
            return


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint; a file with such a name that is none stays."""
    if path.stat().st_size == 0 or is_tensor_file(path):
        path.unlink(missing_ok=True)


def remove_events(folder: Path) -> None:
    """Remove the events of an attempt that was given up; other files in their folder stay."""
    for path in folder.glob("events.out.tfevents.*"):
        path.unlink(missing_ok=True)


def remove_training(folder: Path) -> None:
    """Remove a training from its folder, with all that it wrote; files of other names stay.

    The checkpoints go last. They say whose training it is, so a removal that was killed can be done again.

    Raises
    ------
    ImageWriteError
        A file by the name of a training's is none, and nothing was removed; or one cannot be removed.
    UsageError
        The training is running.
    """
    check_folder(folder)
    busy = UsageError(f"{folder}: another training is running in this folder; wait, or choose another")
    try:
        with claim(folder / "training", busy):
            tidy(folder)
            remove_events(folder / EVENTS)
            of_one = (folder / name for name in (MODEL, LOG, SETTINGS, FIGURE, CURVES, ANIMATION))
            for path in (*of_one, *frames(folder), *checkpoints(folder / CHECKPOINTS)):
                path.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, UNet2015Error):
            raise
        raise ImageWriteError(f"{folder}: cannot remove its training: {error.strerror or error}") from error


def tidy(folder: Path) -> None:
    """Remove files that a killed training has left half written."""
    for place in (folder, folder / CHECKPOINTS, folder / PROGRESS):
        for path in place.glob(".*.tmp"):
            if _LEFT.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _guard(is_ours: Callable[[Path], bool], what: str) -> Guard:
    return only_over(is_ours, f"{what} by this program")


def _is_settings(path: Path) -> bool:
    try:
        values = json.loads(read_text(path))
    except ValueError:
        return False
    return isinstance(values, dict) and TrainingSettings().model_dump().keys() <= values.keys()


def _is_log(path: Path) -> bool:
    with open_regular(path) as file:  # its first lines may be damaged
        return any(line.startswith(b'{"step": ') for line in file.read(2**20).split(b"\n"))


settings_guard = _guard(_is_settings, "the settings of a training")
log_guard = _guard(_is_log, "the log of a training")
