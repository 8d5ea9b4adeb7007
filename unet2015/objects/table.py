"""Tables of objects: one row an object, in pixels and, where the image is calibrated, in micrometres."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unet2015.csv_table import csv_cell, csv_lines, csv_table
from unet2015.errors import UsageError
from unet2015.file_names import RAW
from unet2015.images.channel import tell_nothing
from unet2015.images.pixel_size import square_side
from unet2015.safe_files import Guard, atomic_path

if TYPE_CHECKING:
    import pyarrow

    from unet2015.objects.measures import Measures  # SciPy with it, which a table of no objects does not need

Table = dict[str, NDArray[Any]]
"""Columns of equal length by their names, in order."""
_IN_PIXELS = (
    "no pixel size in a known unit of length, so that the table is in pixels alone; --pixel-size gives one"
)
"""What is said of an image without a `pixel_size`."""
_NOT_SQUARE = (
    "height and width of a pixel differ by more than 1 %, so that perimeter_um is empty; all other columns "
    "in µm are there"
)
PLACES = ("t", "z", "i")
"""Columns with the place of a page along each axis of pages, where an image has several such axes."""
CHANNELS = "channels"
"""Column of a table of several images whose channels have other names."""
_ROWS = 2**14


def table_of(
    image: str,
    page: int,
    names: NDArray[np.int64],
    measures: "Measures",
    size: tuple[float, float] | None,
    channels: Sequence[str],
    place: Mapping[str, int],
) -> Table:
    """Return the table of a page's objects.

    Parameters
    ----------
    image : str
        Name of the image.
    page : int
        Number of the page, from 0.
    names : ndarray of int64, shape (objects,)
        Label of each object.
    measures : Measures
        Of the same objects.
    size : tuple of float or None
        Height and width of a pixel in micrometres.
    channels : sequence of str
        Of each channel of the intensities what its columns begin with.
    place : mapping of int
        As of `places_of_pages`.

    Returns
    -------
    dict of ndarray
        Columns. Those in pixels end in ``_px``, those in micrometres in ``_um`` or ``_um2``. The perimeter
        has a value in micrometres only where `square_side` has one. The eccentricity is that of the ellipse
        in micrometres, where `size` is given.
    """
    count = len(names)
    area = measures.area
    table: Table = {
        "image": np.full(count, image, object),
        "page": np.full(count, page),
        **{name: np.full(count, place[name.upper()]) for name in PLACES if name.upper() in place},
        "label": names,
        "area_px": area,
        "centroid_y_px": measures.centroid[:, 0],
        "centroid_x_px": measures.centroid[:, 1],
    }
    for index, side in enumerate(("top", "left", "bottom", "right")):
        table[f"bbox_{side}"] = measures.boxes[:, index]
    table["perimeter_px"] = measures.perimeter
    table["axis_major_px"], table["axis_minor_px"] = measures.axes()
    table["eccentricity"] = measures.eccentricity()
    table["solidity"] = measures.solidity
    if size is not None:
        height, width = size
        table["area_um2"] = area * (height * width)
        table["centroid_y_um"] = measures.centroid[:, 0] * height
        table["centroid_x_um"] = measures.centroid[:, 1] * width
        square = square_side(size)
        table["perimeter_um"] = measures.perimeter * (np.nan if square is None else square)
        table["axis_major_um"], table["axis_minor_um"] = measures.axes(height, width)
        table["eccentricity"] = measures.eccentricity(height, width)
    for channel, name in enumerate(channels):
        table[f"{name}_mean"] = measures.sums[channel] / area
        table[f"{name}_sum"] = measures.sums[channel]
        table[f"{name}_min"], table[f"{name}_max"] = measures.lowest[channel], measures.highest[channel]
    table["touches_border"] = measures.touches_border
    return table


def describe_columns(size: tuple[float, float] | None) -> str | None:
    """Return what a table lacks whose image has pixels of this height and width in micrometres; else None."""
    if size is None:
        return _IN_PIXELS
    return _NOT_SQUARE if square_side(size) is None else None


def summary_of(tables: Iterable[Table]) -> dict[str, Any]:
    """Return count, total and median area of objects; areas in micrometres too, if all are calibrated."""
    tables = list(tables)
    found: dict[str, Any] = {"objects": sum(len(table["label"]) for table in tables)}
    for column in ("area_px", "area_um2"):
        if tables and all(column in table for table in tables):
            areas = np.concatenate([table[column] for table in tables])
            found[f"total_{column}"] = areas.sum().item()
            found[f"median_{column}"] = float(np.median(areas)) if len(areas) else None
    return found


def box_areas(table: Table) -> NDArray[np.int64]:
    """Return how many pixels the bounding box of each object has."""
    height, width = table["bbox_bottom"] - table["bbox_top"], table["bbox_right"] - table["bbox_left"]
    found: NDArray[np.int64] = height * width
    return found


def write_table(path: Path, tables: Sequence[Table], guard: Guard | None = None) -> None:
    """Write tables one after the other, as CSV or, for a name in .parquet, as Parquet; whole or not at all.

    A column that a table lacks stays empty there.

    Parameters
    ----------
    path : Path
        The file.
    tables : sequence of Table
        The tables.
    guard : callable, optional
        Says whether what is at the path may be replaced; see `atomic_path`.

    Raises
    ------
    UsageError
        The name ends in neither .csv nor .parquet, or Parquet is wanted and pyarrow is missing.
    ImageWriteError
        The file cannot be written.
    """
    names = list(dict.fromkeys(name for table in tables for name in table))
    suffix = path.suffix.lower()
    if suffix == ".csv":
        with (
            atomic_path(path, guard) as temporary,
            temporary.open("w", newline="", encoding="utf-8", errors=RAW) as file,
        ):
            file.write(csv_table([names]))
            for table in tables:
                for start in range(0, len(table["label"]), _ROWS):
                    file.write(csv_lines(_rows(table, names, slice(start, start + _ROWS))))
    elif suffix == ".parquet":
        _write_parquet(path, tables, guard)
    else:
        raise UsageError(f"{path}: a table of objects ends in .csv or .parquet")


def _rows(table: Table, names: Sequence[str], some: slice) -> Iterator[Sequence[str]]:
    count = len(table["label"][some])
    columns = [_texts(table[name][some]) if name in table else [""] * count for name in names]
    return zip(*columns, strict=True)


def _texts(column: NDArray[Any]) -> list[str]:
    """Return the cells of a column for CSV; what is no number is nothing."""
    values = column.tolist()
    if column.dtype.kind not in "iufb":
        known = {value: csv_cell(value) for value in set(values)}
        return [known[value] for value in values]
    texts = [*map(str, values)]
    if column.dtype.kind == "f":
        for place in np.flatnonzero(np.isnan(column)).tolist():
            texts[place] = ""
    return texts


def told_channels(named: Sequence[Sequence[str]], *, chosen: bool) -> list[str] | None:
    """Return, for each of several images, the names of its channels in one text; None where they are alike.

    Images that name no channels are like those of one channel, but where each has one of several (`chosen`);
    several may be in another order. They are like those whose channels are named by their numbers.
    """
    texts = ["; ".join(names) if any(names) else "" for names in named]
    known = chosen or any(len(names) > 1 for names in named)
    alike = not known or all(map(tell_nothing, named))
    return texts if len({*texts} - ({""} if alike else set())) > 1 else None


def with_channels(table: Table, names: str) -> Table:
    """Return a table with a column of the names of the channels whose intensities it has."""
    return table | {CHANNELS: np.full(len(table["label"]), names, object)}


def describe_summary(summary: Mapping[str, Any]) -> str:
    """Return a summary in words."""
    count = summary["objects"]
    if not count:
        return "no objects"
    unit, column = ("µm²", "area_um2") if "total_area_um2" in summary else ("px", "area_px")
    total, median = (in_digits(summary[f"{what}_{column}"]) for what in ("total", "median"))
    return f"{count} object{'s' if count > 1 else ''}, {total} {unit} in all, median {median} {unit}"


def describe_run(summaries: Sequence[Mapping[str, Any]]) -> str:
    """Return in words how many objects several images have."""
    counts = [int(summary["objects"]) for summary in summaries]
    return f"{sum(counts)} objects in {len(counts)} images, {min(counts)} to {max(counts)} an image"


def in_digits(value: float) -> str:
    """Return a number with at least four digits, and without powers of ten where it is large."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def check_pyarrow() -> None:
    """Raise `UsageError` if the library that writes Parquet is missing."""
    if find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow: pip install 'unet2015[tables]'; or take CSV")


def _write_parquet(path: Path, tables: Sequence[Table], guard: Guard | None) -> None:
    check_pyarrow()
    write_arrow(path, [_arrow(table).schema for table in tables], map(_arrow, tables), guard)


def _arrow(table: Table) -> "pyarrow.Table":
    import pyarrow

    columns = {}
    for name, values in table.items():
        if values.dtype == object:  # names of files may have bytes that are no text, which Parquet refuses
            texts = [str(text).encode(errors="backslashreplace").decode() for text in values]
            columns[name] = pyarrow.array(texts, pyarrow.string())
        else:
            columns[name] = pyarrow.array(values)
    return pyarrow.table(columns)


def write_arrow(
    path: Path, schemas: Sequence["pyarrow.Schema"], tables: Iterable["pyarrow.Table"], guard: Guard | None
) -> None:
    """Write tables one after the other; one is in memory at a time."""
    import pyarrow
    from pyarrow import parquet

    none = pyarrow.unify_schemas(schemas).empty_table()
    with atomic_path(path, guard) as temporary, parquet.ParquetWriter(temporary, none.schema) as writer:
        for table in tables:
            writer.write_table(pyarrow.concat_tables([none, table], promote_options="default"))
