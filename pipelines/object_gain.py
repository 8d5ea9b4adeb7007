"""What a model's settings of objects gain: ``python -m pipelines.object_gain --images X --truth Y RUN...``.

The images that have a truth are segmented once with each model. Of these probabilities objects are made in
three ways: plain (connected parts above the model's threshold, holes filled: the paper's way), plain without
what is smaller than the model's smallest object, and with all that the training chose. Each is compared with
the truth. Give images that were not trained on. `docs/objects.md` shows the result.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.base.command import attempt, options
from unet2015 import load_model, segment
from unet2015.errors import DataSetError
from unet2015.images.pairs import named_files, pair_by_name
from unet2015.images.reader import read_pages
from unet2015.metrics.object_counts import ObjectScores
from unet2015.metrics.objects import object_scores
from unet2015.models.model_file import Model
from unet2015.objects.instances import label_page
from unet2015.provenance import machine
from unet2015.safe_files import write_json
from unet2015.settings.objects import ObjectSettings

IOU = 0.5
"""From which objects match."""


def ways(model: Model) -> dict[str, ObjectSettings]:
    """Return the settings that are compared, by name."""
    chosen = model.info.objects or ObjectSettings()
    return {"plain": ObjectSettings(), "smallest": ObjectSettings(smallest=chosen.smallest), "chosen": chosen}


def measure(
    model: Model, pairs: Sequence[tuple[Path, Path]], settings: Mapping[str, ObjectSettings]
) -> dict[str, dict[str, float]]:
    """Return SEG, F1 and counts of each way, over all objects of all images.

    Parameters
    ----------
    model : Model
        Of two classes.
    pairs : sequence of (truth, image)
        Instance labels, and images of one page.
    settings : mapping of ObjectSettings
        The ways.
    """
    scores: dict[str, list[ObjectScores]] = {name: [] for name in settings}
    for truth, image in pairs:
        labels = read_pages(truth)[0]
        probability: NDArray[np.float32] = segment(image, model, probabilities=True)
        for name, way in settings.items():
            threshold = model.info.threshold if way.threshold is None else way.threshold
            found = label_page(probability, 0.5 if threshold is None else threshold, way)
            scores[name].append(object_scores(labels, found, (IOU,)))
    return {name: _row(pages) for name, pages in scores.items()}


def _row(pages: Sequence[ObjectScores]) -> dict[str, float]:
    together = ObjectScores.joined(pages)
    return {
        "seg": together.seg,
        "f1": together.at(IOU).f1,
        "true": together.true_objects,
        "found": together.found_objects,
        "count_error": float(np.mean([abs(page.found_objects - page.true_objects) for page in pages])),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure from the command line and return the exit status."""
    parser = options("object_gain", __doc__)
    parser.add_argument("--images", required=True, help="folder or pattern of images")
    parser.add_argument("--truth", required=True, help="folder or pattern of instance labels, some suffice")
    parser.add_argument("--out", type=Path, help="also write the result as JSON")
    parser.add_argument("runs", nargs="+", type=Path, help="folders of trainings, or model files")
    given = parser.parse_args(words)

    def work() -> int:
        pairs = pair_by_name(named_files(given.truth), named_files(given.images)).pairs
        if not pairs:
            raise DataSetError(f"by their names no image of {given.images} belongs to one of {given.truth}")
        rows = []
        for run in given.runs:
            model = load_model(run)
            chosen = ways(model)
            measured = measure(model, pairs, chosen)
            rows.append({"run": run.name, "settings": chosen["chosen"].model_dump(), "ways": measured})
            print(f"{run}: {chosen['chosen'].describe()}")
            for name, row in measured.items():
                print(f"  {name:<9}" + "  ".join(f"{key} {value:.4g}" for key, value in row.items()))
        if given.out is not None:
            today = datetime.now(UTC).date().isoformat()
            frames = [path.name for path, _ in pairs]
            write_json(given.out, {"truth": frames, "rows": rows, "date": today, "machine": machine([])})
        return 0

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
