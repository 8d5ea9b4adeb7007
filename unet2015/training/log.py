"""The training log: one JSON object a line, and TensorBoard events beside it."""

import json
import logging
import os
from pathlib import Path
from typing import IO, Any, Self

from unet2015.errors import DataSetError
from unet2015.safe_files import atomic_path, make_folder, read_text

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
        self._path = make_folder(folder) / "log.jsonl"
        kept = [line for line in read_log(self._path) if line["step"] <= step]
        if begin is not None:
            kept = [{"step": 0, **begin}, *(line for line in kept if line["step"])]
        with atomic_path(self._path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._file: IO[str] = self._path.open("a", encoding="utf-8", buffering=1)
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            _log.info("TensorBoard is not installed: no events, only log.jsonl")
        else:
            try:
                self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
            except UnicodeEncodeError:  # it takes names of UTF-8 only
                _log.warning("%s: TensorBoard cannot write into a folder of this name; no events", folder)

    def write(self, step: int, **figures: Any) -> None:
        """Log figures of one step; None where there is none."""
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        if self._board is not None:
            for name, value in figures.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    self._board.add_scalar(name, value, step)

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


class SilentLog:
    """The log of all processes but the first, which alone writes."""

    def write(self, step: int, **figures: Any) -> None:
        """Write nothing."""

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close nothing."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; a last line cut by a kill is left out.

    Raises
    ------
    DataSetError
        The file cannot be read.
    ValueError
        A line is no JSON.
    """
    if not os.path.lexists(path):
        return []
    try:
        lines = read_text(path).split("\n")
    except OSError as error:
        raise DataSetError(f"{path}: cannot read the log: {error.strerror or error}") from error
    return [json.loads(line) for line in lines[:-1]]
