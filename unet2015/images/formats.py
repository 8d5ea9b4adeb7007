"""The formats of images: what names end in, and what a file is by its first bytes."""

from pathlib import Path

from unet2015.errors import ImageReadError, ImageValueError, UNet2015Error, failure_of
from unet2015.images import czi, nd2
from unet2015.images.image import Image
from unet2015.images.jpeg import START, JpegImage
from unet2015.images.jpeg import SUFFIXES as JPEG_SUFFIXES
from unet2015.images.left_out import LONGEST_START, STARTS
from unet2015.images.lif import LifImage, begins_as_lif
from unet2015.images.not_read import describe_not_read
from unet2015.images.palette import PaletteImage
from unet2015.images.png import SIGNATURE, PngImage
from unet2015.images.tiff import TiffImage
from unet2015.images.zarr import ZarrImage
from unet2015.images.zarr_group import is_zarr
from unet2015.safe_files import open_regular

MICROSCOPES = (".czi", ".nd2", ".lif")
"""What the names of files end in that microscopes write and that may hold several images."""
SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8", ".lsm", ".png", *JPEG_SUFFIXES, *MICROSCOPES)
"""What the names of images end in; .btf, .tf2 and .tf8 are BigTIFF, .lsm is Zeiss's TIFF."""


def open_file(path: Path, axes: str | None, labels: bool, scene: str | None) -> Image:
    """Open an image of any format; the parameters and errors are those of `open_image`."""
    try:
        zarr = is_zarr(path)
        if not zarr and path.is_dir():
            raise ImageReadError(f"{path}: expected an image file, but this is a folder")
        start = b"" if zarr else _start(path)
        if start.startswith(czi.MAGIC):
            return czi.CziImage(path, axes, labels=labels, scene=scene)
        if start.startswith(nd2.MAGIC):
            return nd2.Nd2Image(path, axes, labels=labels, scene=scene)
        if begins_as_lif(start):
            return LifImage(path, axes, labels=labels, scene=scene)
        if scene is not None:
            raise ImageValueError(f"{path}: --scene: expected a CZI, ND2 or LIF file; others hold one image")
        if zarr:
            return ZarrImage(path, axes, labels=labels)
        if start.startswith(SIGNATURE):
            return _coloured(PngImage(path, axes, labels=labels))
        if start.startswith(START):
            return JpegImage(path, axes, labels=labels)
        if start.startswith(STARTS):
            return _coloured(TiffImage(path, axes, labels=labels))
    except UNet2015Error:
        raise
    except OSError as error:
        raise ImageReadError(f"{path}: cannot read the file: {error.strerror or error}") from error
    except Exception as error:  # whatever it is, it is the failure of this file alone
        raise failure_of(error, path) from error
    if known := describe_not_read(path.name, start):
        raise ImageReadError(f"{path}: {known}")
    came = f"it begins with {start[:8]!r}" if start else "it is empty"
    raise ImageReadError(f"{path}: expected a TIFF, PNG, JPEG, CZI, ND2 or LIF file, but {came}")


def _coloured(image: PngImage | TiffImage) -> Image:
    """Return an image whose pixels are indices of a palette as the colours that these mean."""
    return image if image.palette is None else PaletteImage(image, image.palette)


def _start(path: Path) -> bytes:
    with open_regular(path) as file:
        return bytes(file.read(LONGEST_START))
