"""What became of each file of a run, and what is said of several files together."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from unet2015.errors import UNet2015Error
from unet2015.wording import counted

_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class FileResult:
    """The result of one file: its outputs, or the error.

    Attributes
    ----------
    input : Path
    outputs : tuple of Path
        Empty if the file failed.
    objects : dict or None
        Number, total and median area of the objects, if they were wanted.
    error : UNet2015Error or None
    notes : tuple of str
        What was said about the image.
    """

    input: Path
    outputs: tuple[Path, ...] = ()
    objects: dict[str, Any] | None = None
    error: UNet2015Error | None = None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; `objects` only where they were wanted."""
        said = {
            "input": str(self.input),
            "outputs": [str(path) for path in self.outputs],
            "error": None if self.error is None else str(self.error),
            "notes": list(self.notes),
        }
        return said | ({} if self.objects is None else {"objects": self.objects})


class ObjectResult(FileResult):
    """The result of one file whose objects were wanted, and nothing else."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; `objects` is null where the file failed."""
        said = super().as_dict()
        return {name: said.get(name) for name in ("input", "outputs", "objects", "error", "notes")}


Result = TypeVar("Result", bound=FileResult)


def with_notes(results: Sequence[Result], notes: Mapping[Path, str], *more: str) -> list[Result]:
    """Return results with what is said of some of their files; of the first of them it is logged.

    Parameters
    ----------
    results : sequence of FileResult
        Of all files.
    notes : mapping
        What is said, by the file.
    more : str
        What others are called where they are counted, as of `counted`: ``more file``.
    """
    if notes:
        path, note = next(iter(notes.items()))
        others = f" (and {counted(len(notes) - 1, *more)})" * (len(notes) > 1)
        _log.warning("%s: %s%s", path, note, others)
    return [
        replace(one, notes=(*one.notes, notes[one.input])) if one.input in notes else one for one in results
    ]
