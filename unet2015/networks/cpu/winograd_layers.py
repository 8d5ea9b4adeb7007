"""Which convolutions of a U-Net use Winograd F(2x2, 3x3), as layers, and which tiles are aligned for it.

Aligned: Winograd makes 2 x 2 outputs at once, and rounds the four differently. Two tiles that share a pixel
give it the same rounding only if they group it alike. Grouping is by twos from the first row and column of
each map, so tiles must start at even positions on every level, the lowest included: at multiples of twice the
pooling factor, and with an even side at the lowest level, so that it also holds for tiles that are turned.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from unet2015.geometry import Geometry, UNetSides, after_block, after_convolution, unet_sides
from unet2015.networks.cpu import winograd
from unet2015.networks.cpu.packed_weights import ConcatConvolution, Convolution, OutputBound
from unet2015.networks.cpu.winograd_weights import DTYPES, winograd_weights
from unet2015.networks.unet2015 import UNet

MIN_CHANNEL_PRODUCT = 2**14
"""Channels in times channels out from which on a layer uses Winograd. Measured at width 64: 2**13 is as fast,
2**15 and more are slower (benchmarks/NOTES.md)."""
MIN_BFLOAT16_PRODUCT = 2**18
"""The same in bfloat16, which rounds the transformed maps to 8 bits. Measured at width 64: the mean error of
drawn weights is 1.2 times that of sums over the window; with 2**16 it is 1.5 times, for 4 % of the time."""
MIN_LOWEST_PRODUCT = 2**15
"""The same for the widest layer, without which no layer of a network uses it: little would be won, and tiles
must be aligned."""


class WinogradConvolution:
    """An unpadded 3x3 convolution by Winograd, with a fused ReLU.

    Parameters
    ----------
    weight : Tensor
        (channels out, channels in, 3, 3), float32 or bfloat16.
    bias : Tensor
    scratch : winograd.Scratch
        Shared with other layers.
    """

    def __init__(self, weight: Tensor, bias: Tensor, scratch: winograd.Scratch) -> None:
        self.bias, self.scratch = bias, scratch
        self.bound = OutputBound.of_weights(weight, bias)
        self.weights = winograd_weights([weight])

    def plain(self) -> Convolution:
        """Return the same convolution by torch's public functions, which pass NaN on."""
        return Convolution(self.weights.restored()[0], self.bias, False)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the convolution of `x`, after its ReLU."""
        return winograd.convolve([x], self.weights, self.bias, self.scratch)


class WinogradConcatConvolution:
    """The convolution of two concatenated maps by Winograd, the up-convolution's first.

    Parameters
    ----------
    raised, skip : Tensor
        Weights of both maps, each as for :class:`WinogradConvolution`.
    bias : Tensor
    scratch : winograd.Scratch
        Shared with other layers.
    """

    def __init__(self, raised: Tensor, skip: Tensor, bias: Tensor, scratch: winograd.Scratch) -> None:
        self.bias, self.scratch = bias, scratch
        self.bounds = OutputBound.of_weights(raised, None), OutputBound.of_weights(skip, bias)
        self.weights = winograd_weights([raised, skip])

    def plain(self) -> ConcatConvolution:
        """Return the same by torch's public functions."""
        raised, skip = self.weights.restored()
        return ConcatConvolution(
            Convolution(raised, None, False), Convolution(skip, self.bias, False, relu=False)
        )

    def __call__(self, raised: Tensor, skip: Tensor) -> Tensor:
        """Return the convolution of both maps, after its ReLU."""
        return winograd.convolve([raised, skip], self.weights, self.bias, self.scratch)


@dataclass(frozen=True)
class WinogradLayer:
    """A convolution of a network that uses Winograd, and the whole map that it makes.

    Attributes
    ----------
    channels_in : int
        Of all maps that it reads: two after crop-and-copy.
    channels_out : int
    height, width : int
        Of its whole output, in pixels.
    extra_rows : int
        Rows that it makes beyond those of the block's output: 2 for the first convolution of a block.
    """

    channels_in: int
    channels_out: int
    height: int
    width: int
    extra_rows: int


def uses_winograd(network: UNet, dtype: torch.dtype = torch.float32) -> bool:
    """Whether a network has layers that may use Winograd in `dtype`; in bfloat16 only if in float32, too."""
    lowest = network.width << network.depth
    enough = max(MIN_LOWEST_PRODUCT, MIN_CHANNEL_PRODUCT)
    return (
        lowest * lowest >= enough
        and is_worthwhile(lowest, lowest, dtype)
        and network.head.weight.dtype in DTYPES
    )


def is_worthwhile(channels_in: int, channels_out: int, dtype: torch.dtype, least: float = 0) -> bool:
    """Whether a layer has so many channels that Winograd is worth what it costs, in time and rounding.

    `least` is the least product of channels in and out from which on this is so on a machine.
    """
    if dtype not in DTYPES:
        return False
    least = max(least, MIN_CHANNEL_PRODUCT if dtype == torch.float32 else MIN_BFLOAT16_PRODUCT)
    return channels_in * channels_out >= least


def winograd_layers(
    network: UNet, rows: UNetSides, columns: UNetSides, dtype: torch.dtype, least: float = 0
) -> Iterator[WinogradLayer]:
    """Yield the convolutions that may use Winograd: down from the top, then up levels from the top.

    `dtype` and `least` are as for :func:`is_worthwhile`.
    """
    if not uses_winograd(network, dtype):
        return
    levels = range(network.depth + 1)
    read = [
        *((network.width << level) // 2 if level else network.in_channels for level in levels),
        *(raised + (network.width << level) for level, raised in enumerate(network.raised)),
    ]
    sides = zip([*rows.contract, *rows.expand], [*columns.contract, *columns.expand], strict=True)
    for level, channels_in, (y, x) in zip([*levels, *levels[:-1]], read, sides, strict=True):
        channels_out = network.width << level
        first_y, first_x = after_convolution(y), after_convolution(x)
        for layer in (
            WinogradLayer(channels_in, channels_out, first_y, first_x, first_y - after_block(y)),
            WinogradLayer(channels_out, channels_out, after_block(y), after_block(x), 0),
        ):
            if is_worthwhile(layer.channels_in, channels_out, dtype, least):
                yield layer


def is_aligned(depth: int, *sides: int) -> bool:
    """Whether tiles of these legal sides may use Winograd: the lowest level has an even side."""
    return all(unet_sides(side, depth).contract[-1] % 2 == 0 for side in sides)


def tile_geometry(network: UNet) -> Geometry:
    """Return the geometry that tiles on a CPU should have: if the network uses Winograd, all are aligned."""
    geometry = network.geometry
    if not uses_winograd(network):
        return geometry
    smallest = geometry.smallest
    if not is_aligned(network.depth, smallest):
        smallest += geometry.factor
    return Geometry(2 * geometry.factor, geometry.margin, smallest)
