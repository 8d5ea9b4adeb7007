"""U-Net++: nested, dense skips (Zhou et al. 2018, doi:10.1007/978-3-030-00889-5_1)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.geometry import Geometry
from unet2015.networks.architecture import exactly
from unet2015.networks.padding import PaddedArchitecture, PaddedNetwork, Reached
from unet2015.settings.network import NestedSettings


def normalisation(norm: str, channels: int) -> nn.Module:
    """Return a layer by name: ``batch`` or ``instance``, with scale and shift for each channel."""
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels, affine=True)


def block(before: int, after: int, norm: str, stride: int = 1) -> nn.Sequential:
    """Return two 3x3 convolutions, the first of a stride, each with normalisation and ReLU."""
    layers: list[nn.Module] = []
    for channels, step in ((before, stride), (after, 1)):
        layers += [nn.Conv2d(channels, after, 3, step, padding=1), normalisation(norm, after)]
        layers += [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class NestedUNet(PaddedNetwork):
    """Maps X[i][j] of level i: X[i][0] is the encoder's; each other joins its row and what lies below it.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the scores.
    geometry : Geometry
        Of inference.
    widths : sequence of int
        Channels of each level, from the uppermost.
    norm : {"batch", "instance"}
        Normalisation.
    supervised : bool
        Deep supervision: all maps X[0][j] have a head, and the loss sees them all. In inference their scores
        are averaged (the paper's accurate mode; it averages probabilities).
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        geometry: Geometry,
        widths: Sequence[int],
        norm: str = "batch",
        supervised: bool = False,
    ) -> None:
        super().__init__(in_channels, classes, geometry)
        self.depth = len(widths) - 1
        self.contract = nn.ModuleList(
            block(before, after, norm) for before, after in zip((in_channels, *widths), widths, strict=False)
        )
        self.upsample, self.expand = nn.ModuleDict(), nn.ModuleDict()
        for j in range(1, self.depth + 1):
            for i in range(self.depth + 1 - j):
                self.upsample[f"{i}_{j}"] = nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2)
                self.expand[f"{i}_{j}"] = block((j + 1) * widths[i], widths[i], norm)
        others = self.depth - 1 if supervised else 0
        self.side_heads = nn.ModuleList(nn.Conv2d(widths[0], classes, 1) for _ in range(others))
        self.head = nn.Conv2d(widths[0], classes, 1)

    @property
    def heads(self) -> list[nn.Conv2d]:
        """One for each map of scores."""
        return [*self.side_heads, self.head]

    def whole_scores(self, image: Tensor) -> list[Tensor]:
        """Return the scores of the whole image: of X[0][1] to the last, or of the last alone."""
        rows = [[self.contract[0](image)]]
        for convolve in list(self.contract)[1:]:
            rows.append([convolve(functional.max_pool2d(rows[-1][0], 2))])
        for j in range(1, self.depth + 1):
            for i in range(self.depth + 1 - j):
                raised = self.upsample[f"{i}_{j}"](rows[i + 1][j - 1])
                rows[i].append(self.expand[f"{i}_{j}"](torch.cat([*rows[i], raised], dim=1)))
            rows.pop()  # nothing above needs the lowest row any more
        seen = rows[0][-len(self.heads) :]
        return [exactly(head, x) for head, x in zip(self.heads, seen, strict=True)]


class Nested(PaddedArchitecture[NestedSettings, NestedUNet]):
    """The entry of the table."""

    settings, network, encoder = NestedSettings, NestedUNet, ("contract",)
    source = "doi:10.1007/978-3-030-00889-5_1"
    choose = (
        "touching cells (SEG 0.650, as the paper's) and the lowest pixel error on EM (0.0471), at "
        "twice its Rand error; a dear step"
    )
    examples = (
        NestedSettings(width=2, depth=2, deep_supervision=True),
        NestedSettings(width=2, depth=1, norm="instance"),
    )

    def reached(self, settings: NestedSettings) -> Reached:
        """Return what padding has reached in the scores: 94 px at depth 4."""
        rows = [[Reached().convolved(times=2)]]
        for _ in range(settings.depth):
            rows.append([rows[-1][0].halved().convolved(times=2)])
        for j in range(1, settings.depth + 1):
            for i in range(settings.depth + 1 - j):
                rows[i].append(rows[i + 1][j - 1].doubled().joined(*rows[i]).convolved(times=2))
        return rows[0][-1]

    def is_exact(self, settings: NestedSettings) -> bool:
        """Whether tiled equals whole: instance normalisation takes mean and deviation of the tile."""
        return settings.norm == "batch"

    def build(self, settings: NestedSettings, in_channels: int, classes: int) -> NestedUNet:
        """Return a network."""
        widths = [settings.width << level for level in range(settings.depth + 1)]
        chosen = settings.norm, settings.deep_supervision
        return NestedUNet(in_channels, classes, self.geometry(settings), widths, *chosen)

    def describe(self, settings: NestedSettings) -> str:
        """Return what the network is, in a few words."""
        deep = ", deep supervision" if settings.deep_supervision else ""
        return f"U-Net++ of width {settings.width} and depth {settings.depth}, {settings.norm} norm{deep}"
