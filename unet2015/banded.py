"""The U-Net on a processor: the same scores, computed level by level in bands of rows.

A large tile makes maps of a gigabyte. Memory that large is fresh from the system each time, and so
handing it out takes as long as a convolution; it also never fits a cache. Here each level is computed
a few rows at a time, and only what the levels after it need is kept, in a workspace that stays:

- on the way down the pooled map, which overwrites the map that it comes from, row after row, and the
  cropped skip; the large map itself is never whole;
- on the way up the output of the level, which overwrites the skip that it comes from.

With float32 and bfloat16 the convolutions run on weights packed once for oneDNN, with their ReLU in
the same pass, and the one after crop-and-copy as a sum of two, so that nothing is copied together.
"""

import copy
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.network import UNet
from unet2015.packed import Convolution, Gain, Joined, Maker, can_pack

BAND = 16 * 2**20
"""Bytes of one band of a map: less than what the C library fetches from the system each time."""
RANGE = 1e37
"""Sums below this are finite in float32 and bfloat16."""


class BandedUNet:
    """The scores of a :class:`UNet` in inference, on a processor.

    Parameters
    ----------
    network : UNet
        Its parameters are copied to the CPU, and stay as they are.
    dtype : torch.dtype, optional
        What all but the head is computed in: that of the parameters, or bfloat16.
    band : int
        Bytes of one band.

    Notes
    -----
    Equals ``network(image)`` up to the order in which the convolution after crop-and-copy sums (and the
    rounding of the library), whatever `band`. Calls from several threads wait for each other.
    """

    def __init__(self, network: UNet, dtype: torch.dtype | None = None, band: int = BAND) -> None:
        self.network, self.band = network, band
        self.dtype = network.head.weight.dtype if dtype is None else dtype
        make = Maker(self.dtype, can_pack(self.dtype))
        contract = [
            (make.convolution(block[0]), make.convolution(block[2])) for block in _blocks(network.contract)
        ]
        expand = [
            (make.joined(block[0], raised), make.convolution(block[2]))
            for block, raised in zip(_blocks(network.expand), network.raised, strict=True)
        ]
        self._layers = _Layers(contract, expand, make.packed)
        self._upsample = [make.copy(module) for module in network.upsample]
        self._raise = [Gain.of(w.float().abs().sum(dim=0).amax(dim=(1, 2)), b) for w, b in self._upsample]
        self._head = copy.deepcopy(network.head).to("cpu").requires_grad_(False)
        self._workspace = _Workspace.empty(network)
        self._lock = threading.Lock()

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Tensor:
        """Return scores (N, classes, h, w) for an image (N, in_channels, H, W) of legal size."""
        self.network.geometry.check(*image.shape[-2:])
        with self._lock:
            key = (image.shape[-2], image.shape[-1], self.dtype)
            if key != self._workspace.key:
                self._workspace = _Workspace.empty(self.network)  # the old one goes first
                self._workspace = _Workspace.for_size(self.network, *key)
            return torch.cat([self._one(image[i : i + 1]) for i in range(len(image))])

    def _one(self, image: Tensor) -> Tensor:
        try:
            return self._pass(image, self._layers)
        except _TooLargeError:
            return self._pass(image, self._layers.plain())

    def _pass(self, image: Tensor, layers: "_Layers") -> Tensor:
        network, space = self.network, self._workspace
        x = image.to(self.dtype).contiguous(memory_format=torch.channels_last)
        largest, skips = [max(abs(float(end)) for end in torch.aminmax(x))], []
        for level in range(network.depth):
            layers.check(largest[-1], level)
            skips.append(self._down(x, level, layers))
            x = space.down(level)
            largest.append(float(x.amax()))  # the maxima of the whole map, which is nowhere negative
        layers.check(largest[-1], network.depth)
        x = self._bottom(x, layers)
        for level in reversed(range(network.depth)):
            below = float(x.amax())
            layers.check_joined(self._raise[level](below), largest[level + 1], level)
            x = self._up(x, skips.pop(), level, layers)
        return self._scores(x) if network.depth == 0 else x

    def _down(self, x: Tensor, level: int, layers: "_Layers") -> Tensor:
        """Fill the pooled map of a level, over `x` where that lies in the workspace; return the skip."""
        first, second = layers.contract[level]
        edge = self.network.edge(level)
        height, width = x.shape[-2] - 4, x.shape[-1] - 4
        skip, pooled = self._workspace.skip(level), self._workspace.down(level)

        # In a function of its own, so that nothing of one band lives on into the next.
        def band(start: int, stop: int) -> None:
            y = second(first(x[:, :, start : stop + 4]))
            low, high = max(start, edge), min(stop, height - edge)
            if low < high:
                cut = y[:, :, low - start : high - start, edge : width - edge]
                skip[:, :, low - edge : high - edge] = cut
            # Two maxima instead of max_pool2d, which would also note where each was.
            rows = torch.maximum(y[:, :, 0::2], y[:, :, 1::2])
            torch.maximum(rows[..., 0::2], rows[..., 1::2], out=pooled[:, :, start // 2 : stop // 2])

        for start, stop in self._bands(height, width, level, x.element_size()):
            band(start, stop)
        return skip

    def _bottom(self, x: Tensor, layers: "_Layers") -> Tensor:
        first, second = layers.contract[-1]
        out = self._workspace.bottom()
        for start, stop in self._bands(out.shape[-2], out.shape[-1], self.network.depth, x.element_size()):
            out[:, :, start:stop] = second(first(x[:, :, start : stop + 4]))
        return out

    def _up(self, x: Tensor, skip: Tensor, level: int, layers: "_Layers") -> Tensor:
        """Return the output of a level, which lies where `skip` was; of the uppermost the scores."""
        joined, second = layers.expand[level]
        weight, bias = self._upsample[level]
        height, width = skip.shape[-2] - 4, skip.shape[-1] - 4
        out = None if level == 0 else self._workspace.up(level)
        scores = []

        def band(start: int, stop: int) -> Tensor:
            below = x[:, :, start // 2 : (stop + 4) // 2]
            raised = functional.conv_transpose2d(below, weight, bias, stride=2)
            if self.network.variant == "release":
                raised = functional.relu_(raised)
            return second(joined(raised, skip[:, :, start : stop + 4]))

        for start, stop in self._bands(height, width, level, x.element_size()):
            if out is None:
                scores.append(self._scores(band(start, stop)))
            else:
                out[:, :, start:stop] = band(start, stop)
        return torch.cat(scores, dim=2) if out is None else out

    def _scores(self, x: Tensor) -> Tensor:
        scores: Tensor = self._head(x.to(self._head.weight.dtype))
        return scores

    def _bands(self, height: int, width: int, level: int, size: int) -> Iterator[tuple[int, int]]:
        """Yield start and stop of each band: an even number of rows, as many as `band` bytes hold."""
        rows = _band_rows(self.band, (self.network.width << level) * width * size)
        for start in range(0, height, rows):
            yield start, min(start + rows, height)


class _TooLargeError(Exception):
    """Sums may leave the range of float32."""


@dataclass(frozen=True)
class _Layers:
    """The convolutions of each level, down and up."""

    contract: list[tuple[Convolution, Convolution]]
    expand: list[tuple[Joined, Convolution]]
    packed: bool

    def plain(self) -> "_Layers":
        """Return the same layers in torch's usual operations."""
        return _Layers(
            [(first.plain(), second.plain()) for first, second in self.contract],
            [(first.plain(), second.plain()) for first, second in self.expand],
            False,
        )

    def check(self, largest: float, level: int) -> None:
        """See that a level on the way down stays in range for inputs up to `largest`."""
        first, second = self.contract[level]
        self._within(largest, first.gain(largest), second.gain(first.gain(largest)))

    def check_joined(self, raised: float, skip: float, level: int) -> None:
        """See that a level on the way up stays in range for raised and copied maps up to so much."""
        first, second = self.expand[level]
        joined = first.raised.gain(raised) + first.skip.gain(skip)
        self._within(raised, skip, joined, second.gain(joined))

    def _within(self, *bounds: float) -> None:
        # Each of them, as a later layer may have small weights; and all(...), as NaN is not below anything.
        if self.packed and not all(bound < RANGE for bound in bounds):
            raise _TooLargeError


def workspace_values(network: UNet, height: int, width: int, size: int = 4, band: int = BAND) -> int:
    """Return how many values of `size` bytes are alive at most while one input goes through, but itself.

    The workspace, which stays alive between inputs, and what a band needs beside it.
    """
    sizes = _Sizes.of(network, height, width)
    most = 0
    for level, (y, x) in enumerate(sizes.maps):
        channels = network.width << level
        rows = min(y, _band_rows(band, channels * (x - 4) * size))
        convolved = channels * ((rows + 2) * (x - 2) + rows * (x - 4))
        if level == network.depth:
            most = max(most, convolved)
            continue
        most = max(most, convolved, channels * rows * (x - 4) * 3 // 2)
        edge = 4 + 2 * network.edge(level)
        y, x = y - edge, x - edge
        rows = min(y, _band_rows(band, channels * (x - 4) * size))
        raised = network.raised[level] * (rows + 4) * x
        first = channels * (rows + 2) * (x - 2)
        most = max(most, raised + first, raised + first + channels * rows * (x - 4))
    lost = 2 * network.geometry.margin
    scores = 2 * network.classes * (height - lost) * (width - lost)  # band by band, then put together
    turned = network.in_channels * height * width if network.in_channels > 1 else 0  # channels last
    return turned + sum(sizes.skips) + sizes.shared + most + scores


def _band_rows(band: int, row: int) -> int:
    """Return how many rows of `row` bytes a band has: an even number, as pooling needs."""
    return max(2, band // max(1, row) // 2 * 2)


@dataclass(frozen=True)
class _Sizes:
    """Values of each map that is kept, and the sides of the maps of each level."""

    maps: tuple[tuple[int, int], ...]
    """Height and width of what each level reads."""
    skips: tuple[int, ...]
    shared: int
    """Room of the pooled maps, each over the one before, and of the bottom's output at its end."""

    @classmethod
    def of(cls, network: UNet, height: int, width: int) -> "_Sizes":
        maps, skips, pooled = [(height, width)], [], [0]
        for level in range(network.depth):
            channels, edge = network.width << level, 4 + 2 * network.edge(level)
            y, x = maps[-1]
            skips.append(channels * (y - edge) * (x - edge))
            maps.append(((y - 4) // 2, (x - 4) // 2))
            pooled.append(channels * maps[-1][0] * maps[-1][1])
        y, x = maps[-1]
        bottom = (network.width << network.depth) * (y - 4) * (x - 4)
        return cls(tuple(maps), tuple(skips), max(*pooled, pooled[-1] + bottom))


@dataclass(frozen=True)
class _Workspace:
    """The memory in which the kept maps lie, channels last."""

    network: UNet
    key: tuple[object, ...]
    sizes: _Sizes
    skips: tuple[Tensor, ...]
    shared: Tensor

    @classmethod
    def empty(cls, network: UNet) -> "_Workspace":
        return cls(network, (), _Sizes((), (), 0), (), torch.empty(0))

    @classmethod
    def for_size(cls, network: UNet, height: int, width: int, dtype: torch.dtype) -> "_Workspace":
        """Return a workspace for inputs of a size."""
        sizes = _Sizes.of(network, height, width)
        skips = tuple(torch.empty(count, dtype=dtype) for count in sizes.skips)
        return cls(network, (height, width, dtype), sizes, skips, torch.empty(sizes.shared, dtype=dtype))

    def skip(self, level: int) -> Tensor:
        """Return the map of the cropped skip of a level."""
        height, width = self.sizes.maps[level]
        edge = 4 + 2 * self.network.edge(level)
        return _rows(self.skips[level], self.network.width << level, height - edge, width - edge)

    def up(self, level: int) -> Tensor:
        """Return the map of a level's output; row r of it lies before row r of the skip, or on it."""
        channels, height, width = self.skip(level).shape[1:]
        return _rows(self.skips[level], channels, height - 4, width - 4)

    def down(self, level: int) -> Tensor:
        """Return the pooled map of a level; its row r lies before row 2 r of the one before."""
        return _rows(self.shared, self.network.width << level, *self.sizes.maps[level + 1])

    def bottom(self) -> Tensor:
        """Return the map of the lowest level's output."""
        height, width = (side - 4 for side in self.sizes.maps[-1])
        channels = self.network.width << self.network.depth
        return _rows(self.shared[self.shared.numel() - channels * height * width :], channels, height, width)


def _rows(memory: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Return the first values of `memory` as a map (1, channels, height, width), channels last."""
    return memory[: channels * height * width].view(1, height, width, channels).permute(0, 3, 1, 2)


def _blocks(modules: nn.ModuleList) -> Iterator[nn.Sequential]:
    for module in modules:
        assert isinstance(module, nn.Sequential)
        yield module
