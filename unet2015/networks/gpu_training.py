"""Convolutions for training on a GPU: bias and ReLU in the same kernel, forward and backward.

torch takes a kernel for each of them, and each reads and writes a whole map: on a large GPU they take as long
as the convolutions themselves. The parameters stay those of the network, under the same names.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from unet2015.networks.architecture import TrainingScores
from unet2015.networks.gpu import is_plain, join_relu

Shape = tuple[Any, ...]
"""Stride, padding, dilation, transposed, output padding and groups, as of ``torch.convolution``."""


def fuse(network: nn.Module) -> None:
    """Replace convolutions and what follows them in a network by modules that are faster in training.

    They are, in all ``nn.Sequential``, each convolution with the ReLU behind it, and up-convolutions
    anywhere. The names and values of the parameters stay; all else in the network is left alone. The results
    are those of the replaced modules up to rounding.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            join_relu(module, TrainedConvolutionReLU)
        for name, child in module.named_children():
            if is_plain(child, nn.ConvTranspose2d):
                setattr(module, name, UpConvolution(child))


class FusedConvolution(nn.Module):
    """A convolution with the parameters of another one, which are taken over, not copied.

    Attributes
    ----------
    function : subclass of torch.autograd.Function
        Takes input, weight and bias in one precision, the `shape`, and `relu`.
    relu : bool
        Whether negative values become 0.
    """

    function: ClassVar[type[torch.autograd.Function]]
    relu = False

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.weight = convolution.weight
        self.bias: nn.Parameter | None = convolution.bias  # type: ignore[assignment]
        transposed = isinstance(convolution, nn.ConvTranspose2d)
        self.shape: Shape = (
            *(convolution.stride, convolution.padding, convolution.dilation),
            *(transposed, convolution.output_padding, convolution.groups),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved maps; under autocast in its precision."""
        kind = x.device.type
        values: list[Tensor | None] = [x, self.weight, self.bias]
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
            values = [None if value is None else value.to(dtype) for value in values]
        found: Tensor = self.function.apply(*values, self.shape, self.relu)  # type: ignore[no-untyped-call]
        return found


def remember(
    ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, shape: Shape, found: Tensor | None
) -> None:
    """Keep what the way back needs of a convolution; `found` is the result, after a ReLU, else None."""
    ctx.save_for_backward(x, weight, *([] if found is None else [found]))
    ctx.shape, ctx.has_bias = shape, bias is not None


def recall(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return input and weight, and the gradient before the ReLU, if there was one."""
    x, weight, *found = ctx.saved_tensors
    if found:
        gradient = torch.ops.aten.threshold_backward(gradient, found[0], 0)
    return x, weight, gradient


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, shape: Shape, relu: bool) -> Tensor:
        if relu and x.device.type == "cuda" and x.dtype == torch.bfloat16:
            stride, padding, dilation, *_, groups = shape
            found = torch.cudnn_convolution_relu(x, weight, bias, stride, padding, dilation, groups)
        else:
            found = torch.convolution(x, weight, bias, *shape)
            found = functional.relu_(found) if relu else found
        remember(ctx, x, weight, bias, shape, found if relu else None)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, gradient = recall(ctx, gradient)
        needs = ctx.needs_input_grad
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, *ctx.shape, [*needs[:2], False]
        )
        return of_x, of_weight, bias_gradient(gradient) if ctx.has_bias and needs[2] else None, None, None


class TrainedConvolutionReLU(FusedConvolution):
    """A convolution, padded with zeros, if at all, and its ReLU: negative values become 0."""

    function, relu = _Convolve, True


class UpConvolution(FusedConvolution):
    """A transposed convolution."""

    function = _Convolve


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
    stay exact, are not among them, nor are those that take no gradient, for which none would be computed.
    Gradients are cast back in one kernel, too.

    Returns
    -------
    dict of Tensor
        By the names of the parameters.
    """
    kinds, exact = (nn.Conv2d, nn.ConvTranspose2d, FusedConvolution), scores.network.heads
    found = {
        f"{place}.{name}": weight
        for place, module in scores.named_modules()
        if isinstance(module, kinds) and module not in exact
        for name, weight in module.named_parameters(recurse=False)
        if weight.requires_grad
    }
    if not found:
        return {}
    cast = _Cast.apply(dtype, *found.values())  # type: ignore[no-untyped-call]
    return dict(zip(found, cast, strict=True))


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.before = weights[0].dtype
        ctx.set_materialize_grads(False)  # a weight that the loss does not see stays without a gradient
        return _all_in(weights, dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        found = iter(_all_in(tuple(one for one in gradients if one is not None), ctx.before))
        return None, *(None if one is None else next(found) for one in gradients)


def _all_in(tensors: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    found = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(found, tensors)
    return tuple(found)
