"""The gradient of a convolution's weights as nine products of matrices, for training in bfloat16.

With matrix units (AMX) oneDNN multiplies matrices at 600 to 700 GFLOP/s on one thread, where its own gradient
of the weights of many channels runs at 300 to 500 (benchmarks/NOTES.md).
"""

import torch
from torch import Tensor
from torch.nn import functional


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
            torch.mm(made, pixels[start : start + count], out=found[y, across])
    return found.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)
