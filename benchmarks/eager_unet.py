"""The paper's network as it is found in common repositories: the peer of `benchmarks.training_step`."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from unet2015.networks.unet2015 import UNet


class DoubleConv(nn.Sequential):
    """Two convolutions with ReLU, as everywhere."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, after, 3),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3),
            nn.ReLU(inplace=True),
        )


class Up(nn.Module):
    """Up-convolution, crop, concatenation and double convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(before, after, 2, stride=2)
        self.conv = DoubleConv(before, after)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return the next map."""
        x = self.up(x)
        dy, dx = ((skip.shape[axis] - x.shape[axis]) // 2 for axis in (2, 3))
        cropped = skip[:, :, dy : dy + x.shape[2], dx : dx + x.shape[3]]
        made: Tensor = self.conv(torch.cat([cropped, x], dim=1))
        return made


class EagerUNet(nn.Module):
    """The paper's network the way it is usually written; channels first."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        widths = [width << level for level in range(depth + 1)]
        self.inc = DoubleConv(1, width)
        self.downs = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), DoubleConv(a, b)) for a, b in pairwise(widths)
        )
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairwise(widths))
        self.outc = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores."""
        maps = [self.inc(x)]
        for down in self.downs:
            maps.append(down(maps[-1]))
        x = maps.pop()
        for up in reversed(self.ups):
            x = up(x, maps.pop())
        scores: Tensor = self.outc(x)
        return scores

    def take(self, network: UNet) -> None:
        """Take the weights of the package's network."""
        self.inc.load_state_dict(network.contract[0].state_dict())
        for down, theirs in zip(self.downs, list(network.contract)[1:], strict=True):
            down[1].load_state_dict(theirs.state_dict())  # type: ignore[index]
        for up, raise_, theirs in zip(self.ups, network.upsample, network.expand, strict=True):
            assert isinstance(up, Up)
            up.up.load_state_dict(raise_.state_dict())
            state = theirs.state_dict()
            # Here the skip comes first.
            half = up.up.out_channels
            state["0.weight"] = torch.cat([state["0.weight"][:, half:], state["0.weight"][:, :half]], dim=1)
            up.conv.load_state_dict(state)
        self.outc.load_state_dict(network.head.state_dict())
