"""The pages of a training set: mapped image, classes and weight map."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unet2015.files import sha256
from unet2015.images.image import Image
from unet2015.images.mapping import MappedImage, choose_mapping
from unet2015.images.reader import open_image
from unet2015.settings import Mapping, TrainingSettings
from unet2015.tiling.engine import Source
from unet2015.training.dataset import read_labels, split_pages
from unet2015.training.labels import balanced_weights, class_frequencies, make_targets
from unet2015.training.weights import target_weights


@dataclass(frozen=True)
class PageSource:
    """One page of a mapped image, as the only page of a source for the engine."""

    image: MappedImage
    page: int

    def read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.float32]:
        """Return (channels, y1 - y0, x1 - x0) of the page; `page` is 0."""
        return self.image.read(self.page, y0, y1, x0, x1)


@dataclass(frozen=True)
class TrainingPage:
    """One labelled page.

    Attributes
    ----------
    name : str
        File and page, for messages.
    source : Source
        Its mapped intensities, read region by region.
    classes : ndarray
        (H, W) uint8; 255 is not annotated.
    weights : ndarray
        (H, W) float32, Eq. 2; empty for a page that is only validated on.
    """

    name: str
    source: Source
    classes: NDArray[np.uint8]
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class TrainingSet:
    """All pages, and what was derived from them.

    Attributes
    ----------
    training, validation : list of TrainingPage
        The pages that are trained on, and those held out.
    channels : int
        Of every image.
    mapping : Mapping
        Chosen on the images.
    dtype : str or None
        Type of the images' pixels; None where they differ.
    class_weights : tuple of float
        w_c of Eq. 2.
    hashes : dict
        SHA-256 of every file.
    images : list of Image
        The open image files, closed by `close`.
    """

    training: list[TrainingPage]
    validation: list[TrainingPage]
    channels: int
    mapping: Mapping
    dtype: str | None
    class_weights: tuple[float, ...]
    hashes: dict[str, str]
    images: list[Image]

    def close(self) -> None:
        """Close the image files."""
        for image in self.images:
            image.close()


def load_training_set(
    pairs: Sequence[tuple[Path, Path]], settings: TrainingSettings, axes: str | None = None
) -> TrainingSet:
    """Read labels, choose the mapping, and make the weight maps of the training pages.

    The images stay on disk; of each page 5 bytes per pixel are kept in memory.
    """
    images = [open_image(image, axes) for image, _ in pairs]
    mapping = choose_mapping(settings.mapping, images)
    pages, cells = [], []
    for image, (_, label_path) in zip(images, pairs, strict=True):
        mapped = MappedImage(image, mapping)
        for number, labels in enumerate(read_labels(label_path, axes)):
            name = f"{label_path} page {number}" if image.pages > 1 else str(label_path)
            targets = make_targets(labels, settings.labels, name)
            pages.append(
                TrainingPage(
                    name=f"{image.name} page {number}",
                    source=PageSource(mapped, number),
                    classes=targets.classes,
                    weights=np.empty((0, 0), np.float32),
                )
            )
            cells.append(targets)
    chosen, held_out = split_pages(settings.validation, len(pages))
    given = settings.weight_map.class_weights
    counts = np.sum([class_frequencies(cells[i], settings.labels.classes) for i in chosen], axis=0)
    weights = balanced_weights(counts) if given == "balanced" else given
    training = [
        replace(pages[i], weights=target_weights(cells[i], settings.weight_map, weights)) for i in chosen
    ]
    return TrainingSet(
        training=training,
        validation=[pages[i] for i in held_out],
        channels=images[0].channels,
        mapping=mapping,
        dtype=images[0].dtype.name if len({image.dtype for image in images}) == 1 else None,
        class_weights=tuple(weights),
        hashes={str(path): sha256(path) for pair in pairs for path in pair},
        images=images,
    )
