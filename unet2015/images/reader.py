"""Opening images, whatever their format; finding them in folders and patterns."""

import glob
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError, ImageValueError, OutOfMemoryError, UsageError
from unet2015.file_names import natural_order, pattern_of
from unet2015.images.channel import ChannelImage
from unet2015.images.figure_files import is_figure
from unet2015.images.folders_below import NotSearched, advice_on_folders
from unet2015.images.formats import MICROSCOPES, SUFFIXES, begins_as_image, open_file
from unet2015.images.image import Image
from unet2015.images.jpeg import SUFFIXES as JPEG_SUFFIXES
from unet2015.images.left_out import describe_hidden, describe_left_out, hidden_images, left_out
from unet2015.images.not_read import describe_not_read
from unet2015.images.notes import Say, say, say_notes
from unet2015.images.samples import no_channels_in_labels
from unet2015.images.zarr_group import is_zarr
from unet2015.memory import process_free
from unet2015.safe_files import Unchanged, open_regular
from unet2015.wording import listed

_LITTLE = 2**28
"""Bytes that there are surely."""

_TAKEN = ", ".join(SUFFIXES) + " and .zarr"

_NAMED = 10

# What matters of a file is said here; without a handler the warnings of decoders would go to stderr.
logging.getLogger("imagecodecs").addHandler(logging.NullHandler())

_log = logging.getLogger("unet2015")


def open_image(
    path: str | Path,
    axes: str | None = None,
    *,
    labels: bool = False,
    channel: int | str | None = None,
    scene: int | str | None = None,
) -> Image:
    """Open a TIFF, PNG, JPEG, CZI, ND2 or LIF file, or the folder of an OME-Zarr image.

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
    channel : int or str, optional
        Only this channel, as an image of one: its number from 0, its name, or both as ``1:GFP``.
    scene : int or str, optional
        Of a file that holds several images, this one: its number from 0, its name, or both as ``1:A2``.

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
    ImageValueError
        There is no such channel or scene, or several that may be meant; the message lists what there is.
    """
    image = open_file(Path(path), axes, labels, None if scene is None else str(scene))
    return image if channel is None else ChannelImage(image, str(channel))


def read_pages(
    path: str | Path, axes: str | None = None, *, labels: bool = True, say: Say = say
) -> npt.NDArray[Any]:
    """Read all pages of an image of one channel, such as labels, and say the notes on it.

    Parameters
    ----------
    path, axes, labels
        As for `open_image`; `labels` is false where the pixels are intensities or probabilities.
    say : callable
        Takes the notes. Default: they are logged.

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
    watch = Unchanged(Path(path))
    with open_image(path, axes, labels=labels) as image:
        say_notes(image, say=say)
        pages = pages_of(image, labels=labels)
    watch.check()
    return pages


def pages_of(image: Image, *, labels: bool = True) -> npt.NDArray[Any]:
    """Return all pages of an open image of one channel; its notes are the caller's to say.

    See `read_pages`.
    """
    if image.channels != 1:
        raise ImageValueError(
            f"{image.name}: expected one channel{' of labels' * labels}, but it has {image.channels} "
            f"(axes {image.axes}){no_channels_in_labels(image.axes) * labels}"
        )
    check_memory(image)
    out = np.empty((image.pages, image.height, image.width), image.dtype)
    for page in range(image.pages):
        out[page] = image.read(page, 0, image.height, 0, image.width)[0]
    return out


def check_memory(image: Image) -> None:
    """Raise `OutOfMemoryError` if all pages of an image together surely do not fit into memory."""
    pixels = image.pages * image.channels * image.height * image.width
    needed = pixels * image.dtype.itemsize + image.decoding_bytes
    if needed < _LITTLE:
        return
    free = process_free()
    if needed > free:
        raise OutOfMemoryError(
            f"{image.name}: {image.pages} pages of {image.height} x {image.width} px need "
            f"{needed / 2**30:.1f} GiB of memory together, but only {free / 2**30:.1f} GiB are free; give "
            "fewer or smaller pages"
        )


def find_images(inputs: Sequence[str | Path], below: NotSearched | None = None) -> list[Path]:
    """Return the images that the inputs name: files, folders and patterns, each image once.

    A folder stands for the images in it whose names end in one of `SUFFIXES` or .zarr, without hidden ones,
    in natural order (see `natural_order`). A pattern stands for such images that match, in the same order;
    ``**`` also matches folders below. If it ends in another ending, such as ``*.svs``, it stands for what
    begins as an image. JPEG files beside other images of the same name, and other files that may
    be images, are left out, and a message names them; so are figures that this program drew, such as those of
    a training, unless nothing else is named. A folder that is an OME-Zarr image is one image, and is
    not searched. Something with the name of an image that is not one, such as a folder without images or a
    broken link, is returned, too: opening it says what is wrong.

    Folders with images that are not searched are named, and added to `below`.

    Raises
    ------
    UsageError
        An input does not exist, or names no image, or only figures that this program drew lie there.
    ImageReadError
        A folder cannot be read.
    """
    found: dict[Path, None] = {}
    below = NotSearched(inputs) if below is None else below
    for item in inputs:
        path = Path(item)
        try:
            files, others = _matching(item)
        except OSError as error:
            raise ImageReadError(f"{path}: cannot read the folder: {error.strerror or error}") from error
        if others:
            _log.warning("%s", describe_left_out(item, others, _TAKEN))
        below.look(item, files)
        if not files and path.is_dir() and path.suffix.lower() in SUFFIXES:
            files = [path]  # such as `*.tif` gives to a shell; opening it says what it is
        if not files:
            what = (
                f"no image in this folder ({_TAKEN}){advice_on_folders(path)}"
                if path.is_dir()
                else "this link leads nowhere"
                if path.is_symlink()
                else _among(others)
                if others
                else _folders(item)
            )
            raise UsageError(f"{path}: {what}")
        found.update(dict.fromkeys(files))
    return _without_figures(inputs, list(found))


def _without_figures(inputs: Sequence[str | Path], files: list[Path]) -> list[Path]:
    """Leave out figures of this program, and name them; they stay where all files are such, each by name."""
    figures = [path for path in files if path.suffix.lower() == ".png" and is_figure(path)]
    if not figures or {*map(Path, inputs)} >= {*files} == {*figures}:
        return files
    names = listed([str(path) for path in figures], _NAMED)
    if len(figures) == len(files):
        raise UsageError(
            f"{names}: no image, but figures that this program drew, such as those of a training; give the "
            "folder of the images"
        )
    _log.warning("figures that this program drew, such as those of a training, are left out: %s", names)
    return [path for path in files if path not in figures]


def _folders(item: str | Path) -> str:
    """Say that a pattern matches nothing, or folders, of which none is searched."""
    folders = sorted(glob.glob(f"{pattern_of(item)}{os.sep}", recursive=True), key=natural_order)
    if not folders:
        return "no such file or folder"
    return (
        f"it matches folders, such as {folders[0]}, which a pattern does not search; give '{item}{os.sep}*'"
    )


def _among(others: Sequence[Path]) -> str:
    """Say what the files are that a pattern matches, of which none is an image that is read."""
    first, said = others[0], None
    with suppress(OSError), open_regular(first) as file:
        said = describe_not_read(first.name, file.read(8))
    return f"no image among what it matches: {first.name}" + (f": {said}" if said else "")


def _matching(item: str | Path) -> tuple[list[Path], list[Path]]:
    """Return the images that one input names, and what else that may be an image it would name."""
    path = Path(item)
    if is_zarr(path) or (path.exists() and not path.is_dir()):
        return [path], []
    folder = path.is_dir()
    matches = path.iterdir() if folder else map(Path, glob.glob(pattern_of(item), recursive=True))
    every = sorted(matches, key=natural_order)
    if folder and (hidden := hidden_images(every)):
        _log.warning("%s", describe_hidden(item, hidden))
    files = [match for match in every if _is_image(match)]
    previews = _previews(item, files)
    files = [match for match in files if match not in previews]
    if not folder:
        ending = path.suffix
        if ending and not set(ending) & set("*?["):
            files = [match for match in every if _is_image(match) or begins_as_image(match)]
        files = _outermost(files)
    return files, left_out(every, previews.union(files))


def _previews(where: str | Path, files: list[Path]) -> set[Path]:
    """Return the files beside other images of the same name that are not the image to take; say so.

    JPEG files are copies to look at. Files of microscopes were exported: what was made of them is taken.
    """
    found: set[Path] = set()
    for endings, what, why in (
        (JPEG_SUFFIXES, "JPEG files", "as copies to look at"),
        (MICROSCOPES, "files of microscopes", "as what was exported from them is there"),
    ):
        kept = [path for path in files if path not in found]
        others = {path.with_suffix("") for path in kept if path.suffix.lower() not in endings}
        same = [p for p in kept if p.suffix.lower() in endings and p.with_suffix("") in others]
        if same:
            names = listed([path.name for path in same], _NAMED)
            text = "%s: %s beside images of the same name are left out, %s (%d): %s"
            _log.warning(text, where, what, why, len(same), names)
        found.update(same)
    return found


def _outermost(matches: list[Path]) -> list[Path]:
    """Leave out what lies in one of the others, such as the labels of an OME-Zarr image."""
    return [match for match in matches if not set(match.parents) & set(matches)]


def _is_image(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    # A link whose OME-Zarr is gone, as with a share that is not mounted: opening it says so.
    alone = path.suffix.lower() == ".zarr" and path.is_symlink() and not path.exists()
    return alone or path.suffix.lower() in SUFFIXES or is_zarr(path)
