"""The padded U-Net that sliding windows are used with: the weights of a UNet, sizes kept."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.networks.unet2015 import UNet


class PaddedUNet(nn.Module):
    """A :class:`UNet`'s modules with zero padding in each 3x3 convolution, and nothing cropped.

    Written as such networks usually are. Where a side is odd, pooling loses a row, which is put back on
    the way up by repeating the last, as MONAI's BasicUNet does.
    """

    def __init__(self, network: UNet) -> None:
        super().__init__()
        assert network.variant == "paper"
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return scores (N, classes, H, W) for images (N, channels, H, W)."""
        network = self.network
        skips: list[Tensor] = []
        x = image
        for level, block in enumerate(network.contract):
            x = _convolve(block, x)
            if level < network.depth:
                skips.append(x)
                x = functional.max_pool2d(x, 2)
        for level in reversed(range(network.depth)):
            skip = skips.pop()
            x = network.upsample[level](x)
            missing = [skip.shape[-1] - x.shape[-1], skip.shape[-2] - x.shape[-2]]
            if any(missing):
                x = functional.pad(x, [0, missing[0], 0, missing[1]], "replicate")
            x = _convolve(network.expand[level], torch.cat([x, skip], dim=1))
        scores: Tensor = network.head(x.to(network.head.weight.dtype))
        return scores


def _convolve(block: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(block, nn.Sequential)
    for convolution in (block[0], block[2]):
        assert isinstance(convolution, nn.Conv2d)
        x = functional.relu(
            functional.conv2d(x, convolution.weight, convolution.bias, padding=1), inplace=True
        )
    return x


def largest_difference(network: UNet) -> float:
    """Return the largest difference of both networks' scores, relative, where the padding is not seen.

    The unpadded network pools on a grid that begins 2 px to the left of its input, modulo its pooling
    factor; so the padded one is given a window that begins there.
    """
    factor, margin = network.geometry.factor, network.geometry.margin
    size, around = network.geometry.input_for(2 * factor), 5 * factor
    side = (size + around) // factor * factor
    begin = factor - 2  # 14 modulo 16
    random = torch.Generator().manual_seed(0)
    shape = (1, network.in_channels, begin + side, begin + side)
    image = torch.randn(shape, generator=random).to(network.head.weight.dtype)
    # Far enough inside: the influence of the padding reaches a margin and a step of the grid.
    scores = network(image[..., around : around + size, around : around + size])
    start = around + margin - begin
    stop = start + scores.shape[-1]
    found = PaddedUNet(network)(image[..., begin:, begin:])[..., start:stop, start:stop]
    return float((found - scores).abs().max() / scores.abs().max())
