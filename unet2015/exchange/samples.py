"""The test tile of an export, and what the model makes of it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from unet2015.exchange.intensities import Intensities
from unet2015.geometry import Geometry
from unet2015.images.array_image import ArrayImage
from unet2015.images.mapped_image import MappedImage
from unet2015.models.model_file import Model
from unet2015.settings import Mapping
from unet2015.synthetic import em_page

Array = npt.NDArray[np.float32]
LARGEST_DIFFERENCE = 1e-4
"""Of probabilities; a file that differs more from the model is not written. Rounding makes about 1e-6."""
TELLING = 0.02
"""The least spread of the model's probabilities over a test tile: where they are the same everywhere, a graph
that does not even look at the image may give them, too."""
_OUTPUT = 64
"""The least height of what comes out for the test tile, in pixels."""
_DARKEST = 1 / 256
"""Part of the brightness of a fading picture at its right end; 12 bits fill a sixteenth of 16 bits."""

_Drawn = npt.NDArray[np.float64]
Picture = Callable[[_Drawn], _Drawn]
"""Makes a picture for the test of one that is drawn, (channels, height, width) of 0 to 255."""


def as_drawn(drawn: _Drawn) -> _Drawn:
    """Return the picture as it is drawn: gray cells with dark membranes, over the whole range."""
    return drawn


def fading(drawn: _Drawn) -> _Drawn:
    """Return the picture darker from left to right: some part of it is as bright as what a model knows."""
    return drawn * _DARKEST ** np.linspace(0, 1, drawn.shape[-1])


def negative(drawn: _Drawn) -> _Drawn:
    """Return dark cells with bright membranes."""
    return 255 - drawn


def fading_negative(drawn: _Drawn) -> _Drawn:
    """Return the negative, darker from left to right."""
    return fading(negative(drawn))


PICTURES: tuple[Picture, ...] = (as_drawn, fading, negative, fading_negative)


def tile_sides(geometry: Geometry) -> list[tuple[int, int]]:
    """Return height and width of the test tile and of a second one: legal, and no two sides alike."""
    first, step = geometry.input_for(_OUTPUT), geometry.factor
    return [(first, first + step), (geometry.smallest + step, geometry.smallest)]


def choose_picture(model: Model, intensities: Intensities) -> tuple[Picture, float]:
    """Return the first of `PICTURES` on which the answers vary, else that on which most; and how much.

    A model of pixels that fill a small part of the range of their type answers alike, and surely, all over a
    picture that fills it.
    """
    sides = tile_sides(model.network.geometry)[0]
    best: Picture = as_drawn
    most = -1.0
    for picture in PICTURES:
        tile = drawn_tile(model, intensities, *sides, picture)
        spread = spread_of(answer(model, intensities, tile))
        if spread > most:
            best, most = picture, spread
        if most >= TELLING:
            break
    return best, most


def spread_of(probabilities: Array) -> float:
    """Return the largest standard deviation of the probabilities of a class; 0 where it is no number."""
    spread = probabilities.std(axis=(0, 2, 3), dtype=np.float64).max()
    return float(spread) if np.isfinite(spread) else 0.0


def _drawn(model: Model, height: int, width: int, picture: Picture) -> _Drawn:
    channels = range(model.info.in_channels)
    return picture(np.stack([em_page(height, width, 1, each)[0] for each in channels]).astype(np.float64))


def drawn_tile(
    model: Model, intensities: Intensities, height: int, width: int, picture: Picture = as_drawn
) -> Array:
    """Return a drawn image (1, channels, height, width), as the graph takes it."""
    drawn = _drawn(model, height, width, picture)
    if model.info.mapping.method == "standardise":
        drawn = (drawn - drawn.mean()) / drawn.std()
    else:
        drawn /= 255
    if intensities.scale is not None:
        offset, gain = (one[:, None, None] for one in intensities.scale)
        safe = np.where(gain == 0, 1, gain)
        drawn = offset + np.where(gain == 0, 0, drawn / safe)
        if np.dtype(model.info.dtype or np.uint16).kind in "iu" and np.abs(1 / safe).min() > 1:
            drawn = drawn.round()  # as pixels of an image are
    return drawn.astype(np.float32)[None]


def raw_tile(model: Model, height: int, width: int, picture: Picture = as_drawn) -> tuple[Array, Array]:
    """Return a drawn image (1, channels, height, width) as a microscope gives it, and mapped as a whole."""
    raw = _drawn(model, height, width, picture).round().astype(np.float32)
    mapped = MappedImage(ArrayImage(raw, "CYX"), model.info.mapping).read(0, 0, height, 0, width)
    return raw[None], mapped[None]


def answer(model: Model, intensities: Intensities, tile: Array) -> Array:
    """Return the probabilities (1, classes, h, w) of this package's own mapping and network."""
    given = ArrayImage(tile[0], "CYX")
    height, width = tile.shape[-2:]
    scale = intensities.scale or (np.zeros(len(tile[0])), np.ones(len(tile[0])))
    mapped = MappedImage(given, Mapping(method="standardise"), scale).read(0, 0, height, 0, width)
    with torch.inference_mode():
        found: Array = model.network(torch.from_numpy(mapped)[None]).softmax(dim=1).numpy()
    return found
