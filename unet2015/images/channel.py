"""One channel of an image, as an image of one channel."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageValueError
from unet2015.images.image import Image
from unet2015.images.view import ImageView, header_without_channels
from unet2015.wording import listed

_NAMED = 40
_COLOURS = "red", "green", "blue"
_NUMBER = re.compile(r"(?:c|ch|channel)?[\W_]*(?:[0-9]+[\W_]+)*([0-9]+)", re.IGNORECASE)
"""A name of a channel that is no more than its number."""


class ChannelImage(ImageView):
    """One channel of another image, which it opens, reads and closes in its place.

    Parameters
    ----------
    image : Image
        The whole image; belongs to this one from now on, also if an error is raised.
    channel : str
        Which channel: see `find_channel`.

    Attributes
    ----------
    channel : int
        The number of the channel.
    file_axes : str
        The axes of the whole image.

    Raises
    ------
    ImageValueError
        There is no such channel, or several; the message lists what there is.
    """

    def __init__(self, image: Image, channel: str) -> None:
        self.file_axes = image.axes
        try:
            self.channel = find_channel(image, channel)
            name = image.channel_names[self.channel :][:1]
            super().__init__(image, replace(header_without_channels(image), channel_names=name))
        except Exception:
            image.close()
            raise

    def uncovered(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.bool_] | None:
        """Return which pixels of a region of the channel hold no image."""
        found = self._image.uncovered(page, y0, y1, x0, x1)
        return None if found is None else found[self.channel : self.channel + 1]

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        return self._image.read_channel(self.channel, page, y0, y1, x0, x1)


def find_channel(image: Image, channel: str) -> int:
    """Return the number of the channel that a text means.

    Parameters
    ----------
    image : Image
        With one channel or several.
    channel : str
        Its number, counted from 0; its name, if the file declares names; or both, as ``1:GFP``.

    Raises
    ------
    ImageValueError
        It means no channel, or several: a name that occurs twice, or a number that is another one's name.
    """
    names = image.channel_names
    meant = [
        number
        for number in range(image.channels)
        if channel == str(number) or (names and channel in (names[number], f"{number}:{names[number]}"))
    ]
    if len(meant) == 1:
        return meant[0]
    there = "it has one channel" if image.channels == 1 else f"it has {image.channels} channels"
    if meant:
        said = f"{there} of which {len(meant)} are meant by {channel[:99]!r}; give number and name"
    else:
        said = f"expected one of its channels, not {channel[:99]!r}; {there}"
    raise ImageValueError(
        f"{image.name}: {said}: {describe_channels(image)} (axes {image.axes}, from {image.axes_source})"
    )


def describe_channels(image: Image) -> str:
    """Return what there is, in the form that `find_channel` takes: ``0:DAPI, 1:GFP``, or ``0 to 4``."""
    names = image.channel_names
    if names:
        return listed([f"{i}:{name}" if name else str(i) for i, name in enumerate(names)], _NAMED)
    return "0" if image.channels == 1 else f"0 to {image.channels - 1}"


def is_unnamed(image: Image) -> bool:
    """Whether an image has channels, or one of several, without names: which they are, is not known."""
    one_of_several = getattr(image, "channel", None) is not None
    return not any(image.channel_names) and (image.channels > 1 or one_of_several)


def tell_nothing(names: Sequence[str]) -> bool:
    """Whether names are the colours of pixels, or number the channels in their order, from 0 or 1.

    A single name that is a number tells nothing either, nor do names that are all empty.
    """
    if not any(names):
        return True
    if len(names) == len(_COLOURS):
        pairs = zip(names, _COLOURS, strict=True)
        if all(name.lower() in (colour, colour[0]) for name, colour in pairs):
            return True
    found = [_NUMBER.fullmatch(name) for name in names]
    numbers = [int(match[1]) for match in found if match]
    if len(names) == 1:
        return len(numbers) == 1
    return numbers in ([*range(len(names))], [*range(1, len(names) + 1)])
