"""How the work is divided: strips of the input, and within a strip blocks of each level's map."""

from collections.abc import Iterator

import torch
from torch import Tensor

from unet2015.device import has_matrix_units
from unet2015.geometry import after_block, unet_sides
from unet2015.networks.cpu.strip_schedule import Rows
from unet2015.networks.unet2015 import UNet

BLOCK_BYTES = 16 * 2**20
"""Bytes of a row block of a map. From 32 MiB on, glibc takes fresh memory from the system for each tensor;
smaller blocks compute more rows twice. Measured: 16 and 24 MiB are best (benchmarks/NOTES.md)."""
COLUMNS, LEAST_CHANNELS = 34, 256
"""Columns that a block has at most with matrix units, and of how many channels. oneDNN's convolutions have
1.3 to 1.6 times the rate where a map has at most 50 columns; of fewer channels, copies take what it gains."""
STRIP_PIXELS = 1024
"""Pixels that a strip adds to the lowest level, at least. Each strip reads all weights, most of which belong
to that level; with fewer pixels this takes longer than the products. 2048 and 4096 gain 4 to 7 % and cost 214
and 640 MiB in a tile of 2236 px (benchmarks/NOTES.md)."""


def rows_per_block(block_bytes: int, row_bytes: int) -> int:
    """Return how many rows of `row_bytes` a row block has: an even number, as pooling needs; at least 2."""
    return max(2, block_bytes // max(1, row_bytes) // 2 * 2)


def row_blocks(start: int, stop: int, most: int) -> Iterator[Rows]:
    """Divide rows into blocks of about equal height: even numbers of rows, of at most `most`, an even one.

    Only the last block may be odd, if the number of rows is odd. It does for columns, too.
    """
    count = -(-(stop - start) // most)
    if count == 0:
        return
    rows = -(-(stop - start) // count)
    rows += rows % 2
    for low in range(start, stop, rows):
        yield low, min(low + rows, stop)


def columns_per_block(width: int, channels: int, dtype: torch.dtype) -> int:
    """Return how many columns of a map of `width` a block has at most: all, but for matrix units."""
    if dtype == torch.bfloat16 and channels >= LEAST_CHANNELS and has_matrix_units():
        return COLUMNS
    return width


def columns_of(x: Tensor, start: int, stop: int) -> Tensor:
    """Return some columns of a map (1, channels, height, width), without gaps in memory, channels last."""
    return x[..., start:stop].contiguous(memory_format=torch.channels_last)


def strip_rows(
    network: UNet, width: int, size: int, block_bytes: int = BLOCK_BYTES, strip_pixels: int = STRIP_PIXELS
) -> int:
    """Return how many rows of an input of `width` pixels enter with each strip.

    They are enough to give the lowest level `strip_pixels`, and to fill a row block of the uppermost level
    with values of `size` bytes.
    """
    lowest = after_block(unet_sides(width, network.depth).contract[-1])
    rows = -(-strip_pixels // lowest) << network.depth
    return max(rows, rows_per_block(block_bytes, network.width * after_block(width) * size))
