"""The training log: one JSON object a line, and TensorBoard events beside it."""

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import IO, Any, Self

from unet2015.errors import DataSetError
from unet2015.safe_files import atomic_path, flush, make_folder, move_new, read_bytes
from unet2015.training.run_folder import EVENTS, LOG, log_guard
from unet2015.training.validation_steps import expected_validations
from unet2015.wording import listed

_VALIDATION = {
    f"validation_{name}" for name in ("f1", "pixel_error", "threshold", "cross_entropy", "constant")
}
_FIGURES = (_VALIDATION - {"validation_constant"}) | {
    *("loss", "learning_rate", "validation_baseline", "validation_auc", "validation_repetition")
}
"""What is a number, or null, wherever it stands."""

_NAMED = 5
_log = logging.getLogger("unet2015")


class TrainingLog:
    """Writes ``log.jsonl`` and, where TensorBoard is installed, events for it.

    Parameters
    ----------
    folder : Path
        The run's folder.
    step : int
        Steps done so far. Lines beyond them, left by a run that was killed after its last
        checkpoint, are removed: those steps are done again.
    begin : dict, optional
        Figures of step 0, the first line of the log. They replace those of an earlier run.
    """

    def __init__(self, folder: Path, step: int = 0, begin: dict[str, Any] | None = None) -> None:
        self._path = make_folder(folder) / LOG
        log_guard(self._path, self._path)
        earlier = inspect_log(self._path)
        if earlier.damaged:
            damage, saved = earlier.describe_damage(self._path), _set_aside(self._path)
            _log.warning("%s; the whole file is kept as %s", damage, saved.name)
        kept = [line for line in earlier.good if line["step"] <= step]
        if begin is not None:
            later = [line for line in kept if line["step"] or (step and _is_before(line))]
            kept = [{"step": 0, **begin}, *later]
        if lacking := LogLines(kept, earlier.damaged).describe_lacking(self._path, step):
            _log.warning("%s", lacking)
        with atomic_path(self._path, log_guard) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._file: IO[str] = self._path.open("a", encoding="utf-8", buffering=1)
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            _log.info("TensorBoard is not installed: no events, only log.jsonl")
        else:
            try:
                self._board = SummaryWriter(str(folder / EVENTS), purge_step=step + 1)
            except UnicodeEncodeError:  # it takes names of UTF-8 only
                _log.warning("%s: TensorBoard cannot write into a folder of this name; no events", folder)
            except OSError as error:
                why = error.strerror or error
                _log.warning("%s: TensorBoard cannot write there: %s; no events", folder / EVENTS, why)

    def write(self, step: int, **figures: Any) -> None:
        """Log figures of one step; None where there is none."""
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        if self._board is not None:
            for name, value in figures.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    self._board.add_scalar(name, value, step)

    def sync(self) -> None:
        """Wait until all lines are on the disk, so that a power cut leaves no checkpoint without them."""
        flush(self._path)

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _is_before(line: dict[str, Any]) -> bool:
    """Whether a line of step 0 is the validation of the model that a training starts from."""
    return "validation_f1" in line


def _set_aside(path: Path) -> Path:
    """Give a damaged log a name that nothing has."""
    for number in count():
        saved = path.with_name(f"{path.stem}.damaged{f'-{number}' if number else ''}.jsonl")
        with suppress(FileExistsError):
            move_new(path, saved)
            return saved
    raise AssertionError("there is a number that is free")


class SilentLog:
    """The log of all processes but the first, which alone writes."""

    def write(self, step: int, **figures: Any) -> None:
        """Write nothing."""

    def sync(self) -> None:
        """Wait for nothing."""

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close nothing."""


@dataclass(frozen=True)
class LogLines:
    """The lines of a log that can be used, and the numbers, from 1, of those that are damaged."""

    good: list[dict[str, Any]]
    damaged: list[int]

    def describe(self, path: Path) -> str:
        """Say which lines of the file are damaged, and which steps it lacks; empty where none is."""
        last = max((line["step"] for line in self.good), default=0)
        # The validation of the last step may be under way.
        lacking = self.describe_lacking(path, last, last - 1)
        return ". ".join(filter(None, [self.describe_damage(path), lacking]))

    def describe_lacking(self, path: Path, step: int, validated: int | None = None) -> str:
        """Say which steps up to this one have no line, and which no validation; empty where all have theirs.

        Each step has a line. Some may be lost with the file, or with its end in a power cut. Damaged lines
        may be theirs: as many missing ones as there are of these are not said again. Validations are looked
        for up to the step `validated`, by default the same; those of steps that are missing go with them.
        """
        there = sorted(line["step"] for line in self.good if 0 < line["step"] <= step and "loss" in line)
        gaps = [(one + 1, other - 1) for one, other in pairwise((0, *there, step + 1)) if other > one + 1]
        lacking = sum(last - first + 1 for first, last in gaps)
        unseen = self._unvalidated({*there}, step if validated is None else validated)
        if lacking + len(unseen) <= len(self.damaged):
            return ""
        steps = listed([f"{first} to {last}" if last > first else f"{first}" for first, last in gaps], _NAMED)
        found = [f"step{'s' * (lacking > 1)} {steps}, which the training has taken"] * bool(lacking)
        if unseen:
            after = f"step{'s' * (len(unseen) > 1)} {listed([str(one) for one in unseen], _NAMED)}"
            found.append(f"the validation{'s' * (len(unseen) > 1)} after {after}")
        what = "it" if lacking + len(unseen) == 1 and unseen else "them"
        return f"{path}: lacks {', and '.join(found)}; its curves and its report are without {what}"

    def _unvalidated(self, there: set[int], step: int) -> list[int]:
        """Return those of the steps that are there, up to this one, of which the validation is missing."""
        looks = {line["step"] for line in self.good if "validation_f1" in line}
        return [one for one in expected_validations(self.good, step) if one in there and one not in looks]

    def describe_damage(self, path: Path) -> str:
        """Say which lines of the file are damaged; empty where none is."""
        if not self.damaged:
            return ""
        first, more = self.damaged[0], len(self.damaged) - 1
        others = f" and {more} more" if more else ""
        return f"{path}: damaged in line {first}{others}; what it said there is left out"


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log that can be used, as `inspect_log`."""
    return inspect_log(path).good


def inspect_log(path: Path) -> LogLines:
    """Return the lines of a log; a last line cut by a kill is left out, and is no damage.

    One that lacks only the end of its line, as a kill or an editor may leave it, counts.

    Raises
    ------
    DataSetError
        The file cannot be read.
    """
    if not os.path.lexists(path):
        return LogLines([], [])
    try:
        lines = read_bytes(path).decode("utf-8", "replace").split("\n")
    except OSError as error:
        raise DataSetError(f"{path}: cannot read the log: {error.strerror or error}") from error
    # A prefix of an object is none, so a last line that is whole lacks no more than its end.
    found = [_parsed(line) for line in lines[: None if _parsed(lines[-1]) else -1]]
    return LogLines(
        [line for line in found if line is not None],
        [number for number, line in enumerate(found, 1) if line is None],
    )


def _parsed(text: str) -> dict[str, Any] | None:
    """Return what a line says; None if it is damaged."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and is_whole(line) else None


def is_whole(line: dict[str, Any]) -> bool:
    """Whether a line can be used: its figures are numbers, and those of a validation are all there."""
    step = line.get("step")
    whole = isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 1 << 63
    numbers = all(_is_figure(value) for key, value in line.items() if key in _FIGURES)
    complete = "validation_f1" not in line or (
        line.keys() >= _VALIDATION and line["validation_cross_entropy"] is not None
    )
    return whole and numbers and complete


def _is_figure(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
