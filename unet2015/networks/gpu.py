"""Networks on a GPU, in inference: a convolution, its bias and its ReLU in one kernel.

Each as a kernel of its own reads and writes the whole map again, at width 64 a third of the time of a pass.
The product is then rounded once, after bias and ReLU, where it was rounded twice. The last layer, of few
channels in float32, is a product of matrices, which takes half the time of such a convolution.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.networks.architecture import Network


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
        if not x.is_cuda or x.dtype == torch.float64 or isinstance(layer.padding, str):
            return functional.relu_(layer(x))
        return torch.cudnn_convolution_relu(
            x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
        )


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
        found = functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return found.permute(0, 3, 1, 2)


def speed_up(network: Network) -> None:
    """Replace layers of a network, in place, by such as are faster on a GPU; not for training."""
    heads = [head for head in network.heads if _is_pointwise(head)]
    for module in list(network.modules()):
        for name, child in module._modules.items():
            if child in heads:
                module._modules[name] = Pointwise(child)
        if isinstance(module, nn.Sequential):
            _join_relu(module)


def _is_pointwise(layer: nn.Conv2d) -> bool:
    return (
        _is_plain(layer)
        and (*layer.kernel_size, *layer.stride, layer.groups) == (1, 1, 1, 1, 1)
        and (layer.padding in ("valid", (0, 0)))
    )


def _join_relu(module: nn.Sequential) -> None:
    """Replace each convolution that a ReLU follows, and that ReLU, by one module."""
    names = list(module._modules)
    for name, after in pairwise(names):
        layer = module._modules[name]
        if _is_plain(layer) and type(module._modules[after]) is nn.ReLU:
            module._modules[name] = ConvolutionReLU(layer)  # type: ignore[arg-type]
            module._modules[after] = nn.Identity()


def _is_plain(layer: nn.Module | None) -> bool:
    """Whether a layer is a convolution that pads with zeros at most, and that nothing hooks into."""
    return (
        type(layer) is nn.Conv2d
        and layer.padding_mode == "zeros"
        and not layer._forward_hooks
        and not layer._forward_pre_hooks
    )
