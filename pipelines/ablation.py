"""What the choices that the paper leaves open cost: other trainings, and other ways to place tiles."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.base.settings import Changes
from pipelines.base.stage import Stage
from pipelines.base.stages import find_stage, train_stage
from pipelines.em.em_files import EMFiles
from pipelines.em.measures import values
from pipelines.em.settings import AblationSettings
from unet2015.device import choose_device
from unet2015.geometry import Geometry
from unet2015.images.mapped_image import MappedImage
from unet2015.images.reader import open_image, read_pages
from unet2015.metrics import evaluate_em
from unet2015.models.model_file import read_model_file
from unet2015.settings import TrainingSettings
from unet2015.tiling.plan import mirror
from unet2015.tiling.predictor import Predictor

TILINGS = {
    "stride 384, mirrored (this project's)": (384, "mirror"),
    "stride 388, mirrored (off the grid of the poolings)": (388, "mirror"),
    "stride 384, zeros outside the image": (384, "zeros"),
}
"""Titles of the ways to place tiles, each with its stride in pixels and what lies outside the image."""
TILE = 572
Predict = Callable[[NDArray[Any]], NDArray[Any]]


def ablation_stages(
    ablation: AblationSettings, files: EMFiles, training: Callable[..., TrainingSettings], device: str
) -> list[Stage]:
    """Return a stage a row, which trains it, and one that measures them all on the held-out slices.

    Parameters
    ----------
    ablation : AblationSettings
        Rows, and the fold whose slices are measured.
    files : EMFiles
        Where that fold's slices lie, and where the results go.
    training : callable
        Changes to the settings of a training, later ones last.
    device : str
        As in :func:`unet2015.train`.
    """
    stacks = files.stacks(f"fold-{ablation.fold}")
    images, labels = stacks[2:]
    rows = {title: f"ablation-{number}" for number, title in enumerate(ablation.rows)}
    models = {title: files.model(name) for title, name in rows.items()}

    def train(title: str, name: str, changes: Changes) -> Stage:
        settings = training(ablation.base, changes)
        # A row keeps its seed: that it learns nothing is a result.
        does = f"ablation: {title}"
        return train_stage(f"train-{name}", does, stacks[:2], files.run(name), settings, device, seeds=1)

    def measure() -> dict[str, Any]:
        found = {
            title: measure_run(model, images, labels, device)
            | {"learned": read_model_file(model).info.learned}
            for title, model in models.items()
        }
        base = next(iter(models.values()))
        tilings = measure_tilings(base, images, labels, device) if ablation.tiling else {}
        return {"fold": ablation.fold, "training": training_rows(found), "tiling": tilings}

    return [
        *(train(title, name, ablation.rows[title]) for title, name in rows.items()),
        find_stage(
            "ablation",
            "measure what the open choices cost",
            measure,
            [*models.values(), images, labels],
            files.ablation,
            {"rows": rows, "tiling": ablation.tiling},
        ),
    ]


def measure_run(model: Path, images: Path, labels: Path, device: str) -> dict[str, float]:
    """Segment images with a model, one pass, and return the measures, each at its best threshold."""
    from unet2015 import segment

    found = segment(images, model, probabilities=True, device=device)
    return values(evaluate_em(read_pages(labels), found))


def measure_tilings(model: Path, images: Path, labels: Path, device: str) -> dict[str, dict[str, float]]:
    """Measure `TILINGS`; with each, how far its probabilities are from those of one pass over the slice."""
    loaded = read_model_file(model)
    predict = Predictor(loaded.network, choose_device(device))
    truth = read_pages(labels)
    with open_image(images) as image:
        source = MappedImage(image, loaded.info.mapping)
        slices = [source.read(page, 0, image.height, 0, image.width) for page in range(image.pages)]
        side = max(image.height, image.width)
    geometry = loaded.network.geometry
    one = geometry.input_for(side)
    whole = np.stack([tiled(pixels, predict, geometry, side, "mirror", one) for pixels in slices])
    rows = {}
    for title, (stride, outside) in TILINGS.items():
        found = np.stack([tiled(pixels, predict, geometry, stride, outside) for pixels in slices])
        row = values(evaluate_em(truth, found))
        rows[title] = row | {"difference": float(np.abs(found - whole).max())}
    return rows


def tiled(
    pixels: NDArray[np.float32],
    predict: Predict,
    geometry: Geometry,
    stride: int,
    outside: str,
    tile: int = TILE,
) -> NDArray[np.float32]:
    """Return the probability of class 1 from tiles at any stride, also one that is wrong.

    The engine places tiles in phase and mirrors, always; this is what it is compared with.

    Parameters
    ----------
    pixels : ndarray of float32, shape (channels, height, width)
        Mapped intensities.
    predict : callable
        Tiles (N, channels, H, W) to probabilities (N, classes, h, w).
    geometry : Geometry
        Of the network.
    stride : int
        Pixels from one tile to the next; at most the output size.
    outside : {"mirror", "zeros"}
        What the network reads outside the image.
    tile : int
        Side of the tiles.
    """
    height, width = pixels.shape[1:]
    margin, size = geometry.margin, geometry.output_size(tile)
    found = np.empty((height, width), np.float32)
    for top in range(0, height, stride):
        for left in range(0, width, stride):
            window = _window(pixels, top - margin, left - margin, tile, outside)
            output = predict(window[None])[0, 1]
            rows, columns = min(size, height - top), min(size, width - left)
            found[top : top + rows, left : left + columns] = output[:rows, :columns]
    return found


def _window(pixels: NDArray[np.float32], top: int, left: int, size: int, outside: str) -> NDArray[np.float32]:
    height, width = pixels.shape[1:]
    if outside == "mirror":
        rows, columns = mirror(top, top + size, height), mirror(left, left + size, width)
        return pixels[:, rows[:, None], columns[None, :]]
    window = np.zeros((pixels.shape[0], size, size), np.float32)
    y, x = max(0, top), max(0, left)
    part = pixels[:, y : top + size, x : left + size]
    window[:, y - top : y - top + part.shape[1], x - left : x - left + part.shape[2]] = part
    return window


def training_rows(summaries: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the trainings, the base first, each with its difference from the base."""
    base = next(iter(summaries.values()))
    return [
        {"title": title}
        | row
        | {f"{name}_change": row[name] - base[name] for name in ("pixel_error", "rand_error")}
        for title, row in summaries.items()
    ]
