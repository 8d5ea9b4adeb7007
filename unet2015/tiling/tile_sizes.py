"""Which tiles a plan may have, and which of them are the least work."""

from collections.abc import Callable, Iterable, Sequence

from unet2015.geometry import Geometry
from unet2015.tiling.plan import count_tiles

LARGEST_OUTPUT = 2048
"""Largest output side of a tile, in pixels. With a margin of 92 px, larger tiles save less than 4 % of the
work."""
BUSY = 2**21
"""Pixels of a batch that keep a GPU busy. Of the paper's network on an H100, a tile of 572 px alone takes 1.5
times as long as in a batch."""
BATCH_COST = 2**17
"""Work that each batch costs a GPU beside its pixels, in pixels: the starts of its kernels, about 0.5 ms."""
_AT_ONCE = 16
"""Sizes that are tried before it is worth knowing which cannot fit."""
TILE_COST = 1024
"""Work that each tile costs beside its own pixels, in pixels. Without it, a network that has no margin would
get tiles of one pixel."""


def batches(sides: tuple[int, int], tiles: int) -> list[int]:
    """Return how many tiles a GPU may take together, the best first.

    A single small tile does not keep a GPU busy; it does keep a CPU busy.
    """
    most = min(tiles, BUSY // (sides[0] * sides[1]))
    return [count for count in (8, 4, 2, 1) if count <= max(1, most)]


def by_work(geometry: Geometry, shape: tuple[int, int, int], batched: bool) -> list[tuple[int, int]]:
    """Return the possible tiles, least work first; with equal work, the smaller first.

    If `batched`, tiles go through the network together, and each batch costs something of its own. Reading
    and writing do not count, though with several tiles some are written while others are computed: what that
    gains depends on the precision, which is not known here. One page of 2048 x 2048 took an H100 26 ms in one
    tile and 24 ms in four in bfloat16, but 204 and 228 ms in float32.
    """
    pages, height, width = shape

    def sides(length: int) -> dict[int, int]:
        largest = geometry.input_for(min(length, LARGEST_OUTPUT))
        smallest = min(largest, geometry.smallest_covering)
        counts: dict[int, int] = {}
        for side in range(largest, smallest - 1, -geometry.factor):
            counts[count_tiles(length, side, geometry)] = side  # at last the smallest side for this count
        return {side: count for count, side in counts.items()}

    rows, columns = sides(height), sides(width)
    pairs = [(y, x) for y in rows for x in columns]

    def work(y: int, x: int) -> int:
        tiles, each = pages * rows[y] * columns[x], y * x + TILE_COST
        if not batched:
            return tiles * each
        return tiles * each + -(-tiles // batches((y, x), tiles)[0]) * BATCH_COST

    return sorted(pairs, key=lambda pair: (work(*pair), pair[0] * pair[1], pair))


def search(
    candidates: Sequence[tuple[int, int]],
    fits: Callable[[tuple[int, int]], bool],
    may_fit: Callable[[tuple[int, int]], bool],
) -> tuple[int, int] | None:
    """Return the first candidate that fits, or None, without trying thousands where few fit, or none.

    `may_fit` is true for all that fit, and for none that is larger than one for which it is false: what lists
    of tiles need, which is less the larger the tiles are, does not count there.
    """
    found = first_fitting(candidates[:_AT_ONCE], fits)
    return found or first_fitting(below(candidates, may_fit), fits)


def below(
    candidates: Sequence[tuple[int, int]], fits: Callable[[tuple[int, int]], bool]
) -> list[tuple[int, int]]:
    """Return the candidates that fit, in their order, where none fits that is larger than one that does not.

    Their border is a staircase, and only the sides along it are tried: hundreds where there are thousands.
    """
    heights, widths = (sorted({sides[axis] for sides in candidates}) for axis in range(2))
    widest: dict[int, int] = {}
    if not fits((heights[0], widths[0])):
        return []
    for height in heights:
        while widths and not fits((height, widths[-1])):
            widths.pop()
        if not widths:
            break
        widest[height] = widths[-1]
    return [(height, width) for height, width in candidates if width <= widest.get(height, 0)]


def first_fitting(
    candidates: Iterable[tuple[int, int]], fits: Callable[[tuple[int, int]], bool]
) -> tuple[int, int] | None:
    """Return the first candidate that fits, or None.

    A candidate is not tried if one that is no larger along either axis did not fit.
    """
    refused: list[tuple[int, int]] = []
    for y, x in candidates:
        if any(y >= ry and x >= rx for ry, rx in refused):
            continue
        if fits((y, x)):
            return y, x
        refused.append((y, x))
    return None
