"""The U-Net on a processor: the same scores, computed in strips and bands of rows.

A large tile makes maps of a gigabyte. Memory that large is fresh from the system each time, and so
handing it out takes as long as a convolution; it also never fits a cache. Here a tile goes through
from top to bottom in strips (:mod:`unet2015.networks.cpu.ring_buffer`): of the maps between the levels only
those rows are kept that are still needed, in a workspace that stays. Within a strip each level is
computed in bands of a few rows, and its large map is never whole.

With float32 and bfloat16 the convolutions run on weights packed once for oneDNN, with their ReLU in
the same pass, and the one after crop-and-copy as a sum of two, so that nothing is copied together. Where
float32 maps have many channels, they take fewer products (:mod:`unet2015.networks.cpu.winograd`), if the tile
is :func:`in_step`.
"""

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.geometry import Geometry
from unet2015.networks.cpu import winograd
from unet2015.networks.cpu.packed_weights import Gain, Maker, Pair, Single, can_pack
from unet2015.networks.cpu.ring_buffer import Rows, Sides, Strip, Workspace, alive
from unet2015.networks.unet2015 import UNet

BAND = 16 * 2**20
"""Bytes of one band of a map: less than what the C library fetches from the system each time."""
STRIP = 1024
"""Pixels that a strip adds to the lowest level, at least: fewer would not pay for reading its weights."""
RANGE = 1e38 / winograd.PARTIAL
"""Outputs below this have sums on the way that are finite in float32 and bfloat16."""


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
    strip : int
        Pixels that a strip adds to the lowest level.

    Notes
    -----
    Equals ``network(image)`` up to the order in which the convolutions sum (and the rounding of the
    library), whatever `band` and `strip`. Calls from several threads wait for each other.
    """

    def __init__(
        self, network: UNet, dtype: torch.dtype | None = None, band: int = BAND, strip: int = STRIP
    ) -> None:
        self.network, self.band, self.strip = network, band, strip
        self.dtype = network.head.weight.dtype if dtype is None else dtype
        self._fewer = True
        self._layers = self._made()
        self._steps = steps(network) if self.dtype == torch.float32 else network.geometry
        make = Maker(self.dtype, False)
        self._upsample = [make.copy(module) for module in network.upsample]
        self._raise = [Gain.of(w.float().abs().sum(dim=0).amax(dim=(1, 2)), b) for w, b in self._upsample]
        self._head = copy.deepcopy(network.head).to("cpu").requires_grad_(False)
        self._workspace: Workspace | None = None
        self._workspace_of: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def _made(self) -> "_Layers":
        """Return the convolutions, from the parameters of the network."""
        network, make = self.network, Maker(self.dtype, can_pack(self.dtype), self._fewer)
        contract = [
            (make.convolution(block[0]), make.convolution(block[2])) for block in _blocks(network.contract)
        ]
        expand = [
            (make.joined(block[0], raised), make.convolution(block[2]))
            for block, raised in zip(_blocks(network.expand), network.raised, strict=True)
        ]
        return _Layers(contract, expand, make.packed)

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Tensor:
        """Return scores (N, classes, h, w), in the head's dtype, for an image (N, in_channels, H, W).

        Raises
        ------
        GeometryError
            The size is not legal.
        """
        height, width = image.shape[-2:]
        self.network.geometry.check(height, width)
        with self._lock:
            fewer = self._steps.is_legal(height) and self._steps.is_legal(width)
            if fewer != self._fewer:
                self._fewer = fewer
                self._layers = self._made()
            if self._workspace is None or self._workspace_of != (height, width):
                self._workspace = None  # the old one goes first
                rows = strip_rows(self.network, width, self.dtype.itemsize, self.band, self.strip)
                self._workspace = Workspace(self.network, height, width, rows, self.dtype)
                self._workspace_of = height, width
            lost = 2 * self.network.geometry.margin
            scores = torch.empty(
                len(image),
                self.network.classes,
                height - lost,
                width - lost,
                dtype=self._head.weight.dtype,
            )
            for i in range(len(image)):
                one = image[i : i + 1].to(self.dtype).contiguous(memory_format=torch.channels_last)
                try:
                    _Pass(self, self._layers, self._workspace, one, scores[i : i + 1]).run()
                except _TooLargeError:
                    _Pass(self, self._layers.plain(), self._workspace, one, scores[i : i + 1]).run()
            return scores


class _Pass:
    """One image on its way through."""

    def __init__(
        self, of: BandedUNet, layers: "_Layers", space: Workspace, image: Tensor, scores: Tensor
    ) -> None:
        self.of, self.network, self.layers = of, of.network, layers
        self.space, self.image, self.scores = space, image, scores
        # The largest value so far of what each level reads, and of what comes out of it on the way up.
        none = torch.zeros((), dtype=of.dtype)
        self.read = [torch.stack(torch.aminmax(image)).abs().amax(), *[none] * self.network.depth]
        self.left = [none] * (self.network.depth + 1)

    def run(self) -> None:
        """Fill the scores."""
        self.space.clear()
        depth = self.network.depth
        for strip in self.space.strips:
            for level in range(depth):
                self._down(level, strip)
            self._lowest(strip.down[depth])
            for level in reversed(range(depth)):
                self._up(level, strip.up[level])

    def _source(self, level: int, start: int, stop: int) -> Tensor:
        """Return rows of what a level reads."""
        return self.image[:, :, start:stop] if level == 0 else self.space.inputs[level - 1].rows(start, stop)

    def _width(self, level: int) -> int:
        return self.image.shape[-1] if level == 0 else self.space.inputs[level - 1].width

    def _used(self, level: int, before: int) -> None:
        if level > 0:
            self.space.inputs[level - 1].drop(before)

    def _down(self, level: int, strip: Strip) -> None:
        """Add rows to the skip of a level, and to what the level below reads."""
        start, stop = strip.down[level]
        if start == stop:
            return
        self.layers.check(float(self.read[level]), level)
        edge, skip = self.network.edge(level), self.space.skips[level]
        width = self._width(level)
        kept = strip.skips[level]
        copied = skip.add(kept[1] - kept[0])
        pooled = self.space.inputs[level].add((stop - start) // 2)
        first, second = self.layers.contract[level]

        # In a function of its own, so that nothing of one band lives on into the next.
        def band(low: int, high: int) -> None:
            y = second(first(self._source(level, low, high + 4)))
            begin, end = max(low - edge, kept[0]), min(high - edge, kept[1])
            if begin < end:
                cut = y[:, :, begin + edge - low : end + edge - low, edge : width - 4 - edge]
                copied[:, :, begin - kept[0] : end - kept[0]] = cut
            # Two maxima instead of max_pool2d, which would also note where each was.
            rows = torch.maximum(y[:, :, 0::2], y[:, :, 1::2])
            out = pooled[:, :, (low - start) // 2 : (high - start) // 2]
            torch.maximum(rows[..., 0::2], rows[..., 1::2], out=out)

        for low, high in self._bands(start, stop, width - 4, level):
            band(low, high)
        self._used(level, stop)
        # Nowhere negative, and so the maximum of the whole map, pooled or not.
        self.read[level + 1] = torch.maximum(self.read[level + 1], pooled.amax())

    def _lowest(self, rows: Rows) -> None:
        depth = self.network.depth
        if rows[0] == rows[1]:
            return
        self.layers.check(float(self.read[depth]), depth)
        first, second = self.layers.contract[-1]
        keep = self._keep(depth, rows)
        for low, high in self._bands(*rows, self._width(depth) - 4, depth):
            keep(low, high, second(first(self._source(depth, low, high + 4))))
        self._used(depth, rows[1])

    def _up(self, level: int, rows: Rows) -> None:
        """Add rows to the output of a level; to that of the uppermost, the scores."""
        if rows[0] == rows[1]:
            return
        skip, outputs = self.space.skips[level], self.space.outputs[level]
        raised = self.of._raise[level](float(self.left[level + 1]))
        self.layers.check_joined(raised, float(self.read[level + 1]), level)
        joined, second = self.layers.expand[level]
        weight, bias = self.of._upsample[level]

        def band(low: int, high: int) -> Tensor:
            below = outputs.rows(low // 2, (high + 4) // 2)
            raised = functional.conv_transpose2d(below, weight, bias, stride=2)
            if self.network.variant == "release":
                raised = functional.relu_(raised)
            y = joined(raised, skip.rows(low, high + 4))
            del raised  # before the next map is made
            return second(y)

        keep = self._keep(level, rows)
        for low, high in self._bands(*rows, skip.width - 4, level):
            keep(low, high, band(low, high))
        outputs.drop(rows[1] // 2)
        skip.drop(rows[1])

    def _keep(self, level: int, rows: Rows) -> Callable[[int, int, Tensor], None]:
        """Return what takes the output of a level, band by band, to where it belongs."""
        if level == 0:

            def scores(low: int, high: int, y: Tensor) -> None:
                self.scores[:, :, low:high] = self.of._head(y.to(self.scores.dtype))

            return scores
        out = self.space.outputs[level - 1].add(rows[1] - rows[0])

        def output(low: int, high: int, y: Tensor) -> None:
            self.left[level] = torch.maximum(self.left[level], y.amax())
            out[:, :, low - rows[0] : high - rows[0]] = y

        return output

    def _bands(self, start: int, stop: int, width: int, level: int) -> Iterator[Rows]:
        """Yield start and stop of each band: an even number of rows, as many as `band` bytes hold."""
        return bands(
            start,
            stop,
            _band_rows(self.of.band, (self.network.width << level) * width * self.of.dtype.itemsize),
        )


def bands(start: int, stop: int, most: int) -> Iterator[Rows]:
    """Divide rows into bands of equal height, as far as can be: even, of at most `most`."""
    count = -(-(stop - start) // most)
    if count == 0:
        return
    rows = -(-(stop - start) // count)
    rows += rows % 2
    for low in range(start, stop, rows):
        yield low, min(low + rows, stop)


class _TooLargeError(Exception):
    """Sums may leave the range of float32."""


@dataclass(frozen=True)
class _Layers:
    """The convolutions of each level, down and up."""

    contract: list[tuple[Single, Single]]
    expand: list[tuple[Pair, Single]]
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


def strip_rows(network: UNet, width: int, size: int, band: int = BAND, strip: int = STRIP) -> int:
    """Return how many rows of an input of `width` pixels enter with each strip.

    So many that the lowest level gets `strip` pixels, and a band of the uppermost, of `band` bytes with
    values of `size` bytes, is full.
    """
    lowest = Sides.of(network, width, width).outputs[-1][1]
    rows = -(-strip // lowest) << network.depth
    return max(rows, _band_rows(band, network.width * (width - 4) * size))


def workspace_values(
    network: UNet, height: int, width: int, size: int = 4, band: int = BAND, strip: int = STRIP
) -> int:
    """Return how many values of `size` bytes are alive at most while one input goes through, but itself.

    The workspace, which stays alive between inputs, what a band needs beside it, and the scores.
    """
    sides, most = Sides.of(network, height, width), 0
    for level, (_, x) in enumerate(sides.inputs):
        channels = network.width << level
        rows = min(sides.inputs[level][0], _band_rows(band, channels * (x - 4) * size))
        convolved = channels * ((rows + 2) * (x - 2) + rows * (x - 4))
        most = max(most, convolved, channels * rows * (x - 4) * 3 // 2)
        most = max(most, (channels + network.classes) * rows * (x - 4))  # the head's, without levels
    for level, (_, x) in enumerate(sides.skips):
        channels = network.width << level
        rows = min(sides.skips[level][0], _band_rows(band, channels * (x - 4) * size))
        raised = network.raised[level] * (rows + 4) * x
        first = channels * (rows + 2) * (x - 2)
        second = channels * rows * (x - 4)
        # Unpacked, the sum of two convolutions holds both; packed ones need the room of one.
        most = max(most, raised + 2 * first, first + second, second + network.classes * rows * (x - 4))
    lost = 2 * network.geometry.margin
    scores = network.classes * (height - lost) * (width - lost)
    turned = network.in_channels * height * width if network.in_channels > 1 else 0  # channels last
    rows = strip_rows(network, width, size, band, strip)
    maxima = 16 * (network.depth + 1)
    fewer = size == 4 and in_step(network.geometry, height, width)
    room = _room_values(network, sides, band) if fewer else 0
    return turned + alive(network, height, width, rows) + most + scores + maxima + room


def weight_values(network: UNet) -> int:
    """Return how many values the copies of the parameters have."""
    values = sum(parameter.numel() for parameter in network.parameters())
    if network.head.weight.dtype != torch.float32:
        return values
    found = fewer_products(network, Sides.of(network, 0, 0))
    return values + sum((16 - 9) * sum(each.inner) * each.outer for each in found)


def in_step(geometry: Geometry, *sides: int) -> bool:
    """Whether inputs of these sides may take fewer products: the lowest level has an even side.

    Two outputs by two come out of fewer products at once, rounded alike only where they are the same
    two by two. Tiles with an even lowest level start at multiples of twice the pooling factor, turned or
    not, and so they are, on every level.
    """
    return all((side + 4) // geometry.factor % 2 == 0 for side in sides)


def steps(network: UNet) -> Geometry:
    """Return the geometry that tiles on a processor had best have: all are in step, if that matters."""
    geometry = network.geometry
    few = fewer_products(network, Sides.of(network, 0, 0))
    if network.head.weight.dtype != torch.float32 or not any(True for _ in few):
        return geometry
    smallest = geometry.smallest
    if not in_step(geometry, smallest):
        smallest += geometry.factor
    return Geometry(2 * geometry.factor, geometry.margin, smallest)


class FewerProducts(NamedTuple):
    """A convolution that takes them."""

    inner: tuple[int, ...]
    """Channels of each map that it reads."""
    outer: int
    size: tuple[int, int]
    """Height and width of the whole output."""
    more: int
    """Rows that a band of it has above those of the level's output."""


def fewer_products(network: UNet, sides: Sides) -> Iterator[FewerProducts]:
    """Yield the convolutions that take fewer products in float32, from top to bottom and up."""
    firsts = [
        *(
            ((network.width << level) // 2 if level else network.in_channels,)
            for level in range(network.depth + 1)
        ),
        *((raised, network.width << level) for level, raised in enumerate(network.raised)),
    ]
    levels = [*range(network.depth + 1), *range(network.depth)]
    for level, inner, (y, x) in zip(levels, firsts, [*sides.inputs, *sides.skips], strict=True):
        outer = network.width << level
        for each in (
            FewerProducts(inner, outer, (y - 2, x - 2), 2),
            FewerProducts((outer,), outer, (y - 4, x - 4), 0),
        ):
            if all(winograd.pays(channels, outer) for channels in each.inner):
                yield each


def _room_values(network: UNet, sides: Sides, band: int) -> int:
    """Return how many values the transformed maps have at most; in step, no map has odd sides."""
    most = 0
    for inner, outer, (height, width), more in fewer_products(network, sides):
        rows = min(height, _band_rows(band, outer * (width - more) * 4) + more)
        most = max(most, winograd.room_values(rows, width, max(inner), outer))
    return most


def _band_rows(band: int, row: int) -> int:
    """Return how many rows of `row` bytes a band has: an even number, as pooling needs."""
    return max(2, band // max(1, row) // 2 * 2)


def _blocks(modules: nn.ModuleList) -> Iterator[nn.Sequential]:
    for module in modules:
        assert isinstance(module, nn.Sequential)
        yield module
