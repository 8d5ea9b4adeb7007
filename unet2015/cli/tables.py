"""Tables that ``unet2015 evaluate`` writes; they replace nothing but earlier ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TABLES = (b"slice,pixel_error,", b"frame,objects,matched,seg", b"truth,result,page,")
"""How they begin."""
_LONGEST = 200


def check_table(path: Path) -> None:
    """See that a table replaces nothing but an earlier one.

    Raises
    ------
    ImageWriteError
        Something else is there.
    """
    _guard(path, path)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the names of the first as their header."""
    from unet2015.csv_table import csv_table
    from unet2015.safe_files import atomic_path

    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    with atomic_path(path, _guard) as temporary:
        temporary.write_text(csv_table(table), encoding="utf-8", newline="")


def _guard(_temporary: Path, path: Path) -> None:
    from unet2015.safe_files import only_over, open_regular

    def is_table(path: Path) -> bool:
        with open_regular(path) as file:
            return file.readline(_LONGEST).startswith(_TABLES)

    only_over(is_table, "a table of this command")(path, path)
