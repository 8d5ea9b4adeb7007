"""A convolution of many channels and its gradients by Winograd, for training in float32.

The gradient of the input is a convolution of the padded gradient with turned weights, so F(2x2, 3x3) again.
Of turned weights the transform is that of the weights with the positions in another order.

The gradient of the weights of a tile is a convolution of its 4 x 4 pixels ``d`` with the 2 x 2 gradients
``y``, which gives 3 x 3 values, F(3x3, 2x2), by the transposed matrices of
:mod:`~unet2015.networks.cpu.winograd`::

    gradient = G' [(B' d B) * (A y A')] G

Over many tiles the products are 16 matrix products again: (channels out x tiles) times (tiles x channels in),
and ``G' ... G`` follows once for their sums.
"""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from unet2015.geometry import after_convolution
from unet2015.matrices import product
from unet2015.networks.cpu import winograd
from unet2015.networks.cpu.winograd_weights import POSITIONS, WeightsOfOnePass, transform_weights

_BYTES = 32 * 2**20
"""About how many bytes of transformed maps are multiplied at a time for the gradient of the weights. Each
time their products are added to 16 matrices; with 8 MiB that takes up to a quarter longer."""
_TURNED = (3, 1, 2, 0)
"""Position of a row of G g in the transform of the turned g: the middle rows are the same from both ends."""


def convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], relu: bool
) -> Tensor:
    """Return a 3x3 convolution, or that and its ReLU.

    Parameters
    ----------
    x : Tensor, shape (N, channels in, H, W)
        Float32, on a CPU.
    weight : Tensor, shape (channels out, channels in, 3, 3)
    bias : Tensor or None
        (channels out,).
    padding : tuple of int
        Rows and columns of zeros on each side.
    relu : bool
        Whether negative outputs become 0. NaN stays.

    Returns
    -------
    Tensor
        (N, channels out, H + 2 * rows - 2, W + 2 * columns - 2), channels last.
    """
    transformed = transform_weights(weight).transpose(1, 2)
    return _convolved(x, WeightsOfOnePass([*transformed]), bias, padding, 0 if relu else -torch.inf)


def input_gradient(gradient: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
    """Return the gradient of the input of `convolution`, given that of its output, without a ReLU."""
    transformed = transform_weights(weight)
    turned = [transformed[4 * row + column] for row in _TURNED for column in _TURNED]
    rows, columns = padding
    return _convolved(gradient, WeightsOfOnePass(turned), None, (2 - rows, 2 - columns), -torch.inf)


def _convolved(
    x: Tensor, weights: WeightsOfOnePass, bias: Tensor | None, padding: tuple[int, int], least: float
) -> Tensor:
    x, scratch = _padded(x, padding), winograd.Scratch(x.dtype)
    made = [winograd.convolve([tile], weights, bias, scratch, least) for tile in torch.split(x, 1)]
    whole = made[0] if len(made) == 1 else torch.cat(made)
    return whole.contiguous(memory_format=torch.channels_last)


def _padded(x: Tensor, padding: tuple[int, int]) -> Tensor:
    rows, columns = padding
    return functional.pad(x, (columns, columns, rows, rows)) if rows or columns else x


def weight_gradient(x: Tensor, gradient: Tensor, padding: tuple[int, int]) -> Tensor:
    """Return the gradient of the weights of `convolution`, given its input and the gradient of its output.

    Returns
    -------
    Tensor
        (channels out, channels in, 3, 3), channels last.
    """
    x = _padded(x, padding)
    height, width = (after_convolution(size) for size in x.shape[-2:])
    if height % 2 or width % 2:  # tiles have 2 x 2 outputs; the gradient of those that there are not is 0
        surplus = (0, width % 2, 0, height % 2)
        x, gradient = functional.pad(x, surplus), functional.pad(gradient, surplus)
    inner, outer = x.shape[1], gradient.shape[1]
    sums: Tensor | None = None
    for pixels, made in zip(x.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1), strict=True):
        for values, gradients in _transformed(pixels, made):
            each = [product(one.t(), other) for one, other in zip(gradients, values, strict=True)]
            sums = torch.stack(each) if sums is None else sums.add_(torch.stack(each))
    assert sums is not None
    found = (_back(x.dtype) @ sums.view(POSITIONS, -1)).view(3, 3, outer, inner)
    return found.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)


def _transformed(pixels: Tensor, made: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ``B' d B`` and ``A y A'`` of some rows of tiles: (16, tiles, channels in), and with those out.

    Parameters
    ----------
    pixels : Tensor, shape (H + 2, W + 2, channels in)
    made : Tensor, shape (H, W, channels out)
        The gradient; H and W are even.
    """
    height, width, outer = made.shape
    inner, across = pixels.shape[2], width // 2
    most = max(1, _BYTES // (made.itemsize * POSITIONS * across * (inner + outer)))
    for top, bottom in winograd.row_chunks(height, most):
        down = (bottom - top) // 2
        values = pixels.new_empty(4, 4, down, across, inner)
        half = pixels.new_empty(down * (2 * across + 2) * inner)
        winograd.transform_input(pixels[top : bottom + 2], values, half)
        gradients = _spread(made[top:bottom])
        yield values.view(POSITIONS, -1, inner), gradients.view(POSITIONS, -1, outer)


def _spread(made: Tensor) -> Tensor:
    """Return ``A y A'`` of the tiles of a gradient (rows, columns, channels): (4, 4, down, across, channels).

    The rows of A are (1, 0), (1, 1), (1, -1), (0, -1). The sign of the last one is left to `_back`.
    """
    upper, lower = made[0::2], made[1::2]
    out = made.new_empty(4, 4, len(upper), made.shape[1] // 2, made.shape[2])
    for i, row in enumerate((upper, upper + lower, upper - lower, lower)):
        left, right = row[:, 0::2], row[:, 1::2]
        out[i, 0].copy_(left)
        torch.add(left, right, out=out[i, 1])
        torch.sub(left, right, out=out[i, 2])
        out[i, 3].copy_(right)
    return out


@cache
def _back(dtype: torch.dtype) -> Tensor:
    """Return the matrix (9, 16) of ``G' ... G``, with the sign of the last row of A."""
    g = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, -1]], dtype=dtype)
    return torch.einsum("ia,jb->abij", g, g).reshape(9, POSITIONS)
