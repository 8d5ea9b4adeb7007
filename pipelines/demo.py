"""Train a small U-Net on a stack that looks like an electron micrograph, and segment another with it.

Both stacks are drawn from a seed, so nothing is downloaded. What it leaves in its folder is listed at
the end; demo.png shows image, truth, weight map, probability and result side by side.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.runs import train_run
from pipelines.stages import Stage, arguments, listing, run_stages
from unet2015.cli.output import show_messages
from unet2015.errors import NothingLearnedError
from unet2015.images.axes import Calibration
from unet2015.images.reader import read_pages
from unet2015.images.writer import write_image
from unet2015.models.model_file import ModelInfo, read_model_file
from unet2015.safe_files import write_json
from unet2015.settings import load_settings
from unet2015.training.validation import Validation, advice

SETTINGS = Path(__file__).with_name("demo.toml")
TRAINING = {"pages": 12, "height": 512, "width": 512, "seed": 1}
UNSEEN = {"pages": 2, "height": 1100, "width": 1300, "seed": 2}
PIXEL = Calibration(pixel_size_x=4.0, pixel_size_y=4.0, unit="nm")


def stages(out: Path, device: str = "auto") -> list[Stage]:
    """Return the stages of the demo, whose files lie in `out`."""
    images, labels = out / "training-images.tif", out / "training-labels.tif"
    unseen, truth = out / "unseen-images.tif", out / "unseen-labels.tif"
    weights, run = out / "training-weights.tif", out / "demo-run"
    model, log = run / "model.safetensors", run / "log.jsonl"
    classes, probability = out / "unseen-images.classes.tif", out / "unseen-images.probability.tif"
    record = out / "unseen-images.record.json"

    def draw() -> None:
        from unet2015.synthetic import em_stack

        for sizes, image_path, label_path in ((TRAINING, images, labels), (UNSEEN, unseen, truth)):
            pictures, classes_ = em_stack(**sizes)
            write_image(image_path, pictures, "IYX", PIXEL)
            write_image(label_path, classes_, "IYX", PIXEL)

    def weigh() -> None:
        from unet2015 import weight_map

        write_image(weights, weight_map(read_pages(labels), kind="membrane"), "IYX", PIXEL)

    def train() -> None:
        train_run(images, labels, run, load_settings(SETTINGS), device, seeds=1)

    def segment() -> None:
        from unet2015.segmentation.batch import segment_files
        from unet2015.segmentation.options import SegmentOptions

        # The measure below is 1 - F1. A membrane model's own threshold is that of the best Rand score.
        options = SegmentOptions(device=device, threshold="f1", products=("classes", "probability"))
        for result in segment_files([unseen], out, model, options):
            if result.error is not None:
                raise result.error

    def measure() -> None:
        write_json(out / "result.json", pixel_error(read_pages(classes), read_pages(truth)))

    def picture() -> None:
        from unet2015 import weight_map
        from unet2015.report.figures import draw_curves, draw_panel, mark_errors

        window = slice(300, 700)
        true = read_pages(truth)[0]
        result = read_pages(classes)[0]
        scene = {
            "image (unseen)": read_pages(unseen)[0],
            "truth": true,
            "weight map": weight_map(true, kind="membrane"),
            "probability of cell": read_pages(probability)[0],
            "result (red: missed, blue: invented)": mark_errors(result, true),
        }
        draw_panel({title: shown[window, window] for title, shown in scene.items()}, out / "demo.png")
        draw_curves(log, out / "curves.png")

    stacks = [images, labels, unseen, truth]
    sizes = {"training": TRAINING, "unseen": UNSEEN}
    return [
        Stage("draw", "draw a labelled stack to train on and another to segment", draw, [], stacks, sizes),
        Stage("weights", "the weight map of the training labels (Eq. 2)", weigh, [labels], [weights]),
        Stage("train", "train a small U-Net", train, [images, labels, SETTINGS], [model, log]),
        Stage(
            "segment",
            "segment the unseen stack with overlap tiles",
            segment,
            [unseen, model],
            [classes, probability, record],
        ),
        Stage("measure", "compare with the truth", measure, [classes, truth], [out / "result.json"]),
        Stage(
            "picture",
            "draw what happened",
            picture,
            [unseen, truth, classes, probability, log],
            [out / "demo.png", out / "curves.png"],
        ),
    ]


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


def main(words: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit status: 3 where the network has not learned."""
    parser = arguments(__doc__, "demo")
    parser.epilog = listing(stages(Path()))
    given = parser.parse_args(words)
    show_messages()
    chain = stages(given.out, given.device)
    status = run_stages(chain, given.out, given.stages)
    if status == 0 and not given.stages:
        result = json.loads((given.out / "result.json").read_text())
        model = read_model_file(given.out / "demo-run" / "model.safetensors").info
        record = json.loads((given.out / "unseen-images.record.json").read_text(encoding="utf-8"))
        print("\n" + "\n".join(told(model, record)))
        print(f"\npixel error on the unseen stack (1 - F1 of the interior): {result['pixel_error']:.4f}")
        print(
            f"(calling every pixel cell would give {result['pixel_error_of_calling_everything_cell']:.4f})\n"
        )
        for stage in chain:
            for path in stage.outputs:
                print(f"  {path!s:<42} {stage.does}")
        print(f"\nlook at {given.out / 'demo.png'} first")
        if model.learned is False:
            return NothingLearnedError.exit_status
    return status


if __name__ == "__main__":
    sys.exit(main())
