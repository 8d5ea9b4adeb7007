"""What the directories of a TIFF say, before any pixel is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unet2015.errors import ImageError, ImageReadError
from unet2015.images.declared import Declared
from unet2015.images.directories import Plane, open_tiff, read_directories
from unet2015.images.gdal import describe_gdal
from unet2015.images.header import read_header
from unet2015.images.image import Colours
from unet2015.images.lossy import describe_lossy
from unet2015.images.palette import label_palettes, palette_of
from unet2015.images.photometric import is_inverted
from unet2015.images.planes import planes_of, unlike
from unet2015.images.samples import check_page
from unet2015.images.surplus import describe_surplus
from unet2015.wording import reason


@dataclass(frozen=True)
class TiffContents:
    """What the directories of a TIFF say.

    Attributes
    ----------
    declared : Declared
        By its header.
    planes : list of Plane
        Where the pixels lie.
    inverted : list of bool
        For each plane whether its values fall where intensities rise.
    palette : ndarray of uint8, shape (N, 3), or None
        As of `TiffImage`.
    label_palettes : list of (ndarray or None)
        For each plane the palette of its labels, as of `Image.label_colours`; empty if they are none.
    byte_order : {"<", ">"}
        Of the numbers in the file, as NumPy writes it.
    notes : tuple of str
        Remarks, beside those of the header.
    """

    declared: Declared
    planes: list[Plane]
    inverted: list[bool]
    palette: Colours | None
    label_palettes: list[Colours | None]
    byte_order: Literal["<", ">"]
    notes: tuple[str, ...]


def read_contents(path: Path, axes: str | None, labels: bool) -> TiffContents:
    """Return what the directories of a TIFF say.

    Parameters and errors are those of :class:`unet2015.images.tiff.TiffImage`.
    """
    name = str(path)
    with open_tiff(path) as tif:
        try:
            pages, referenced, notes = read_directories(tif, name)
            declared = read_header(pages, path, axes)
            imagej = declared.kind == "imagej"
            for page in unlike(pages):
                check_page(page, name, labels=labels, indices=labels or imagej)
            planes = planes_of(declared, pages, tif.filehandle.size, name)
            if declared.kind == "plain" and len(planes) == len(pages):  # others say how many planes they have
                notes += referenced.notes(tif.filehandle.size)
            if len(planes) == len(pages):
                notes += tuple(describe_surplus(planes))
            palette = None if labels or imagej else palette_of(planes, name)
            named = label_palettes(planes) if labels and not imagej else []
            for page in unlike([plane.page for plane in planes]):
                page.decode  # noqa: B018 - made now, while the file is open
            meant = [is_inverted(plane.page, imagej=imagej, labels=labels) for plane in planes]
            notes += describe_gdal([plane.page for plane in planes])
            notes += describe_lossy(planes, tif.filehandle, name) if labels else ()
        except ImageError:
            raise
        except Exception as error:  # damaged tags make tifffile fail in any way
            raise ImageReadError(
                f"{path}: cannot read the TIFF: {reason(error)}; it is damaged: copy it again"
            ) from error
    notes += tuple(dict.fromkeys(note for _, more in meant for note in more))
    inverted = [inverts for inverts, _ in meant]
    return TiffContents(declared, planes, inverted, palette, named, tif.byteorder, notes)
