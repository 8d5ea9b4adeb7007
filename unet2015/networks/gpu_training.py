"""Convolutions for training on a GPU: bias and ReLU in the same kernel, forward and backward.

torch takes a kernel for each of them, and each reads and writes a whole map: on a large GPU they take as long
as the convolutions themselves. The parameters stay those of the network, under the same names.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from unet2015.networks.architecture import TrainingScores


def fuse(network: nn.Module) -> None:
    """Replace each convolution that a ReLU follows, in all ``nn.Sequential`` of a network, by one module.

    The names and values of the parameters stay; all else in the network is left alone. The results are those
    of the two modules up to rounding.
    """
    for sequence in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for k, (first, second) in enumerate(pairwise(list(sequence))):
            if type(first) is not nn.Conv2d or type(second) is not nn.ReLU:  # a subclass may do more
                continue
            if first.padding_mode == "zeros" and not isinstance(first.padding, str):
                sequence[k], sequence[k + 1] = ConvolutionReLU(first), nn.Identity()


class ConvolutionReLU(nn.Module):
    """A convolution and its ReLU.

    Parameters
    ----------
    convolution : nn.Conv2d
        Padded with zeros, if at all. Its parameters are taken over, not copied.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight = convolution.weight
        self.bias: nn.Parameter | None = convolution.bias  # type: ignore[assignment]
        self.shape = (convolution.stride, convolution.padding, convolution.dilation, convolution.groups)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved maps, 0 where they were negative; under autocast in its precision."""
        kind = x.device.type
        values: list[Tensor | None] = [x, self.weight, self.bias]
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
            values = [None if value is None else value.to(dtype) for value in values]
        found: Tensor = _ConvolutionReLU.apply(*values, self.shape)  # type: ignore[no-untyped-call]
        return found


class _ConvolutionReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, shape: Any) -> Tensor:
        if x.device.type == "cuda" and x.dtype == torch.bfloat16:
            found = torch.cudnn_convolution_relu(x, weight, bias, *shape)
        else:
            found = functional.relu_(torch.conv2d(x, weight, bias, *shape))
        ctx.save_for_backward(x, weight, found)
        ctx.shape, ctx.has_bias = shape, bias is not None
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, found = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.shape
        gradient = torch.ops.aten.threshold_backward(gradient, found, 0)
        needs = ctx.needs_input_grad
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, stride, padding, dilation, False, [0, 0], groups, [*needs[:2], False]
        )
        return of_x, of_weight, bias_gradient(gradient) if ctx.has_bias and needs[2] else None, None


def bias_gradient(gradient: Tensor) -> Tensor:
    """Return the sum over all but the channels of a gradient (N, C, H, W): (C,), summed in float32 at least.

    Of maps whose channels lie side by side, each row is as wide as a row of pixels with all its channels, and
    the rows are added first. A sum to the few channels at once uses a small part of a GPU.
    """
    exact = torch.promote_types(gradient.dtype, torch.float32)
    if not gradient.is_contiguous(memory_format=torch.channels_last):
        return gradient.sum((0, 2, 3), dtype=exact).to(gradient.dtype)
    tiles, channels, height, width = gradient.shape
    rows = gradient.permute(0, 2, 3, 1).view(tiles * height, width * channels)
    return rows.sum(0, dtype=exact).view(width, channels).sum(0).to(gradient.dtype)


def cast_weights(scores: TrainingScores, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the weights of a network's convolutions in another precision, all of them by one kernel.

    For ``torch.func.functional_call``. They are those that autocast would cast, one by one; the heads', which
    stay exact, are not among them. Gradients are cast back in one kernel, too.

    Returns
    -------
    dict of Tensor
        By the names of the parameters.
    """
    kinds, exact = (nn.Conv2d, nn.ConvTranspose2d, ConvolutionReLU), scores.network.heads
    found = {
        f"{place}.{name}": weight
        for place, module in scores.named_modules()
        if isinstance(module, kinds) and module not in exact
        for name, weight in module.named_parameters(recurse=False)
    }
    cast = _Cast.apply(dtype, *found.values())  # type: ignore[no-untyped-call]
    return dict(zip(found, cast, strict=True))


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.before = weights[0].dtype
        return _all_in(weights, dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, *_all_in(gradients, ctx.before)


def _all_in(tensors: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    found = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(found, tensors)
    return tuple(found)
