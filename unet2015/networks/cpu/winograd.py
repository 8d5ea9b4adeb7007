"""Winograd convolution F(2x2, 3x3) with a fused ReLU: 16 products for four outputs instead of 36.

A tile of 4 x 4 pixels ``d`` and a 3x3 filter ``g`` are transformed and multiplied value by value; the inverse
transform gives the 2 x 2 outputs ``Y`` (Lavin and Gray, eq. 8)::

    Y = A' [(G g G') * (B' d B)] A

         1  0 -1  0          1    0    0          1  1  1  0
    B' = 0  1  1  0     G = 1/2  1/2  1/2    A' = 0  1 -1 -1
         0 -1  1  0         1/2 -1/2  1/2
         0  1  0 -1          0    0    1

Over many channels the products are 16 matrix products, one for each of the 4 x 4 positions: (tiles x channels
in) times (channels in x channels out), which oneDNN computes
(:mod:`~unet2015.networks.cpu.winograd_weights`). The transforms are additions only, and so pay where the
products dominate: with many channels.

Rounding: each of the 16 sums has a ninth of the terms of the usual sum over the window, so the mean error
of a network is smaller. But each transformed value mixes pixels, so its rounding error is relative to the
largest of the 4 x 4 pixels: one far above its neighbours is felt in outputs up to a pixel beyond its window.

S. Winograd, "Arithmetic Complexity of Computations", SIAM 1980, doi:10.1137/1.9781611970364.
A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308.
"""

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from unet2015.geometry import after_convolution
from unet2015.networks.cpu.winograd_weights import POSITIONS, RowSums, WinogradWeights

SCRATCH_BYTES = 8 * 2**20
"""About how many bytes of transformed maps are made at a time: what the caches of a desktop processor hold.
With 32 MiB, layers of 256 channels were no faster than the usual convolution (benchmarks/NOTES.md)."""
SUM_GROWTH = 36
"""How many times the bound of the outputs an intermediate sum can reach: 4 x 9. A transformed pixel is a sum
of four pixels, a transformed weight at most the sum of its nine, and an output the sum of nine products."""


class Scratch:
    """Memory for the transformed maps, which all layers use one after the other.

    Parameters
    ----------
    dtype : torch.dtype
        Of the maps.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._memory = torch.empty(0, dtype=dtype)

    def __call__(self, *sizes: int) -> list[Tensor]:
        """Return tensors of so many values, not initialised; valid until the next call."""
        if self._memory.numel() < sum(sizes):
            dtype = self._memory.dtype
            self._memory = torch.empty(0, dtype=dtype)  # free the old memory before taking the new
            self._memory = torch.empty(sum(sizes), dtype=dtype)
        return list(torch.split(self._memory[: sum(sizes)], list(sizes)))


def convolve(
    maps: Sequence[Tensor],
    weights: WinogradWeights,
    bias: Tensor | None,
    scratch: Scratch,
    least: float = 0,
) -> Tensor:
    """Return the unpadded 3x3 convolution of concatenated maps, after its ReLU.

    Parameters
    ----------
    maps : sequence of Tensor
        (1, channels, H, W), float32 or bfloat16, all of one size; fast if channels last.
    weights : WinogradWeights
        For these maps, in their precision.
    bias : Tensor or None
        (channels out,).
    scratch : Scratch
        For the transformed maps, in their precision.
    least : float
        Smaller outputs become this: minus infinity leaves the ReLU out.

    Returns
    -------
    Tensor
        (1, channels out, H - 2, W - 2), channels last.
    """
    height, width = (after_convolution(size) for size in maps[0].shape[-2:])
    if height % 2 or width % 2:  # tiles give 2 x 2 outputs: pad, and cut the surplus from the result
        maps = [functional.pad(x, (0, width % 2, 0, height % 2)) for x in maps]
    inputs = [x[0].permute(1, 2, 0) for x in maps]
    channels_in, channels_out, across = sum(weights.channels_in), weights.channels_out, (width + 1) // 2
    out = maps[0].new_empty(height + height % 2, 2 * across, channels_out)
    most = _max_tile_rows(across, channels_in, channels_out, out.itemsize)
    for top, bottom in row_chunks(len(out), most):
        down = (bottom - top) // 2
        sizes = _scratch_sizes(down, across, channels_in, channels_out)
        before, half, after = scratch(*sizes[:2], weights.products_in_scratch * down * across * channels_out)
        tiles = _view(before, 4, 4, down, across, channels_in)
        # Side by side, as the maps are concatenated: their convolution is one sum over all channels.
        for pixels, part in zip(inputs, torch.split(tiles, weights.channels_in, dim=-1), strict=True):
            transform_input(pixels[top : bottom + 2], part, half)
        values = tiles.view(POSITIONS, down * across, channels_in)
        _inverse_transform(weights.row_sums(values, bias, before, after), out[top:bottom], least)
    return out.permute(2, 0, 1)[None, :, :height, :width]


def scratch_values(height: int, width: int, channels_in: int, channels_out: int, size: int) -> int:
    """Return how many values outputs of up to `height` x `width` pixels need on the way, at most.

    `channels_in` are those of all maps together, `size` the bytes of a value.
    """
    across = (width + 1) // 2
    down = min((height + 1) // 2, _max_tile_rows(across, channels_in, channels_out, size))
    return sum(_scratch_sizes(down, across, channels_in, channels_out))


def _max_tile_rows(across: int, channels_in: int, channels_out: int, size: int) -> int:
    """Return how many rows of tiles are transformed at a time, at most."""
    # Each chunk reads all weights. With fewer values than they have, that takes longer than the products.
    weight_bytes = size * POSITIONS * channels_in * channels_out
    row_bytes = size * POSITIONS * across * (channels_in + channels_out)
    return max(1, max(SCRATCH_BYTES, weight_bytes) // row_bytes)


def row_chunks(rows: int, most: int) -> Iterator[tuple[int, int]]:
    """Divide an even number of output rows into chunks of about equal height, of `most` rows of tiles."""
    # -(-a // b) rounds up.
    parts = -(-rows // (2 * most))
    step = -(-rows // (2 * parts)) * 2
    for top in range(0, rows, step):
        yield top, min(top + step, rows)


def _scratch_sizes(down: int, across: int, channels_in: int, channels_out: int) -> tuple[int, int, int]:
    """Return the values of ``B' d B``, of ``B' d``, and of the products at most, for down x across tiles."""
    tiles = down * across
    # Once the products are there, the first may be reused: for four sums of rows and another.
    before = tiles * max(POSITIONS * channels_in, 5 * channels_out)
    return before, down * (2 * across + 2) * channels_in, POSITIONS * tiles * channels_out


def _view(memory: Tensor, *shape: int) -> Tensor:
    return memory[: prod(shape)].view(shape)


def transform_input(pixels: Tensor, out: Tensor, scratch: Tensor) -> None:
    """Write ``B' d B`` of the tiles of `pixels` (rows, columns, channels), which start at every second pixel.

    The rows are transformed first, once for tiles that lie side by side and share columns.
    """
    _, _, down, across, channels = out.shape
    half = _view(scratch, down, 2 * across + 2, channels)
    rows = [pixels[i : i + 2 * down - 1 : 2] for i in range(4)]
    columns = [half[:, i : i + 2 * across - 1 : 2] for i in range(4)]
    for i in range(4):
        _input_row(rows, i, half)
        for j in range(4):
            _input_row(columns, j, out[i, j])


def _input_row(x: Sequence[Tensor], i: int, out: Tensor) -> None:
    """Write row `i` of ``B' x``: each has two terms."""
    # The columns of the 1 and the -1 in each row of B'; row 1 has two 1s.
    one, other = ((0, 2), (1, 2), (2, 1), (1, 3))[i]
    (torch.add if i == 1 else torch.sub)(x[one], x[other], out=out)


def _inverse_transform(row_sums: RowSums, out: Tensor, least: float) -> None:
    """Write ``A' m A``, raised to at least `least`, to `out` (rows, columns, channels), given ``A' m``."""
    down, across, channels = out.shape[0] // 2, out.shape[1] // 2, out.shape[2]
    upper, lower, memory = row_sums
    one = memory.view(down, across, channels)
    for i, row in enumerate((upper, lower)):
        four = [each.view(down, across, channels) for each in row]
        torch.add(four[1], four[2], out=one).add_(four[0])
        torch.clamp_min(one, least, out=out[i::2, 0::2])
        torch.sub(four[1], four[2], out=one).sub_(four[3])
        torch.clamp_min(one, least, out=out[i::2, 1::2])
