"""What else is made of objects, compared with the table: GeoJSON, ImageJ's regions, Parquet."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import roifile
from pyarrow import parquet

from tests.combinations import expected
from tests.combinations.bench import Bench
from tests.combinations.combination import Combination

Rows = list[dict[str, str]]


def look(bench: Bench, one: Combination, found: Mapping[str, Path], rows: Rows, made: expected.Maps) -> None:
    """Compare the views that were asked for; no others may be there."""
    kinds = "geojson", "imagej", "parquet"
    bench.same(
        "views", [kind for kind in kinds if kind in found], [kind for kind in kinds if kind in one.views]
    )
    if "geojson" in found:
        _geojson(bench, found["geojson"], rows, made)
    if "imagej" in found:
        _imagej(bench, found["imagej"], rows, len(made.raw))
    if "parquet" in found:
        same_table(bench, found["parquet"], rows)


def _geojson(bench: Bench, path: Path, rows: Rows, made: expected.Maps) -> None:
    """Compare the planes and areas of outlines, in pixels, with the table."""
    wanted = {}
    for row in rows:
        numbers = np.unravel_index(int(row["page"]), made.lengths) if made.axes else ()
        place = dict(zip(made.axes, numbers, strict=True))
        # Pages of which nobody says what they are count as times.
        plane = int(place.get("Z", 0)), int(place.get("T", place.get("I", 0)))
        wanted[(*plane, row["label"])] = int(row["area_px"])
    came = {}
    for one in json.loads(path.read_text())["features"]:
        shape, plane = one["geometry"], one["geometry"]["plane"]
        pieces = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
        areas = [[abs(_area(ring)) for ring in piece] for piece in pieces]
        key = plane["z"], plane["t"], one["properties"]["name"]
        came[key] = sum(outer - sum(holes) for outer, *holes in areas)
    bench.same("areas of outlines by z, t and label", came, wanted)


def _area(ring: Sequence[Sequence[float]]) -> float:
    """Return the area of a closed polygon, by the shoelace formula."""
    x, y = np.array(ring, np.float64).T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def _imagej(bench: Bench, path: Path, rows: Rows, pages: int) -> None:
    """Compare names and areas of regions, in pixels, with the table."""
    wanted = {}
    for row in rows:
        name = row["label"] if pages == 1 else f"page{row['page']}-{row['label']}"
        wanted[name] = int(row["area_px"])
    came = {}
    for region in roifile.roiread(path) if rows else ():
        rings = region.path2coords(region.multi_coordinates) if region.composite else [region.coordinates()]
        # Holes turn the other way.
        came[region.name] = abs(sum(_area([*ring, ring[0]]) for ring in rings))
    bench.same("areas of ImageJ's regions by name", came, wanted)


def same_table(bench: Bench, path: Path, rows: Rows) -> None:
    """Compare a table in Parquet with that in CSV."""
    came = parquet.read_table(path).to_pylist()
    bench.same("rows in Parquet", len(came), len(rows))
    for row, other in zip(rows, came, strict=True):
        bench.same("columns in Parquet", sorted(other), sorted(row))
        for name, value in other.items():
            if value is None or row[name] == "":
                bench.same(f"{name} in Parquet", (value is None or value != value, row[name]), (True, ""))
            elif isinstance(value, str | bool):
                bench.same(f"{name} in Parquet", str(value), row[name])
            else:
                bench.close(f"{name} in Parquet", value, float(row[name]), 1e-9)
