"""The model of all slices that :mod:`pipelines.one_gpu` wrote, as the one that comes with the package.

``python -m pipelines.one_gpu_ship --maps DIR --data FILE.npz --result result.json [--to DIR]``

Its two thresholds are chosen on the 30 slices that it was trained on, as there are no others; what such a
training does on slices unseen is said by the folds in `result.json` (:mod:`pipelines.one_gpu_measures`),
whose networks are wider and were trained without the extra variation of gray, blur and scale. (A model in
parts is put together first: ``cat em-membrane.safetensors.part* > em-membrane.safetensors``.)
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.base.command import attempt, options
from pipelines.em.measures import DESCRIPTION
from pipelines.on_device.sets import find_split, label_settings, load
from unet2015.errors import DataSetError
from unet2015.images.array_image import ArrayImage
from unet2015.images.mapped_image import MappedImage
from unet2015.models import ModelDescription, ship_model
from unet2015.models.model_file import Model, read_model_file
from unet2015.models.shipped import FOLDER
from unet2015.settings import load_settings
from unet2015.training.labels import make_targets
from unet2015.training.pages import PageSource, TrainingPage
from unet2015.training.thresholds import model_thresholds, rand_threshold
from unet2015.training.validation import validate

NAME = "em-membrane"
TILE = 700
"""Side of the tiles: one for a slice of 512 px."""
TWIN = (
    "not this network: width 64, the same recipe without the extra variation of gray, blur and scale, a "
    "training for each fold, measured on the six slices that it did not see; mean"
)
WORDS = DESCRIPTION | {"modality": "serial section transmission electron microscopy, membranes dark"}


def choose_thresholds(model: Model, arrays: Mapping[str, Any], device: torch.device) -> Model:
    """Return the model with the thresholds of the slices trained on, and whether it has learned."""
    prefix, pages = find_split(arrays, "em-all").train
    settings = load_settings(None, {"labels": label_settings("em")})
    image = MappedImage(ArrayImage(arrays[f"{prefix}/images"][pages], "IYX"), model.info.mapping)
    slices = []
    for page in pages:
        target = make_targets(arrays[f"{prefix}/labels"][page], settings.labels, f"slice {page}")
        none = np.zeros((0, 0), np.float32)
        slices.append(TrainingPage(f"slice {page}", PageSource(image, page), target.classes, none))
    found = validate(model.network, slices, device, TILE)
    if found is None:
        raise DataSetError(f"{model.path}: the network's output is not finite")
    rand = rand_threshold(model.network, slices, device, TILE, most=len(slices))
    record = model.info.training | {"training_pages": len(slices), "validation": found.as_dict()}
    about = {"dtype": None, "learned": found.learned, "training": record} | model_thresholds(found, rand)
    return replace(model, info=model.info.model_copy(update=about))


def read_record(path: Path) -> dict[str, Any]:
    """Return what the model says of its training and of its twin, by a result of one_gpu_measures.

    Raises
    ------
    DataSetError
        It is no such result, or has no EM folds.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        others, rows = len(result["steps"]) - 1, result["em"]["rows"]
        return {
            "seconds": result["training"]["seconds"],
            "beside": f"{others} other trainings on the same device",
            "thresholds": "chosen on the 30 slices trained on; validation: of the same slices",
            "twin": {
                "what": TWIN,
                "folds": rows["none"]["folds"],
                "steps": {name: result["steps"][name] for name in rows["none"]["folds"]},
                **{average: row["at_training_threshold"] for average, row in rows.items()},
            },
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataSetError(
            f"{path}: expected a result of pipelines.one_gpu_measures with EM folds: "
            f"{type(error).__name__}: {error}"
        ) from error


def main(words: Sequence[str] | None = None) -> int:
    """Ship from the command line and return the exit status."""
    parser = options("one_gpu_ship", __doc__)
    parser.add_argument("--maps", type=Path, required=True, help="folder that pipelines.one_gpu wrote")
    parser.add_argument("--data", type=Path, required=True, help="what pipelines.device_sets packed")
    parser.add_argument("--result", type=Path, required=True, help="of pipelines.one_gpu_measures")
    parser.add_argument("--to", type=Path, default=FOLDER, help="folder of the model (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    given = parser.parse_args(words)

    def work() -> int:
        training = read_record(given.result)
        model = read_model_file(given.maps / f"{NAME}.safetensors")
        model = choose_thresholds(model, load(given.data), torch.device(given.device))
        path = ship_model(model, ModelDescription(name=NAME, **WORDS), given.to, training=training)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, thresholds {model.info.thresholds}")
        return 0

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
