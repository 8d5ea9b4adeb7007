"""The test tile of an export, and what the model makes of it."""

import numpy as np
import numpy.typing as npt
import torch

from unet2015.exchange.intensities import Intensities
from unet2015.geometry import Geometry
from unet2015.images.array_image import ArrayImage
from unet2015.images.mapping import MappedImage
from unet2015.models.model_file import Model
from unet2015.settings import Mapping
from unet2015.synthetic import em_page

Array = npt.NDArray[np.float32]
LARGEST_DIFFERENCE = 1e-4
"""Of probabilities; a file that differs more from the model is not written. Rounding makes about 1e-6."""
_OUTPUT = 64
"""The least height of what comes out for the test tile, in pixels."""


def tile_sides(geometry: Geometry) -> list[tuple[int, int]]:
    """Return height and width of the test tile and of a second one: legal, and no two sides alike."""
    first, step = geometry.input_for(_OUTPUT), geometry.factor
    return [(first, first + step), (geometry.smallest + step, geometry.smallest)]


def drawn_tile(model: Model, intensities: Intensities, height: int, width: int) -> Array:
    """Return a drawn image (1, channels, height, width), as the graph takes it."""
    channels = model.info.in_channels
    drawn = np.stack([em_page(height, width, 1, channel)[0] for channel in range(channels)]).astype(
        np.float64
    )
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


def raw_tile(model: Model, height: int, width: int) -> tuple[Array, Array]:
    """Return a drawn image (1, channels, height, width) as a microscope gives it, and mapped as a whole."""
    drawn = np.stack([em_page(height, width, 1, channel)[0] for channel in range(model.info.in_channels)])
    raw = drawn.astype(np.float32)
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
