"""The entry of the network of the paper."""

from unet2015.geometry import Geometry, unet_geometry
from unet2015.networks.architecture import Architecture, FastPath
from unet2015.networks.cpu.row_strips import BandedUNet, steps, weight_values, workspace_values
from unet2015.networks.unet2015 import UNet
from unet2015.settings import NetworkSettings


class Paper(Architecture[NetworkSettings, UNet]):
    """The U-Net of 2015 and the authors' release of it; on a CPU computed in bands of rows."""

    settings = NetworkSettings
    network = UNet
    examples = (NetworkSettings(width=2, depth=2), NetworkSettings(width=3, depth=1, variant="release"))
    fast = FastPath(BandedUNet, workspace_values, weight_values, steps)

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
        h, w = height, width
        x, held, peak = 0, network.in_channels * h * w, 0
        for level in range(network.depth + 1):
            channels = network.width << level
            peak = max(peak, held + x + channels * ((h - 2) * (w - 2) + (h - 4) * (w - 4)))
            h, w = h - 4, w - 4
            x = channels * h * w
            if level < network.depth:
                edge = network.edge(level)
                held += channels * (h - 2 * edge) * (w - 2 * edge)
                peak = max(peak, held + x + x // 4 * 3)  # torch keeps where each maximum was, as int64
                h, w, x = h // 2, w // 2, x // 4
        for level in reversed(range(network.depth)):
            channels, raised = network.width << level, network.raised[level]
            h, w = 2 * h, 2 * w
            up, skip = raised * h * w, channels * h * w
            peak = max(peak, held + x + up, held + 2 * up + skip)
            held -= skip
            peak = max(peak, held + up + skip + channels * ((h - 2) * (w - 2) + (h - 4) * (w - 4)))
            h, w = h - 4, w - 4
            x = channels * h * w
        return max(peak, held + x + network.classes * h * w)
