"""The image that a call names: a file or pixels, the whole of it or one channel."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import file_path, pixels
from unet2015.images.channel import ChannelImage, describe_channels
from unet2015.images.image import ArrayImage, Image
from unet2015.images.reader import open_image
from unet2015.models.model_file import ModelInfo
from unet2015.segmentation.options import SegmentOptions


def image_of(given: str | Path | NDArray[Any], options: SegmentOptions, info: ModelInfo) -> Image:
    """Return an image for a model, with the axes and the channel of the options; a context manager.

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
        return open_image(file_path(given, "image"), options.axes, channel=options.channel)
    array = pixels(given, "image")
    if isinstance(given, list | tuple) and array.dtype in (np.int64, np.uint64):
        array = _typed(array, info)
    whole = ArrayImage(array, options.axes)
    return whole if options.channel is None else ChannelImage(whole, str(options.channel))


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


def channel_advice(image: Image, info: ModelInfo) -> str:
    """Return, for a message, which channels there are for a model of one, and which it was trained on."""
    if info.in_channels != 1 or image.channels == 1:
        return ""
    trained = info.training.get("channel")
    said = f" (it was trained on {str(trained)[:99]})" if trained is not None else ""
    return f"choose a channel with --channel{said}: {describe_channels(image)}; or "
