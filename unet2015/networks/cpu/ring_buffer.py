"""Which rows of its maps an unpadded U-Net computes when, and the memory for those still needed.

An input goes through from top to bottom in strips over its whole width. Each level computes what
the rows so far allow, no row twice, and gives up what no later row needs. So what is alive does not
depend on the height of the input, but on how many rows lie between a pixel and the scores it counts for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unet2015.networks.unet2015 import UNet

Rows = tuple[int, int]
"""First row, and the one after the last."""


@dataclass(frozen=True)
class Sides:
    """Height and width of each map, for one size of input."""

    inputs: tuple[tuple[int, int], ...]
    """Of what each level reads, from the uppermost to the lowest."""
    skips: tuple[tuple[int, int], ...]
    """Of the cropped map of each level but the lowest."""
    outputs: tuple[tuple[int, int], ...]
    """Of what comes out of each level, on the way up."""

    @classmethod
    def of(cls, network: UNet, height: int, width: int) -> "Sides":
        """Return the sides for an input of legal size."""
        inputs, skips = [(height, width)], []
        for level in range(network.depth):
            y, x = inputs[-1]
            lost = 4 + 2 * network.edge(level)
            skips.append((y - lost, x - lost))
            inputs.append(((y - 4) // 2, (x - 4) // 2))
        y, x = inputs[-1]
        return cls(tuple(inputs), tuple(skips), (*((h - 4, w - 4) for h, w in skips), (y - 4, x - 4)))


@dataclass(frozen=True)
class Strip:
    """What one strip adds.

    Attributes
    ----------
    down : sequence of Rows
        Rows of each level's map after its two convolutions, the lowest included.
    skips : sequence of Rows
        Those of them that lie within the cropped map, in its rows.
    up : sequence of Rows
        Rows of each level's output, on the way up, the lowest excluded.
    """

    down: Sequence[Rows]
    skips: Sequence[Rows]
    up: Sequence[Rows]


def strips(network: UNet, height: int, width: int, rows: int) -> Iterator[Strip]:
    """Yield the strips of an input of legal size that enters by so many `rows` at a time."""
    sides, depth = Sides.of(network, height, width), network.depth
    down, skip, up = [0] * (depth + 1), [0] * depth, [0] * depth
    for entered in range(rows, height + rows, rows):
        before = tuple(down), tuple(skip), tuple(up)
        known = min(entered, height)
        for level in range(depth):
            # Pooling takes rows by twos; of the whole map their number is even.
            down[level] = max(0, known - 4) // 2 * 2
            skip[level] = min(max(0, down[level] - network.edge(level)), sides.skips[level][0])
            known = down[level] // 2
        known = max(0, known - 4)
        if entered < height:
            known -= known % 2  # the lowest level goes by twos as well: its fewer products start at even rows
        down[depth] = known
        for level in reversed(range(depth)):
            up[level] = known = max(0, min(2 * known, skip[level]) - 4) // 2 * 2
        yield Strip(*(tuple(zip(*pair, strict=True)) for pair in zip(before, (down, skip, up), strict=True)))


class Rolling:
    """A map (1, channels, height, width), channels last, of which only some rows are alive.

    Parameters
    ----------
    channels, width : int
        Of the map.
    room : int
        Most rows alive at once.
    dtype : torch.dtype
        Of the values.
    """

    def __init__(self, channels: int, width: int, room: int, dtype: torch.dtype) -> None:
        self.width = width
        self._memory = torch.empty(room, width, channels, dtype=dtype)
        self.clear()

    def clear(self) -> None:
        """Begin anew, with row 0."""
        self._origin = self._start = self._stop = 0

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows that are alive, (1, channels, stop - start, width): a view until rows are added."""
        assert self._start <= start <= stop <= self._stop
        return self._view(start, stop)

    def add(self, count: int) -> Tensor:
        """Return the next `count` rows, (1, channels, count, width), to be filled: a view, as above."""
        if self._stop + count - self._origin > len(self._memory):
            self._move()
        start, self._stop = self._stop, self._stop + count
        assert self._stop - self._origin <= len(self._memory)
        return self._view(start, self._stop)

    def drop(self, before: int) -> None:
        """Give up the rows above row `before`."""
        assert self._start <= before <= self._stop
        self._start = before

    def _view(self, start: int, stop: int) -> Tensor:
        return self._memory[start - self._origin : stop - self._origin].permute(2, 0, 1)[None]

    def _move(self) -> None:
        """Move what is alive to the beginning, in pieces that do not overlap where they came from."""
        by, kept = self._start - self._origin, self._stop - self._start
        for first in range(0, kept, max(1, by)):
            last = min(first + by, kept)
            self._memory[first:last] = self._memory[by + first : by + last]
        self._origin = self._start


@dataclass(frozen=True)
class Rooms:
    """How many rows of each map are alive at most; the uppermost level reads the input itself."""

    inputs: tuple[int, ...]
    skips: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, depth: int, strips: Sequence[Strip]) -> "Rooms":
        """Return the rows for a sequence of strips."""
        # What a strip makes is added to what it starts from; what it used up is dropped after it.
        levels = range(depth)
        return cls(
            tuple(max(strip.down[n][1] // 2 - strip.down[n + 1][0] for strip in strips) for n in levels),
            tuple(max(strip.skips[n][1] - strip.up[n][0] for strip in strips) for n in levels),
            tuple(max(cls._below(strip, n)[1] - strip.up[n][0] // 2 for strip in strips) for n in levels),
        )

    @staticmethod
    def _below(strip: Strip, level: int) -> Rows:
        """Return the rows that come out of the level below."""
        return strip.up[level + 1] if level + 1 < len(strip.up) else strip.down[-1]


class Workspace:
    """The maps between the levels, for one size of input.

    Parameters
    ----------
    network : UNet
        Its widths and levels count, not its weights.
    height, width : int
        Of the input, in pixels; legal.
    rows : int
        Rows of the input that enter with each strip.
    dtype : torch.dtype
        Of the maps.

    Attributes
    ----------
    strips : list of Strip
        From top to bottom.
    inputs, outputs : list of Rolling
        What the levels below the uppermost read, and what comes out of them on the way up.
    skips : list of Rolling
        The cropped maps of the levels above the lowest.
    """

    def __init__(self, network: UNet, height: int, width: int, rows: int, dtype: torch.dtype) -> None:
        self.strips = list(strips(network, height, width, rows))
        rooms, sides = Rooms.of(network.depth, self.strips), Sides.of(network, height, width)
        levels = range(network.depth)

        def rolling(level: int, width: int, room: int) -> Rolling:
            return Rolling(network.width << level, width, room, dtype)

        self.inputs = [rolling(n, sides.inputs[n + 1][1], rooms.inputs[n]) for n in levels]
        self.skips = [rolling(n, sides.skips[n][1], rooms.skips[n]) for n in levels]
        self.outputs = [rolling(n + 1, sides.outputs[n + 1][1], rooms.outputs[n]) for n in levels]

    def clear(self) -> None:
        """Begin anew, with a new input."""
        for rolling in (*self.inputs, *self.skips, *self.outputs):
            rolling.clear()


def alive(network: UNet, height: int, width: int, rows: int) -> int:
    """Return how many values the maps between the levels have."""
    sides = Sides.of(network, height, width)
    rooms = Rooms.of(network.depth, list(strips(network, height, width, rows)))
    return sum(
        network.width
        * (
            (rooms.inputs[level] * sides.inputs[level + 1][1] << level)
            + (rooms.skips[level] * sides.skips[level][1] << level)
            + (rooms.outputs[level] * sides.outputs[level + 1][1] << level + 1)
        )
        for level in range(network.depth)
    )
