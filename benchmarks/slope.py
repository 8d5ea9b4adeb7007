"""Cost of a page against its size, next to a straight line, in tiles of the bare network run in between.

``python -m benchmarks.slope [--quick] [--largest 32768] [--width N] [--depth N] [--max-memory SIZE]
[--folder DIR] [--out FILE]``

Processors change their speed by more than the few percent that are asked about: with their neighbours, with
heat. So after each tile of a page its network runs once more on the same tile, all by itself, and a page
costs as many of these bare tiles as fit in its own time. Slow moments meet both. Pages from one tile on are
doubled up to the largest; all sizes take as many tiles as the largest has, in turn.

The cost of a page is all of `segment_files`, TIFF to TIFF, as in ``benchmarks.image_size``, less the bare
tiles. Reading and writing that go on beside the network do so beside the bare tiles, too, in whose time they
count then: it is the same for all pages of several tiles. The slope is that from each size to the next; it is
compared with that between the first and the last.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import options
from benchmarks.machine import keep_result, row
from benchmarks.out_of_core import draw_page, write_model
from unet2015.arguments import parse_size
from unet2015.models.model_file import Model, read_model_file
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.tiling.predictor import Predictor

AIM = 5.0
SMALLEST = 2048
"""From here on the tile plan reads no more for a pixel, under 2 GiB (NOTES.md)."""


@dataclass
class Page:
    """A page of one size, and the seconds that it took.

    Attributes
    ----------
    side : int
        In pixels.
    path : Path
        Its file.
    seconds : list of float
        Of each run, without the bare tiles.
    bare : list of float
        Of each bare tile.
    """

    side: int
    path: Path
    seconds: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """How many bare tiles fit in the time of the page."""
        tiles = len(self.bare) / len(self.seconds)
        return tiles * sum(self.seconds) / sum(self.bare)

    def run(self, model: Model, options: SegmentOptions, folder: Path) -> None:
        """Segment the page once."""
        before, start = len(self.bare), time.perf_counter()
        usual = Predictor.__call__

        def twice(predictor: Predictor, tiles: NDArray[Any]) -> NDArray[Any]:
            found = usual(predictor, tiles)
            begin = time.perf_counter()
            usual(predictor, tiles)
            self.bare.append(time.perf_counter() - begin)
            return found

        target = folder / "result.tif"
        with patch.object(Predictor, "__call__", twice):
            (result,) = segment_files([self.path], target, model, options)
        if result.error:
            raise result.error
        self.seconds.append(time.perf_counter() - start - sum(self.bare[before:]))
        for path in (target, target.with_name("result.record.json")):
            path.unlink()


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Draw the pages, segment them in turn, and compare their costs."""
    sides = [given.smallest]
    while 2 * sides[-1] <= given.largest:
        sides.append(2 * sides[-1])
    model = read_model_file(write_model(folder / "model.safetensors", given.width, given.depth))
    settings = SegmentOptions(max_memory=parse_size(given.max_memory), device="cpu", tiled=True)
    pages = [Page(side, folder / f"{side}.tif") for side in sides]
    for page in pages:
        draw_page(page.path, page.side)
    Page(sides[0], pages[0].path).run(model, settings, folder)  # what only the first costs
    most = 4 ** (len(pages) - 1)
    for turn in range(most):
        for number, page in enumerate(pages):
            if turn % 4**number == 0:
                page.run(model, settings, folder)
    for page in pages:
        spread = 100 * np.std(page.bare) / np.mean(page.bare)
        print(
            f"{page.side:>6} px: {page.cost:.3f} bare tiles; {len(page.seconds)} times "
            f"{np.mean(page.seconds):.2f} s, {len(page.bare)} bare tiles of {np.mean(page.bare):.3f} s "
            f"(deviation {spread:.0f} %)",
            flush=True,
        )
    return answer(pages, given)


def answer(pages: Sequence[Page], given: argparse.Namespace) -> dict[str, Any]:
    """Return costs, slopes and the row of the table."""
    points = [(page.side**2 / 1e6, page.cost) for page in pages]
    *slopes, whole = ((b - a) / (n - m) for (m, a), (n, b) in [*pairwise(points), (points[0], points[-1])])
    deviation = 100 * max(abs(slope / whole - 1) for slope in slopes)
    bare = np.concatenate([page.bare for page in pages])
    return {
        "network": {"width": given.width, "depth": given.depth},
        "sizes": [
            {
                "side": page.side,
                "cost": page.cost,
                "times": len(page.seconds),
                "seconds": float(np.mean(page.seconds)),
                "bare_tiles": len(page.bare),
                "bare_seconds": float(np.mean(page.bare)),
            }
            for page in pages
        ],
        "bare_tiles_per_megapixel": whole,
        "slopes": slopes,
        "deviation_percent": deviation,
        "table": [
            row(
                f"slope of the cost over pixels, {pages[0].side:,} to {pages[-1].side:,} px a side",
                "a straight line",
                deviation,
                "%",
                AIM,
                at_least=False,
                note=f"costs in bare tiles of the network, each timed within the page, as their own times "
                f"differ by {100 * np.std(bare) / np.mean(bare):.0f} % (standard deviation); the slopes are "
                + ", ".join(f"{slope:.4f}" for slope in slopes)
                + " tiles a megapixel",
            )
        ],
    }


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out the notes on each result, which are the same."""
    log = logging.getLogger("unet2015")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = options("slope", __doc__, "small pages")
    parser.add_argument("--largest", type=int, default=32_768, help="largest side in pixels")
    parser.add_argument("--width", type=int, default=8, help="width of the network")
    parser.add_argument("--depth", type=int, default=4, help="poolings of the network")
    parser.add_argument("--max-memory", default="2G", help="memory cap")
    parser.add_argument("--folder", type=Path, help="where the images go, for a while")
    given = parser.parse_args(arguments)
    given.smallest = SMALLEST
    if given.quick:
        given.smallest, given.largest, given.width, given.depth = 128, 512, 1, 1
    if given.largest < 2 * given.smallest:
        parser.error(f"--largest must be {2 * given.smallest} or more, so that there are two sizes")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, _quietly():
        found = measure(given, Path(folder))
    keep_result(given, "slope", __doc__, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
