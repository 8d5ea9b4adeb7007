"""How the TIFF of a result is laid out, and in which flavour: ImageJ's, OME-TIFF, or plain."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import UsageError
from unet2015.images.axes import Calibration, time_symbol, unit_factor
from unet2015.images.encoding import CENTIMETRE, LARGEST, NONE, Resolution
from unet2015.images.image import Image, MetadataKind
from unet2015.images.imagej import ORDER
from unet2015.images.ome_description import can_describe

_CLASSIC_BYTES, _DIRECTORY_BYTES = 2**32 - 2**25, 2**9
"""Most bytes in a classic TIFF, less what deflate may add; more bytes than a directory needs."""

_LARGE_PAGE = 2**26
"""A page with more pixels is written in tiles, because no viewer shows all of it."""

_IMAGEJ_TYPES = ("uint8", "uint16", "int16", "float32")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the pixels of a TIFF are laid out.

    Attributes
    ----------
    tiled : bool or None
        In tiles, as BigTIFF; None: where a page has more than 2**26 pixels (8192 x 8192).
    pyramid : bool
        In tiles, with smaller copies in SubIFDs: half, a quarter, ... of the size, down to one tile.
        Integers count as classes: of four pixels the most frequent value is taken, the first of equally
        frequent ones. Floats are averaged.
    """

    tiled: bool | None = None
    pyramid: bool = False

    def __post_init__(self) -> None:
        if self.pyramid and self.tiled is False:
            raise UsageError("a pyramid is always tiled; leave out one of both")


def flavour_of(
    like: Image,
    dtype: npt.DTypeLike,
    channels: int | None = None,
    layout: Layout = Layout(),
    wanted: MetadataKind | None = None,
) -> MetadataKind:
    """Return the flavour of the TIFF that `ImageWriter` writes with these parameters.

    Parameters
    ----------
    like, dtype, channels, layout
        As of `ImageWriter`.
    wanted : {"ome", "imagej", "plain"}, optional
        Default: that of `like`.
    """
    lead = like.page_axes + ("" if channels is None else "C")
    pixels = np.dtype(dtype)
    return _kind(wanted or like.kind, lead, pixels, is_big(like, pixels, channels, layout))


def what_fits(image: Image, kind: MetadataKind) -> tuple[Calibration, tuple[str, ...]]:
    """Return what of an image's calibration a TIFF of this flavour can say rightly, and notes on the rest."""
    found, notes = image.calibration, []
    interval, unit = found.time_interval, found.time_unit
    # An interval without a unit would be read as seconds.
    if interval is not None and (unit is None or (kind == "ome" and time_symbol(unit) is None)):
        said = "has no unit" if unit is None else f"is in {unit}, which OME-TIFF does not have"
        notes.append(f"its time interval, {interval:g}, {said}: left out of the results")
        found = replace(found, time_interval=None, time_unit=None)
    sizes = found.pixel_size_y, found.pixel_size_x
    if kind != "ome" and any(sizes) and not any(resolution_of(found, kind)[:2]):
        said = " x ".join(f"{size:g}" for size in sizes if size)
        notes.append(
            f"its pixel size, {said} {found.unit}, is no number that the tags of a TIFF hold: left out"
        )
        found = replace(found, pixel_size_y=None, pixel_size_x=None)
    if image.origin:
        place = ", ".join(f"{letter} {value:g}" for letter, value in image.origin.items())
        notes.append(
            f"where it lies (translation: {place}) is left out of the results: TIFF does not keep it"
        )
    return found, tuple(notes)


def resolution_of(calibration: Calibration, kind: MetadataKind) -> Resolution:
    """Return pixels per unit as tags: in ImageJ's own unit, else in centimetres where the unit is known.

    Where tags cannot hold that, as of pixels below a picometre, they are in the unit of the header. Where
    they cannot hold that either, there are none.
    """
    factor = None if kind == "imagej" else unit_factor("cm", calibration.unit)
    sizes = calibration.pixel_size_x, calibration.pixel_size_y
    for scale, unit in (((factor, CENTIMETRE),) if factor else ()) + ((1.0, NONE),):
        x, y = (scale / size if size else None for size in sizes)
        if all(pixels is None or 1 / LARGEST <= pixels <= LARGEST for pixels in (x, y)):
            return x, y, unit
    return None, None, NONE


def is_tiled(like: Image, layout: Layout) -> bool:
    """Whether a file is written in tiles."""
    large = like.height * like.width > _LARGE_PAGE
    return layout.pyramid or (large if layout.tiled is None else layout.tiled)


def is_big(like: Image, dtype: np.dtype[Any], channels: int | None, layout: Layout) -> bool:
    """Whether a file must be BigTIFF."""
    planes = like.pages * (channels or 1)
    size = planes * (like.height * like.width * dtype.itemsize + _DIRECTORY_BYTES)
    return size > _CLASSIC_BYTES or is_tiled(like, layout)


def _kind(wanted: MetadataKind, lead: str, dtype: np.dtype[Any], big: bool) -> MetadataKind:
    """Return the flavour that can hold the image, `wanted` if possible."""
    ordered = [letter for letter in ORDER if letter in lead] == list(lead) or lead in ("I", "IC")
    if wanted == "imagej" and ordered and dtype.name in _IMAGEJ_TYPES and not big:
        return "imagej"
    if wanted != "plain" and can_describe(lead, dtype):
        return "ome"
    return "plain"
