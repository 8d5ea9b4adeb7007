"""Peak memory and time of segmenting images larger than memory, TIFF to TIFF, by the installed command.

``python -m benchmarks.out_of_core [--quick] [--side N] [--pages N] [--width N] [--depth N]
[--max-memory SIZE] [--folder DIR] [--out FILE]``

Two images are drawn in bounded memory: one page of 40,000 x 40,000 uint16 in a tiled BigTIFF, and a stack of
10,000 pages of 512 x 512 uint16. Each is segmented with a narrow untrained network, so that it ends in
minutes. The peak is that of the resident memory of the command and all its children, by
the kernel's account of the command and by adding up the processes ten times a second; the larger counts. It
needs Linux.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

from benchmarks.command import options
from benchmarks.machine import keep_result, row
from benchmarks.peak import MIB, peak_of
from unet2015.arguments import parse_size
from unet2015.images.reader import open_image
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings

TILE = 512


def texture(seed: int = 0) -> NDArray[np.uint16]:
    """Draw the pattern that all images show pieces of, (2 * TILE, 2 * TILE)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: 2 * TILE, : 2 * TILE] / 9.0
    waves = np.sin(x) * np.sin(y) * 8_000 + 30_000
    drawn: NDArray[np.uint16] = (
        (waves + random.normal(0, 2_000, waves.shape)).clip(0, 65_535).astype(np.uint16)
    )
    return drawn


def pieces(count: int) -> Iterator[NDArray[np.uint16]]:
    """Yield so many tiles, each another piece of the texture."""
    drawn, random = texture(), np.random.default_rng(1)
    for _ in range(count):
        y, x = random.integers(0, TILE, 2)
        yield np.ascontiguousarray(drawn[y : y + TILE, x : x + TILE])


def draw_page(path: Path, side: int) -> None:
    """Write one page as a tiled BigTIFF, one tile in memory at a time."""
    across = -(-side // TILE)
    tifffile.imwrite(
        path,
        pieces(across * across),
        shape=(side, side),
        dtype=np.uint16,
        tile=(TILE, TILE),
        bigtiff=True,
        photometric="minisblack",
        resolution=(40_000, 40_000),
        resolutionunit="CENTIMETER",
    )


def draw_stack(path: Path, pages: int) -> None:
    """Write a stack as a BigTIFF, one page in memory at a time."""
    tifffile.imwrite(
        path,
        pieces(pages),
        shape=(pages, TILE, TILE),
        dtype=np.uint16,
        bigtiff=True,
        photometric="minisblack",
        metadata={"axes": "ZYX"},
    )


def installed_segment(image: Path, model: Path, out: Path, more: Sequence[str]) -> list[str | Path]:
    """Return the installed command that segments an image on the CPU."""
    program = Path(sys.executable).with_name("unet2015")
    return [program, "segment", image, "-o", out, "--model", model, "--device", "cpu", *more]


def segment(image: Path, model: Path, out: Path, more: Sequence[str]) -> dict[str, Any]:
    """Segment an image with the installed command; return what it took, and see that it is whole."""
    answer = peak_of(installed_segment(image, model, out, more))
    record = json.loads((out / f"{image.stem}.record.json").read_text())
    result = out / next(iter(record["outputs"]))
    with open_image(image) as before, open_image(result) as after:
        assert (before.axes, before.shape, before.calibration) == (after.axes, after.shape, after.calibration)
        shape = before.shape
    with tifffile.TiffFile(result) as tif:
        tiled, big = tif.pages.first.is_tiled, tif.is_bigtiff
    assert len(list(out.iterdir())) == 2, "nothing but result and record may be left"
    return {
        "shape": list(shape),
        "input_mib": round(image.stat().st_size / MIB, 1),
        "output_mib": round(result.stat().st_size / MIB, 1),
        "output": f"{'tiled' if tiled else 'striped'} {'BigTIFF' if big else 'TIFF'}",
        **answer,
        "stages": record["seconds"],
        "plan": record["plan"],
        "options": list(more),
    }


def write_model(path: Path, width: int, depth: int) -> Path:
    """Write an untrained model that maps each image by its percentiles."""
    torch.manual_seed(0)
    info = ModelInfo(
        network=NetworkSettings(width=width, depth=depth),
        mapping=Mapping(method="image-percentiles", low=(1.0,), high=(99.8,)),
        class_names=("background", "cell"),
    )
    save_model(path, UNet(1, 2, width, depth), info)
    return path


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Draw the images, segment each, and remove them."""
    model = write_model(folder / "model.safetensors", options.width, options.depth)
    more = ["--max-memory", options.max_memory]
    rows = {}
    for name, draw, size in (("page", draw_page, options.side), ("stack", draw_stack, options.pages)):
        if size:
            image = folder / f"{name}.tif"
            start = time.perf_counter()
            draw(image, size)
            print(f"{name}: drawn in {time.perf_counter() - start:.0f} s", flush=True)
            rows[name] = segment(image, model, folder / f"{name}-out", more)
            found = rows[name]
            print(
                f"{name}: peak {found['peak_mib']} MiB, {found['seconds']} s, {found['stages']}", flush=True
            )
            image.unlink()
    cap = parse_size(options.max_memory)
    assert cap is not None
    network = {"width": options.width, "depth": options.depth}
    return {"network": network, "images": rows, "table": table(rows, cap / MIB)}


def table(rows: dict[str, Any], cap: float) -> list[dict[str, Any]]:
    """Return a row for each image: how much of the cap it took."""
    return [
        row(
            f"peak memory, TIFF to TIFF, {' x '.join(f'{size:,}' for size in found['shape'])} px",
            f"the stated cap of {cap:,.0f} MiB",
            100 * found["peak_mib"] / cap,
            "%",
            100,
            at_least=False,
            note=f"{found['peak_mib']:.0f} MiB for {found['input_mib']:,.0f} MiB of image, "
            f"{found['seconds']:.0f} s, {found['cpu_seconds']:.0f} s of processor time",
        )
        for found in rows.values()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = options("out_of_core", __doc__, "small images")
    parser.add_argument("--side", type=int, default=40_000, help="side of the page in pixels; 0: none")
    parser.add_argument("--pages", type=int, default=10_000, help="pages of the stack; 0: none")
    parser.add_argument("--width", type=int, default=1, help="width of the network")
    parser.add_argument("--depth", type=int, default=1, help="poolings of the network")
    parser.add_argument("--max-memory", default="1G", help="memory cap of the command")
    parser.add_argument("--folder", type=Path, help="where the images go, for a while")
    given = parser.parse_args(arguments)
    if given.quick:
        given.side, given.pages = 1_100, 5
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        answer = measure(given, Path(folder))
    keep_result(given, "out_of_core", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
