"""Convolutions for training on a CPU, with gradients that are faster than torch's, and Winograd in float32.

torch asks oneDNN for the gradients of weights and bias together. In an up-convolution the bias then takes up
to ten times as long as the weights, where a sum over the map takes a tenth of their time. In float32 the
gradient of an up-convolution's weights runs at a tenth of the rate of a product of matrices, and that of many
channels by Winograd takes half of the time. In bfloat16 on a processor with matrix units, and in float32 on
one without AVX-512, it is nine products (benchmarks/NOTES.md).
"""

from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from unet2015.device import has_matrix_units
from unet2015.matrices import product
from unet2015.networks.architecture import Network, shared_copy
from unet2015.networks.cpu import product_gradients, winograd_gradients
from unet2015.networks.cpu.winograd_weights import can_multiply
from unet2015.networks.gpu import is_plain, join_relu, multiply_heads
from unet2015.networks.gpu_training import FusedConvolution, Shape, recall, remember

N = TypeVar("N", bound=Network)
_UP = ((2, 2), (0, 0), (1, 1), True, (0, 0), 1)
"""Stride, padding, dilation, transposed, output padding and groups of an up-convolution."""
_LEAST_MAPS = 2**16, 5 * 10**8
"""From how many channels in times channels out on, and how many times that with the pixels, a convolution and
the gradient of its input are faster by Winograd."""
_LEAST_WEIGHTS = 2**14, 10**8
"""The same of the gradient of the weights."""
_LEAST_PRODUCTS = 2**17, 4 * 10**8
"""The same of the gradient of the weights in bfloat16, as products."""
_LEAST_BANDS = 2**9, 10**7
"""The same in float32, in bands."""
_LEAST_UP = 2**13
"""Channels in times channels out from which on a product is faster than oneDNN's convolution backward."""


def fused_copy(network: N) -> N:
    """Return a network that computes and learns the same, up to rounding, and is faster in training on a CPU.

    It is a `shared_copy`: what follows from the modules' modes (drop-out, running means) must be set for it.
    """
    copy = shared_copy(network)
    multiply_heads(copy)
    heads = copy.heads
    for module in list(copy.modules()):
        if isinstance(module, nn.Sequential):
            join_relu(module, CPUConvolutionReLU)
        for name, child in module.named_children():
            if is_plain(child, nn.ConvTranspose2d) or (
                is_plain(child, nn.Conv2d) and child not in heads and _is_wide(child.weight)
            ):
                setattr(module, name, CPUConvolution(child))
    return copy


def _is_wide(weight: Tensor) -> bool:
    """Whether a convolution may use Winograd. Others, without a ReLU, are torch's: a call of Python less."""
    return weight.shape[0] * weight.shape[1] >= _LEAST_WEIGHTS[0] and tuple(weight.shape[2:]) == (3, 3)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, shape: Shape, relu: bool) -> Tensor:
        if _is_for_winograd(x, weight, shape, _LEAST_MAPS):
            found = winograd_gradients.convolution(x, weight, bias, shape[1], relu)
        else:
            found = torch.convolution(x, weight, bias, *shape)
            # Not oneDNN's own ReLU, which turns NaN into 0.
            found = functional.relu_(found) if relu else found
        remember(ctx, x, weight, bias, shape, found if relu else None)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, gradient = recall(ctx, gradient)
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        input_gradient = weight_gradient = None
        if of_x and _is_for_winograd(x, weight, ctx.shape, _LEAST_MAPS):
            input_gradient = winograd_gradients.input_gradient(gradient, weight, ctx.shape[1])
        if of_weight and _is_for_winograd(x, weight, ctx.shape, _LEAST_WEIGHTS):
            weight_gradient = winograd_gradients.weight_gradient(x, gradient, ctx.shape[1])
        elif of_weight and _is_for_products(x, weight, ctx.shape):
            weight_gradient = product_gradients.weight_gradient(x, gradient, ctx.shape[1])
        elif of_weight and _is_for_bands(x, weight, ctx.shape):
            weight_gradient = product_gradients.weight_gradient_in_bands(x, gradient, ctx.shape[1])
        elif of_weight and _is_wide_up(x, weight, ctx.shape):
            weight_gradient = _up_gradient(x, gradient)
        rest = of_x and input_gradient is None, of_weight and weight_gradient is None, False
        if any(rest):
            found = torch.ops.aten.convolution_backward(gradient, x, weight, None, *ctx.shape, rest)
            input_gradient = found[0] if rest[0] else input_gradient
            weight_gradient = found[1] if rest[1] else weight_gradient
        # torch adds in float32 at least, and rounds once.
        bias_gradient = gradient.sum((0, 2, 3)) if ctx.has_bias and of_bias else None
        return input_gradient, weight_gradient, bias_gradient, None, None


class CPUConvolution(FusedConvolution):
    """A convolution or a transposed one."""

    function = _Convolve


class CPUConvolutionReLU(CPUConvolution):
    """A convolution, padded with zeros, if at all, and its ReLU: negative values become 0."""

    relu = True


def _is_for_winograd(x: Tensor, weight: Tensor, shape: Shape, least: tuple[int, int]) -> bool:
    """Whether it is a 3x3 convolution in float32 that is large enough: channels, and channels and pixels."""
    large = _is_large(x, weight, least)
    return large and x.dtype == torch.float32 and _is_usual(weight, shape) and can_multiply(x.dtype)


def _is_for_products(x: Tensor, weight: Tensor, shape: Shape) -> bool:
    """Whether it is a large 3x3 convolution in bfloat16, on a processor with matrix units."""
    large = _is_large(x, weight, _LEAST_PRODUCTS)
    return large and x.dtype == torch.bfloat16 and _is_usual(weight, shape) and has_matrix_units()


def _is_for_bands(x: Tensor, weight: Tensor, shape: Shape) -> bool:
    """Whether it is a large 3x3 convolution in float32, on a processor with AVX2 and no more."""
    large = _is_large(x, weight, _LEAST_BANDS)
    return large and x.dtype == torch.float32 and _is_usual(weight, shape) and stops_at_avx2()


@cache
def stops_at_avx2() -> bool:
    """Whether this processor computes with AVX2, and has no AVX-512."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


def _is_large(x: Tensor, weight: Tensor, least: tuple[int, int]) -> bool:
    channels = weight.shape[0] * weight.shape[1]
    return channels >= least[0] and channels * (x.numel() // x.shape[1]) >= least[1]


def _is_usual(weight: Tensor, shape: Shape) -> bool:
    """Whether it is a convolution over 3x3 pixels, padded by no more than 2."""
    stride, padding, *rest = shape
    usual = (tuple(stride), *rest) == ((1, 1), (1, 1), False, (0, 0), 1) and max(padding) <= 2
    return usual and tuple(weight.shape[2:]) == (3, 3)


def _is_wide_up(x: Tensor, weight: Tensor, shape: Shape) -> bool:
    """Whether it is the paper's up-convolution, of many channels, in float32."""
    wide = weight.shape[0] * weight.shape[1] >= _LEAST_UP
    return wide and x.dtype == torch.float32 and tuple(weight.shape[2:]) == (2, 2) and tuple(shape) == _UP


def _up_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient of an up-convolution's weights: (channels in, channels out, 2, 2).

    Parameters
    ----------
    x : Tensor, shape (N, channels in, H, W)
    gradient : Tensor, shape (N, channels out, 2 H, 2 W)
    """
    tiles, inner, height, width = x.shape
    outer = gradient.shape[1]
    # Each pixel of x makes 2 x 2 of the output, as a row with all their channels.
    made = gradient.permute(0, 2, 3, 1).reshape(tiles, height, 2, width, 2, outer).transpose(2, 3)
    rows = made.reshape(tiles * height * width, 4 * outer)
    pixels = x.permute(0, 2, 3, 1).reshape(tiles * height * width, inner)
    return product(pixels.t(), rows).view(inner, 2, 2, outer).permute(0, 3, 1, 2)
