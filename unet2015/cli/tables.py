"""Tables that ``unet2015 evaluate`` writes, each with a record; they replace nothing but earlier ones."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def check_table(path: Path | None, measures: str, *inputs: Path) -> None:
    """See that a table, if one is wanted, replaces nothing but one of the same inputs and measures.

    `measures` is the command after ``evaluate``.

    Raises
    ------
    ImageWriteError
        Something else is there, or somebody has changed the table.
    """
    if path is not None:
        _output(path, measures, inputs).check()


def write_csv(path: Path | None, rows: Sequence[Mapping[str, Any]], measures: str, *inputs: Path) -> None:
    """Write a table, if one is wanted, with the names of the first row as its header, and its record."""
    if path is None:
        return
    from unet2015.csv_table import csv_table
    from unet2015.safe_files import atomic_path

    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    with atomic_path(path, _output(path, measures, inputs)) as temporary:
        temporary.write_text(csv_table(table), encoding="utf-8", newline="")


def _output(path: Path, measures: str, inputs: Sequence[Path]) -> Any:
    from unet2015.safe_files import RecordedOutput

    said = {"inputs": {os.path.realpath(one): None for one in inputs}}
    return RecordedOutput(path, f"evaluate {measures}", said)
