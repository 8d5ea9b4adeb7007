"""Opening images, whatever their format; finding them in folders and patterns."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError, ImageValueError, UNet2015Error, UsageError, failure_of
from unet2015.images.image import ArrayImage, Image
from unet2015.images.png import SIGNATURE, PngImage
from unet2015.images.tiff import TiffImage
from unet2015.images.zarr import ZarrImage
from unet2015.images.zarr_group import is_zarr
from unet2015.safe_files import open_regular

__all__ = [
    "ArrayImage",
    "Image",
    "PngImage",
    "TiffImage",
    "ZarrImage",
    "find_images",
    "natural_order",
    "open_image",
    "read_pages",
]

SUFFIXES = (".tif", ".tiff", ".png")

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_image(path: str | Path, axes: str | None = None, *, labels: bool = False) -> Image:
    """Open a TIFF or PNG file, or the folder of an OME-Zarr image.

    What a file is follows from its first bytes, not its name.

    Parameters
    ----------
    path : str or Path
        The file or folder.
    axes : str, optional
        The axes, if the file does not tell them or is wrong: one letter of TZCYXI (S is read as C) for
        each axis of the file, slowest first; those of length 1 may be left out.
    labels : bool
        The pixels are labels: the indices of a palette are the labels, whatever its colours, and one bit
        is a mask, of type bool. Otherwise such files are refused, as they hold no intensities.

    Returns
    -------
    Image
        A context manager that reads regions.

    Raises
    ------
    ImageReadError
        There is no such file, or it cannot be read, is no image, is cut short or contradicts itself.
    AxesError
        The file does not say what its axes are, or `axes` do not fit.
    """
    path = Path(path)
    try:
        if is_zarr(path):
            return ZarrImage(path, axes)
        if path.is_dir():
            raise ImageReadError(f"{path}: expected an image file, but this is a folder")
        with open_regular(path) as file:
            start = file.read(8)
        if start == SIGNATURE:
            return PngImage(path, axes, labels=labels)
        if start.startswith(_TIFF_STARTS):
            return TiffImage(path, axes, labels=labels)
    except UNet2015Error:
        raise
    except OSError as error:
        raise ImageReadError(f"{path}: cannot read the file: {error.strerror or error}") from error
    except Exception as error:  # whatever it is, it is the failure of this file alone
        raise failure_of(error, path) from error
    came = f"it begins with {start!r}" if start else "it is empty"
    raise ImageReadError(f"{path}: expected a TIFF or PNG file, but {came}")


def read_pages(path: str | Path, axes: str | None = None, *, labels: bool = True) -> npt.NDArray[Any]:
    """Read all pages of an image of one channel, such as labels.

    Parameters
    ----------
    path, axes, labels
        As for `open_image`; `labels` is false where the pixels are intensities or probabilities.

    Returns
    -------
    numpy.ndarray, shape (pages, height, width)
        In the file's type; bool where a pixel is one bit.

    Raises
    ------
    ImageReadError, AxesError
        As `open_image`.
    ImageValueError
        The image has several channels.
    """
    with open_image(path, axes, labels=labels) as image:
        if image.channels != 1:
            raise ImageValueError(
                f"{path}: expected one channel{' of labels' * labels}, but it has {image.channels} "
                f"(axes {image.axes})"
            )
        out = np.empty((image.pages, image.height, image.width), image.dtype)
        for page in range(image.pages):
            out[page] = image.read(page, 0, image.height, 0, image.width)[0]
        return out


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """Return the images that the inputs name: files, folders and patterns, each image once.

    A folder stands for the .tif, .tiff, .png and .zarr images in it, without hidden ones, in natural order
    (see `natural_order`). A pattern stands for the images that match, in the same order; ``**`` also matches
    folders below. A folder that is an OME-Zarr image is one image, and is not searched. Something with the
    name of an image that is not one, such as a folder without images or a broken link, is returned, too:
    opening it says what is wrong.

    Raises
    ------
    UsageError
        An input does not exist, or names no image.
    ImageReadError
        A folder cannot be read.
    """
    found: dict[Path, None] = {}
    for item in inputs:
        path = Path(item)
        try:
            if is_zarr(path):
                files = [path]
            elif path.is_dir():
                files = sorted((inner for inner in path.iterdir() if _is_image(inner)), key=natural_order)
            elif path.exists():
                files = [path]
            else:
                matches = (Path(match) for match in glob.glob(str(item), recursive=True))
                files = sorted(matches, key=natural_order)
                files = _outermost([match for match in files if _is_image(match)])
        except OSError as error:
            raise ImageReadError(f"{path}: cannot read the folder: {error.strerror or error}") from error
        if not files and path.is_dir() and path.suffix.lower() in SUFFIXES:
            files = [path]  # such as `*.tif` gives to a shell; opening it says what it is
        if not files:
            what = (
                "no .tif, .tiff, .png or .zarr image in this folder"
                if path.is_dir()
                else "this link leads nowhere"
                if path.is_symlink()
                else "no such file or folder"
            )
            raise UsageError(f"{path}: {what}")
        found.update(dict.fromkeys(files))
    return list(found)


def natural_order(path: str | Path) -> tuple[list[list[str | int]], str]:
    """Return a key by which paths sort with the numbers in them as numbers: t2 before t10.

    Names that differ only in leading zeros are sorted by their characters.
    """
    parts = [re.split("([0-9]+)", part) for part in Path(path).parts]
    # What re.split gives alternates, so texts are compared with texts and numbers with numbers.
    return [[int(text) if i % 2 else text for i, text in enumerate(part)] for part in parts], str(path)


def _outermost(matches: list[Path]) -> list[Path]:
    """Leave out what lies in one of the others, such as the labels of an OME-Zarr image."""
    return [match for match in matches if not set(match.parents) & set(matches)]


def _is_image(path: Path) -> bool:
    if is_zarr(path):
        return not path.name.startswith(".")
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
