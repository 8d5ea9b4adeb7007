"""The table of formats: what the names of images end in, and what a file is by its first bytes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from unet2015.errors import ImageReadError, ImageValueError, UNet2015Error, failure_of
from unet2015.images import czi, encoding, jpeg, lif, nd2, png
from unet2015.images.image import Image
from unet2015.images.not_read import describe_not_read
from unet2015.images.palette import PaletteImage
from unet2015.images.tiff import TiffImage
from unet2015.images.zarr import ZarrImage
from unet2015.images.zarr_group import is_zarr
from unet2015.safe_files import open_regular

_LONGEST_START = 9
"""How many of the first bytes tell what a file is."""


class Format(NamedTuple):
    """A format of files.

    Attributes
    ----------
    name : str
        For messages.
    endings : tuple of str
        What the names of its files end in; others may begin alike, and are taken as well.
    begins : callable
        Whether the first bytes of a file, at most `_LONGEST_START`, are of this format.
    opened : callable
        Takes path, axes and `labels`, and `scene` where there are scenes; returns the image.
    scenes : bool
        Whether microscopes write it, and it may hold several images.
    """

    name: str
    endings: tuple[str, ...]
    begins: Callable[[bytes], bool]
    opened: Callable[..., Image]
    scenes: bool = False


def begins_with(*starts: bytes) -> Callable[[bytes], bool]:
    """Return what tells whether bytes begin with one of these."""
    return lambda start: start.startswith(starts)


def _in_colours(opened: Callable[..., png.PngImage | TiffImage]) -> Callable[..., Image]:
    """Return what opens an image whose pixels are indices of a palette as the colours that these mean."""

    def coloured(path: Path, axes: str | None, *, labels: bool) -> Image:
        image = opened(path, axes, labels=labels)
        return image if image.palette is None else PaletteImage(image, image.palette)

    return coloured


FORMATS = (
    # .btf, .tf2 and .tf8 are BigTIFF, .lsm is Zeiss's TIFF.
    Format(
        "TIFF",
        (".tif", ".tiff", ".btf", ".tf2", ".tf8", ".lsm"),
        begins_with(*encoding.SIGNATURES),
        _in_colours(TiffImage),
    ),
    Format("PNG", (".png",), begins_with(png.SIGNATURE), _in_colours(png.PngImage)),
    Format("JPEG", jpeg.SUFFIXES, begins_with(jpeg.START), jpeg.JpegImage),
    Format("CZI", (".czi",), begins_with(czi.MAGIC), czi.CziImage, scenes=True),
    Format("ND2", (".nd2",), begins_with(nd2.MAGIC), nd2.Nd2Image, scenes=True),
    Format("LIF", (".lif",), lif.begins_as_lif, lif.LifImage, scenes=True),
)
"""All but OME-Zarr, which is a folder."""
SUFFIXES = tuple(ending for one in FORMATS for ending in one.endings)
"""What the names of images end in."""
MICROSCOPES = tuple(ending for one in FORMATS if one.scenes for ending in one.endings)
"""Those of files that microscopes write and that may hold several images."""


def open_file(path: Path, axes: str | None, labels: bool, scene: str | None) -> Image:
    """Open an image of any format; the parameters and errors are those of `open_image`."""
    try:
        zarr = is_zarr(path)
        if not zarr and path.is_dir():
            raise ImageReadError(f"{path}: expected an image file, but this is a folder")
        start = b"" if zarr else _start(path)
        found = _format_of(start)
        if found is not None and found.scenes:
            return found.opened(path, axes, labels=labels, scene=scene)
        if scene is not None:
            several = _names([one for one in FORMATS if one.scenes])
            raise ImageValueError(f"{path}: --scene: expected a {several} file; others hold one image")
        if zarr:
            return ZarrImage(path, axes, labels=labels)
        if found is not None:
            return found.opened(path, axes, labels=labels)
    except UNet2015Error:
        raise
    except OSError as error:
        raise ImageReadError(f"{path}: cannot read the file: {error.strerror or error}") from error
    except Exception as error:  # whatever it is, it is the failure of this file alone
        raise failure_of(error, path) from error
    if known := describe_not_read(path.name, start):
        raise ImageReadError(f"{path}: {known}")
    came = f"it begins with {start[:8]!r}" if start else "it is empty"
    raise ImageReadError(f"{path}: expected a {_names(FORMATS)} file, but {came}")


def begins_as_image(path: Path) -> bool:
    """Whether the first bytes of a file are those of an image that is read."""
    try:
        return _format_of(_start(path)) is not None
    except OSError:
        return False


def _format_of(start: bytes) -> Format | None:
    return next((one for one in FORMATS if one.begins(start)), None)


def _start(path: Path) -> bytes:
    with open_regular(path) as file:
        return bytes(file.read(_LONGEST_START))


def _names(formats: Sequence[Format]) -> str:
    *others, last = (one.name for one in formats)
    return f"{', '.join(others)} or {last}"
