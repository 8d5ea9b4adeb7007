"""The cost of finding the objects of large maps, next to public tools; and what tiles do to objects.

``python -m benchmarks.objects [--quick] [--side N] [--large N] [--many N] [--max-memory SIZE] [--folder DIR]
[--out FILE]``

1. A mask of SIDE x SIDE pixels is labelled in strips, and by scikit-image, cc3d and dask-image where they are
   installed, each in a process of its own: processor time and peak memory. All must find the same parts.
2. A class map of LARGE x LARGE pixels in a TIFF, with more than 500,000 objects at LARGE = 40,000, is
   labelled and measured by the installed command under a memory cap. So is one of MANY x MANY pixels with an
   object of 3 x 3 pixels in each square of 4, which are 5,062,500 at MANY = 9000, without a cap.
3. Two cases of objects at the border of tiles, as users of cellpose describe them: objects that are cut
   there (MouseLand/cellpose#1482), and neighbours that are joined there (#1148). Both ways of putting tiles
   together are imitated here; neither tool is run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import options
from benchmarks.machine import keep_result, row
from benchmarks.peak import MIB, high_water, peak_of
from benchmarks.peers import peer, peer_versions
from unet2015.arguments import parse_size
from unet2015.images.array_image import ArrayImage
from unet2015.images.writer import ImageWriter, Layout
from unet2015.objects.instances import ArrayPage
from unet2015.objects.numbering import number_page
from unet2015.objects.strips import strip_rows
from unet2015.settings.objects import MarkerSettings, ObjectSettings

Labels = NDArray[Any]
REPEATS, PATIENCE = 5, 5.0
"""Runs of a tool, of which the fastest counts; no more once they took so many seconds."""
PITCH = 56
"""Pixels between the centres of cells in a large map."""


def cells(rows: int, columns: int, top: int = 0) -> NDArray[np.uint8]:
    """Draw a piece of the large map: a round or elliptic cell in each square, most with a hole."""
    y, x = np.mgrid[top : top + rows, :columns]
    row, column = y // PITCH, x // PITCH
    number = (row * 7919 + column * 104729) % 997
    a, b = 12 + number % 13, 10 + number // 13 % 15
    away = ((y % PITCH - PITCH / 2) / a) ** 2 + ((x % PITCH - PITCH / 2) / b) ** 2
    drawn: NDArray[np.uint8] = ((away < 1) & ((away > 0.05) | (number % 3 == 0))).astype(np.uint8)
    return drawn


def grains(rows: int, columns: int, top: int = 0) -> NDArray[np.uint8]:
    """Draw a piece of a map of very many objects: 3 x 3 pixels in each square of 4 x 4."""
    y, x = np.arange(top, top + rows), np.arange(columns)
    return np.outer(y % 4 < 3, x % 4 < 3).astype(np.uint8)


class MaskPage:
    """A mask in memory as a page."""

    def __init__(self, mask: NDArray[np.uint8]) -> None:
        self._mask = mask
        self.height, self.width = mask.shape

    def inside(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
        """Return which pixels of a region belong to objects."""
        return self._mask[top:bottom, left:right] > 0

    def probability(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.floating]:
        """Return the mask as floats."""
        return self._mask[top:bottom, left:right].astype(np.float32)


def label_strips(mask: NDArray[np.uint8]) -> Labels:
    """Label in strips, as the command does; holes are not looked for, because the others do not, either."""
    rows = strip_rows(*mask.shape)
    numbers = number_page(MaskPage(mask), ObjectSettings(fill_holes=False), rows)
    found = np.empty(mask.shape, np.uint32)
    for top in range(0, len(mask), rows):
        numbers.labels(top, found[top : top + rows])
    return found


def _scikit_image(mask: NDArray[np.uint8]) -> Labels:
    from skimage.measure import label

    found: Labels = label(mask, connectivity=1)  # type: ignore[no-untyped-call]
    return found


def _cc3d(mask: NDArray[np.uint8]) -> Labels:
    import cc3d  # type: ignore[import-not-found]

    found: Labels = cc3d.connected_components(mask, connectivity=4)
    return found


def _dask_image(mask: NDArray[np.uint8]) -> Labels:
    import dask.array
    from dask_image.ndmeasure import label  # type: ignore[import-not-found]

    chunks = dask.array.from_array(mask, chunks=1024)  # type: ignore[no-untyped-call]
    found: Labels = label(chunks)[0].compute(scheduler="sync")
    return found


TOOLS: dict[str, tuple[str, Callable[[NDArray[np.uint8]], Labels]]] = {
    "unet2015": ("unet2015", label_strips),
    "scikit-image": ("skimage", _scikit_image),
    "cc3d": ("cc3d", _cc3d),
    "dask-image": ("dask_image", _dask_image),
}


def one(name: str, side: int) -> None:
    """Label the mask with one tool; print seconds, memory beyond the mask, and what it found."""
    mask = cells(side, side)
    tool = TOOLS[name][1]
    tool(mask[:64, :64])  # what is compiled or loaded is so now
    Path("/proc/self/clear_refs").write_text("5")
    taken: list[float] = []
    before = high_water(os.getpid())
    while len(taken) < REPEATS and sum(taken) < PATIENCE:
        found, start = np.empty(0, np.uint32), time.process_time()  # one result at a time
        found = tool(mask)
        taken.append(time.process_time() - start)
    cpu, peak = min(taken), high_water(os.getpid()) - before
    same = same_parts(found, _scikit_image(mask))
    print(json.dumps({"cpu": cpu, "peak_mib": peak / MIB, "objects": int(found.max()), "same": same}))


def same_parts(one: Labels, other: Labels) -> bool:
    """Whether two label images have the same objects, whatever their numbers."""
    pairs = np.unique(one.astype(np.int64) * (int(other.max()) + 1) + other)
    first, second = np.divmod(pairs, int(other.max()) + 1)
    return len(np.unique(first)) == len(np.unique(second)) == len(pairs)


def against_others(side: int) -> dict[str, Any]:
    """Run each tool that is installed in a process of its own."""
    rows = {}
    for name, (module, _) in TOOLS.items():
        if name != "unet2015" and peer(module) is None and module != "skimage":
            continue
        command = [sys.executable, "-m", "benchmarks.objects", "--one", name, "--side", str(side)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows[name] = json.loads(said)
        found = rows[name]
        print(
            f"{name:<13} {found['objects']} objects, CPU {found['cpu']:.2f} s, {found['peak_mib']:.0f} MiB "
            f"beyond the mask, the same: {found['same']}",
            flush=True,
        )
    return rows


def large_map(
    folder: Path, side: int, cap: str | None, draw: Callable[[int, int, int], NDArray[np.uint8]] = cells
) -> dict[str, Any]:
    """Label and measure a large class map by the installed command; return what it took."""
    path = folder / "cells.classes.tif"
    like = ArrayImage(np.broadcast_to(np.uint8(0), (side, side)))
    with ImageWriter(path, like, np.uint8, layout=Layout(tiled=True)) as writer:
        for top in range(0, side, 512):
            writer.write(draw(min(512, side - top), side, top))
    program, out = Path(sys.executable).with_name("unet2015"), folder / "out"
    took = peak_of([program, "label", path, "-o", out, *(["--max-memory", cap] if cap else [])])
    with (out / "cells.objects.csv").open("rb") as file:
        count = sum(1 for _ in file) - 1
    print(
        f"{side} x {side}: {count} objects, peak {took['peak_mib']} MiB, CPU {took['cpu_seconds']} s",
        flush=True,
    )
    return {"side": side, "objects": count, "cap": cap, **took}


def tiles_of(page: Labels, tile: int) -> Iterator[tuple[slice, slice]]:
    """Yield the tiles of a page."""
    for y in range(0, page.shape[0], tile):
        for x in range(0, page.shape[1], tile):
            yield slice(y, y + tile), slice(x, x + tile)


def by_themselves(values: NDArray[np.float32], settings: ObjectSettings, tile: int) -> Labels:
    """Find the objects of each tile, and number them on: objects are cut at every border."""
    found, count = np.zeros(values.shape, np.int64), 0
    for place in tiles_of(found, tile):
        here = number_page(ArrayPage(values[place], 0.5), settings, tile).labels(0)
        found[place] = np.where(here > 0, here + count, 0)
        count = int(found.max())
    return found


def joined_where_they_touch(values: NDArray[np.float32], settings: ObjectSettings, tile: int) -> Labels:
    """Do the same, then join objects of neighbouring tiles that touch at the border."""
    found = by_themselves(values, settings, tile)
    same = np.arange(found.max() + 1)
    pairs = [(found[y - 1], found[y]) for y in range(tile, found.shape[0], tile)]
    pairs += [(found[:, x - 1], found[:, x]) for x in range(tile, found.shape[1], tile)]
    for one, other in pairs:
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            if a and b:
                same[same == same[b]] = same[a]
    return same[found]


def seams() -> list[dict[str, Any]]:
    """Return the number of objects of both cases, by each way of putting tiles together."""
    y, x = np.mgrid[:128, :128]
    whole = np.where(np.hypot(y - 64, x - 64) < 40, 0.9, 0.05).astype(np.float32)
    left, right = np.hypot(y - 64, x - 40), np.hypot(y - 64, x - 88)
    two = np.clip(1.05 - np.minimum(left, right) / 48, 0.05, 1).astype(np.float32)
    split = ObjectSettings(markers=MarkerSettings(level=0.8, blur=2))
    cases = (
        ("one cell across four tiles (cellpose#1482)", whole, ObjectSettings(), 1),
        ("two cells that touch at the border (cellpose#1148)", two, split, 2),
    )
    rows = []
    for name, values, settings, true in cases:
        ours = [
            number_page(ArrayPage(values, 0.5), settings, strip).objects for strip in (1, 16, 64, len(values))
        ]
        assert len(set(ours)) == 1
        cut = len(np.unique(by_themselves(values, settings, 64))) - 1
        joined = len(np.unique(joined_where_they_touch(values, settings, 64))) - 1
        rows.append({"case": name, "true": true, "unet2015": ours[0], "tiles alone": cut, "joined": joined})
        print(rows[-1], flush=True)
    return rows


def table(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table of all results."""
    found = []
    ours, large = answer["tools"]["unet2015"], answer.get("large")
    what = f"labelling a mask of {answer['side']} x {answer['side']}, {ours['objects']} objects, CPU time"
    for name, other in answer["tools"].items():
        if name != "unet2015":
            note = (
                f"{ours['cpu']:.2f} and {other['cpu']:.2f} s; beyond the mask {ours['peak_mib']:.0f} and "
                f"{other['peak_mib']:.0f} MiB; the same objects"
            )
            if name == "cc3d" and other["cpu"] < ours["cpu"]:
                note += "; one compiled pass, ours are about twenty of NumPy over runs of pixels (NOTES.md)"
            found.append(row(what, name, other["cpu"] / ours["cpu"], "x", 1, note=note))
    if large:
        what = (
            f"objects of {large['side']} x {large['side']}: label and measure {large['objects']}, peak memory"
        )
        share = 100 * large["peak_mib"] * MIB / (parse_size(large["cap"]) or 1)
        note = f"{large['peak_mib']:.0f} MiB; CPU {large['cpu_seconds']:.0f} s"
        found.append(row(what, f"a cap of {large['cap']}", share, "%", 100, at_least=False, note=note))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = options("objects", __doc__, "small sizes")
    parser.add_argument("--side", type=int)
    parser.add_argument("--large", type=int)
    parser.add_argument("--many", type=int)
    parser.add_argument("--max-memory", default="2G")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", choices=TOOLS, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    side = given.side or (512 if given.quick else 8192)
    if given.one:
        one(given.one, side)
        return 0
    answer: dict[str, Any] = {
        "side": side,
        "peers": peer_versions("scikit-image", "connected-components-3d", "dask-image"),
        "tools": against_others(side),
        "seams": seams(),
    }
    if not all(tool["same"] for tool in answer["tools"].values()):
        raise RuntimeError(f"the tools do not find the same objects: {answer['tools']}")
    large = given.large if given.large is not None else (1024 if given.quick else 40_000)
    if large:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            answer["large"] = large_map(Path(folder), large, given.max_memory)
    many = given.many if given.many is not None else (256 if given.quick else 9000)
    if many:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            answer["many"] = large_map(Path(folder), many, None, grains)
    answer["table"] = table(answer)
    keep_result(given, "objects", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
