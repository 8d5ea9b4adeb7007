"""TIFF to TIFF, end to end, next to the network alone on the same tiles.

``python -m benchmarks.end_to_end [--quick] [--pages 12] [--width 64] [--repeats 3] [--out FILE]``

A stack of pages of 512 x 512 uint16 becomes a class map and a probability map by `segment_files`, which is
what ``unet2015 segment`` calls: loading the model, hashes, mapping, tiles, network, files and record. The
network alone is its `Predictor` (network and softmax), loaded before, on the same tiles in the same
batches, read and mapped before. Both run in turn in one process, in float32, with all threads. The pixels
of the files must be those of the network alone. What starting the command takes is another question.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.command import options
from benchmarks.machine import keep_result, row, said, seconds
from benchmarks.out_of_core import draw_stack, write_model
from unet2015.device import thread_count
from unet2015.images.mapped_image import MappedImage
from unet2015.images.reader import open_image
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.segmenter import Segmenter
from unet2015.tiling.classes import class_map, probability_map
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.reading import read_tile

Pixels = NDArray[Any]


def tiles_of(segmenter: Segmenter, image: Path) -> tuple[TilePlan, list[Pixels]]:
    """Return the plan of an image, and what the network reads for each batch."""
    with open_image(image) as opened:
        plan = segmenter.plan(opened)
        source = MappedImage(opened, segmenter.info.mapping)
        read = [
            np.stack([read_tile(source, tile, plan.height, plan.width) for tile in batch]) for batch in plan
        ]
    return plan, read


def check(segmenter: Segmenter, plan: TilePlan, outputs: Sequence[Pixels], files: Sequence[Path]) -> None:
    """See that the pixels of the class map and the probability map are those of the network alone."""
    stack = plan.pages, plan.height, plan.width
    classes, probability = (tifffile.imread(path).reshape(stack) for path in files)
    for batch, output in zip(plan, outputs, strict=True):
        for tile, pixels in zip(batch, output, strict=True):
            kept = pixels[:, : tile.row.length, : tile.column.length]
            at = tile.page, tile.row.kept, tile.column.kept
            for name, file, expected in (
                ("class", classes, class_map(kept, segmenter.threshold)),
                ("probability", probability, probability_map(kept)),
            ):
                if not np.array_equal(file[at], expected):
                    raise RuntimeError(f"the {name} map is not what the network alone gives")


def measure(pages: int, width: int, depth: int, repeats: int) -> dict[str, Any]:
    """Compare the pixels, then the times."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        image, model = place / "stack.tif", write_model(place / "model.safetensors", width, depth)
        draw_stack(image, pages)
        options = SegmentOptions(device="cpu", products=("classes", "probability"))
        segmenter = Segmenter(model, options)
        plan, read = tiles_of(segmenter, image)
        written: list[Path] = []

        def end_to_end() -> Sequence[Path]:
            written.append(place / f"out-{len(written)}.tif")
            (result,) = segment_files([image], written[-1], model, options)
            if result.error:
                raise result.error
            return result.outputs

        def network() -> list[Pixels]:
            return [segmenter.predict(batch) for batch in read]

        check(segmenter, plan, network(), end_to_end())
        (loading,) = seconds(lambda: Segmenter(model, options), repeats=repeats)
        whole, alone = seconds(end_to_end, network, repeats=repeats)
        stages = [_stages(out) for out in written[1:]]
    share = 100 * alone["median"] / whole["median"]
    spent = {
        "loading the model": loading["median"],
        "network, longer than alone": _middle(stages, "network") - alone["median"],
    }
    spent["first read, last write, hashes, record"] = whole["median"] - alone["median"] - sum(spent.values())
    print(f"{pages} pages: end to end {said(whole)}, network alone {said(alone)}: {share:.1f} %")
    print("    " + ", ".join(f"{name} {time:.2f} s" for name, time in spent.items()))
    question = f"TIFF to TIFF, {pages} pages of {plan.height} x {plan.width}, width {width}, float32"
    note = "the rest: " + ", ".join(
        f"{name} {100 * time / whole['median']:.1f} %" for name, time in spent.items()
    )
    return {
        "pages": pages,
        "network": {"width": width, "depth": depth},
        "threads": thread_count(),
        "plan": plan.as_dict(),
        "end_to_end": whole,
        "network_alone": alone,
        "loading": loading,
        "stages": stages,
        "rest": spent,
        "table": [row(question, "the network alone", share, "%", 95, note=note)],
    }


def _stages(out: Path) -> dict[str, float]:
    """Return the seconds that each stage was busy, by the record of a result."""
    record = json.loads(out.with_name(f"{out.stem}.record.json").read_text())
    found: dict[str, float] = record["seconds"]
    return found


def _middle(stages: Sequence[dict[str, float]], name: str) -> float:
    return float(np.median([stage[name] for stage in stages]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that the pixels agree, measure, print, and write the result file."""
    parser = options("end_to_end", __doc__, "a small network")
    parser.add_argument("--pages", type=int, default=12, help="pages of the stack")
    parser.add_argument("--width", type=int, default=64, help="width of the network")
    parser.add_argument("--depth", type=int, default=4, help="poolings of the network")
    parser.add_argument("--repeats", type=int, default=3, help="how often each is timed")
    given = parser.parse_args(arguments)
    full = (given.pages, given.width, given.depth, given.repeats)
    answer = measure(2, 2, 2, 1) if given.quick else measure(*full)
    keep_result(given, "end_to_end", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
