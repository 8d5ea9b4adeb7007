"""Layers of an unpadded network on a GPU, in inference, for maps (N, H, W, C).

A map may be cut out of a larger one: its rows and columns are the first of it, and the others mean nothing.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.networks.gpu import convolution_relu

FEWEST = 32
"""Channels of a layer, in and out, from which on it is computed as products, each of which reads and writes
the whole map."""
_ALIGNED = 8
"""A matrix of a bfloat16 product has whole multiples of so many columns: 16 bytes."""

Layer = Callable[[Tensor], Tensor]


def convolution(layer: nn.Conv2d, bias: Tensor | None = None, fused: bool = False) -> Layer:
    """Return an unpadded 3x3 convolution and its ReLU: (N, H, W, C) to (N, H - 2, W - 2, C').

    Parameters
    ----------
    layer : nn.Conv2d
        With a bias.
    bias : Tensor, optional
        In place of its own.
    fused : bool
        As one kernel of cuDNN, whatever the precision.
    """
    bias = layer.bias if bias is None else bias
    assert bias is not None
    if fused or layer.weight.dtype == torch.bfloat16 or min(layer.in_channels, layer.out_channels) < FEWEST:
        return _Fused(layer.weight, bias)
    return _Products(layer.weight, bias)


class _Fused:
    """A convolution in one kernel of cuDNN."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight, self._bias = weight.contiguous(memory_format=torch.channels_last), bias

    def __call__(self, x: Tensor) -> Tensor:
        found = convolution_relu(x.permute(0, 3, 1, 2), self._weight, self._bias)
        return _in_order(found.permute(0, 2, 3, 1))


class _Products:
    """A convolution as nine products, one for each weight of the 3x3.

    All pixels of a map are the rows of one matrix, and a weight reads the same matrix from a row further on:
    nothing is unfolded. In the last two rows and columns, which the result leaves out, stands what means
    nothing. So float32 takes no workspace, sums over the channels first, and is faster than cuDNN's kernels,
    which cannot use the fast units of a GPU either.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weights = [weight[:, :, y, x].t().contiguous() for y in range(3) for x in range(3)]
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        tiles, height, width, _ = x.shape
        pixels, line = _pixels(x), x.stride(1) // x.stride(2)
        count = len(pixels) - 2 * line - 2
        found = pixels.new_empty(len(pixels), len(self._bias))
        sums = found[:count]
        for number, weight in enumerate(self._weights):
            start = number // 3 * line + number % 3
            part = pixels[start : start + count]
            if number == 0:
                torch.addmm(self._bias, part, weight, out=sums)
            else:
                sums.addmm_(part, weight)
        sums.relu_()
        return found.view(tiles, -1, line, found.shape[1])[:, : height - 2, : width - 2]


def _in_order(x: Tensor) -> Tensor:
    """Return a map with the strides of NHWC also along axes of length 1, where torch may have others."""
    return x.reshape(-1).view(x.shape)


def _pixels(x: Tensor) -> Tensor:
    """Return the map that `x` (N, H, W, C) is cut out of, from its first pixel on: a row for each pixel."""
    channels = x.shape[-1]
    return x.as_strided((len(x) * x.stride(0) // channels, channels), (channels, 1))


class UpConvolution:
    """An up-convolution, written into the first channels of a buffer."""

    def __init__(self, layer: nn.ConvTranspose2d, relu: bool) -> None:
        assert layer.bias is not None
        self._weights = layer.weight.permute(2, 3, 0, 1).contiguous()
        self.channels, self._bias, self._relu = layer.out_channels, layer.bias, relu

    def __call__(self, x: Tensor, buffer: Tensor) -> None:
        """Write what is made of `x` (N, H, W, C) into `buffer` (N, 2H, 2W, ...)."""
        height, found = x.shape[1], buffer[..., : self.channels]
        for y in range(2):
            for across in range(2):
                into, pages = found[:, y::2, across::2], x
                if x.stride(0) == height * x.stride(1):  # the rows of all tiles are one batch
                    into, pages = into.flatten(0, 1)[None], x.flatten(0, 1)[None]
                weights = self._weights[y, across].expand(pages.shape[1], -1, -1)
                for page, out in zip(pages, into, strict=True):
                    torch.bmm(page, weights, out=out)
        if self._relu:
            found.add_(self._bias).relu_()

    def folded(self, layer: nn.Conv2d) -> Tensor:
        """Return the bias of the convolution that reads the buffer, with what this layer's adds to it."""
        assert layer.bias is not None
        if self._relu:
            return layer.bias
        seen = layer.weight[:, : self.channels].double().sum((2, 3)) @ self._bias.double()
        return (layer.bias.double() + seen).to(layer.bias.dtype)


class Head:
    """The last layer, float32 at least: (N, H, W, C) to (N, H, W, classes).

    Of bfloat16 maps, a float32 weight is the sum of three of bfloat16, whose products are exact in float32.
    """

    def __init__(self, layer: nn.Conv2d, maps: torch.dtype) -> None:
        self._weight, self._bias, self._classes = layer.weight.flatten(1), layer.bias, layer.out_channels
        self._parts: Tensor | None = None
        if maps == torch.bfloat16 != layer.weight.dtype:
            self._parts = _three_parts(self._weight).t().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scores of the pixels of a map."""
        tiles, height, width, _ = x.shape
        line, pixels = x.stride(1) // x.stride(2), _pixels(x)
        if self._parts is None:
            scores = functional.linear(pixels.to(self._weight.dtype), self._weight, self._bias)
        else:
            each, count = _float32_product(pixels, self._parts), self._classes
            scores = each[:, :count] + each[:, count : 2 * count] + each[:, 2 * count : 3 * count]
            if self._bias is not None:
                scores += self._bias
        return scores.view(tiles, -1, line, self._classes)[:, :height, :width]


def _three_parts(weight: Tensor) -> Tensor:
    """Return three bfloat16 matrices, one after the other and padded, whose sum is `weight`."""
    parts, rest = [], weight
    for _ in range(3):
        parts.append(rest.bfloat16())
        rest = rest - parts[-1]
    found = torch.cat(parts)
    return functional.pad(found, (0, 0, 0, aligned(len(found)) - len(found)))


def _float32_product(one: Tensor, other: Tensor) -> Tensor:
    """Return the product of two bfloat16 matrices, summed and kept in float32."""
    if one.is_cuda and hasattr(torch.ops.aten.mm, "dtype"):  # from torch 2.8 on
        return torch.mm(one, other, out_dtype=torch.float32)
    return one.float() @ other.float()


def aligned(columns: int) -> int:
    """Return how many columns such a matrix has, with zeros, for so many classes and parts."""
    return -(-columns // _ALIGNED) * _ALIGNED
