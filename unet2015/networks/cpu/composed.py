"""An up-convolution and the 3x3 convolution of its map as one transposed convolution of 4x4 weights.

In the paper's network no ReLU stands between the two, so they are one linear map. For each pixel and channel
out it takes 4 products for each channel of the map below; both one after the other take 1 and, as they have
half of its channels, 4.5. The raised map is neither written, nor read, nor rounded. Without matrix
units, a pixel has the same bits in a map of any size; with them, the same products are a convolution of 2x2
weights, whose rate depends less on the size of the map (benchmarks/NOTES.md).
"""

import copy
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from unet2015.device import has_matrix_units
from unet2015.networks.cpu.maxima import largest
from unet2015.networks.cpu.packed_weights import ConcatConvolution, Convolution
from unet2015.networks.cpu.row_blocks import columns_of, row_blocks

MIN_CHANNELS = 16
"""Channels out from which on it is worthwhile. With matrix units 8 gain nothing (benchmarks/NOTES.md)."""
_SMALLEST, _LARGEST = 1e-20, 1e20
"""Of the largest composed weight: beyond, some may be infinite, or all 0, where the factors are not."""
_LAST = torch.channels_last
_HEIGHT, _WIDTH = 28, 64
"""Of an input. With one size for all, tiles of all sizes share the packed weights."""
PIECE = 34
"""Most columns that matrix units raise at a time, about equal ones (benchmarks/NOTES.md)."""
_STRIDE, _CROP, _NO_PADDING, _DILATION, _GROUPS = [2, 2], [2, 2], [0, 0], [1, 1], 1


class ComposedConvolution:
    """The convolution of a raised and a cropped map, of the map below and the cropped one.

    Parameters
    ----------
    weight : Tensor
        Composed weights (channels below, channels out, 4, 4), channels last.
    skip : Convolution
        Of the cropped map, without ReLU; its packed weights are shared.
    bias : Tensor
        Of the convolution and, through it, of the up-convolution.
    """

    def __init__(self, weight: Tensor, skip: Convolution, bias: Tensor) -> None:
        self._phases = None
        if has_matrix_units():
            self._phases = Convolution(phases(weight), None, packed=True, relu=False)
            self.weight = self._phases.weight
        else:
            pack: Callable[..., Tensor] = torch.ops.mkldnn._reorder_convolution_transpose_weight
            shape = [1, len(weight), _HEIGHT, _WIDTH]
            self.weight = pack(weight, _CROP, _NO_PADDING, _STRIDE, _DILATION, _GROUPS, shape)
        self._skip = copy.copy(skip)
        self._skip.bias = self.bias = bias

    def __call__(self, below: Tensor, skip: Tensor) -> Tensor:
        """Return the convolution of both maps, after its ReLU."""
        if self._phases is None:
            y: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
                below, self.weight, None, _CROP, _NO_PADDING, _STRIDE, _DILATION, _GROUPS, "none", [], ""
            )
        else:
            y = self._raised(below, self._phases)
        return self._skip.add_to(y, skip)

    def _raised(self, below: Tensor, convolve: Convolution) -> Tensor:
        """Return what the transposed convolution would, from one that has the phases as channels."""
        channels, height, width = len(self.bias), below.shape[2] - 1, below.shape[3] - 1
        y = torch.empty(2 * height, 2 * width, channels, dtype=below.dtype)
        pairs = y.view(height, 2, width, 2 * channels)
        for start, stop in row_blocks(0, width, PIECE):
            part = convolve(columns_of(below, start, stop + 1)).permute(0, 2, 3, 1)
            pairs[:, :, start:stop] = part.view(height, stop - start, 2, 2 * channels).transpose(1, 2)
        return y.permute(2, 0, 1)[None]


def phases(weight: Tensor) -> Tensor:
    """Return weights (4 channels out, channels below, 2, 2) that give each 2x2 pixels out as channels.

    All four see the same 2x2 pixels below: of its rows i and i + 1, row 2 i + phase takes the composed
    weights (channels below, channels out, 4, 4) of the places 2 + phase and phase.
    """
    below, out = weight.shape[:2]
    split = weight.reshape(below, out, 2, 2, 2, 2).flip(2, 4).permute(3, 5, 1, 0, 2, 4)
    return split.reshape(4 * out, below, 2, 2).contiguous(memory_format=_LAST)


def composed(up: tuple[Tensor, Tensor], concat: ConcatConvolution) -> ComposedConvolution | None:
    """Return an up-convolution, of weight and bias, and a packed convolution after it as one.

    None where this torch cannot compute it, or the product of their weights leaves the range of numbers.
    """
    weight = concat.raised.plain().weight
    if len(weight) < MIN_CHANNELS or not can_compose(weight.dtype):
        return None
    both = composed_weights(up[0], weight)
    # A raised pixel sees the bias alone, beside its products; no border is within a valid convolution.
    assert concat.skip.bias is not None
    bias = concat.skip.bias.float() + weight.float().sum(dim=(2, 3)) @ up[1].float()
    most = float(largest(both.abs(), never_nan=True))  # as bits, NaN is larger than all numbers
    if not (_SMALLEST <= most <= _LARGEST and bool(bias.abs().max() <= _LARGEST)):
        return None
    return ComposedConvolution(both, concat.skip, bias.to(weight.dtype))


def composed_weights(up: Tensor, weight: Tensor) -> Tensor:
    """Return the weights (channels below, channels out, 4, 4), channels last.

    Parameters
    ----------
    up : Tensor
        (channels below, channels raised, 2, 2)
    weight : Tensor
        (channels out, channels raised, 3, 3)
    """
    both = up.new_empty(len(up), 4, 4, len(weight))
    for y, rows in enumerate(_MEETING):
        for x, columns in enumerate(_MEETING):
            pairs = [(*row, *column) for row in rows for column in columns]
            # One product of all of them is rounded once.
            raised = torch.cat([up[:, :, i, k] for i, _, k, _ in pairs], dim=1)
            after = torch.cat([weight[:, :, j, m] for _, j, _, m in pairs], dim=1)
            both[:, y, x] = raised @ after.t()
    return both.permute(0, 3, 1, 2)


_MEETING = [[(i, 2 + i - at) for i in (0, 1) if 0 <= 2 + i - at <= 2] for at in range(4)]
"""Along one axis, for each place of the composed weights: the places of both factors whose products count."""


@cache
def can_compose(dtype: torch.dtype) -> bool:
    """Whether this torch has oneDNN's packed transposed convolution, and it computes what it should."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        values = torch.randn(shape, generator=generator).to(dtype)
        return values.contiguous(memory_format=torch.channels_last)

    up, weight, bias = drawn(6, 3, 2, 2), drawn(4, 3, 3, 3), drawn(4, 1, 1, 1).flatten()
    with torch.inference_mode():
        below, cropped = drawn(1, 6, 4, 5), drawn(1, 3, 8, 10)
        try:
            skip = Convolution(weight, bias, packed=True, relu=False)
            found = ComposedConvolution(composed_weights(up, weight), skip, bias)(below, cropped)
        except (AttributeError, RuntimeError, TypeError):
            return False
        raised = functional.conv_transpose2d(below.float(), up.float(), stride=2)
        expected = functional.conv2d(raised, weight.float(), bias.float())
        expected += functional.conv2d(cropped.float(), weight.float())
    off = (found.float() - functional.relu(expected)).abs().max()
    return bool(off <= (1e-4 if dtype == torch.float32 else 0.1) * expected.abs().max())
