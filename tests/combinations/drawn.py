"""A drawn image: pixels with axes and calibration, and how its file is written."""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
from scipy import ndimage

LENGTHS = {"nm": 1e-3, "µm": 1.0, "mm": 1e3}
"""Micrometres of each unit."""
NAMES = {"nm": "nanometer", "µm": "micrometer", "mm": "millimeter", "ms": "millisecond", "s": "second"}
"""What OME-Zarr calls them."""
TIMES = {"ms": 1e-3, "s": 1.0, "min": 60.0}
"""Seconds of each unit."""


@dataclass(frozen=True)
class Drawn:
    """An image, and how its file is written.

    Attributes
    ----------
    axes : str
        Slowest first; as in the file.
    pixels : numpy.ndarray
        Along `axes`.
    flavour : str
        A name of `FLAVOURS`.
    unit, time_unit : str
        Of lengths and of the interval, from `LENGTHS` and `TIMES`.
    sizes : dict
        The length of a step along each letter for which the file tells it, in these units.
    channels : tuple of str
        Names; empty where the file does not tell them.
    storage : dict
        How tifffile stores it: byte order, tiles or strips, compression.
    scenes : tuple of str
        The names of all images in its file, if there are several.
    scene : int
        Which of them it is.
    """

    axes: str
    pixels: np.ndarray
    flavour: str
    unit: str
    time_unit: str
    sizes: dict[str, float]
    channels: tuple[str, ...]
    storage: dict[str, Any]
    scenes: tuple[str, ...] = ()
    scene: int = 0

    @property
    def calibration(self) -> dict[str, float]:
        """The lengths of steps in micrometres and seconds."""
        factor = dict.fromkeys("ZYX", LENGTHS[self.unit]) | {"T": TIMES[self.time_unit]}
        return {letter: size * factor[letter] for letter, size in self.sizes.items()}

    def in_order(self, axes: str) -> np.ndarray:
        """Return the pixels along `axes`, which may have more letters: of length 1."""
        return along(self.pixels, self.axes, axes)


def along(pixels: np.ndarray, has: str, wanted: str) -> np.ndarray:
    """Return pixels along other axes: axes of length 1 may come and go."""
    gone = tuple(at for at, letter in enumerate(has) if letter not in wanted)
    pixels, has = np.squeeze(pixels, gone), "".join(letter for letter in has if letter in wanted)
    pixels = np.transpose(pixels, [has.index(letter) for letter in wanted if letter in has])
    return np.expand_dims(pixels, tuple(at for at, letter in enumerate(wanted) if letter not in has))


def blobs(generator: np.random.Generator, shape: list[int], dtype: np.dtype) -> np.ndarray:
    """Return soft blobs with noise, of a range that the type holds."""
    field = generator.standard_normal(shape)
    blur = [0.0] * (len(shape) - 2) + [3.0, 3.0]
    smooth = ndimage.gaussian_filter(field, blur)
    field = smooth / (smooth.std() or 1) + 0.2 * field
    if dtype.kind == "f":
        return (field * generator.uniform(0.5, 500)).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    low, high = max(low, -3000), min(high, 4000)
    return np.clip((field + 3) / 6 * (high - low) + low, low, high).astype(dtype)


def with_gaps(random: Random, image: Drawn) -> Drawn:
    """Return an image in which some pages are empty, and others in part: one value in each channel."""
    pixels = image.pixels.copy()
    within = [letter for letter in "CYX" if letter in image.axes]
    pages = np.moveaxis(pixels, [image.axes.index(letter) for letter in within], range(-len(within), 0))
    empty = pixels.flat[0]
    for number in np.ndindex(pages.shape[: -len(within)]):
        page = pages[number]
        if random.random() < 0.3:
            page[...] = empty
        else:
            y, x = (random.randrange(-30, side) for side in page.shape[-2:])
            page[..., max(y, 0) : y + 60, max(x, 0) : x + 60] = empty
    return replace(image, pixels=pixels)


def name_of(image: Drawn, channel: int) -> str:
    """Return what the command may be told for a channel: a name may be the number of another one."""
    return f"{channel}:{image.channels[channel]}" if image.channels else str(channel)


def scene_words(image: Drawn) -> list[str]:
    """Return the options that name the scene of an image: by its number, its name, or both."""
    if not image.scenes:
        return []
    name = image.scenes[image.scene]
    return ["--scene", (str(image.scene), name, f"{image.scene}:{name}")[image.pixels.shape[-1] % 3]]


def one_channel(image: Drawn, number: int) -> Drawn:
    """Return one channel of an image as an image without this axis."""
    at = image.axes.index("C")
    pixels = np.take(image.pixels, number, axis=at)
    return replace(image, axes=image.axes.replace("C", ""), pixels=pixels, channels=())
