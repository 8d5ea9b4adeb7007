"""The contents of the label files of a training set; each file is read once, each page is prepared once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import DataSetError
from unet2015.images.image import Image
from unet2015.safe_files import Unchanged
from unet2015.settings import LabelSettings
from unet2015.training.dataset import Labels, read_labels, size_difference
from unet2015.training.labels import Targets, class_frequencies, holds_ids, make_targets


@dataclass
class LabelledPages:
    """Classes, cells and frequencies, page by page, of one label file or of a whole set.

    Attributes
    ----------
    classes : list of ndarray
        (H, W) uint8.
    counts : list of ndarray
        Annotated pixels of each class.
    cells : dict
        By page, for the pages to train on: (H, W) int32.
    whole : dict
        By page, for those held out: the cells as they were labelled, without a separation border, (H, W) in
        the smallest type that holds their numbers; None where the labels number no cells.
    digests : list of str
        SHA-256 of each file.
    """

    classes: list[NDArray[np.uint8]] = field(default_factory=list)
    counts: list[NDArray[np.int64]] = field(default_factory=list)
    cells: dict[int, NDArray[np.int32]] = field(default_factory=dict)
    whole: dict[int, NDArray[np.unsignedinteger] | None] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)

    def add(self, targets: Targets, counts: NDArray[np.int64], *, trained_on: bool) -> None:
        """Add the next page: a weight map needs the cells apart, a measure needs them whole."""
        page = len(self.classes)
        if trained_on:
            self.cells[page] = targets.cells
        if targets.whole is None:
            self.whole[page] = None
        elif not trained_on:
            self.whole[page] = targets.whole.astype(np.min_scalar_type(int(targets.whole.max())))
        self.classes.append(targets.classes)
        self.counts.append(counts)

    def take(self, page: int) -> Targets:
        """Return the targets of a page to train on, and free its cells: its weight map replaces them."""
        return Targets(self.classes[page], self.cells.pop(page))

    def only(self, pages: Sequence[int]) -> "LabelledPages | None":
        """Keep the cells of the pages to train on alone; None where what is needed of one is not there."""
        held_out = {*range(len(self.classes))} - {*pages}
        if not ({*pages} <= self.cells.keys() and held_out <= self.whole.keys()):
            return None
        self.cells = {page: self.cells[page] for page in pages}
        return self

    @classmethod
    def joined(cls, parts: Iterable["LabelledPages"]) -> "LabelledPages":
        """Return the pages of several files, one file after the other."""
        whole = cls()
        for part in parts:
            first = len(whole.classes)
            whole.cells |= {first + page: cells for page, cells in part.cells.items()}
            whole.whole |= {first + page: cells for page, cells in part.whole.items()}
            whole.classes += part.classes
            whole.counts += part.counts
            whole.digests += part.digests
        return whole

    @classmethod
    def read(
        cls,
        pairs: Sequence[tuple[Path, Path]],
        images: Sequence[Image],
        settings: LabelSettings,
        axes: str | None,
        training: set[int],
    ) -> "LabelledPages":
        """Read the label files of a set that was not checked before; `training` are the pages to train on.

        Raises
        ------
        DataSetError
            Labels have another size than their image.
        ImageError, LabelError
            As from `read_labels` and `make_targets`.
        """
        found = cls()
        for (labels, name, digest), image in zip(_label_files(pairs, settings, axes), images, strict=True):
            if other := size_difference(image, labels):
                raise DataSetError(f"{name}: {other}")
            found.digests.append(digest)
            for number, page in enumerate(labels):
                place = f"{name} page {number}" if image.pages > 1 else name
                targets = make_targets(page, settings, place, numbered=True)
                counts = class_frequencies(targets, settings.classes)
                found.add(targets, counts, trained_on=len(found.classes) in training)
        return found


def _label_files(
    pairs: Sequence[tuple[Path, Path]], settings: LabelSettings, axes: str | None
) -> Iterator[tuple[Labels, str, str]]:
    """Yield labels, name and SHA-256 of each file; a set of masks only is refused as instances."""
    numbered, mask = settings.kind != "instances", None
    for _, path in pairs:
        watch = Unchanged(path)
        labels = read_labels(path, axes, cut=settings.threshold is not None)
        if not numbered and not (numbered := holds_ids(labels, settings)) and mask is None:
            mask = next(((page, str(path)) for page in labels if (page == 255).any()), None)
        yield labels, str(path), watch.sha256
    if not numbered and mask is not None:
        make_targets(mask[0], settings, mask[1])  # says what is wrong with it
