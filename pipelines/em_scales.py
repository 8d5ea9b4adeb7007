"""How em-membrane stands other scales, next to a blur: ``python -m pipelines.em_scales --data DIR``.

Three slices of the ISBI 2012 challenge and their labels, zoomed. The model has been trained on them, so this
says what a scale costs, and nothing about unseen images. The blur is the least that a model must beat: a
Gaussian of the best of some widths, its gray values replaced by their ranks, so that the thresholds are
quantiles. All measures are each best over thresholds. `pipelines.results_report` puts the result into
``docs/results.md``. It takes half a minute of one core.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.base.command import attempt, options
from pipelines.base.settings import FOLDER
from pipelines.em.data import EMData
from pipelines.em.measures import values
from unet2015 import load_model, segment
from unet2015.images.reader import read_pages
from unet2015.metrics.em import evaluate_em
from unet2015.provenance import machine
from unet2015.safe_files import make_folder, write_json

NAME = "em-membrane"
SLICES = (4, 14, 26)
ZOOMS = (0.8, 1.0, 1.25)
WIDTHS = (0, 1, 2, 3, 4, 5)
"""Of the Gaussian, in pixels of the zoomed image."""


def best_blur(images: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
    """Return the measures of the blur with the highest V_rand, and its width in pixels as ``sigma``.

    Parameters
    ----------
    images : ndarray, shape (slices, height, width)
        Membranes are dark.
    labels : ndarray of the same shape
        Above 0 is cell interior.
    """
    found = []
    for sigma in WIDTHS:
        blurred = ndimage.gaussian_filter(images.astype(np.float32), (0, sigma, sigma))
        ranks = blurred.ravel().argsort(kind="stable").argsort().reshape(blurred.shape)
        measures = values(evaluate_em(labels, (ranks / (ranks.size - 1)).astype(np.float32)))
        found.append(measures | {"sigma": sigma})
    return max(found, key=lambda measures: measures["v_rand"])


def compare_at(zoom: float, images: NDArray[Any], labels: NDArray[Any]) -> dict[str, Any]:
    """Return the measures of model and blur on slices zoomed by a factor."""
    zoomed = np.stack([ndimage.zoom(page, zoom, order=1) for page in images])
    truth = np.stack([ndimage.zoom(page, zoom, order=0) for page in labels])
    probability = segment(zoomed, NAME, axes="ZYX", device="cpu", probabilities=True)
    return {
        "zoom": zoom,
        "model": values(evaluate_em(truth, probability)),
        "blur": best_blur(zoomed, truth),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure from the command line and return the exit status."""
    parser = options("em_scales", __doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with train-volume.tif and its labels"
    )
    parser.add_argument("--out", type=Path, default=FOLDER / "results" / NAME, help="default: %(default)s")
    given = parser.parse_args(words)

    def work() -> int:
        folder = given.data / "isbi2012"
        data = EMData(folder if folder.is_dir() else given.data)
        data.check()
        images, labels = (read_pages(path)[list(SLICES)] for path in (data.volume, data.labels))
        result = {
            "what": "slices that the model was trained on, zoomed; each measure best over thresholds",
            "model_sha256": load_model(NAME).sha256,
            "slices": SLICES,
            "rows": [compare_at(zoom, images, labels) for zoom in ZOOMS],
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine([]),
        }
        path = make_folder(given.out) / "result.json"
        write_json(path, result)
        print(f"written to {path}; put it into the document with: python -m pipelines.results_report")
        return 0

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
