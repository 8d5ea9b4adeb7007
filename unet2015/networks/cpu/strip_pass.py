"""One image on its way through the U-Net, strip by strip, and within a strip block by block."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015.geometry import after_block, before_block, before_upsampling, crop_border
from unet2015.networks.cpu.layers import Layers
from unet2015.networks.cpu.maxima import largest, pool
from unet2015.networks.cpu.ring_buffer import Workspace
from unet2015.networks.cpu.row_blocks import columns_of, columns_per_block, row_blocks, rows_per_block
from unet2015.networks.cpu.strip_schedule import Rows, Strip
from unet2015.networks.cpu.up_convolutions import UpConvolutions
from unet2015.networks.unet2015 import UNet


class StripPass:
    """One pass of one image through the network.

    Parameters
    ----------
    network : UNet
        Only its shape is used; the weights come from `layers`.
    layers : Layers
    upsample : UpConvolutions
    head : nn.Conv2d
        The last layer, in its own precision.
    space : Workspace
        For the size of the image.
    block_bytes : int
        Bytes of a row block of a map.
    """

    def __init__(
        self,
        network: UNet,
        layers: Layers,
        upsample: UpConvolutions,
        head: nn.Conv2d,
        space: Workspace,
        block_bytes: int,
    ) -> None:
        self.network, self.layers, self.upsample, self.head = network, layers, upsample, head
        self.space, self.block_bytes = space, block_bytes

    def run(self, image: Tensor, scores: Tensor) -> None:
        """Fill `scores` (1, classes, h, w) with those of an image (1, in_channels, H, W), channels last.

        Raises
        ------
        OverflowRiskError
            Sums of packed layers may leave the range of float32; part of the scores is written.
        """
        self.image, self.scores = image, scores
        depth = self.network.depth
        # The largest value so far of what each level reads, and of what it hands up. None is negative.
        zero = torch.zeros((), dtype=image.dtype)
        self.largest_read = [torch.stack(torch.aminmax(image)).abs().amax(), *[zero] * depth]
        self.largest_output = [zero] * (depth + 1)
        self.space.clear()
        for strip in self.space.strips:
            for level in range(depth):
                self._contract(level, strip)
            self._lowest(strip.contract[depth])
            for level in reversed(range(depth)):
                self._expand(level, strip.expand[level])

    def _input(self, level: int, rows: Rows, columns: Rows) -> Tensor:
        """Return what a level on the way down reads for a block of its map."""
        start, stop = rows[0], before_block(rows[1])
        x = self.image[:, :, start:stop] if level == 0 else self.space.inputs[level - 1].rows(start, stop)
        return columns_of(x, columns[0], before_block(columns[1]))

    def _input_width(self, level: int) -> int:
        return self.image.shape[-1] if level == 0 else self.space.inputs[level - 1].width

    def _drop_input(self, level: int, before: int) -> None:
        if level > 0:
            self.space.inputs[level - 1].drop(before)

    def _contract(self, level: int, strip: Strip) -> None:
        """Add rows to the cropped map of a level, and to what the level below reads."""
        start, stop = strip.contract[level]
        if start == stop:
            return
        self.layers.check_contract(float(self.largest_read[level]), level)
        border, width = crop_border(self.network.depth, level), after_block(self._input_width(level))
        kept = strip.skips[level]
        copied = self.space.skips[level].add(kept[1] - kept[0])
        pooled = self.space.inputs[level].add((stop - start) // 2)
        first, second = self.layers.contract[level]

        # A function of its own, so that the maps of one block are freed before the next.
        def compute(rows: Rows, columns: Rows) -> None:
            (low, high), (left, right) = rows, columns
            y = second(first(self._input(level, rows, columns)))
            begin, end = max(low - border, kept[0]), min(high - border, kept[1])
            first_kept, end_kept = max(left, border), min(right, width - border)
            if begin < end and first_kept < end_kept:
                cut = y[:, :, begin + border - low : end + border - low, first_kept - left : end_kept - left]
                copied[:, :, begin - kept[0] : end - kept[0], first_kept - border : end_kept - border] = cut
            part = pooled[:, :, (low - start) // 2 : (high - start) // 2, left // 2 : right // 2]
            pool(y, part, self.layers.packed)

        for block in self._blocks(start, stop, width, level):
            compute(*block)
        self._drop_input(level, stop)
        # Max pooling keeps the maximum of the whole map.
        found = largest(pooled, self.layers.packed)
        self.largest_read[level + 1] = torch.maximum(self.largest_read[level + 1], found)

    def _lowest(self, rows: Rows) -> None:
        """Add rows to the output of the lowest level."""
        depth = self.network.depth
        if rows[0] == rows[1]:
            return
        self.layers.check_contract(float(self.largest_read[depth]), depth)
        first, second = self.layers.contract[-1]
        store = self._output(depth, rows)
        for block in self._blocks(*rows, after_block(self._input_width(depth)), depth):
            store(*block, second(first(self._input(depth, *block))))
        self._drop_input(depth, rows[1])

    def _expand(self, level: int, rows: Rows) -> None:
        """Add rows to the output of a level; the output of the uppermost level are the scores."""
        if rows[0] == rows[1]:
            return
        skip, outputs = self.space.skips[level], self.space.outputs[level]
        bound = self.upsample.bounds[level](float(self.largest_output[level + 1]))
        self.layers.check_expand(bound, float(self.largest_read[level + 1]), level)
        concat, second = self.layers.expand[level]
        composed = self.layers.composed[level]

        def compute(rows: Rows, columns: Rows) -> Tensor:
            (low, high), (left, right) = ((start, before_block(stop)) for start, stop in (rows, columns))
            below = outputs.rows(before_upsampling(low), before_upsampling(high))
            below = columns_of(below, before_upsampling(left), before_upsampling(right))
            cropped = columns_of(skip.rows(low, high), left, right)
            if composed is not None:
                return second(composed(below, cropped))
            raised = self.upsample(level, below)
            if self.network.variant == "release":
                raised = functional.relu_(raised)
            y = concat(raised, cropped)
            del raised  # free it before the next map is made
            return second(y)

        store = self._output(level, rows)
        for block in self._blocks(*rows, after_block(skip.width), level):
            store(*block, compute(*block))
        outputs.drop(before_upsampling(rows[1]))
        skip.drop(rows[1])

    def _output(self, level: int, rows: Rows) -> Callable[[Rows, Rows, Tensor], None]:
        """Return what stores the output of a level, block by block."""
        if level == 0:

            def store_scores(rows: Rows, columns: Rows, y: Tensor) -> None:
                self.scores[:, :, slice(*rows), slice(*columns)] = self.head(y.to(self.scores.dtype))

            return store_scores
        out = self.space.outputs[level - 1].add(rows[1] - rows[0])

        def store(block: Rows, columns: Rows, y: Tensor) -> None:
            found = largest(y, self.layers.packed)
            self.largest_output[level] = torch.maximum(self.largest_output[level], found)
            out[:, :, block[0] - rows[0] : block[1] - rows[0], slice(*columns)] = y

        return store

    def _blocks(self, start: int, stop: int, width: int, level: int) -> Iterator[tuple[Rows, Rows]]:
        """Yield the rows and the columns of each block of a level's map of `width` pixels."""
        channels, dtype = self.network.width << level, self.image.dtype
        rows = rows_per_block(self.block_bytes, channels * width * dtype.itemsize)
        for block in row_blocks(start, stop, rows):
            for columns in row_blocks(0, width, columns_per_block(width, channels, dtype)):
                yield block, columns
