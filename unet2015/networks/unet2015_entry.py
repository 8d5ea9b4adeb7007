"""The entry of the network of the paper."""

from collections.abc import Callable

import torch
from torch import Tensor

from unet2015.geometry import Geometry, after_block, block_pixels, unet_geometry, unet_sides
from unet2015.networks.architecture import Architecture, FastPath
from unet2015.networks.cpu.convolution_choice import least_product, way_of
from unet2015.networks.cpu.memory import weight_values, workspace_values
from unet2015.networks.cpu.row_strips import RowStripUNet
from unet2015.networks.cpu.winograd_layers import tile_geometry
from unet2015.networks.gpu_pass import gpu_scores, peak_values
from unet2015.networks.unet2015 import UNet
from unet2015.settings import NetworkSettings


def _in_row_strips(network: UNet, dtype: torch.dtype, way: str | None) -> RowStripUNet:
    """Return the scores of a network, whose convolutions are computed as `way` says."""
    return RowStripUNet(network, dtype, winograd_from=0 if way is None else least_product(way))


class Paper(Architecture[NetworkSettings, UNet]):
    """The U-Net of 2015 and the authors' release of it; on a CPU computed in strips of rows."""

    settings = NetworkSettings
    network = UNet
    examples = (NetworkSettings(width=2, depth=2), NetworkSettings(width=3, depth=1, variant="release"))
    encoder = ("contract",)
    source = "doi:10.1007/978-3-319-24574-4_28"
    choose = (
        "the default; on EM it closed membranes best of all (Rand error 0.073), and on touching "
        "cells it was among the best three (SEG 0.642)"
    )
    fast = FastPath(_in_row_strips, way_of, workspace_values, weight_values, tile_geometry)

    def geometry(self, settings: NetworkSettings) -> Geometry:
        """Return the geometry of the network of such settings."""
        return unet_geometry(settings.depth)

    def build(self, settings: NetworkSettings, in_channels: int, classes: int) -> UNet:
        """Return a network."""
        return UNet(in_channels, classes, settings.width, settings.depth, settings.variant, settings.dropout)

    def describe(self, settings: NetworkSettings) -> str:
        """Return what the network is, in a few words."""
        return f"U-Net ({settings.variant}) of width {settings.width} and depth {settings.depth}"

    def peak_values(self, network: UNet, height: int, width: int) -> int:
        """Return how many values are alive at once, at most, while one input goes through in inference."""
        rows, columns = unet_sides(height, network.depth), unet_sides(width, network.depth)
        # `x`: what the next layer reads. `held`: the image, which its caller holds, and the cropped maps.
        x, held, peak = 0, network.in_channels * height * width, 0
        for level, (h, w) in enumerate(zip(rows.contract, columns.contract, strict=True)):
            channels = network.width << level
            peak = max(peak, held + x + channels * block_pixels(h, w))
            x = channels * after_block(h) * after_block(w)
            if level < network.depth:
                held += channels * rows.expand[level] * columns.expand[level]
                # Max pooling gives a quarter of the values, and as int64 where each maximum was.
                peak = max(peak, held + x + x // 4 * 3)
                x //= 4
        for level in reversed(range(network.depth)):
            h, w = rows.expand[level], columns.expand[level]
            channels = network.width << level
            up, skip = network.raised[level] * h * w, channels * h * w
            # The up-convolution, and then the two maps side by side, a copy of both.
            peak = max(peak, held + x + up, held + 2 * up + skip)
            held -= skip
            peak = max(peak, held + up + skip + channels * block_pixels(h, w))
            x = channels * after_block(h) * after_block(w)
        return max(peak, held + x + network.classes * rows.output(0) * columns.output(0))

    def gpu_scores(self, network: UNet) -> Callable[[Tensor], Tensor] | None:
        """Return a faster way to compute the scores on a GPU; None if a layer is not as the paper's."""
        return gpu_scores(network)

    def gpu_peak_values(self, network: UNet, height: int, width: int) -> int:
        """Return how many values are alive at once on a GPU, at most, in inference."""
        return peak_values(network, height, width)
