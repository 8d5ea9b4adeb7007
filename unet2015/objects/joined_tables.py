"""One table of the objects of several images, from the tables of each."""

import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from unet2015.csv_table import csv_cell, csv_lines, quoted
from unet2015.file_names import RAW
from unet2015.objects.table import CHANNELS, write_arrow
from unet2015.safe_files import Guard, atomic_path

if TYPE_CHECKING:
    import pyarrow

_AREA = "area_px"
_LETTERS = 2**20


def _opened(table: Path) -> IO[str]:
    return table.open(newline="", encoding="utf-8", errors="surrogateescape")


def _opened_parquet(table: Path) -> BinaryIO:
    """Open a table for pyarrow, which takes no names with bytes that are no text."""
    return table.open("rb")


def _read_parquet(table: Path) -> "pyarrow.Table":
    from pyarrow import parquet

    with _opened_parquet(table) as file:
        return parquet.read_table(file)


def totals_of(table: Path) -> tuple[int, int | None]:
    """Return how many objects a table has, and their area in pixels; None where it has no such column.

    Raises
    ------
    OSError, ValueError, TypeError
        It cannot be read as a table of objects.
    """
    areas = [*(_areas_parquet if _is_parquet(table) else _areas_csv)(table)]
    return len(areas), None if None in areas else sum(int(area) for area in areas if area is not None)


def _areas_csv(table: Path) -> Iterator[str | None]:
    with _opened(table) as file:
        rows = csv.reader(file)
        column = {name: place for place, name in enumerate(next(rows, []))}.get(_AREA)
        yield from (None if column is None or len(row) <= column else row[column] for row in rows if row)


def _areas_parquet(table: Path) -> Iterator[int | None]:
    read = _read_parquet(table)
    yield from read[_AREA].to_pylist() if _AREA in read.column_names else [None] * len(read)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def join_tables(path: Path, tables: Sequence[Path], guard: Guard, channels: Sequence[str] | None) -> None:
    """Write one table with the rows of several; a column that one of them lacks stays empty there.

    Parameters
    ----------
    path : Path
        The new table, .csv or .parquet.
    tables : sequence of Path
        Tables of the same kind; at least one.
    guard : callable
        Says whether what is at the path may be replaced; see `atomic_path`.
    channels : sequence of str or None
        As of `told_channels`: what the column ``channels`` says of the rows of each table.

    Raises
    ------
    ImageWriteError
        The file cannot be written.
    """
    said: list[dict[str, str]] = [
        {} if channels is None else {CHANNELS: channels[i]} for i in range(len(tables))
    ]
    if _is_parquet(path):
        _join_parquet(path, tables, guard, said)
        return
    names: dict[str, None] = {}
    for table in tables:
        with _opened(table) as file:
            names |= dict.fromkeys(next(csv.reader(file)))
    names |= dict.fromkeys(CHANNELS for one in said[:1] for _ in one)
    with (
        atomic_path(path, guard) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=RAW) as out,
    ):
        out.write(csv_lines([map(quoted, names)]))
        for table, more in zip(tables, said, strict=True):
            with _opened(table) as file:
                if not more and _is_plain(file, [*names]):
                    shutil.copyfileobj(file, out)
                    continue
                told = {name: csv_cell(value) for name, value in more.items()}
                for row in csv.DictReader(file):
                    out.write(csv_lines([[told.get(name) or quoted(row.get(name) or "") for name in names]]))


def _is_plain(file: IO[str], names: Sequence[str]) -> bool:
    """Whether a table has these columns and no quoted cell; the file then stands at its first row."""
    plain = file.readline() == ",".join(names) + "\r\n"
    start = file.tell()
    last = ""
    while plain and (text := file.read(_LETTERS)):
        plain, last = '"' not in text, text
    plain = plain and last[-1:] in ("", "\n")
    file.seek(start if plain else 0)
    return plain


def _join_parquet(
    path: Path, tables: Sequence[Path], guard: Guard, said: Sequence[Mapping[str, str]]
) -> None:
    import pyarrow
    from pyarrow import parquet

    def read(place: Path, more: Mapping[str, str]) -> pyarrow.Table:
        table = _read_parquet(place)
        for name, value in more.items():
            table = table.append_column(name, pyarrow.array([value] * len(table), pyarrow.string()))
        return table

    column = [pyarrow.field(name, pyarrow.string()) for name in said[0]]
    schemas = []
    for table in tables:
        with _opened_parquet(table) as file:
            schemas.append(pyarrow.schema([*parquet.read_schema(file), *column]))
    write_arrow(path, schemas, map(read, tables, said), guard)
