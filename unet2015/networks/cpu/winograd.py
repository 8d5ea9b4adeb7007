"""Convolutions of 3 x 3 with 16 products where the sum over the window takes 36: for many channels.

The minimal filtering F(2 x 2, 3 x 3) of Winograd: 4 x 4 pixels and the nine weights are transformed,
multiplied value by value (a matrix product over the channels), and 2 x 2 outputs come out of the inverse
transform. The transforms are sums and halves alone, and of sixteen sums each has a ninth of the terms,
so that it rounds no worse than the sum over the window. Roundings are of the size of the largest of the
4 x 4 pixels, so that one far above the others is felt by outputs up to a pixel beyond its window.

A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016,
doi:10.1109/CVPR.2016.435.
"""

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

LEAST = 2**15
"""Products of a pixel with a weight (channels in times channels out) from which on the transforms pay."""
ROOM = 8 * 2**20
"""Bytes of transformed maps at a time, about, or as many as the weights have: what a cache holds."""
PARTIAL = 36
"""How many times the bound of the outputs a sum on the way may reach: nine products of sums of four."""
LARGEST = 1e30
"""Weights up to this have transforms that are finite, and give them back."""
_TO_WEIGHTS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


class Room:
    """Memory for the transformed maps, which all layers share one after the other."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def __call__(self, *sizes: int) -> list[Tensor]:
        """Return float32 tensors of so many values, whatever they are; they end with the next call."""
        if self._memory.numel() < sum(sizes):
            self._memory = torch.empty(0)  # the old one goes first
            self._memory = torch.empty(sum(sizes))
        return list(torch.split(self._memory[: sum(sizes)], list(sizes)))


def pays(channels_in: int, channels_out: int) -> bool:
    """Whether so many channels are worth the transforms."""
    return channels_in * channels_out >= LEAST


def transformed(weight: Tensor) -> Tensor:
    """Return weights (channels out, channels in, 3, 3) as (16, channels in, channels out)."""
    turn = torch.tensor(_TO_WEIGHTS, dtype=torch.float64)
    out = torch.empty(4, 4, weight.shape[1], weight.shape[0])
    for start in range(0, len(weight), 64):  # in float64 all at once would be four times the weights
        part = weight[start : start + 64].double()
        out[..., start : start + 64] = torch.einsum("yi,kcij,xj->yxck", turn, part, turn)
    return out.flatten(0, 1)


def original(weight: Tensor) -> Tensor:
    """Return the weights again, channels last, up to a rounding of the middle row and column."""

    def back(four: Tensor) -> Tensor:
        return torch.stack([four[0], four[1] - four[2], four[3]])

    rows = back(weight.view(4, 4, *weight.shape[1:]))
    both = back(rows.transpose(0, 1)).permute(3, 2, 1, 0)
    return both.contiguous(memory_format=torch.channels_last)


def convolve(maps: Sequence[Tensor], weights: Sequence[Tensor], bias: Tensor, room: Room) -> Tensor:
    """Return the unpadded convolution of maps side by side, after its ReLU.

    Parameters
    ----------
    maps : sequence of Tensor
        (1, channels, H, W), float32, of one size; channels last is fast.
    weights : sequence of Tensor
        For each map as :func:`transformed` made them.
    bias : Tensor
        (channels out,).
    room : Room
        For the transformed maps.

    Returns
    -------
    Tensor
        (1, channels out, H - 2, W - 2), channels last.
    """
    height, width = (size - 2 for size in maps[0].shape[-2:])
    if height % 2 or width % 2:
        maps = [functional.pad(x, (0, width % 2, 0, height % 2)) for x in maps]
    inputs = [x[0].permute(1, 2, 0) for x in maps]
    channels, across = len(bias), (width + 1) // 2
    out = torch.empty(height + height % 2, 2 * across, channels)
    most = max(weight.shape[1] for weight in weights)
    for top, bottom in _chunks(len(out), across, most, channels):
        down = (bottom - top) // 2
        before, between, after = room(*_sizes(down, across, most, channels))
        sums = after.view(16, down * across, channels)
        for number, (pixels, weight) in enumerate(zip(inputs, weights, strict=True)):
            tiles = _cut(before, 4, 4, down, across, weight.shape[1])
            _transform(pixels[top : bottom + 2], tiles, between)
            values = tiles.view(16, down * across, weight.shape[1])
            torch.baddbmm(sums, values, weight, beta=int(number > 0), out=sums)
        sums[5] += bias  # the one that each of the four outputs has as it is
        _back(sums.view(4, 4, down, across, channels), before, out[top:bottom])
    return out.permute(2, 0, 1)[None, :, :height, :width]


def room_values(height: int, width: int, channels_in: int, channels_out: int) -> int:
    """Return how many values of the room outputs of up to `height` x `width` pixels need."""
    across = (width + 1) // 2
    down = min((height + 1) // 2, _most(across, channels_in, channels_out))
    return sum(_sizes(down, across, channels_in, channels_out))


def _most(across: int, channels_in: int, channels_out: int) -> int:
    """Return how many rows of tiles are transformed at a time."""
    # With fewer values than the weights have, reading the weights takes longer than the products.
    size = max(ROOM, 4 * 16 * channels_in * channels_out)
    return max(1, size // (4 * 16 * across * (channels_in + channels_out)))


def _chunks(rows: int, across: int, channels_in: int, channels_out: int) -> Iterator[tuple[int, int]]:
    """Divide rows of outputs, an even number, into parts of about equal height that `ROOM` holds."""
    parts = -(-rows // (2 * _most(across, channels_in, channels_out)))
    step = -(-rows // (2 * parts)) * 2
    for top in range(0, rows, step):
        yield top, min(top + step, rows)


def _sizes(down: int, across: int, channels_in: int, channels_out: int) -> tuple[int, int, int]:
    """Return the values that so many tiles need: before the product, half transformed, and after it."""
    tiles = down * across
    # What is before the product is of no use after it, and gives its place to the way back.
    before = tiles * max(16 * channels_in, 5 * channels_out)
    return before, down * (2 * across + 2) * channels_in, 16 * tiles * channels_out


def _cut(memory: Tensor, *shape: int) -> Tensor:
    return memory[: prod(shape)].view(shape)


def _transform(pixels: Tensor, out: Tensor, room: Tensor) -> None:
    """Transform tiles of 4 x 4 pixels (rows, columns, channels), each two after the last."""
    _, _, down, across, channels = out.shape
    half = _cut(room, down, 2 * across + 2, channels)
    rows = [pixels[i : i + 2 * down - 1 : 2] for i in range(4)]
    columns = [half[:, i : i + 2 * across - 1 : 2] for i in range(4)]
    for i in range(4):
        _four(rows, i, half)
        for j in range(4):
            _four(columns, j, out[i, j])


def _four(x: Sequence[Tensor], i: int, out: Tensor) -> None:
    """Write number `i` of the four sums of four values."""
    one, other = ((0, 2), (1, 2), (2, 1), (1, 3))[i]
    (torch.add if i == 1 else torch.sub)(x[one], x[other], out=out)


def _back(sums: Tensor, room: Tensor, out: Tensor) -> None:
    """Write the outputs (rows, columns, channels) of tiles; `sums` are used up."""
    _, _, down, across, channels = sums.shape
    upper, lower = sums[0], _cut(room, 4, down, across, channels)
    one = _cut(room[lower.numel() :], down, across, channels)
    torch.add(sums[1], sums[2], out=lower)
    upper += lower
    torch.sub(sums[1], sums[2], out=lower)
    lower -= sums[3]
    for i, four in enumerate((upper, lower)):
        torch.add(four[1], four[2], out=one).add_(four[0])
        torch.clamp_min(one, 0, out=out[i::2, 0::2])
        torch.sub(four[1], four[2], out=one).sub_(four[3])
        torch.clamp_min(one, 0, out=out[i::2, 1::2])
