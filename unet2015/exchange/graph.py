"""The graph that leaves home: intensities, network and softmax in one module, and its legal sizes."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.geometry import Geometry
from unet2015.images.mapping import Scale
from unet2015.networks import Network

INPUT, OUTPUT = "image", "probabilities"
"""What the graph's input and output are called."""
OPSET = 18
"""Of the ONNX operators; ONNX Runtime has it from 1.14 on (February 2023)."""
_LARGEST = 1 << 15
"""The largest side and batch that the graph's description allows."""


class _FreeGeometry(Geometry):
    """A geometry that lets a tracer try any size; what runs the graph must give it legal ones."""

    def check(self, *sizes: int, least: int = 0) -> None:
        """Do nothing: comparing sizes would make a tracer take those of its example for the only ones."""


@dataclass(frozen=True)
class Halo:
    """How a network of unpadded convolutions looks to programs that know only equal sizes and a halo.

    Such a program gives blocks that begin `halo` pixels before what it wants, gets as many pixels as it
    gave, and throws away `halo` on each side. What is kept has a side that is a multiple of the network's
    step, so all blocks lie on the pooling grid.

    Attributes
    ----------
    halo : int
        Pixels to throw away on each side.
    smallest : int
        The smallest side of a block. All others are ``smallest + k * step``.
    shift : int
        Pixels by which such a block begins before a tile of this package: the halo less the margin. The
        graph drops them, so that its poolings are those of this package.
    """

    halo: int
    smallest: int
    shift: int


def halo_of(geometry: Geometry) -> Halo:
    """Return the halo of a network: 96 for the paper's, with blocks of 208 + k * 16.

    The largest part of an output that is a multiple of the step leaves `shift` pixels of it over, below and
    right: 4 of 20 for an input of 204. They need to be read there, so on the other side, too.
    """
    step, margin = geometry.factor, geometry.margin
    smallest_output = geometry.smallest - 2 * margin
    shift = smallest_output % step
    kept = max(step, smallest_output - shift)
    return Halo(margin + shift, kept + 2 * (margin + shift), shift)


class ModelGraph(nn.Module):
    """An image (N, channels, H, W) of float32 to probabilities (N, classes, h, w).

    Parameters
    ----------
    network : Network
        It is copied.
    scale : tuple of ndarray, optional
        Offset and gain of each channel, computed in the graph. Default: the image is network input already.
    halo : Halo, optional
        If given, probabilities have the height and width of the image, with zeros in the halo.
    """

    whole: Tensor
    rest: Tensor
    gain: Tensor

    def __init__(self, network: Network, scale: Scale | None = None, halo: Halo | None = None) -> None:
        super().__init__()
        self.network = deepcopy(network).eval().requires_grad_(False)
        sides = network.geometry
        self.network.geometry = _FreeGeometry(sides.factor, sides.margin, sides.smallest, sides.exact)
        self.scaled, self.halo, self.margin = scale is not None, halo, sides.margin
        if scale is not None:
            offset, gain = (torch.as_tensor(one, dtype=torch.float64).reshape(-1, 1, 1) for one in scale)
            # The offset in two parts: whole numbers lose nothing where the first is taken from them, and the
            # small rest is exact in single precision.
            whole = offset.round().float()
            self.register_buffer("whole", whole)
            self.register_buffer("rest", (offset - whole.double()).float())
            self.register_buffer("gain", gain.float())

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities for an image of legal size."""
        x = image
        if self.scaled:
            x = ((x - self.whole) - self.rest) * self.gain
        if self.halo is not None:
            x = x[..., self.halo.shift :, self.halo.shift :]
        x = self.network(x).softmax(dim=1)
        if self.halo is not None:
            before, after = self.halo.halo, self.margin
            x = functional.pad(x, (before, after, before, after))
        return x


@dataclass(frozen=True)
class TracedGraph:
    """A graph, and the same as an exported program with height, width and batch that vary.

    Attributes
    ----------
    graph : ModelGraph
    channels : int
        Of the image.
    geometry : Geometry
        Its legal sizes: with a halo, those of blocks.
    """

    graph: ModelGraph
    channels: int
    geometry: Geometry

    def example(self) -> Tensor:
        """Return an image to trace with; no two of its sides are equal, and none is 1."""
        smallest, step = self.geometry.smallest, self.geometry.factor
        return torch.zeros(2, self.channels, smallest + 2 * step, smallest + 3 * step)

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        """The exported program; errors are those of torch."""
        with torch.no_grad():
            return torch.export.export(self.graph, (self.example(),), dynamic_shapes={INPUT: self.sides()})

    @cached_property
    def onnx(self) -> torch.onnx.ONNXProgram:
        """The graph as ONNX of opset `OPSET`; errors are those of torch."""
        made = torch.onnx.export(
            self.program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: self.sides()},  # for the names of the sides
            verbose=False,
        )
        if made is None:  # as torch's types allow
            raise RuntimeError("the exporter returned nothing")
        return made

    def sides(self) -> dict[int, Any]:
        """Return which sides of the image vary, as torch has it: ``16 * k + 12`` for the paper's network."""
        smallest, step = self.geometry.smallest, self.geometry.factor
        named = {0: torch.export.Dim("batch", min=1, max=_LARGEST)}
        for axis, name in ((2, "height"), (3, "width")):
            if step == 1:
                named[axis] = torch.export.Dim(name, min=smallest, max=_LARGEST)
                continue
            steps = torch.export.Dim(f"{name}_steps", min=smallest // step, max=_LARGEST // step)
            named[axis] = step * steps + smallest % step if smallest % step else step * steps
        return named
