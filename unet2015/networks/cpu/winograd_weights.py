"""The weights of a Winograd convolution: transformed, packed for oneDNN's matrix products, and back.

torch's own matrix products are MKL's, which uses half of an AMD processor's vectors (benchmarks/NOTES.md).
oneDNN chooses its kernels by what a processor can do, whoever made it, and sums over the channels in one
order, however many rows there are; MKL has another one for fewer than four. The operators are those of
torch's compiler, not public: :func:`can_multiply` tries them once.
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


class WinogradWeights:
    """The transformed weights of a convolution of one map, or of several that are concatenated.

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
    """

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self.channels_in, self.channels_out = [part.shape[1] for part in parts], len(parts[0])
        each_map = [transform_weights(part) for part in parts]
        transformed = torch.cat(each_map, dim=1) if len(parts) > 1 else each_map[0]
        pack: Callable[..., Tensor] = torch.ops.mkldnn._reorder_linear_weight
        self.packed = [pack(each.t().contiguous(), _TILES) for each in transformed]

    def multiply(self, values: Tensor, bias: Tensor) -> list[Tensor]:
        """Return the products with `values` (16, tiles, channels in): 16 of (tiles, channels out).

        The bias (channels out,) is added where it enters each output once.
        """
        multiply: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise
        return [
            multiply(values[at], self.packed[at], bias if at == _BIAS_AT else None, "none", [], "")
            for at in range(POSITIONS)
        ]

    def restored(self) -> list[Tensor]:
        """Return the weights of each map as they were, up to a rounding; channels last."""
        transformed = torch.stack([each.to_dense().t() for each in self.packed])
        return [restore_weights(part) for part in torch.split(transformed, self.channels_in, dim=1)]


def transform_weights(weight: Tensor) -> Tensor:
    """Return ``G g G'`` for weights (channels out, channels in, 3, 3): (16, channels in, channels out)."""
    out = torch.empty(4, 4, *weight.shape[:2])
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
def can_multiply() -> bool:
    """Whether this torch has oneDNN's products with packed weights, and they compute what they should."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(4, 3, 3, 3, generator=generator), torch.randn(4, generator=generator)
    values = torch.randn(POSITIONS, 5, 3, generator=generator)
    with torch.inference_mode():
        try:
            weights = WinogradWeights([weight])
            found, back = weights.multiply(values, bias), weights.restored()[0]
        except (AttributeError, RuntimeError, TypeError):
            return False
        expected = list(torch.bmm(values, transform_weights(weight)))
        expected[_BIAS_AT] += bias
    same = [(weight, back), *zip(expected, found, strict=True)]
    return all(bool((one - other).abs().max() <= 1e-4 * one.abs().max()) for one, other in same)
