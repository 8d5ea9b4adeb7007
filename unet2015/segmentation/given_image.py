"""The image that a call names: a file or pixels, the whole of it or one channel."""

import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from unet2015.arguments import file_path, pixels
from unet2015.images.channel import ChannelImage, describe_channels
from unet2015.images.image import ArrayImage, Image
from unet2015.images.reader import open_image
from unet2015.models.model_file import ModelInfo
from unet2015.segmentation.options import SegmentOptions


def image_of(given: str | Path | NDArray[Any], options: SegmentOptions) -> Image:
    """Return an image with the axes and the channel of the options; a context manager.

    Raises
    ------
    ImageError
        As `open_image`.
    ArgumentError
        It is neither a path nor an array of numbers.
    """
    if isinstance(given, str | bytes | os.PathLike):
        return open_image(file_path(given, "image"), options.axes, channel=options.channel)
    whole = ArrayImage(pixels(given, "image"), options.axes)
    return whole if options.channel is None else ChannelImage(whole, str(options.channel))


def channel_advice(image: Image, info: ModelInfo) -> str:
    """Return, for a message, which channels there are for a model of one, and which it was trained on."""
    if info.in_channels != 1 or image.channels == 1:
        return ""
    trained = info.training.get("channel")
    said = f" (it was trained on {str(trained)[:99]})" if trained is not None else ""
    return f"choose a channel with --channel{said}: {describe_channels(image)}; or "
