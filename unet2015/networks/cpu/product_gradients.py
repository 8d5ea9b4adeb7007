"""The gradient of a convolution's weights as nine products of matrices.

In bfloat16 with matrix units (AMX) oneDNN multiplies matrices at 600 to 700 GFLOP/s on one thread, where its
own gradient of the weights of many channels runs at 300 to 500. In float32 on a processor with AVX2, but
without AVX-512, that is at 10 to 25 on maps that no cache holds, and products of bands of rows at 30 to 60
(benchmarks/NOTES.md).
"""

import torch
from torch import Tensor
from torch.nn import functional

from unet2015.matrices import product

_BAND = 2**21
"""About how many bytes of the gradient are multiplied at a time in bands: caches hold them."""


def weight_gradient(x: Tensor, gradient: Tensor, padding: tuple[int, int]) -> Tensor:
    """Return the gradient of the weights of a 3x3 convolution, given its input and that of its output.

    All pixels of the input are the rows of one matrix, and a weight reads the same matrix from a row further
    on. The gradient is made as wide as the input, with zeros where there are no outputs. Each sum over all
    pixels of all tiles is one product, added in float32 and rounded once.

    Parameters
    ----------
    x : Tensor, shape (N, channels in, H, W)
    gradient : Tensor, shape (N, channels out, H + 2 * rows - 2, W + 2 * columns - 2)
    padding : tuple of int
        Rows and columns of zeros on each side of the input.

    Returns
    -------
    Tensor
        (channels out, channels in, 3, 3), channels last.
    """
    rows, columns = padding
    x = functional.pad(x, (columns, columns, rows, rows)) if rows or columns else x
    width, inner, outer = x.shape[3], x.shape[1], gradient.shape[1]
    pixels = x.permute(0, 2, 3, 1).reshape(-1, inner)
    made = functional.pad(gradient.permute(0, 2, 3, 1), (0, 0, 0, 2, 0, 2)).view(-1, outer)
    count = len(pixels) - 2 * width - 2
    made = made[:count].t().contiguous()
    found = x.new_empty(3, 3, outer, inner)
    for y in range(3):
        for across in range(3):
            start = y * width + across
            found[y, across] = product(made, pixels[start : start + count])
    return found.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)


def weight_gradient_in_bands(x: Tensor, gradient: Tensor, padding: tuple[int, int]) -> Tensor:
    """Return what `weight_gradient` returns, as a sum over bands of rows; parameters as there."""
    rows, columns = padding
    x = functional.pad(x, (columns, columns, rows, rows)) if rows or columns else x
    _, outer, height, width = gradient.shape
    at_a_time = max(1, _BAND // (gradient.element_size() * outer * width))
    found = x.new_zeros(outer, x.shape[1], 3, 3).contiguous(memory_format=torch.channels_last)
    for tile, made in zip(torch.split(x, 1), torch.split(gradient, 1), strict=True):
        for top in range(0, height, at_a_time):
            band = made[:, :, top : top + at_a_time]
            found += weight_gradient(tile[:, :, top : top + band.shape[2] + 2], band, (0, 0))
    return found
