"""Memory for the maps between the levels of a U-Net: ring buffers that hold only the rows still needed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unet2015.geometry import after_pooling, before_upsampling, unet_sides
from unet2015.networks.cpu.strip_schedule import Strip, strips
from unet2015.networks.unet2015 import UNet


class RingBuffer:
    """A map (1, channels, height, width), channels last, of which a window of rows is held.

    Rows are added below and dropped above. Convolutions need consecutive rows without a gap in memory, so the
    buffer does not wrap around: when it is full, the rows still held are moved to its beginning.

    Parameters
    ----------
    channels, width : int
        Of the map.
    capacity : int
        Most rows held at once.
    dtype : torch.dtype
        Of the values.
    """

    def __init__(self, channels: int, width: int, capacity: int, dtype: torch.dtype) -> None:
        self.width = width
        self._memory = torch.empty(capacity, width, channels, dtype=dtype)
        self.clear()

    def clear(self) -> None:
        """Drop all rows; the next one is row 0."""
        self._origin = self._start = self._stop = 0

    def rows(self, start: int, stop: int) -> Tensor:
        """Return held rows, (1, channels, stop - start, width): a view, valid until rows are added."""
        assert self._start <= start <= stop <= self._stop
        return self._view(start, stop)

    def add(self, count: int) -> Tensor:
        """Return the next `count` rows, (1, channels, count, width), to be written: a view, as above."""
        if self._stop + count - self._origin > len(self._memory):
            self._move()
        start, self._stop = self._stop, self._stop + count
        assert self._stop - self._origin <= len(self._memory)
        return self._view(start, self._stop)

    def drop(self, before: int) -> None:
        """Drop the rows above row `before`."""
        assert self._start <= before <= self._stop
        self._start = before

    def _view(self, start: int, stop: int) -> Tensor:
        return self._memory[start - self._origin : stop - self._origin].permute(2, 0, 1)[None]

    def _move(self) -> None:
        """Move the rows held to the beginning, in pieces that do not overlap their source."""
        by, held = self._start - self._origin, self._stop - self._start
        for first in range(0, held, max(1, by)):
            last = min(first + by, held)
            self._memory[first:last] = self._memory[by + first : by + last]
        self._origin = self._start


@dataclass(frozen=True)
class Capacities:
    """How many rows each ring buffer holds at most, by level.

    Attributes
    ----------
    inputs : tuple of int
        Of what each level below the uppermost reads; the uppermost reads the image itself.
    skips : tuple of int
        Of the cropped maps of the levels above the lowest.
    outputs : tuple of int
        Of what each level below the uppermost passes upwards.
    """

    inputs: tuple[int, ...]
    skips: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, depth: int, strips: Sequence[Strip]) -> "Capacities":
        """Return the rows for a sequence of strips."""
        # The rows of a strip are added before those that it has used are dropped.
        levels = range(depth)
        return cls(
            tuple(
                max(after_pooling(s.contract[i][1]) - s.contract[i + 1][0] for s in strips) for i in levels
            ),
            tuple(max(s.skips[i][1] - s.expand[i][0] for s in strips) for i in levels),
            tuple(max(s.below(i)[1] - before_upsampling(s.expand[i][0]) for s in strips) for i in levels),
        )


class Workspace:
    """The ring buffers between the levels, for one size of input.

    Parameters
    ----------
    network : UNet
        Only its widths and levels are used, not its weights.
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
    inputs, outputs : list of RingBuffer
        What each level below the uppermost reads, and what it passes upwards.
    skips : list of RingBuffer
        The cropped maps of the levels above the lowest.
    """

    def __init__(self, network: UNet, height: int, width: int, rows: int, dtype: torch.dtype) -> None:
        self.strips = list(strips(network.depth, height, rows))
        capacities, columns = Capacities.of(network.depth, self.strips), unet_sides(width, network.depth)
        levels = range(network.depth)

        def buffer(level: int, width: int, capacity: int) -> RingBuffer:
            return RingBuffer(network.width << level, width, capacity, dtype)

        self.inputs = [buffer(n, columns.contract[n + 1], capacities.inputs[n]) for n in levels]
        self.skips = [buffer(n, columns.expand[n], capacities.skips[n]) for n in levels]
        self.outputs = [buffer(n + 1, columns.output(n + 1), capacities.outputs[n]) for n in levels]

    def clear(self) -> None:
        """Make ready for a new input."""
        for buffer in (*self.inputs, *self.skips, *self.outputs):
            buffer.clear()


def buffer_values(network: UNet, height: int, width: int, rows: int) -> int:
    """Return how many values the ring buffers of a :class:`Workspace` have, without making it."""
    columns = unet_sides(width, network.depth)
    capacities = Capacities.of(network.depth, list(strips(network.depth, height, rows)))
    return sum(
        network.width
        * (
            (capacities.inputs[level] * columns.contract[level + 1] << level)
            + (capacities.skips[level] * columns.expand[level] << level)
            + (capacities.outputs[level] * columns.output(level + 1) << level + 1)
        )
        for level in range(network.depth)
    )
