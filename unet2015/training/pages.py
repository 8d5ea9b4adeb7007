"""The pages of a training set: mapped image, classes and weight map."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import DataSetError
from unet2015.images.image import Image
from unet2015.images.mapped_image import MappedImage
from unet2015.images.mapping import choose_mapping, deviation
from unet2015.models.appearance import appearance_record
from unet2015.settings import Mapping, TrainingSettings, WeightMapSettings
from unet2015.tiling.reading import PixelReader
from unet2015.training.checks.training_set import SetReport
from unet2015.training.dataset import pages_of_each, split_pages
from unet2015.training.labelled import LabelledPages
from unet2015.training.labels import balanced_weights
from unet2015.training.page_names import page_names
from unet2015.training.pool import ImagePool, PooledImage, Reading
from unet2015.training.weight_map import target_weights


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
    source : PixelReader
        Its mapped intensities, read region by region.
    classes : ndarray
        (H, W) uint8; 255 is not annotated.
    weights : ndarray
        (H, W) float32, Eq. 2; empty for a page that is only validated on.
    deviation : tuple of float
        Standard deviation of each channel of the whole mapped image or, where each page is mapped by itself,
        of the page: the unit of gray variation.
    annotated : int
        Number of annotated pixels.
    cells : ndarray, optional
        Of a page that is only validated on: (H, W), its cells as they were labelled, numbered from 1 on; None
        where the labels number none.
    """

    name: str
    source: PixelReader
    classes: NDArray[np.uint8]
    weights: NDArray[np.float32]
    deviation: tuple[float, ...] = (1.0,)
    annotated: int = 0
    cells: NDArray[np.unsignedinteger] | None = None


@dataclass(frozen=True)
class TrainingSet:
    """All pages, and what was derived from them.

    Attributes
    ----------
    training, validation : list of TrainingPage
        The pages that are trained on, of which each has annotated pixels, and those held out.
    channels : int
        Of every image.
    mapping : Mapping
        Chosen on the images.
    dtype : str or None
        Type of the images' pixels; None where they differ.
    class_weights : tuple of float
        w_c of Eq. 2.
    hashes : dict
        SHA-256 of every file: of each image and, after it, of its labels, in the order of the pairs.
    files : list of (image, labels)
        The paths of the pairs.
    images : list of Image
        The image files, opened when they are read.
    pool : ImagePool
        What opens them; closed by `close`.
    held_out : list of str
        Names of the held-out pages, as `page_names` gives them.
    identity : dict
        What makes it this set, for JSON. ``pairs``: the SHA-256 of each image and its labels, in order;
        ``pages``: how many each image has; ``held_out``: the held-out pages, counted over the whole set;
        ``axes``: with which each image file is read; ``channel``: which channel of the images is used
        alone, if one is; ``scene``: which image of files that hold several.
    axes : str or None
        Axes of the images that were given, for files that do not say them.
    held_out_seen : sequence of str
        Names of those held-out pages that were trained on, too, as the check of the set has found them.
    appearance : dict
        What all pages look like, for the record.
    digests : sequence of str or None
        Of the pixels of each page, as the check of the set has found them; empty without one.
    together : sequence of sequence of str
        Names of the pages that share pixels, where that decided which pages are held out.
    """

    training: list[TrainingPage]
    validation: list[TrainingPage]
    channels: int
    mapping: Mapping
    dtype: str | None
    class_weights: tuple[float, ...]
    hashes: dict[str, str]
    files: list[tuple[Path, Path]]
    images: list[Image]
    pool: ImagePool
    held_out: list[str]
    identity: dict[str, Any]
    axes: str | None = None
    held_out_seen: Sequence[str] = ()
    appearance: dict[str, Any] = field(default_factory=dict)
    digests: Sequence[str | None] = ()
    together: Sequence[Sequence[str]] = ()

    def close(self) -> None:
        """Close the image files."""
        self.pool.close()

    def check_unchanged(self) -> None:
        """Raise `DataSetError` if an image file was changed, for whoever has read the pages before."""
        for image in self.images:
            if isinstance(image, PooledImage):
                image.check_same()


def load_training_set(
    pairs: Sequence[tuple[Path, Path]],
    settings: TrainingSettings,
    reading: Reading | None = None,
    checked: SetReport | None = None,
) -> TrainingSet:
    """Read labels, choose the mapping, and make the weight maps of the training pages.

    The images stay on disk and few of them are open at a time (see `training.pool`); of each page 5 bytes
    per pixel are kept in memory, of a held-out page 1, and 1 or 2 more for its numbered cells. A file that
    changes afterwards makes reads of it raise a `DataSetError`.

    Parameters
    ----------
    pairs : sequence of (image, labels)
        See `pair_images`.
    settings : TrainingSettings
        What the labels hold, the mapping, the weight map, and which pages are held out.
    reading : Reading, optional
        Axes of the images, where the files do not say; the channel to use alone, and the scene.
    checked : SetReport, optional
        What the check of the set has found: the labels, whose cells are used up; which pages are held out;
        and what is known of them. Default: the labels are read here, and the pages held out are those of the
        settings, also where pages are copies.

    Raises
    ------
    DataSetError
        Labels have another size than their image, or nothing is annotated on the pages to train on.
    ImageError, LabelError, SettingsError
        As from reading, mapping, `make_targets` and `split_pages`.
    """
    reading = reading or Reading()
    with ExitStack() as failed:
        pool = ImagePool()
        failed.callback(pool.close)
        images = [pool.add(image, reading) for image, _ in pairs]
        files = [(path, image.pages) for (path, _), image in zip(pairs, images, strict=True)]
        names = page_names(files)
        held_out = (
            split_pages(settings.validation, len(names), files)[1]
            if checked is None
            else checked.held_out_pages
        )
        chosen = sorted({*range(len(names))} - {*held_out})
        mapping = choose_mapping(settings.mapping, images, pages_of_each(files, chosen))
        labelled = None if checked is None else checked.labelled
        if labelled is None:
            labelled = LabelledPages.read(pairs, images, settings.labels, reading.axes, set(chosen))
        sources = [MappedImage(image, mapping) for image in images]
        pages = list(_training_pages(sources, mapping, labelled))
        taught = _annotated(chosen, pages)
        weights, training = _weighed(pages, taught, labelled, settings.weight_map)
        digests = [(image.sha256, digest) for image, digest in zip(images, labelled.digests, strict=True)]
        failed.pop_all()
    return TrainingSet(
        training=training,
        validation=[pages[i] for i in held_out],
        channels=images[0].channels,
        mapping=mapping,
        dtype=images[0].dtype.name if len({image.dtype for image in images}) == 1 else None,
        class_weights=weights,
        hashes={str(path): digest for path, digest in zip(chain(*pairs), chain(*digests), strict=True)},
        files=list(pairs),
        images=list(images),
        pool=pool,
        held_out=[names[i] for i in held_out],
        identity=_identity(images, digests, held_out) | reading.part,
        axes=None if reading.axes is None else reading.axes.upper().replace("S", "C"),
        held_out_seen=() if checked is None else checked.held_out_seen,
        digests=() if checked is None else checked.digests,
        together=() if checked is None else checked.together,
        appearance=appearance_record(source.appearance for source in sources if source.appearance),
    )


def _identity(
    images: Sequence[PooledImage], digests: Sequence[tuple[str, str]], held_out: Sequence[int]
) -> dict[str, Any]:
    """Return what tells a set from others; companion files only where there are some."""
    companions = [image.companion for image in images]
    return {
        "pairs": [list(both) for both in digests],
        "pages": [image.pages for image in images],
        "held_out": [*held_out],
        "axes": [image.file_axes for image in images],
    } | ({"companions": companions} if any(companions) else {})


def _training_pages(
    sources: Sequence[MappedImage], mapping: Mapping, labelled: LabelledPages
) -> Iterator[TrainingPage]:
    pages = enumerate(zip(labelled.classes, labelled.counts, strict=True))
    for mapped in sources:
        image = mapped.image
        spread = deviation(image, mapping, (mapped.offset, mapped.gain))
        for number, own in enumerate(np.broadcast_to(spread, (image.pages, image.channels)).tolist()):
            place, (classes, counts) = next(pages)
            yield TrainingPage(
                name=f"{image.name} page {number}",
                source=PageSource(mapped, number),
                classes=classes,
                weights=np.empty((0, 0), np.float32),
                deviation=tuple(own),
                annotated=int(counts.sum()),
                cells=labelled.whole.get(place),
            )


def _annotated(chosen: Sequence[int], pages: Sequence[TrainingPage]) -> list[int]:
    """Return those of the chosen pages that have annotated pixels; raise `DataSetError` if none has."""
    if found := [i for i in chosen if pages[i].annotated]:
        return found
    raise DataSetError("no pixel of the training pages is annotated; annotate some, or hold out other pages")


def _weighed(
    pages: Sequence[TrainingPage], taught: Sequence[int], labelled: LabelledPages, settings: WeightMapSettings
) -> tuple[tuple[float, ...], list[TrainingPage]]:
    """Return w_c of Eq. 2 and, with their weight maps, the pages that are trained on (`taught`)."""
    given = settings.class_weights
    counts = np.sum([labelled.counts[i] for i in taught], axis=0)
    weights = tuple(balanced_weights(counts) if given == "balanced" else given)
    training = []
    for i in taught:  # the cells go as the weights come, as both take 4 bytes a pixel
        training.append(replace(pages[i], weights=target_weights(labelled.take(i), settings, weights)))
    return weights, training
