"""The U-Net of 2015 (Fig. 1 of doi:10.1007/978-3-319-24574-4_28): unpadded, with crop-and-copy."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.arguments import integer, number, text
from unet2015.errors import UsageError
from unet2015.geometry import crop_border, unet_geometry
from unet2015.networks.architecture import Network, exactly
from unet2015.networks.initialisation import draw_weights
from unet2015.networks.skips import concatenate, pool_and_crop
from unet2015.settings import InitialisationSettings

Variant = Literal["paper", "release"]
_MOST = 1 << 16
"""Most channels of a level; more is a mistake."""


class DoubleConvolution(nn.Sequential):
    """Two unpadded 3x3 convolutions, each followed by a ReLU: 4 px less on each axis."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3),
            nn.ReLU(inplace=True),
        )


class UNet(Network):
    """The network of the paper's Fig. 1: scores of shape (N, classes, H - 184, W - 184) at depth 4.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the scores (before the softmax).
    width : int
        Channels of the first level, doubled at each level below. Paper: 64.
    depth : int
        Number of poolings. Paper: 4.
    variant : {"paper", "release"}
        The authors' release differs from Fig. 1: a ReLU follows each up-convolution, and the last
        up-convolution keeps its channels (31,100,354 parameters instead of 31,030,658).
    dropout : float
        Rate of the drop-out "at the end of the contracting path" (section 3.1; the rate is open):
        as in the release, after the last ReLU of the two lowest levels, in training only.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        width: int = 64,
        depth: int = 4,
        variant: Variant = "paper",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        in_channels = integer(in_channels, "in_channels", 1, _MOST)
        classes, width = integer(classes, "classes", 1, _MOST), integer(width, "width", 1, _MOST)
        depth, dropout = integer(depth, "depth", high=8), number(dropout, "dropout", 0, 1)
        text(variant, "variant", "paper or release")
        if variant not in ("paper", "release"):
            raise UsageError(f"UNet: variant must be 'paper' or 'release', not {variant!r}")
        self.in_channels, self.classes, self.width, self.depth = in_channels, classes, width, depth
        self.variant, self.dropout = variant, dropout
        self.geometry = unet_geometry(depth)
        # Here and not in a step: torch.compile cannot follow a cached function.
        self.borders = [crop_border(depth, level) for level in range(depth)]
        widths = [width << level for level in range(depth + 1)]
        # The channels that each up-convolution makes.
        self.raised = [widths[level + (variant == "release" and level == 0)] for level in range(depth)]
        self.contract = nn.ModuleList(
            DoubleConvolution(before, after)
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(widths[level + 1], self.raised[level], 2, stride=2) for level in range(depth)
        )
        self.expand = nn.ModuleList(
            DoubleConvolution(self.raised[level] + widths[level], widths[level]) for level in range(depth)
        )
        self.head = nn.Conv2d(width, classes, 1)
        self.drop = nn.Dropout(dropout)
        self.initialise()

    def initialise(
        self, generator: torch.Generator | None = None, rule: InitialisationSettings | None = None
    ) -> None:
        """Draw weights from N(0, 2/N), N the incoming nodes of one neuron (section 3); biases 0."""
        draw_weights(self, self.heads, rule or InitialisationSettings(), generator)

    def forward(self, image: Tensor) -> Tensor:
        """Return scores (N, classes, h, w) for an image (N, in_channels, H, W) of legal size."""
        self.geometry.check(*image.shape[-2:])
        x, skips = image, []
        for level, convolve in enumerate(self.contract):
            x = convolve(x)
            if level >= self.depth - 1:
                x = self.drop(x)
            if level < self.depth:
                x, skip = self._pool(x, level)
                skips.append(skip)
                del skip  # else the last one would live on
        for level in reversed(range(self.depth)):
            x = self.upsample[level](x)
            if self.variant == "release":
                x = functional.relu_(x)
            x = self._join(x, skips.pop())
            x = self.expand[level](x)
        return exactly(self.head, x)

    def _pool(self, x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Return the pooled map, and the map without the border that the levels below lose."""
        border = self.borders[level]
        if self.training and torch.is_grad_enabled():
            return pool_and_crop(x, border)
        cut = x[..., border:-border, border:-border]
        if not torch.is_grad_enabled():  # copied, to free the large map
            last = x.is_contiguous(memory_format=torch.channels_last)
            cut = cut.clone(memory_format=torch.channels_last if last else torch.contiguous_format)
        return functional.max_pool2d(x, 2), cut

    def _join(self, x: Tensor, skip: Tensor) -> Tensor:
        return concatenate(x, skip) if self.training else torch.cat([x, skip], dim=1)
