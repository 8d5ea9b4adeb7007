"""Train a small U-Net on a stack that looks like an electron micrograph, and segment another with it.

Both stacks are drawn from a seed, so nothing is downloaded. Then the cells of the second stack are counted
and measured. What the demo leaves in its folder is listed at the end; demo.png shows image, truth, weight
map, probability, result and cells side by side.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.base.command import attempt, options, stage_options
from pipelines.base.json_files import read_json
from pipelines.base.run import run_stages
from pipelines.base.stage import Stage, listing
from pipelines.base.stages import Pages, find_stage, segment_stage, stacks_stage, train_stage, weights_stage
from unet2015.cli.output import show_messages
from unet2015.errors import NothingLearnedError
from unet2015.images.axes import Calibration
from unet2015.images.reader import read_pages
from unet2015.models.model_file import ModelInfo, read_model_file
from unet2015.objects.instances import label_page
from unet2015.objects.table import describe_summary
from unet2015.safe_files import write_json
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import WeightMapSettings, load_settings
from unet2015.settings.objects import ObjectSettings
from unet2015.training.validation import Validation, advice

SETTINGS = Path(__file__).with_name("demo.toml")
TRAINING = {"pages": 12, "height": 512, "width": 512, "seed": 1}
UNSEEN = {"pages": 2, "height": 1100, "width": 1300, "seed": 2}
PIXEL = Calibration(pixel_size_x=4.0, pixel_size_y=4.0, unit="nm")
SMALLEST = 60
"""Pixels of the smallest cell that is counted; some in truth are crumbs at the edge of the page."""


def stages(out: Path, device: str = "auto") -> list[Stage]:
    """Return the stages of the demo, whose files lie in `out`."""
    images, labels = out / "training-images.tif", out / "training-labels.tif"
    unseen, truth = out / "unseen-images.tif", out / "unseen-labels.tif"
    model, log = out / "demo-run" / "model.safetensors", out / "demo-run" / "log.jsonl"
    ends = ("classes.tif", "probability.tif", "record.json")
    classes, probability, _ = (out / f"unseen-images.{end}" for end in ends)
    objects, table = out / "unseen-images.labels.tif", out / "unseen-images.objects.csv"
    cells = out / "cells.json"
    stacks, sizes = [images, labels, unseen, truth], {"training": TRAINING, "unseen": UNSEEN}
    # What is measured is 1 - F1. A membrane model's own threshold is that of the best Rand score.
    way = SegmentOptions(device=device, threshold="f1")
    settings, rule = load_settings(SETTINGS), WeightMapSettings()

    def draw() -> Iterator[Pages]:
        from unet2015.synthetic import em_stack

        for drawn, paths in ((TRAINING, stacks[:2]), (UNSEEN, stacks[2:])):
            yield from zip(paths, em_stack(**drawn), strict=True)

    def measure() -> dict[str, float]:
        return pixel_error(read_pages(classes), read_pages(truth))

    def count() -> None:
        info = read_model_file(model).info
        (result,) = label_files([probability], out, counted(info))
        if result.error is not None:
            raise result.error
        write_json(cells, {"found": result.objects, "true": true_cells(read_pages(truth))})

    def picture() -> None:
        from unet2015.report.figures import draw_curves

        draw_result(unseen, truth, probability, classes, objects, out / "demo.png")
        draw_curves(log, out / "curves.png")

    shown, pictures = [unseen, truth, classes, probability, log], [out / "demo.png", out / "curves.png"]
    does = "draw a labelled stack to train on and another to segment"
    weighs = "the weight map of the training labels (Eq. 2)"
    return [
        stacks_stage("draw", does, draw, PIXEL, [], stacks, sizes),
        weights_stage(weighs, labels, out / "training-weights.tif", rule, PIXEL),
        train_stage("train", "train a small U-Net", stacks[:2], out / "demo-run", settings, device, seeds=1),
        segment_stage(
            "segment", "segment the unseen stack with overlap tiles", [unseen], model, {out: way}, ends
        ),
        find_stage("measure", "compare with the truth", measure, [classes, truth], out / "result.json"),
        Stage("count", "number and measure the cells", count, [probability, truth], [objects, table, cells]),
        Stage("picture", "draw what happened", picture, [*shown, objects], pictures),
    ]


def counted(info: ModelInfo) -> ObjectSettings:
    """Return what counts as a cell: the model's own settings, at its threshold for whole cells."""
    given = ObjectSettings(threshold=info.threshold, smallest=SMALLEST)
    return given.over(info.objects)


def true_cells(truth: NDArray[Any]) -> int:
    """Return how many cells of the size that counts a stack of labels has."""
    return sum(int(label_page(page, 0.5, ObjectSettings(smallest=SMALLEST)).max()) for page in truth > 0)


def draw_result(
    unseen: Path, truth: Path, probability: Path, classes: Path, objects: Path, target: Path
) -> None:
    """Draw a part of the first unseen page: image, truth, weight map, probability, mistakes and cells."""
    from unet2015 import weight_map
    from unet2015.report.figures import draw_panel, mark_errors

    window = slice(300, 700)
    true = read_pages(truth)[0]
    scene = {
        "image (unseen)": read_pages(unseen)[0],
        "truth": true,
        "weight map": weight_map(true, kind="membrane"),
        "probability of cell": read_pages(probability)[0],
        "result (red: missed, blue: invented)": mark_errors(read_pages(classes)[0], true),
        "cells": _in_colours(read_pages(objects)[0], read_pages(unseen)[0]),
    }
    draw_panel({title: shown[window, window] for title, shown in scene.items()}, target)


def _in_colours(labels: NDArray[Any], image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the image with each object in a colour of its own."""
    from skimage.color import label2rgb

    mixed = label2rgb(labels, image, alpha=0.45, bg_label=0)  # type: ignore[no-untyped-call]
    return np.asarray(mixed * 255, np.uint8)


def pixel_error(result: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Return the pixel error, 1 - F1 of the interior over all pixels, of a class map."""
    found, true = result > 0, truth > 0
    hits = int(np.count_nonzero(found & true))
    f1 = 2 * hits / (np.count_nonzero(found) + np.count_nonzero(true))
    everything = 2 * np.count_nonzero(true) / (true.size + np.count_nonzero(true))
    return {"pixel_error": 1 - f1, "pixel_error_of_calling_everything_cell": 1 - everything}


def told(model: ModelInfo, record: Mapping[str, Any]) -> list[str]:
    """Return what a training said of itself at the check it was kept for, and the threshold then used.

    Parameters
    ----------
    model : ModelInfo
        Of the model file.
    record : mapping
        What ``unet2015 segment`` records beside a result.
    """
    check = Validation.from_dict(model.training["validation"])
    used = record["threshold"]
    return [
        f"step {model.training['step']}, held-out pages of the training stack: {check.describe()}",
        advice(check) or "the network has learned",
        f"threshold used on the unseen stack: {used['name']} {used['value']:g}",
    ]


def say(out: Path, chain: Sequence[Stage]) -> int:
    """Print what a finished demo found and left; return the exit status."""
    result, record = read_json(out / "result.json"), read_json(out / "unseen-images.record.json")
    model = read_model_file(out / "demo-run" / "model.safetensors").info
    print("\n" + "\n".join(told(model, record)))
    print(f"\npixel error on the unseen stack (1 - F1 of the interior): {result['pixel_error']:.4f}")
    print(f"(calling every pixel cell would give {result['pixel_error_of_calling_everything_cell']:.4f})\n")
    cells = read_json(out / "cells.json")
    print(f"cells on the unseen stack: {cells['found']['objects']} found, {cells['true']} true")
    print(f"({describe_summary(cells['found'])}; smaller ones than {SMALLEST} px left out)\n")
    for stage in chain:
        for path in stage.outputs:
            print(f"  {path!s:<42} {stage.does}")
    print(f"\nlook at {out / 'demo.png'} first")
    return NothingLearnedError.exit_status if model.learned is False else 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit status: 3 where the network has not learned."""
    parser = options("demo", __doc__)
    stage_options(parser, "demo")
    parser.epilog = listing(stages(Path()))
    given = parser.parse_args(words)
    show_messages()

    def work() -> int:
        chain = stages(given.out, given.device)
        status = run_stages(chain, given.out, given.stages)
        return status or (0 if given.stages else say(given.out, chain))

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
