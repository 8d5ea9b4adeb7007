"""The image that a call names: a file or pixels, the whole of it or one channel."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import file_path, pixels
from unet2015.errors import ArgumentError
from unet2015.images.channel import ChannelImage, describe_channels
from unet2015.images.image import ArrayImage, Image
from unet2015.images.notes import say
from unet2015.models.model_file import ModelInfo
from unet2015.objects.table import pixel_size
from unet2015.safe_files import Unchanged
from unet2015.segmentation.options import SegmentOptions

_ALIKE = 2
"""By how much pixels may be larger or smaller than those of a model without a word."""


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
    array = pixels(given, "image")
    if isinstance(given, list | tuple) and array.dtype in (np.int64, np.uint64):
        array = _typed(array, info)
    if options.scene is not None:
        raise ArgumentError("scene: expected a CZI, ND2 or LIF file; an array holds one image")
    whole = ArrayImage(array, options.axes)
    return whole if options.channel is None else ChannelImage(whole, str(options.channel))


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
        for note in notes_on(image, info):
            say(Path(image.name), note)
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


def notes_on(image: Image, info: ModelInfo) -> tuple[str, ...]:
    """Return the notes on an image, and whether a model was trained on another channel or range."""
    return image.notes + _other_channel(image, info) + _other_bits(image, info) + _other_scale(image, info)


def _other_scale(image: Image, info: ModelInfo) -> tuple[str, ...]:
    size = pixel_size(image.calibration)
    if size is None or info.pixel_size_nm is None:
        return ()
    width = 1000 * size[1]
    if 1 / _ALIKE <= width / info.pixel_size_nm <= _ALIKE:
        return ()
    return (
        f"the model was trained on pixels of {info.pixel_size_nm:.4g} nm, but these are {width:.4g} nm wide; "
        "what it has learned may be of another size here: scale the image, or see that its pixel size is so",
    )


def _other_bits(image: Image, info: ModelInfo) -> tuple[str, ...]:
    if info.mapping.method != "integer-range" or info.dtype != image.dtype.name:
        return ()
    trained = info.training.get("bits", [8 * image.dtype.itemsize])
    if not isinstance(trained, list) or image.bits in trained:
        return ()
    said = " and ".join(str(bits)[:9] for bits in trained)
    return (
        f"the model was trained on pixels of {said} bits, but these have {image.bits} bits and are divided "
        f"by {2**image.bits - 1}; see that the same intensity is the same part of the range",
    )


def _other_channel(image: Image, info: ModelInfo) -> tuple[str, ...]:
    trained = info.training.get("channel")
    if trained is None:
        return ()
    trained = str(trained)
    number = str(image.channel) if isinstance(image, ChannelImage) else None
    name = next(iter(image.channel_names), "")
    both = re.fullmatch("([0-9]+):(.+)", trained)
    known = {trained} if both is None else {trained, both[2] if name else both[1]}
    if known & {number, name or None, f"{number}:{name}"}:
        return ()
    came = "which of its channels this image is, is not known" if number is None else f"this is {number}"
    if name:
        came = f"this is {name if number is None else f'{number}:{name}'}"
    return (f"the model was trained on channel {trained[:99]} of its images, but {came}; see that it fits",)


def channel_advice(image: Image, info: ModelInfo) -> str:
    """Return, for a message, which channels there are for a model of one, and which it was trained on."""
    if info.in_channels != 1 or image.channels == 1:
        return ""
    trained = info.training.get("channel")
    said = f" (it was trained on {str(trained)[:99]})" if trained is not None else ""
    return f"choose a channel with --channel{said}: {describe_channels(image)}; or "
