"""The image that a call names: a file or pixels, the whole of it or one channel."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import file_path, pixels
from unet2015.errors import ArgumentError
from unet2015.images.array_image import ArrayImage
from unet2015.images.channel import ChannelImage
from unet2015.images.image import Image
from unet2015.images.notes import say
from unet2015.models.model_file import ModelInfo
from unet2015.models.unlike import notes_on_image, tell_scale_not_said, unchecked_scale
from unet2015.safe_files import Unchanged
from unet2015.segmentation.options import SegmentOptions


def image_of(given: str | Path | NDArray[Any], options: SegmentOptions, info: ModelInfo) -> Image:
    """Return an image for a model, with axes, channel and scene of the options; a context manager.

    Whole numbers in a list have no type of pixels: they get that of the model's training images if it holds
    them all or, where the type does not change the mapping, a small one.

    Raises
    ------
    ImageError
        As `open_image`.
    ArgumentError
        It is neither a path nor an array of numbers.
    """
    if isinstance(given, str | bytes | os.PathLike):
        return options.open(Path(file_path(given, "image")))
    for picture in given if isinstance(given, list | tuple) else [given]:
        _check_picture(picture)
    if (frames := getattr(given, "n_frames", 1)) != 1 and hasattr(given, "getpalette"):
        raise ArgumentError(
            f"image: a picture of Pillow that stands at one of its {frames} frames; give the file, or a list "
            "of the frames that are meant (PIL.ImageSequence), each as an array"
        )
    array = pixels(given, "image")
    if isinstance(given, list | tuple) and array.dtype in (np.int64, np.uint64):
        array = _typed(array, info)
    if options.scene is not None:
        raise ArgumentError("scene: expected a CZI, ND2 or LIF file; an array holds one image")
    whole = ArrayImage(array, options.axes)
    return whole if options.channel is None else ChannelImage(whole, str(options.channel))


def _check_picture(given: object) -> None:
    """Raise `ArgumentError` for a picture of Pillow whose pixels are numbers of colours."""
    if getattr(given, "mode", None) in ("P", "PA") and hasattr(given, "getpalette"):
        raise ArgumentError(
            "image: a picture of Pillow with a colour palette holds numbers of colours, no intensities; give "
            "image.convert('RGB'), or image.convert('L') where the colours are gray"
        )


@contextmanager
def opened_for(given: str | Path | NDArray[Any], options: SegmentOptions, info: ModelInfo) -> Iterator[Image]:
    """Yield the image of `image_of`, whose notes are said; a file must stay the same while the body runs.

    Raises
    ------
    ImageReadError
        The file was changed.
    """
    named = isinstance(given, str | bytes | os.PathLike)
    watch = Unchanged(file_path(given, "image")) if named else None
    with image_of(given, options, info) as image:
        for note in notes_on_image(image, info, None if watch is None else watch.path):
            say(Path(image.name), note)
        if named:
            tell_scale_not_said([(Path(image.name), unchecked_scale(image, info))], info)
        yield image
    if watch is not None:
        watch.check()


def _typed(array: NDArray[Any], info: ModelInfo) -> NDArray[Any]:
    """Return integers in the first of the possible types that holds all of them, else as they are."""
    own = np.dtype(info.dtype or "float32")
    possible = [own] if own.kind in "iu" else []
    if info.mapping.method != "integer-range":
        possible += [np.dtype(name) for name in ("uint8", "uint16", "int16")]
    for dtype in possible if array.size else ():
        if np.iinfo(dtype).min <= array.min() and array.max() <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array
