"""Train on ISBI 2012 slices 0-23, hold out 24-29, and segment the challenge's test volume.

--data is a folder with train-volume.tif, train-labels.tif and test-volume.tif (30 slices of 512 x 512
each; Cardona et al. 2010, doi:10.1371/journal.pbio.1000502, free for making and testing non-commercial
segmentation software). The test labels are secret: what is measured here is measured on slices 24-29.
"""

import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.demo import pixel_error
from pipelines.stages import Stage, arguments, listing, run_stages
from unet2015.errors import DataSetError
from unet2015.files import write_json
from unet2015.images.axes import Calibration
from unet2015.images.reader import read_pages
from unet2015.images.writer import write_image
from unet2015.settings import load_settings
from unet2015.training.dataset import select_pages
from unet2015.training.log import read_log
from unet2015.versions import versions

SETTINGS = Path(__file__).with_name("isbi2012-cpu.toml")
PIXEL = Calibration(pixel_size_x=4.0, pixel_size_y=4.0, unit="nm")
PIXELS = {
    "train-volume": "200da3d452d726e6c9ca1ce04b869d4edb727320d23b516d01cce707dc8c4760",
    "train-labels": "a7cb64000a1a7e542682927e19c91339f58f9f178e0bcce4e207371116f0ca36",
    "test-volume": "1b58fa7ec1d0ff9d39a855622db3ff66a97863036339b0d04be51b2f5a99b0e9",
}
"""SHA-256 of the raw pixels, uint8 in C order; headers differ between copies."""


def stages(data: Path, out: Path, settings_file: Path, device: str = "auto") -> list[Stage]:
    """Return the stages, which read `data` and leave their files in `out`."""
    volume, labels, test = (data / f"{name}.tif" for name in PIXELS)
    run = out / "run"
    model, log = run / "model.safetensors", run / "log.jsonl"
    slices, truth_file = out / "held-out.tif", out / "held-out-labels.tif"
    held_out, shown = out / "held-out.classes.tif", out / "held-out.probability.tif"
    test_classes, test_shown = out / "test-volume.classes.tif", out / "test-volume.probability.tif"

    def verify() -> None:
        found = {
            name: hashlib.sha256(read_pages(data / f"{name}.tif").tobytes()).hexdigest() for name in PIXELS
        }
        for name, digest in found.items():
            if digest != PIXELS[name]:
                raise DataSetError(f"{data / name}.tif: its pixels are not those of the challenge's file")
        pages = select_pages(load_settings(settings_file).validation.pages or "24-29", 30)
        write_image(slices, read_pages(volume)[pages], "IYX", PIXEL)
        write_image(truth_file, read_pages(labels)[pages], "IYX", PIXEL)
        write_json(out / "data.json", found)

    def train() -> None:
        from unet2015 import train as run_training

        run_training(volume, labels, run, settings=settings_file, device=device, resume=True)

    def segment() -> None:
        from unet2015.tiling.files import segment_files
        from unet2015.tiling.segmentation import SegmentOptions

        # "averaged over 7 rotated versions of the input data", as the paper's EM result.
        options = SegmentOptions(device=device, average="rotations")
        for result in segment_files([slices, test], out, model, options, probability=True):
            if result.error is not None:
                raise result.error

    def measure() -> None:
        from unet2015 import load_model
        from unet2015.metrics import evaluate_em

        info = load_model(model).info
        truth, probability = read_pages(truth_file), read_pages(shown)
        losses = [line["loss"] for line in read_log(log) if "loss" in line]
        every = max(1, len(losses) // 100)
        write_json(
            out / "result.json",
            {
                "data": "ISBI 2012: slices 0-23 to train, 24-29 held out",
                "note": "threshold and best step were chosen on the held-out slices themselves",
                "threshold": info.threshold,
                "best_step": info.training["step"],
                "held_out": pixel_error(read_pages(held_out), truth)
                | {"adapted_rand_error": adapted_rand_error(read_pages(held_out), truth)},
                "official_measures_at_their_best_threshold": {
                    name: {"value": measure["value"], "threshold": measure["threshold"]}
                    for name, measure in evaluate_em(truth, probability).as_dict().items()
                },
                "by_threshold": {
                    f"{threshold:.1f}": {
                        "pixel_error": pixel_error(found, truth)["pixel_error"],
                        "adapted_rand_error": adapted_rand_error(found, truth),
                    }
                    for threshold in np.arange(1, 10) / 10
                    for found in [probability > threshold]
                },
                "steps": len(losses),
                "seconds": info.training["seconds"],
                "loss": [
                    round(float(np.mean(losses[i : i + every])), 4) for i in range(0, len(losses), every)
                ],
                "validation": [line for line in read_log(log) if "validation_f1" in line],
                "settings": load_settings(settings_file).model_dump(mode="json"),
                "machine": {"processor": _processor(), "device": info.training["device"]},
                "versions": versions(),
                "date": info.training["date"],
            },
        )

    def picture() -> None:
        from unet2015 import weight_map
        from unet2015.report.figures import draw_curves, draw_panel, mark_errors

        window = (slice(150, 374), slice(150, 374))  # the pictures may be passed on: a small crop
        truth = read_pages(truth_file)[0]
        scene = {
            "image (first held-out slice)": read_pages(slices)[0],
            "truth": truth,
            "weight map": weight_map(truth, kind="membrane"),
            "probability of cell": read_pages(shown)[0],
            "result (red: missed, blue: invented)": mark_errors(read_pages(held_out)[0], truth),
        }
        draw_panel({title: part[window] for title, part in scene.items()}, out / "held-out-slice.png")
        scene = {
            "image (test slice 0)": read_pages(test)[0],
            "probability of cell": read_pages(test_shown)[0],
            "result at the threshold of the best F1": read_pages(test_classes)[0],
            "result at 0.5": read_pages(test_shown)[0] > 0.5,
        }
        draw_panel({title: part[window] for title, part in scene.items()}, out / "test-slice.png")
        draw_curves(log, out / "curves.png")

    results = [held_out, shown, test_classes, test_shown]
    data_files, parts = [volume, labels, test, settings_file], [out / "data.json", slices, truth_file]
    return [
        Stage("verify", "see that the data are the challenge's; part them", verify, data_files, parts),
        Stage("train", "train one U-Net", train, [out / "data.json", settings_file], [model, log]),
        Stage("segment", "segment held-out and test slices, averaged", segment, [model, slices], results),
        Stage("measure", "measure on the held-out slices", measure, [*results, log], [out / "result.json"]),
        Stage(
            "picture",
            "draw a held-out slice, a test slice and the curves",
            picture,
            [*results, log],
            [out / "held-out-slice.png", out / "test-slice.png", out / "curves.png"],
        ),
    ]


def adapted_rand_error(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """Return scikit-image's adapted Rand error, averaged over the pages.

    Between the 4-connected components of the cells; not the challenge's Rand error, in which every
    pixel that is missed is a component of its own.
    """
    from skimage.measure import label
    from skimage.metrics import adapted_rand_error as measure

    errors = [
        measure(*(label(cells > 0, connectivity=1) for cells in (true, seen)), ignore_labels=(0,))[0]  # type: ignore[no-untyped-call]
        for seen, true in zip(found, truth, strict=True)
    ]
    return float(np.mean(errors))


def _processor() -> str:
    import os

    return f"{os.cpu_count()} cores, {platform.machine()}"


def main(words: Sequence[str] | None = None) -> int:
    """Run the pipeline and return the exit status."""
    parser = arguments(__doc__, "runs/isbi2012")
    parser.add_argument("--data", type=Path, required=True, help="folder of the three TIFF files")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="settings (default: %(default)s)")
    parser.epilog = listing(stages(Path(), Path(), SETTINGS))
    given = parser.parse_args(words)
    chain = stages(given.data, given.out, given.settings, given.device)
    status = run_stages(chain, given.out, given.stages)
    if status == 0 and not given.stages:
        print(json.dumps(json.loads((given.out / "result.json").read_text())["held_out"], indent=2))
        print(f"look at {given.out / 'held-out-slice.png'} and {given.out / 'test-slice.png'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
