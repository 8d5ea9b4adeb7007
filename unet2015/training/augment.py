"""Random deformation of training tiles (section 3.1), drawn on the host, done on the device.

A :class:`unet2015.training.draw.Draw` holds the few random numbers of one tile and follows from the seed and
the step alone. A :class:`unet2015.training.tile_source.TileSource` says which part of the image they need;
that part alone goes to the device, where :func:`augment` makes the tile::

    source = TileSource.of(draw(settings, seed, step, height, width), tile, height, width)
    image, classes, weights = (source.cut(plane).to(device) for plane in (image, classes, weights))
    sample = augment(image, classes, weights, source, output)
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from unet2015.training.draw import Draw
from unet2015.training.labels import IGNORED
from unet2015.training.tile_source import TileSource, mirrored, sample_coordinates
from unet2015.training.warp import Corners, blurred, warp_nearest


class Sample(NamedTuple):
    """What the network and the loss get in one step: a batch of one tile."""

    image: Tensor
    """(1, C, tile, tile) float32."""
    classes: Tensor
    """(1, output, output) int64; 255 is not annotated."""
    weights: Tensor
    """(1, output, output) float32; 0 where not annotated."""


def augment(
    image: Tensor,
    classes: Tensor,
    weights: Tensor,
    source: TileSource,
    output: int,
    *,
    deviation: npt.ArrayLike | Tensor = 1.0,
) -> Sample:
    """Deform a tile, its classes and its weights by one warp, on the device that holds them.

    Parameters
    ----------
    image : Tensor
        (C, h, w) float32, after the mapping: the box of `source`, as are the other two.
    classes : Tensor
        (h, w) uint8; 255 is not annotated.
    weights : Tensor
        (h, w) float32.
    source : Source
        Which tile to make of them.
    output : int
        Side of the network's output, in pixels: the centre of the tile.
    deviation : array_like or Tensor
        Standard deviation of the image, after the mapping: one number, or (C,) floats. Default: 1, as for a
        standardised image.

    Returns
    -------
    Sample
        The image over the whole tile by bilinear or bicubic interpolation, then varied in gray value
        about the mean of each channel; over the output the classes at the nearest pixels, and the
        weights by bilinear interpolation.

    Notes
    -----
    Without rotation, scale, displacement, blur and gray value variation the tile equals the image bit by bit.
    """
    draw, device = source.draw, image.device
    y0, y1, x0, x1 = source.box
    for plane in (image, classes, weights):
        assert plane.shape[-2:] == (y1 - y0, x1 - x0), "not the box of the source"
    image, classes, weights = (mirrored(plane, source) for plane in (image, classes, weights))
    at = sample_coordinates(draw, source.tile, device)
    first = (source.tile - output) // 2
    centre = slice(first, first + output)
    corners = Corners.of(at, len(source.columns), source.origin)
    image = corners.interpolate(image, draw.interpolation)
    if draw.blur:
        image = blurred(image, draw.blur, math.ceil(4 * draw.blur))
    if draw.gray_scale or draw.gray_shift:
        image = _vary(image, draw, deviation)
    classes = warp_nearest(classes, at[:, centre, centre], source.origin)
    weights = corners.part(centre).interpolate(weights[None])[0]
    weights.masked_fill_(classes == IGNORED, 0)
    return Sample(image[None], classes[None].long(), weights[None])


def _vary(image: Tensor, draw: Draw, deviation: npt.ArrayLike | Tensor) -> Tensor:
    varied = (image - image.mean(dim=(1, 2), keepdim=True)).mul_(draw.gray_scale).add_(image)
    if isinstance(deviation, Tensor):
        return varied.add_(deviation.to(image).view(-1, 1, 1), alpha=draw.gray_shift)
    # Numbers on the host are arguments of each channel's kernel: nothing is copied, nothing waits.
    for channel, one in zip(varied, np.broadcast_to(np.asarray(deviation), len(image)), strict=True):
        channel.add_(draw.gray_shift * float(one))
    return varied
