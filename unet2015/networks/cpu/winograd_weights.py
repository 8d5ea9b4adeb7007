"""The weights of a Winograd convolution: transformed, the products with them, and back.

In float32 the products are oneDNN's with packed weights. torch's own are MKL's, which uses half of an AMD
processor's vectors (benchmarks/NOTES.md). oneDNN chooses its kernels by what a processor can do, whoever made
it, and sums over the channels in one order, however many rows there are; MKL has another one for fewer than
four. The operators are those of torch's compiler, not public: :func:`can_multiply` tries them once.

In bfloat16 torch's own batches of products are oneDNN's, with the same sums, and add to what is there before
they round.
"""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

MAX_WEIGHT = 1e30
"""Largest weight whose transform stays finite in float32 and can be inverted."""
POSITIONS = 16
"""Of a tile: 4 x 4."""
_BIAS_AT = 5
"""Column 1 of A' is (1, 1): position (1, 1) enters each of the four outputs once, as the bias must."""
_TILES = 512
"""About as many as are multiplied at a time. With one fixed number, all maps share the packed weights."""

RowSums = tuple[Sequence[Tensor], Sequence[Tensor], Tensor]
"""Both rows of ``A' m``, four of (tiles, channels out) each, and memory for as many values as one of them."""


class PackedWeights:
    """The transformed weights of a convolution of one map, or of several that are concatenated, in float32.

    Parameters
    ----------
    parts : sequence of Tensor
        For each map (channels out, channels in, 3, 3), float32.

    Attributes
    ----------
    channels_in : list of int
        Of each map.
    channels_out : int
    packed : list of Tensor
        For each position the matrix of all channels, in the order of oneDNN's kernels.
    products_in_scratch : int
        How many values :meth:`row_sums` needs for each tile and channel of the output.
    """

    products_in_scratch = 0

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self.channels_in, self.channels_out = [part.shape[1] for part in parts], len(parts[0])
        pack: Callable[..., Tensor] = torch.ops.mkldnn._reorder_linear_weight
        self.packed = [pack(each.t().contiguous(), _TILES) for each in _transformed_together(parts)]

    def multiply(self, values: Tensor, bias: Tensor | None) -> list[Tensor]:
        """Return the products with `values` (16, tiles, channels in): 16 of (tiles, channels out).

        The bias (channels out,), if any, is added where it enters each output once.
        """
        multiply: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise
        return [
            multiply(values[at], self.packed[at], bias if at == _BIAS_AT else None, "none", [], "")
            for at in range(POSITIONS)
        ]

    def row_sums(self, values: Tensor, bias: Tensor | None, before: Tensor, after: Tensor) -> RowSums:
        """Return ``A' m`` of the products ``m`` with `values` (16, tiles, channels in), and the bias.

        `before`, the memory of the values, is overwritten; `after` is not needed.
        """
        products = self.multiply(values, bias)
        one, *lower = before[: 5 * products[0].numel()].view(5, *products[0].shape)
        first, second, third, fourth = (products[row : row + 4] for row in range(0, POSITIONS, 4))
        for j in range(4):  # rows of A': (1, 1, 1, 0) and (0, 1, -1, -1)
            torch.sub(second[j], third[j], out=lower[j]).sub_(fourth[j])
            first[j].add_(second[j]).add_(third[j])
        return first, lower, one

    def restored(self) -> list[Tensor]:
        """Return the weights of each map as they were, up to a rounding; channels last."""
        transformed = torch.stack([each.to_dense().t() for each in self.packed])
        return [restore_weights(part) for part in torch.split(transformed, self.channels_in, dim=1)]


class WeightsOfOnePass(PackedWeights):
    """Transformed weights of one map in float32 as they are: packing would take as long as it saves.

    Parameters
    ----------
    transformed : sequence of Tensor
        16 of (channels out, channels in); each or its transpose is contiguous.
    """

    def __init__(self, transformed: Sequence[Tensor]) -> None:
        self.channels_out, inner = transformed[0].shape
        self.channels_in, self.packed = [inner], list(transformed)


class BatchedWeights:
    """The same in bfloat16; the transformed weights are rounded once.

    Parameters
    ----------
    parts : sequence of Tensor
        For each map (channels out, channels in, 3, 3), bfloat16.

    Attributes
    ----------
    channels_in : list of int
        Of each map.
    channels_out : int
    parts : sequence of Tensor
        As given: 8 bits of a sum of nine do not give them back.
    transformed : Tensor
        (16, channels in, channels out).
    products_in_scratch : int
        How many values :meth:`row_sums` needs for each tile and channel of the output.
    """

    products_in_scratch = 12

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self.channels_in, self.channels_out = [part.shape[1] for part in parts], len(parts[0])
        self.parts, self.transformed = parts, _transformed_together(parts)
        self._first, self._middle, self._last = torch.split(self.transformed, [4, 8, 4])

    def row_sums(self, values: Tensor, bias: Tensor | None, before: Tensor, after: Tensor) -> RowSums:
        """Return ``A' m`` of the products ``m`` with `values` (16, tiles, channels in), and the bias.

        `before` is the memory of the values; `after`, that of the products, is overwritten.
        """
        memory = after.view(self.products_in_scratch, values.shape[1], self.channels_out)
        upper, third, lower = memory[:4], memory[4:8], memory[8:]
        # Rows of A': (1, 1, 1, 0) and (0, 1, -1, -1). Both need the rows in the middle; the others are added
        # to these sums where they are made.
        torch.bmm(values[4:12], self._middle, out=memory[:8])
        if bias is not None:
            memory[_BIAS_AT - 4].add_(bias)
        torch.sub(upper, third, out=lower)
        upper.add_(third)
        upper.baddbmm_(values[:4], self._first)
        lower.baddbmm_(values[12:], self._last, alpha=-1)
        return list(upper), list(lower), third[0]

    def restored(self) -> list[Tensor]:
        """Return the weights of each map as they were."""
        return list(self.parts)


WinogradWeights = PackedWeights | BatchedWeights
DTYPES = (torch.float32, torch.bfloat16)
"""What Winograd convolutions are computed in."""


def winograd_weights(parts: Sequence[Tensor]) -> WinogradWeights:
    """Return the transformed weights of a convolution of one map, or of several that are concatenated."""
    return PackedWeights(parts) if parts[0].dtype == torch.float32 else BatchedWeights(parts)


def _transformed_together(parts: Sequence[Tensor]) -> Tensor:
    """Return the transformed weights of all maps: (16, channels in, channels out)."""
    each_map = [transform_weights(part) for part in parts]
    return torch.cat(each_map, dim=1) if len(parts) > 1 else each_map[0]


def transform_weights(weight: Tensor) -> Tensor:
    """Return ``G g G'`` for weights (channels out, channels in, 3, 3): (16, channels in, channels out)."""
    out = torch.empty(4, 4, *weight.shape[:2], dtype=weight.dtype)
    # In float64, so that each is rounded once; in parts, as all at once would take four times the memory.
    for start in range(0, len(weight), 64):
        part = weight[start : start + 64].permute(2, 3, 0, 1).double()
        for y, row in enumerate(_transformed(part)):
            for x, each in enumerate(_transformed(row)):
                out[y, x, start : start + 64] = each
    return out.flatten(0, 1).transpose(1, 2)  # in memory the channels in come last, as they are packed


def _transformed(g: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return ``G g``, of the first axis: (g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2)."""
    ends, middle = (g[0] + g[2]) / 2, g[1] / 2
    return g[0], ends + middle, ends - middle, g[2]


def restore_weights(weight: Tensor) -> Tensor:
    """Undo :func:`transform_weights`: (channels out, channels in, 3, 3), channels last.

    Corners come back exactly, the middle row and column up to a rounding.
    """

    def three(four: Tensor) -> Tensor:  # row 1 of G minus row 2 is (0, 1, 0)
        return torch.stack([four[0], four[1] - four[2], four[3]])

    rows = three(weight.reshape(4, 4, *weight.shape[1:]))
    both = three(rows.transpose(0, 1)).permute(3, 2, 1, 0)
    return both.contiguous(memory_format=torch.channels_last)


@cache
def can_multiply(dtype: torch.dtype) -> bool:
    """Whether this torch has the products of Winograd in `dtype`, and they compute what they should."""
    if dtype not in DTYPES or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    weight, bias, values = drawn(4, 3, 3, 3), drawn(4), drawn(POSITIONS, 5, 3)
    with torch.inference_mode():
        expected = torch.bmm(values.float(), transform_weights(weight.float()))
        expected[_BIAS_AT] += bias.float()
        m = expected.view(4, 4, 5, 4)
        try:
            weights = winograd_weights([weight])
            memory = torch.empty(2, 12 * 5 * 4, dtype=dtype)
            upper, lower, _ = weights.row_sums(values, bias, *memory)
            found = [(m[0] + m[1] + m[2], torch.stack(list(upper)).float())]
            found += [(m[1] - m[2] - m[3], torch.stack(list(lower)).float())]
            found += [(weight.float(), weights.restored()[0].float())]
        except (AttributeError, RuntimeError, TypeError):
            return False
    tolerance = 1e-4 if dtype == torch.float32 else 0.1
    return all(bool((one - other).abs().max() <= tolerance * one.abs().max()) for one, other in found)
