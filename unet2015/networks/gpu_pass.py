"""The paper's network on a GPU, in inference: maps of NHWC order, written where they are read next.

- The two maps that are joined have one buffer; the cropped map and the up-convolution are written into it.
- The up-convolution is four products, one for each pixel of its 2x2. Its bias, which the next convolution
  sees everywhere, is part of that one's bias.
- In float32 a convolution is nine products. In bfloat16 cuDNN is faster.
- The last layer of a bfloat16 network is a product with float32 weights in three parts of bfloat16.
"""

import torch
from torch import Tensor, nn

from unet2015.geometry import unet_sides
from unet2015.networks.gpu import is_plain, is_pointwise
from unet2015.networks.gpu_layers import Head, Layer, UpConvolution, aligned, convolution
from unet2015.networks.skips import copy_map
from unet2015.networks.unet2015 import DoubleConvolution, UNet


def gpu_scores(network: UNet) -> "UNetOnGPU | None":
    """Return a faster way to compute the scores of a network; None where a layer is not as the paper's.

    Parameters
    ----------
    network : UNet
        On its device, in the precision it computes in; not copied.
    """
    plain = (
        all(_is_paper_block(block) for block in (*network.contract, *network.expand))
        and all(is_plain(layer, nn.ConvTranspose2d) and _is_doubling(layer) for layer in network.upsample)
        and is_pointwise(network.head)
        and not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    )
    return UNetOnGPU(network) if plain else None


def _is_paper_block(block: nn.Module) -> bool:
    if type(block) is not DoubleConvolution:
        return False
    layers = list(block)
    kinds = [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU]
    return [type(layer) for layer in layers] == kinds and all(_is_unpadded(layer) for layer in layers[::2])


def _is_unpadded(layer: nn.Module) -> bool:
    shape = ((3, 3), (1, 1), (0, 0), (1, 1), 1)
    return (
        is_plain(layer, nn.Conv2d)
        and (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups) == shape
        and layer.bias is not None
    )


def _is_doubling(layer: nn.ConvTranspose2d) -> bool:
    shape = ((2, 2), (2, 2), (0, 0), (0, 0), (1, 1), 1)
    given = layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups
    return given == shape and layer.bias is not None


class UNetOnGPU:
    """The scores of a `UNet` whose layers are the paper's, in inference.

    Parameters
    ----------
    network : UNet
        As for `gpu_scores`.
    """

    def __init__(self, network: UNet) -> None:
        self._network = network.geometry, network.borders, network.raised
        self._contract: list[list[Layer]] = []
        for level, block in enumerate(network.contract):
            one, two = _convolutions(block)  # the first one of all reads an image, of few channels
            self._contract.append([convolution(one, fused=level == 0), convolution(two)])
        self._up: list[UpConvolution] = []
        self._expand: list[list[Layer]] = []
        for layer, block in zip(network.upsample, network.expand, strict=True):
            assert isinstance(layer, nn.ConvTranspose2d)
            up, (one, two) = UpConvolution(layer, relu=network.variant == "release"), _convolutions(block)
            self._up.append(up)
            self._expand.append([convolution(one, up.folded(one)), convolution(two)])
        self._head = Head(network.head, next(network.parameters()).dtype)

    def __call__(self, image: Tensor) -> Tensor:
        """Return scores (N, classes, h, w) for an image (N, in_channels, H, W) of legal size."""
        geometry, borders, raised = self._network
        geometry.check(*image.shape[-2:])
        x, buffers = image.permute(0, 2, 3, 1), list[Tensor]()
        del image
        for level, convolutions in enumerate(self._contract):
            for convolve in convolutions:
                x = convolve(x)
            if level < len(borders):
                buffers.append(_cropped(x, borders[level], raised[level]))
                x = _pooled(x)
        for level in reversed(range(len(borders))):
            self._up[level](x, buffers[-1])
            x = buffers.pop()
            for convolve in self._expand[level]:
                x = convolve(x)
        return self._head(x).permute(0, 3, 1, 2)


def peak_values(network: UNet, height: int, width: int) -> int:
    """Return how many values `UNetOnGPU` holds at once, at most, for one input, which counts."""
    rows, columns = unet_sides(height, network.depth), unet_sides(width, network.depth)
    read = [h * w for h, w in zip(rows.contract, columns.contract, strict=True)]
    joined = [h * w for h, w in zip(rows.expand, columns.expand, strict=True)]
    buffers = [
        (raised + (network.width << level)) * area
        for level, (raised, area) in enumerate(zip(network.raised, joined, strict=True))
    ]
    # `x`: what the next layer reads. A block holds the two maps that it makes; the second is as large as
    # what it reads, with rows and columns that are not valid.
    x, held, peak = 0, 0, 0
    for level, area in enumerate(read):
        one = (network.width << level) * area
        peak = max(peak, held + x + one, held + 2 * one)
        x = one
        if level < network.depth:
            held += buffers[level]
            peak = max(peak, held + one + one // 4)
            x = one // 4
    for level in reversed(range(network.depth)):
        one = (network.width << level) * joined[level]
        peak = max(peak, held + x, held + one)
        held -= buffers[level]
        peak = max(peak, held + 2 * one)
        x = one
    scores = (aligned(3 * network.classes) + 2 * network.classes) * (x // network.width)
    return max(peak, x + scores) + network.in_channels * height * width


def _convolutions(block: nn.Module) -> tuple[nn.Conv2d, nn.Conv2d]:
    assert isinstance(block, nn.Sequential)
    one, two = block[0], block[2]
    assert isinstance(one, nn.Conv2d)
    assert isinstance(two, nn.Conv2d)
    return one, two


def _cropped(x: Tensor, border: int, before: int) -> Tensor:
    """Return a buffer: `before` channels that are still to be written, then a map without its border."""
    tiles, height, width, channels = x.shape
    found = x.new_empty(tiles, height - 2 * border, width - 2 * border, before + channels)
    middle = x[:, border:-border, border:-border]
    copy_map(found[..., before:].permute(0, 3, 1, 2), middle.permute(0, 3, 1, 2))
    return found


def _pooled(x: Tensor) -> Tensor:
    """Return the maximum of each 2x2 pixels; torch's pooling is slower, and also says where it was."""
    tiles, height, width, channels = x.shape
    found = x.new_empty(tiles, height // 2, width // 2, channels)
    pairs = x.view(tiles, height // 2, 2, width // 2, 2, channels)
    return torch.amax(pairs, (2, 4), out=found)
