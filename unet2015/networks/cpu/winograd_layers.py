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
from unet2015.networks.unet2015 import UNet


class WinogradConvolution:
    """An unpadded 3x3 convolution by Winograd, with a fused ReLU.

    Parameters
    ----------
    weight : Tensor
        (channels out, channels in, 3, 3), float32.
    bias : Tensor or None
        None for a part of a :class:`WinogradConcatConvolution`.
    scratch : winograd.Scratch
        Shared with other layers.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, scratch: winograd.Scratch) -> None:
        self.bias, self.scratch = bias, scratch
        self.bound = OutputBound.of(weight.abs().sum(dim=(1, 2, 3)), bias)
        self.weight = winograd.transform_weights(weight)

    def plain(self, relu: bool = True) -> Convolution:
        """Return the same convolution by torch's public functions, which pass NaN on."""
        return Convolution(winograd.restore_weights(self.weight), self.bias, False, relu)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the convolution of `x`, after its ReLU."""
        assert self.bias is not None
        return winograd.convolve([x], [self.weight], self.bias, self.scratch)


class WinogradConcatConvolution:
    """The convolution of two concatenated maps by Winograd, the up-convolution's first."""

    def __init__(self, raised: WinogradConvolution, skip: WinogradConvolution) -> None:
        self.raised, self.skip = raised, skip

    def plain(self) -> ConcatConvolution:
        """Return the same by torch's public functions."""
        return ConcatConvolution(self.raised.plain(), self.skip.plain(relu=False))

    def __call__(self, raised: Tensor, skip: Tensor) -> Tensor:
        """Return the convolution of both maps, after its ReLU."""
        assert self.skip.bias is not None
        weights = [self.raised.weight, self.skip.weight]
        return winograd.convolve([raised, skip], weights, self.skip.bias, self.skip.scratch)


@dataclass(frozen=True)
class WinogradLayer:
    """A convolution of a network that uses Winograd, and the whole map that it makes.

    Attributes
    ----------
    channels_in : tuple of int
        Of each map that it reads: two after crop-and-copy.
    channels_out : int
    height, width : int
        Of its whole output, in pixels.
    extra_rows : int
        Rows that it makes beyond those of the block's output: 2 for the first convolution of a block.
    """

    channels_in: tuple[int, ...]
    channels_out: int
    height: int
    width: int
    extra_rows: int


def winograd_layers(network: UNet, rows: UNetSides, columns: UNetSides) -> Iterator[WinogradLayer]:
    """Yield the convolutions that use Winograd in float32: down from the top, then up levels from the top."""
    levels = range(network.depth + 1)
    read = [
        *(((network.width << level) // 2 if level else network.in_channels,) for level in levels),
        *((raised, network.width << level) for level, raised in enumerate(network.raised)),
    ]
    sides = zip([*rows.contract, *rows.expand], [*columns.contract, *columns.expand], strict=True)
    for level, channels_in, (y, x) in zip([*levels, *levels[:-1]], read, sides, strict=True):
        channels_out = network.width << level
        first_y, first_x = after_convolution(y), after_convolution(x)
        for layer in (
            WinogradLayer(channels_in, channels_out, first_y, first_x, first_y - after_block(y)),
            WinogradLayer((channels_out,), channels_out, after_block(y), after_block(x), 0),
        ):
            if all(winograd.is_worthwhile(channels, channels_out) for channels in layer.channels_in):
                yield layer


def is_aligned(depth: int, *sides: int) -> bool:
    """Whether tiles of these legal sides may use Winograd: the lowest level has an even side."""
    return all(unet_sides(side, depth).contract[-1] % 2 == 0 for side in sides)


def tile_geometry(network: UNet) -> Geometry:
    """Return the geometry that tiles on a CPU should have: if the network uses Winograd, all are aligned."""
    geometry = network.geometry
    if network.head.weight.dtype != torch.float32:
        return geometry
    any_size = unet_sides(geometry.smallest, network.depth)
    if next(winograd_layers(network, any_size, any_size), None) is None:
        return geometry
    smallest = geometry.smallest
    if not is_aligned(network.depth, smallest):
        smallest += geometry.factor
    return Geometry(2 * geometry.factor, geometry.margin, smallest)
