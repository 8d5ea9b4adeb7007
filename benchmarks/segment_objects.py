"""The time and memory of a whole segmentation with objects of a very large image, under a memory cap.

``python -m benchmarks.segment_objects [--quick] [--side N] [--max-memory SIZE] [--folder DIR]
[--out FILE]``

An image of SIDE x SIDE pixels, at SIDE = 10,000 with 32,041 cells of which pairs touch, goes
through ``unet2015 segment --objects`` on a CPU: class map, probability map, instance labels, table, preview.
The network is the smallest that there is (width 1, depth 1), and hands the intensities on, so that what is
measured is all the rest: reading, tiles, writing, labelling, dividing, measuring. Cells that touch are
divided.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.command import options
from benchmarks.machine import keep_result
from benchmarks.out_of_core import installed_segment
from benchmarks.peak import peak_of
from unet2015.images.array_image import ArrayImage
from unet2015.images.writer import ImageWriter, Layout
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings

PITCH = 56
"""Pixels between the centres of cells."""
SPLIT = "0.85,1"
"""Level and blur that divide cells which touch."""


def cells(rows: int, columns: int, top: int = 0) -> NDArray[np.uint8]:
    """Draw a piece of the image: bright cells that fade to their border; each eighth touches another."""
    y, x = np.mgrid[: 16 * PITCH, : 16 * PITCH]
    number = (x // PITCH - y // PITCH) % 16
    shift = np.where(number == 0, 8, np.where(number == 1, -8, 0))  # these two move to each other
    away = ((y % PITCH - PITCH / 2) / 17) ** 2 + ((x % PITCH - PITCH / 2 - shift) / 20) ** 2
    drawn = np.clip(280 * (1 - away / 2), 0, 255).astype(np.uint8)
    down, across = np.arange(top, top + rows) % len(drawn), np.arange(columns) % len(drawn)
    found: NDArray[np.uint8] = drawn[down][:, across]
    return found


def write_model(path: Path) -> None:
    """Write a model whose probability rises with the intensity of a pixel: 0.5 at half of the range."""
    network = UNet(1, 2, 1, 1)
    weights = dict(network.named_parameters())
    with torch.no_grad():
        for parameter in weights.values():
            parameter.zero_()
        for name in ("contract.0.0", "contract.0.2", "expand.0.2"):
            weights[f"{name}.weight"][0, 0, 1, 1] = 1
        weights["expand.0.0.weight"][0, -1, 1, 1] = 1  # of the map that is copied across
        weights["head.weight"][1] = 6
        weights["head.bias"][1] = -3
    info = ModelInfo(
        network=NetworkSettings(width=1, depth=1),
        mapping=Mapping(method="integer-range"),
        class_names=("background", "cell"),
    )
    save_model(path, network, info)


def segmented(folder: Path, side: int, cap: str) -> dict[str, Any]:
    """Segment an image by the installed command; return what it took, and how many objects it found."""
    image, model, out = folder / "cells.tif", folder / "model.safetensors", folder / "out"
    with ImageWriter(
        image, ArrayImage(np.broadcast_to(np.uint8(0), (side, side))), np.uint8, layout=Layout(tiled=True)
    ) as writer:
        for top in range(0, side, 512):
            writer.write(cells(min(512, side - top), side, top))
    write_model(model)
    more = ["--objects", "--split", SPLIT, "--overlay", "--max-memory", cap]
    took = peak_of(installed_segment(image, model, out, more))
    count = json.loads((out / "cells.record.json").read_text())["objects"]["objects"]
    print(f"{side} x {side}: {count} objects, peak {took['peak_mib']} MiB, CPU {took['cpu_seconds']} s")
    return {"side": side, "cap": cap, "objects": count, **took}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = options("segment_objects", __doc__, "a small size")
    parser.add_argument("--side", type=int)
    parser.add_argument("--max-memory", default="2G")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args(arguments)
    side = given.side or (448 if given.quick else 10_000)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        answer = segmented(Path(folder), side, given.max_memory)
    keep_result(given, "segment_objects", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
