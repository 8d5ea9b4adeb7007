"""What is declared in the private tags of a plain TIFF, and a remark where they are not read."""

import math
from dataclasses import replace
from typing import Any

from unet2015.errors import ImageReadError
from unet2015.images.declared import Declared, possible_bits
from unet2015.images.makers import MAKERS, UNREAD, Found
from unet2015.images.resolution import believed
from unet2015.wording import listed

_LSM_BYTES = 2**32

_COMMON = {
    *(32781, 32932, 32997, 33432, 33434, 33437, 33723, 34377, 34665, 34675, 34853, 37724, 42112, 42113),
    *(50674, 50838, 50839, 59932, 59933),
    *range(34850, 34870),
    *range(36864, 42240),  # Exif and Windows
    *range(50706, 51180),  # DNG, MicroManager's is asked for before
}
"""Private tags that any program may write and that say nothing of the image's size or axes."""


def refine(declared: Declared, pages: list[Any], name: str) -> Declared:
    """Return what a plain TIFF declares, with what its private tags say.

    Parameters
    ----------
    declared : Declared
        What the header and the resolution tags say.
    pages : list of tifffile.TiffPage
        The directories without thumbnails.
    name : str
        The file.

    Raises
    ------
    ImageReadError
        A file of a kind that cannot be read rightly.
    """
    first = pages[0]
    for maker, there, read in MAKERS:
        if not there(first):
            continue
        if maker == "Zeiss LSM" and first.parent.filehandle.size >= _LSM_BYTES:
            raise ImageReadError(
                f"{name}: LSM files of 4 GB and more are not supported; save it as OME-TIFF, for example "
                "with Fiji"
            )
        try:
            found = read(first)
        except Exception:  # the tag is damaged or of an unknown version, and is not needed to read the pixels
            found = Found()
        declared = replace(declared, significant_bits=possible_bits(found.bits, first.dtype))
        return _with(declared, found, len(pages), maker)
    return _unread(declared, first)


def _with(declared: Declared, found: Found, directories: int, maker: str) -> Declared:
    """Return `declared` with what a maker's tags give."""
    calibration, doubts = believed(found.calibration(), screens=False, by=maker)
    notes = (*found.notes, *doubts)
    if calibration.pixel_size_x is None:
        interval, unit = calibration.time_interval, calibration.time_unit
        calibration = declared.calibration
        if interval is not None:
            calibration = replace(calibration, time_interval=interval, time_unit=unit)
        notes += (*declared.notes, f"{maker}: its tags give no pixel size that can be read")
    declared = replace(declared, calibration=calibration, notes=notes)
    if found.first_only and directories > 1:
        said = f"{maker}: the image is the first of {directories} directories; the others are left out"
        return replace(declared, lead="", sizes=(), directories=(0,), notes=(*notes, said))
    if found.lead and "?" in declared.lead:
        if math.prod(found.sizes) == directories or (found.contiguous and directories == 1):
            return replace(declared, lead=found.lead, sizes=found.sizes)
        shape = " x ".join(f"{letter}={size}" for letter, size in zip(found.lead, found.sizes, strict=True))
        said = f"{maker}: its tags declare {shape}, but the file holds {directories} planes: axes left out"
        return replace(declared, notes=(*notes, said))
    return declared


def _unread(declared: Declared, page: Any) -> Declared:
    """Return `declared` with a remark where there are private tags that are not read."""
    if str(page.tags.valueof(271, "")).startswith("JEOL"):
        said = (
            "JEOL: the resolution tags are those of the camera, before magnification: taken as no pixel size"
        )
        lost = replace(declared.calibration, pixel_size_x=None, pixel_size_y=None, unit=None)
        return replace(declared, calibration=lost, notes=(*declared.notes, said))
    for maker, there in UNREAD:
        if there(page):
            said = f"{maker}: its private tags or description are there, and are not read"
            return replace(declared, notes=(*declared.notes, said))
    private = sorted({int(tag.code) for tag in page.tags if tag.code >= 2**15} - _COMMON)
    if private and declared.calibration.pixel_size_x is None:
        said = f"private tags are there and are not read: {listed(private, 5)}; they may hold the pixel size"
        return replace(declared, notes=(*declared.notes, said))
    return declared
