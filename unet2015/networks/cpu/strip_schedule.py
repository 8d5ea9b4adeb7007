"""Which rows of its maps a U-Net computes when its input enters from top to bottom, strip by strip.

Each level computes what the rows so far allow, no row twice. The receptive field of a row decides how far a
level is behind the input, and which rows must be kept; the height of the input does not matter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unet2015.geometry import after_block, after_pooling, after_upsampling, crop_border, unet_sides

Rows = tuple[int, int]
"""First row, and the one after the last."""


@dataclass(frozen=True)
class Strip:
    """The rows that one strip adds.

    Attributes
    ----------
    contract : sequence of Rows
        Of each level's map after its block on the way down, the lowest included.
    skips : sequence of Rows
        Those of them that crop-and-copy keeps, counted in the cropped map; the lowest level has none.
    expand : sequence of Rows
        Of each level's output on the way up, the lowest excluded.
    """

    contract: Sequence[Rows]
    skips: Sequence[Rows]
    expand: Sequence[Rows]

    def below(self, level: int) -> Rows:
        """Return the rows of the output of the level below `level`."""
        return self.expand[level + 1] if level + 1 < len(self.expand) else self.contract[-1]


def strips(depth: int, height: int, rows: int) -> Iterator[Strip]:
    """Yield the strips of an input.

    Parameters
    ----------
    depth : int
        Poolings of the U-Net.
    height : int
        Of the input, in pixels; legal.
    rows : int
        Rows of the input that enter with each strip.
    """
    cropped = unet_sides(height, depth).expand
    contract, skips, expand = [0] * (depth + 1), [0] * depth, [0] * depth  # rows done so far
    for entered in range(rows, height + rows, rows):
        before = tuple(contract), tuple(skips), tuple(expand)
        known = min(entered, height)
        for level in range(depth):
            # By twos, as pooling takes them. The whole map has an even number of rows, so none is left over.
            contract[level] = _even(after_block(known))
            skips[level] = min(max(0, contract[level] - crop_border(depth, level)), cropped[level])
            known = after_pooling(contract[level])
        known = max(0, after_block(known))
        # By twos here, too, as Winograd's 2 x 2 outputs start at even rows; the whole may have an odd row.
        contract[depth] = known if entered >= height else _even(known)
        known = contract[depth]
        for level in reversed(range(depth)):
            expand[level] = known = _even(after_block(min(after_upsampling(known), skips[level])))
        now = contract, skips, expand
        yield Strip(*(tuple(zip(*pair, strict=True)) for pair in zip(before, now, strict=True)))


def _even(rows: int) -> int:
    """Return the largest even number of rows within `rows`, which may be below 0."""
    return max(0, rows) // 2 * 2
