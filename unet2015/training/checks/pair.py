"""One image and its labels, as a check of a training set sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unet2015.errors import UNet2015Error, failure_of
from unet2015.images.label_colours import UsedColours
from unet2015.metrics.background import LabelAreas
from unet2015.metrics.far_numbers import FarNumber
from unet2015.objects.progress import Share
from unet2015.safe_files import Unchanged
from unet2015.settings import LabelSettings, TrainingSettings
from unet2015.training.checks.image_file import is_too_large, read_all
from unet2015.training.checks.label_file import inspect_labels
from unet2015.training.checks.label_fit import FileFit
from unet2015.training.checks.labels_beside import digest_of_labels, read_beside
from unet2015.training.checks.landmarks import places_of_each
from unet2015.training.checks.masks import mask_problems
from unet2015.training.checks.page_marks import PageMarks
from unet2015.training.checks.problem import Problem, Severity, errors_of, grouped, problem_of
from unet2015.training.labelled import LabelledPages
from unet2015.training.labels import Targets, components, holds_ids
from unet2015.training.pool import ImagePool, PooledImage, Reading


@dataclass
class Pair:
    """What is known of one image and its labels, without the other files; no pixels."""

    image_file: Path
    label_file: Path
    image: PooledImage | None = None
    image_problems: list[Problem] = field(default_factory=list)
    label_problems: list[Problem] = field(default_factory=list)
    failures: list[tuple[Path, UNet2015Error]] = field(default_factory=list)
    marks: list[PageMarks | None] = field(default_factory=list)
    places: int = places_of_each(1)
    """How many landmarks of a page are kept."""
    several_types: bool = False
    """Whether the images of the set differ in the type of their pixels."""
    frequencies: npt.NDArray[np.int64] | None = None
    areas: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Of the cells, in pixels."""
    pixels: int = 0
    cells: Sequence[LabelAreas] = ()
    """Of instance labels, page by page."""
    far: Sequence[FarNumber | None] = ()
    """Of each of these pages the number that the check of the file has asked about."""
    values: set[int] = field(default_factory=set)
    """Of masks and membranes, without those that are ignored."""
    label_digest: bytes | None = None
    """The same for labels with equal pixels; None for simple ones."""
    colours: list[UsedColours] = field(default_factory=list)
    """What the palettes of the labels say."""
    holds_ids: bool = False
    refused_as_mask: bool = False
    fits: bool = False
    """The labels could be read, and are of the image's size."""
    trained_on: set[int] | None = None
    """Pages of this pair to train on, if the labels are kept."""
    kept: LabelledPages | None = None
    fit: FileFit | None = None
    """Compares the labels with the image."""
    share: Share | None = None
    """Is told of each page that was read, of the image and of the labels."""

    @property
    def pages(self) -> int:
        """Of the image; 1 if it could not be opened."""
        return 1 if self.image is None else self.image.pages

    def page_done(self) -> None:
        """Tell that a page was read."""
        if self.share is not None:
            self.share.step()

    @classmethod
    def open(cls, pool: ImagePool, image_file: Path, label_file: Path, reading: Reading) -> "Pair":
        """Open the image; that it cannot be opened is a problem of it."""
        pair = cls(image_file, label_file)
        try:
            pair.image = pool.add(image_file, reading)
            pair.image_problems += [problem_of("warning", image_file, note) for note in pair.image.notes]
        except Exception as error:
            pair.image_problems.append(pair.failed(error, image_file))
        return pair

    def look(self, settings: TrainingSettings, axes: str | None) -> None:
        """Look at all pixels of the labels and of the image."""
        self.look_at_labels(settings.labels, axes)
        if self.image is not None and (self.fits or not is_too_large(self.image, self.image_problems)):
            try:
                self.marks = read_all(
                    self.image,
                    settings.mapping,
                    self.image_problems,
                    self.places,
                    self.page_done,
                    several_types=self.several_types,
                )
                if self.fit is not None and not errors_of([*self.image_problems, *self.label_problems]):
                    self.fit.compare(self.image)
                self.image.check_unchanged()
            except Exception as error:
                self.image_problems.append(self.failed(error, self.image_file))

    def failed(self, error: Exception, file: Path) -> Problem:
        """Keep an error for the report, and return the problem that it is."""
        found = failure_of(error, file)
        self.failures.append((file, found))
        return problem_of("error", file, str(found))

    def look_at_labels(self, settings: LabelSettings, axes: str | None, *, numbered: bool = False) -> None:
        """Look at all pixels of the labels; `numbered` as for `inspect_labels`."""
        self.areas, self.pixels, self.border = np.empty(0, np.int64), 0, 0
        self.label_problems, self.kept, self.fits = [], None, False
        self.cells, self.far, self.values = (), (), set()
        if self.fit is not None:
            self.fit.forget()
        watch = Unchanged(self.label_file)
        try:
            beside = read_beside(self.image, self.label_file, axes, cut=settings.threshold is not None)
            watch.check()
        except Exception as error:
            self.label_problems.append(self.failed(error, self.label_file))
            return
        if self.trained_on is not None:
            self.kept = LabelledPages(digests=[watch.sha256])
        labels, self.colours = beside.pages, beside.colours
        self.label_digest = digest_of_labels(labels)
        if beside.misfit is not None:
            self.label_problems.append(Problem("error", str(self.label_file), beside.misfit))
        else:
            self.fits = True
        self.label_problems += [problem_of("warning", self.label_file, note) for note in beside.notes]
        if settings.kind == "instances":
            self.holds_ids = holds_ids(labels, settings)
            self.refused_as_mask = not self.holds_ids and bool((labels == 255).any())
            # A mask that lies among instance labels by mistake usually has several cells.
            numbered = numbered and all(components(page == 255, connectivity=2).max() < 2 for page in labels)
        report = inspect_labels(
            labels, settings, str(self.label_file), numbered=numbered or self.holds_ids, keep=self._keep
        )
        self.frequencies, self.cells, self.far = report.frequencies, report.areas, report.far
        severity: Severity = "error" if report.problems else "warning"
        self.label_problems += [
            problem_of(severity, self.label_file, text) for text in grouped(report.problems or report.notes)
        ]
        if settings.kind in ("mask", "membrane") and not report.problems:
            self.values = set(np.unique(labels).tolist()) - {settings.ignore}
            self.label_problems += mask_problems(self.label_file, labels, settings)

    def _keep(self, targets: Targets, counts: npt.NDArray[np.int64], areas: npt.NDArray[np.int64]) -> None:
        self.page_done()
        if self.fit is not None:
            self.fit.add(targets)
        self.areas = np.concatenate([self.areas, areas])
        self.border += int(areas.sum()) - int(np.count_nonzero(targets.cells))
        self.pixels += targets.cells.size
        if self.kept is not None and self.trained_on is not None:
            self.kept.add(targets, counts, trained_on=len(self.kept.classes) in self.trained_on)
