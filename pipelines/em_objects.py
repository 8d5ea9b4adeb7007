"""What counts as an object of em-membrane: ``python -m pipelines.em_objects --data DIR [--to FILE]``.

The settings are chosen as a training does it (`unet2015.training.object_choice`), on the labelled slices of
the ISBI 2012 challenge. The model has been trained on all of them, so none is unseen. Two things say what the
settings gain. They are chosen on every second slice and measured on the others, which had no part in the
choice. And those of all slices are used for the maps of another network, ``--twin RUN``, on the last six
slices, which it has not seen: that of ``unet2015 train --label-kind membrane --settings quick`` on the set.

``--to`` writes the model again, with the settings and the same weights.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label

from pipelines.base.command import attempt, options
from pipelines.base.settings import FOLDER
from pipelines.em.data import EMData
from pipelines.em_scales import NAME
from unet2015 import load_model, segment
from unet2015.errors import DataSetError
from unet2015.images.array_image import ArrayImage
from unet2015.images.mapped_image import MappedImage
from unet2015.images.reader import read_pages
from unet2015.metrics.object_counts import ObjectScores
from unet2015.metrics.objects import match_objects, object_scores
from unet2015.models.model_file import Model, save_model
from unet2015.models.tensors import tensors_guard
from unet2015.objects.instances import label_page
from unet2015.provenance import machine
from unet2015.safe_files import atomic_path, make_folder, write_json
from unet2015.settings import LabelSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training.labels import make_targets
from unet2015.training.object_choice import choose_objects
from unet2015.training.pages import PageSource, TrainingPage

MOST = 6
"""Slices on which settings are compared, spread over those that are given."""
UNSEEN = 6
"""Slices at the end that a training of the whole set holds out."""
TILE = 700
"""Side of the tiles: one for a slice of 512 px."""
IOU = 0.5


def pages_of(model: Model, images: NDArray[Any], labels: NDArray[Any]) -> list[TrainingPage]:
    """Return slices with their classes: 1 inside cells, 0 on membranes."""
    mapped = MappedImage(ArrayImage(images, "IYX"), model.info.mapping)
    none = np.zeros((0, 0), np.float32)
    classes = [make_targets(page, LabelSettings(kind="membrane"), "slice").classes for page in labels]
    return [TrainingPage(f"slice {k}", PageSource(mapped, k), one, none) for k, one in enumerate(classes)]


def choose(model: Model, images: NDArray[Any], labels: NDArray[Any]) -> tuple[ObjectSettings, dict[str, Any]]:
    """Return the settings that are chosen on some slices, and their quality there."""
    threshold = 0.5 if model.info.threshold is None else model.info.threshold
    pages = pages_of(model, images, labels)
    found = choose_objects(model.network, pages, threshold, torch.device("cpu"), TILE, MOST)
    if found is None:
        raise DataSetError(f"{model.path}: no slice has cells, or the network's output is not finite")
    return found


def measure(
    probability: NDArray[np.float32],
    labels: NDArray[Any],
    threshold: float,
    ways: Mapping[str, ObjectSettings],
) -> dict[str, dict[str, float]]:
    """Return panoptic quality, F1 and counts of each way, over the cells of all slices."""
    truth = [label(page > 0, connectivity=1) for page in labels]  # type: ignore[no-untyped-call]
    rows = {}
    for name, way in ways.items():
        at = threshold if way.threshold is None else way.threshold
        found = [label_page(page, at, way) for page in probability]
        scores = ObjectScores.joined(
            [object_scores(one, other, (IOU,)) for one, other in zip(truth, found, strict=True)]
        )
        matched = match_objects(np.stack(truth), np.stack([page.astype(np.int64) for page in found]))
        rows[name] = {
            "panoptic_quality": round(matched.panoptic_quality, 4),
            "f1": round(scores.at(IOU).f1, 4),
            "true": scores.true_objects,
            "found": scores.found_objects,
        }
    return rows


def halves(
    model: Model, probability: NDArray[np.float32], images: NDArray[Any], labels: NDArray[Any]
) -> list[dict[str, Any]]:
    """Choose on every second slice and measure on the others, both ways."""
    rows = []
    for first in (0, 1):
        settings, _ = choose(model, images[first::2], labels[first::2])
        others = slice(1 - first, None, 2)
        ways = {"plain": ObjectSettings(), "chosen": settings}
        measured = measure(probability[others], labels[others], model.info.threshold or 0.5, ways)
        rows.append({"chosen_on": f"every second slice from {first} on", "settings": settings.model_dump()})
        rows[-1] |= {"measured_on": "the others", "ways": measured}
    return rows


def write_model(path: Path, model: Model, settings: ObjectSettings, measured: Mapping[str, Any]) -> None:
    """Write a model again in half precision, with settings of objects; the weights do not change."""
    training = model.info.training | {"objects": dict(measured)}
    info = model.info.model_copy(update={"objects": settings, "training": training})
    with atomic_path(path, tensors_guard) as temporary:
        save_model(temporary, model.network, info, torch.float16)


def main(words: Sequence[str] | None = None) -> int:
    """Choose and measure from the command line and return the exit status."""
    parser = options("em_objects", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the challenge's files")
    parser.add_argument("--twin", type=Path, help="a model that has not seen the last six slices")
    parser.add_argument("--out", type=Path, default=FOLDER / "results" / NAME, help="default: %(default)s")
    parser.add_argument("--to", type=Path, help="also write the model, with the settings")
    given = parser.parse_args(words)

    def work() -> int:
        folder = given.data / "isbi2012"
        data = EMData(folder if folder.is_dir() else given.data)
        data.check()
        images, labels = read_pages(data.volume), read_pages(data.labels)
        model = load_model(NAME)
        probability = segment(images, model, axes="ZYX", device="cpu", probabilities=True)
        settings, quality = choose(model, images, labels)
        result: dict[str, Any] = {
            "settings": settings.model_dump(),
            "quality": quality | {"slices": "those that the model was trained on"},
            "halves": halves(model, probability, images, labels),
        }
        if given.twin is not None:
            twin = load_model(given.twin)
            last = slice(-UNSEEN, None)
            maps = segment(images[last], twin, axes="ZYX", device="cpu", probabilities=True)
            ways = {"plain": ObjectSettings(), "chosen": settings}
            measured = measure(maps, labels[last], twin.info.threshold or 0.5, ways)
            result["unseen"] = {"slices": UNSEEN, "trained": twin.info.training["settings"], "ways": measured}
        result |= {"date": datetime.now(UTC).date().isoformat(), "machine": machine([])}
        write_json(make_folder(given.out) / "objects.json", result)
        print(f"{settings.describe()}; written to {given.out / 'objects.json'}")
        if given.to is not None:
            write_model(given.to, model, settings, quality)
        return 0

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
