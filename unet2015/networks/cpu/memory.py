"""How much memory ``RowStripUNet`` needs, for plans under a memory cap."""

import torch

from unet2015.geometry import (
    UNetSides,
    after_block,
    after_convolution,
    before_block,
    before_upsampling,
    block_pixels,
    unet_sides,
)
from unet2015.networks.cpu import winograd
from unet2015.networks.cpu.ring_buffer import buffer_values
from unet2015.networks.cpu.row_blocks import BLOCK_BYTES, STRIP_PIXELS, rows_per_block, strip_rows
from unet2015.networks.cpu.up_convolutions import upsampled_pixels
from unet2015.networks.cpu.winograd_layers import is_aligned, winograd_layers
from unet2015.networks.cpu.winograd_weights import POSITIONS
from unet2015.networks.unet2015 import UNet


def workspace_values(
    network: UNet,
    height: int,
    width: int,
    size: int = 4,
    block_bytes: int = BLOCK_BYTES,
    strip_pixels: int = STRIP_PIXELS,
) -> int:
    """Return how many values are alive at most while one input goes through, without the input.

    They are the ring buffers, which stay between inputs, the maps of a row block, and the scores.

    Parameters
    ----------
    network : UNet
    height, width : int
        Of the input, in pixels; legal.
    size : int
        Bytes of a value. Of 2 bytes, the input becomes a copy, and the head and its scores have 4.
    block_bytes, strip_pixels : int
        As for ``RowStripUNet``.
    """
    rows, columns = unet_sides(height, network.depth), unet_sides(width, network.depth)
    entering = strip_rows(network, width, size, block_bytes, strip_pixels)
    buffers = buffer_values(network, height, width, entering)
    blocks = _block_values(network, rows, columns, size, block_bytes)
    scores = network.classes * max(1, 4 // size) * rows.output(0) * columns.output(0)
    # Copies in 2 bytes and in channels last; with one channel both orders are the same.
    image = network.in_channels * height * width * ((size < 4) + (network.in_channels > 1))
    maxima = 16 * max(1, 4 // size) * (network.depth + 1)  # a few single values of each level
    uses_winograd = size <= 4 and is_aligned(network.depth, height, width)
    scratch = _scratch_values(network, rows, columns, size, block_bytes) if uses_winograd else 0
    return image + buffers + blocks + scores + maxima + scratch


def weight_values(network: UNet) -> int:
    """Return how many values the copies of the parameters have."""
    values = sum(parameter.numel() for parameter in network.parameters())
    any_size = unet_sides(network.geometry.smallest, network.depth)
    layers = winograd_layers(network, any_size, any_size, torch.float32)
    # Winograd has 16 transformed weights for each filter of 9; in bfloat16 both, with half of the bytes.
    return values + sum((POSITIONS - 9) * layer.channels_in * layer.channels_out for layer in layers)


def _head_values(network: UNet, channels: int, size: int) -> int:
    """Return how many values the head has for a pixel: the map, its copy of 4 bytes a value, and scores."""
    wider = max(1, 4 // size)
    return channels + (wider * channels if wider > 1 else 0) + wider * network.classes


def _block_values(network: UNet, rows: UNetSides, columns: UNetSides, size: int, block_bytes: int) -> int:
    """Return how many values the maps of a row block have at most, over all levels, down and up."""
    most = 0
    for level, (whole, x) in enumerate(zip(rows.contract, columns.contract, strict=True)):
        channels, out_x = network.width << level, after_block(x)
        high = min(whole, rows_per_block(block_bytes, channels * out_x * size))
        # Both maps of the block; or the second one and its maximum over pairs of rows, before the pooling.
        convolved, pooled = channels * block_pixels(before_block(high), x), channels * high * out_x * 3 // 2
        # Without poolings, the scores of the head beside the map that it reads.
        most = max(most, convolved, pooled, _head_values(network, channels, size) * high * out_x)
    for level, (whole, x) in enumerate(zip(rows.expand, columns.expand, strict=True)):
        channels, out_x = network.width << level, after_block(x)
        high = min(whole, rows_per_block(block_bytes, channels * out_x * size))
        below = upsampled_pixels(before_upsampling(before_block(high)), before_upsampling(x))
        raised = network.raised[level] * 4 * below
        first = channels * after_convolution(before_block(high)) * after_convolution(x)
        second, head = channels * high * out_x, _head_values(network, channels, size) * high * out_x
        # Not packed, the sum of two convolutions holds both; packed, the second is added in place.
        most = max(most, raised + 2 * first, first + second, head)
        most = max(most, raised + 2 * channels * below)  # a padded copy of the map below
    return most


def _scratch_values(network: UNet, rows: UNetSides, columns: UNetSides, size: int, block_bytes: int) -> int:
    """Return how many values of scratch memory Winograd needs at most, for an aligned input."""
    most = 0
    for layer in winograd_layers(network, rows, columns, torch.float32 if size == 4 else torch.bfloat16):
        row_bytes = layer.channels_out * (layer.width - layer.extra_rows) * size
        high = min(layer.height, rows_per_block(block_bytes, row_bytes) + layer.extra_rows)
        values = winograd.scratch_values(high, layer.width, layer.channels_in, layer.channels_out, size)
        most = max(most, values)
    return most
