"""Networks on a GPU, in inference: a convolution, its bias and its ReLU in one kernel.

Each as a kernel of its own reads and writes the whole map again, at width 64 a third of the time of a pass.
The product is then rounded once, after bias and ReLU, where it was rounded twice. The last layer, of few
channels in float32, is a product of matrices, which takes half the time of such a convolution.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.networks.architecture import Network

M = TypeVar("M", nn.Conv2d, nn.ConvTranspose2d)


class ConvolutionReLU(nn.Module):
    """A convolution and the ReLU after it; where there is no such kernel, one after the other.

    Parameters
    ----------
    convolution : nn.Conv2d
        Not copied.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """Return what both give; not for training."""
        layer = self.convolution
        assert not isinstance(layer.padding, str)
        steps = layer.stride, layer.padding, layer.dilation, layer.groups
        return convolution_relu(x, layer.weight, layer.bias, *steps)


def convolution_relu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...] = (1, 1),
    padding: tuple[int, ...] = (0, 0),
    dilation: tuple[int, ...] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Return a convolution after its ReLU: in one kernel on a GPU, which has none in float64."""
    if x.is_cuda and x.dtype != torch.float64:
        return torch.cudnn_convolution_relu(x, weight, bias, stride, padding, dilation, groups)
    return functional.relu_(functional.conv2d(x, weight, bias, stride, padding, dilation, groups))


class Pointwise(nn.Module):
    """A convolution of 1 x 1, as a product of a matrix of all pixels, whose channels lie side by side.

    Parameters
    ----------
    convolution : nn.Conv2d
        Its weights are not copied.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.in_channels, self.out_channels = convolution.in_channels, convolution.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return what the convolution gives."""
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)  # so that its gradient lies in memory as it does
        found = functional.linear(x.permute(0, 2, 3, 1), weight, self.bias)
        return found.permute(0, 3, 1, 2)


def speed_up(network: Network) -> None:
    """Replace layers of a network, in place, by such as are faster on a GPU; not for training."""
    multiply_heads(network)
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            join_relu(module, ConvolutionReLU)


def multiply_heads(network: Network) -> None:
    """Replace the last layers of a network, where they are convolutions of 1 x 1, by products, in place."""
    heads = [head for head in network.heads if is_pointwise(head)]
    for module in list(network.modules()):
        for name, child in module._modules.items():
            if child in heads:
                module._modules[name] = Pointwise(child)


def is_pointwise(layer: nn.Conv2d) -> bool:
    """Whether a layer is a plain convolution of 1 x 1."""
    shape = (*layer.kernel_size, *layer.stride, layer.groups)
    return is_plain(layer, nn.Conv2d) and shape == (1, 1, 1, 1, 1) and layer.padding == (0, 0)


def join_relu(sequence: nn.Sequential, joined: Callable[[nn.Conv2d], nn.Module]) -> None:
    """Replace each plain convolution that a ReLU follows, and that ReLU, by what `joined` makes of it."""
    for k, (layer, after) in enumerate(pairwise(list(sequence))):
        if is_plain(layer, nn.Conv2d) and type(after) is nn.ReLU:
            sequence[k], sequence[k + 1] = joined(layer), nn.Identity()


def is_plain(layer: nn.Module, kind: type[M]) -> TypeGuard[M]:
    """Whether a layer is a convolution of a kind that pads with zeros at most, and that nothing hooks into.

    A subclass is not: it may do more.
    """
    return (
        type(layer) is kind
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and not layer._forward_hooks
        and not layer._forward_pre_hooks
    )
