"""Outlines of objects as files that other programs open: regions of ImageJ, and GeoJSON for QuPath.

Sources: ``ij/io/RoiDecoder.java`` and ``ij/gui/ShapeRoi.java`` of ImageJ 1.x, which `roifile` follows; RFC
7946 (GeoJSON), https://www.rfc-editor.org/rfc/rfc7946; and what QuPath adds, ``plane`` and ``objectType``,
https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import UsageError
from unet2015.images.image import Image
from unet2015.images.page_order import stack_axes
from unet2015.objects.labelling import Labels
from unet2015.objects.outlines import Outline, Ring, outlines
from unet2015.objects.table import PLACES, Table
from unet2015.safe_files import Guard, atomic_path

if TYPE_CHECKING:
    from roifile import ImagejRoi

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of the files in a ZIP: always the same, so that the same objects give the same bytes."""
_LARGEST = 2**15
"""ImageJ's regions of whole numbers end here; beyond, they are paths of floats."""
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0
_NO_MEASURES = ("image", "page", *PLACES, "label")


class _Regions(Protocol):
    """Takes the outlines of objects, page by page."""

    def add(self, page: int, outline: Outline, table: Table) -> None:
        """Take an object; its row is that of its number in the table of the page."""


def check_roifile() -> None:
    """Raise `UsageError` if the library that writes ImageJ's regions is missing."""
    if find_spec("roifile") is None:
        raise UsageError("regions for ImageJ need roifile: pip install 'unet2015[regions]'")


def write_regions(
    labels: Labels,
    tables: Sequence[Table],
    like: Image,
    *,
    imagej: Path | None = None,
    geojson: Path | None = None,
    guards: Mapping[Path, Guard] | None = None,
) -> None:
    """Write the outlines of all objects; each file is whole or absent.

    Parameters
    ----------
    labels : Labels
        The instance labels.
    tables : sequence of Table
        Of each page: names, measures and boxes of its objects.
    like : Image
        The image to which the outlines belong.
    imagej : Path, optional
        A ZIP of regions for ImageJ's ROI Manager.
    geojson : Path, optional
        A GeoJSON file for QuPath.
    guards : mapping of callable, optional
        By the paths of the files: as of :func:`unet2015.safe_files.atomic_path`.

    Raises
    ------
    ImageWriteError
        A file cannot be written.
    UsageError
        Regions for ImageJ are wanted and roifile is missing.
    """
    guards = guards or {}
    with ExitStack() as stack:
        writers: list[_Regions] = []
        if imagej is not None:
            check_roifile()
            writers.append(stack.enter_context(_imagej_regions(imagej, like, guards.get(imagej))))
        if geojson is not None:
            writers.append(stack.enter_context(_geojson(geojson, like, guards.get(geojson))))
        for page, table in enumerate(tables):
            for outline in outlines(labels, page, table["bbox_bottom"]):
                for writer in writers:
                    writer.add(page, outline, table)


@contextmanager
def _imagej_regions(path: Path, like: Image, guard: Guard | None) -> Iterator[_Regions]:
    with (
        atomic_path(path, guard) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        yield _ImageJRegions(archive, like)


class _ImageJRegions:
    """Writes each object as a file of a ZIP: a traced polygon or, of several rings, a composite."""

    def __init__(self, archive: zipfile.ZipFile, like: Image) -> None:
        self._archive, self._like = archive, like

    def add(self, page: int, outline: Outline, table: Table) -> None:
        """Write an object. Its file has the name that ImageJ shows."""
        label = int(table["label"][outline.number - 1])
        name = str(label) if self._like.pages == 1 else f"page{page}-{label}"
        region = _region([ring for polygon in outline.polygons for ring in polygon])
        region.name = name
        for field, value in stack_position(self._like, page).items():
            setattr(region, field, value)
        about = zipfile.ZipInfo(f"{name}.roi", _DATE)
        about.compress_type = zipfile.ZIP_DEFLATED
        self._archive.writestr(about, region.tobytes())


def _region(rings: list[Ring]) -> "ImagejRoi":
    from roifile import ROI_TYPE, ImagejRoi

    first = np.concatenate(rings)
    (left, top), (right, bottom) = first.min(axis=0).tolist(), first.max(axis=0).tolist()
    if len(rings) == 1 and max(right, bottom) < _LARGEST:
        region = ImagejRoi.frompoints(rings[0])
        region.roitype = ROI_TYPE.TRACED
    else:
        path = np.concatenate([_path(ring) for ring in rings])
        region = ImagejRoi(roitype=ROI_TYPE.RECT, shape_roi_size=len(path), multi_coordinates=path)
    # The sides that ImageJ states for a box; it finds them anew where they do not fit into 16 bits.
    sides = np.array([left, top, right, bottom]).astype(np.int16).tolist()
    region.left, region.top, region.right, region.bottom = sides
    return region


def _path(ring: Ring) -> NDArray[np.float32]:
    """Return a ring as ImageJ's path: for each corner what to do, x and y."""
    steps = np.column_stack([np.full(len(ring), _LINE), ring])
    steps[0, 0] = _MOVE
    return np.append(steps.ravel(), _CLOSE).astype(np.float32)


def stack_position(like: Image, page: int) -> dict[str, int]:
    """Return where ImageJ shows a region of a page, from 1; nothing where there is only one page.

    For ImageJ a hyperstack has two or three of slices, frames and channels (``ImagePlus.isHyperStack``):
    there a region has a slice and a frame, and belongs to all channels. In other stacks, so in a film of one
    channel or of RGB, it has a number. A channel that was taken alone is still one of several in the file.
    """
    if like.pages == 1:
        return {}
    along = stack_axes(like)
    if "I" in along or len(along) + (like.stack_channels > 1) < 2:
        return {"position": page + 1}
    place = like.place_of(page)
    return {f"{letter.lower()}_position": place[letter] + 1 for letter in like.page_axes}


@contextmanager
def _geojson(path: Path, like: Image, guard: Guard | None) -> Iterator[_Regions]:
    with atomic_path(path, guard) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        file.write('{"type":"FeatureCollection","features":[')
        regions = _GeoJson(file, like)
        yield regions
        file.write("\n]}\n")


class _GeoJson:
    """Writes each object as a detection, a line each."""

    def __init__(self, file: Any, like: Image) -> None:
        self._file, self._like = file, like
        self._between = "\n"

    def add(self, page: int, outline: Outline, table: Table) -> None:
        """Write an object with its measures."""
        # A TIFF that does not say what its pages are is a time series for Bio-Formats.
        place = self._like.place_of(page)
        plane = {"c": -1, "z": place.get("Z", 0), "t": place.get("T", place.get("I", 0))}
        pieces = [[[*ring.tolist(), ring[0].tolist()] for ring in polygon] for polygon in outline.polygons]
        one = len(pieces) == 1
        geometry = {
            "type": "Polygon" if one else "MultiPolygon",
            "coordinates": pieces[0] if one else pieces,
            "plane": plane,
        }
        row = outline.number - 1
        properties = {
            "objectType": "detection",
            "name": str(table["label"][row]),
            "measurements": dict(_measures(table, row)),
        }
        feature = {"type": "Feature", "geometry": geometry, "properties": properties}
        self._file.write(self._between + json.dumps(feature, separators=(",", ":"), allow_nan=False))
        self._between = ",\n"


def _measures(table: Table, row: int) -> Iterator[tuple[str, float | int]]:
    """Yield the numbers of a row; QuPath has no other kinds of measurements."""
    for name, column in table.items():
        if name in _NO_MEASURES:
            continue
        value = column[row].item()
        if math.isfinite(value):
            yield name, int(value) if isinstance(value, bool) else value
