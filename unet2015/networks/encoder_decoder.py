"""An encoder with max pooling, a decoder with 2x2 up-convolutions, and skips that are concatenated."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.geometry import Geometry
from unet2015.networks.padding import PaddedNetwork, class_scores, outputs_of_head


class EncoderDecoder(PaddedNetwork):
    """A padded U-Net, whose blocks make the difference between its kinds.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the scores.
    geometry : Geometry
        Of inference.
    widths : sequence of int
        Channels of each level, from the uppermost.
    block : callable
        (channels before, channels after) to the layers of a level, which keep the size.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        geometry: Geometry,
        widths: Sequence[int],
        block: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__(in_channels, classes, geometry)
        self.contract = nn.ModuleList(map(block, [in_channels, *widths[:-1]], widths))
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in widths[:-1]
        )
        self.expand = nn.ModuleList(block(2 * width, width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], outputs_of_head(classes), 1)

    def whole_scores(self, image: Tensor) -> list[Tensor]:
        """Return the scores of the whole image."""
        x, skips = image, []
        for level, convolve in enumerate(self.contract):
            x = convolve(x)
            if level < len(self.expand):
                skips.append(x)
                x = functional.max_pool2d(x, 2)
        for raise_, convolve in zip(reversed(self.upsample), reversed(self.expand), strict=True):
            x = convolve(torch.cat([skips.pop(), raise_(x)], dim=1))
        return [class_scores(self.head, x)]
