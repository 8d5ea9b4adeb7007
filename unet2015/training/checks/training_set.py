"""Checks of a training set, before the training starts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unet2015.errors import DataSetError, SettingsError, UNet2015Error, failure_of
from unet2015.images.pixel_size import pixel_size
from unet2015.models.model_file import ModelInfo
from unet2015.objects.progress import Share
from unet2015.safe_files import Unchanged
from unet2015.settings import LabelSettings, TrainingSettings, ValidationSettings
from unet2015.tiling.progress import Bar
from unet2015.training.checks.contents import SetContents, contents_of
from unet2015.training.checks.copied_pages import PageFacts, copies_of, on_both_sides
from unet2015.training.checks.image_file import is_too_large, read_all
from unet2015.training.checks.label_file import inspect_labels
from unet2015.training.checks.labels_beside import read_beside
from unet2015.training.checks.masks import mask_problems
from unet2015.training.checks.problem import (
    Problem,
    Severity,
    errors_of,
    grouped,
    merged,
    problem_of,
)
from unet2015.training.checks.start_images import leak_problems, leaks, start_problems
from unet2015.training.checks.turned import PageDigest
from unet2015.training.checks.whole_set import set_problems
from unet2015.training.dataset import pages_of_each, split_pages
from unet2015.training.labelled import LabelledPages
from unet2015.training.labels import Targets, components, holds_ids
from unet2015.training.page_names import page_names
from unet2015.training.pool import ImagePool, PooledImage, Reading
from unet2015.wording import counted


@dataclass(frozen=True)
class SetReport:
    """What was found in a training set.

    Attributes
    ----------
    problems : list of Problem
        Errors and warnings, those of one file together, those of the whole set last.
    held_out : list of str
        Names of the held-out pages (see `training.dataset.page_names`); empty if errors make them unknown.
    labelled : LabelledPages or None
        What a training needs of the labels, if `keep_labels` was set and there is no error.
    failures : sequence of (path, UNet2015Error)
        The files that could not be read.
    contents : SetContents or None
        Cells and classes; None if there is an error.
    held_out_seen : sequence of str
        Names of those held-out pages that are trained on, too: their pixels by this training, or the pages by
        the model that it starts from, or by one before.
    held_out_pages : sequence of int
        Which pages are held out, counted over the whole set.
    """

    problems: list[Problem]
    held_out: list[str]
    labelled: LabelledPages | None = None
    failures: Sequence[tuple[Path, UNet2015Error]] = ()
    contents: SetContents | None = None
    held_out_seen: Sequence[str] = ()
    held_out_pages: Sequence[int] = ()


def inspect_set(
    pairs: Sequence[tuple[Path, Path]],
    settings: TrainingSettings,
    reading: Reading | None = None,
    *,
    keep_labels: bool = False,
    silent: bool = False,
    start: ModelInfo | None = None,
) -> SetReport:
    """Say what is wrong with a training set, and which pages are held out.

    Every pixel is read; at most one image is open, and at most one label file in memory, at a time.

    Parameters
    ----------
    pairs : sequence of (image, labels)
        See `pair_images`.
    settings : TrainingSettings
        What the labels mean, and which pages are held out.
    reading : Reading, optional
        Axes of the images, where the files do not say; the channel to use alone, and the scene.
    keep_labels : bool
        Whether the report keeps what a training needs of the labels, so that they are read only once. It
        takes 5 bytes per pixel of a training page, and 1 byte per pixel of a held-out page.
    silent : bool
        Show no progress.
    start : ModelInfo, optional
        Of the model that the training starts from.

    Raises
    ------
    SettingsError
        The pages to hold out are not in the set, or leave none for training.
    """
    pool, reading = ImagePool(most=1), reading or Reading()
    try:
        found = [_Pair.open(pool, *pair, reading) for pair in pairs]
        if keep_labels:
            _keep_labels(found, settings.validation)
        counts = [2 * pair.pages for pair in found]  # of images and of labels
        with Bar(sum(counts), "images and labels checked", "page", silent=silent) as bar:
            for pair, count in zip(found, counts, strict=True):
                with Share(bar.update, count, count) as pair.share:
                    pair.look(settings, reading.axes)
        # If other files show that the cells have ids, a file with only 0 and 255 has a single cell.
        if any(pair.holds_ids for pair in found):
            for pair in found:
                if pair.refused_as_mask:
                    pair.look_at_labels(settings.labels, reading.axes, numbered=True)
        problems = [problem for pair in found for problem in (*pair.image_problems, *pair.label_problems)]
        held_out, training, measured = list[str](), list[int](), list[int]()
        seen: set[str] = set()
        if not errors_of(problems):
            images = [pair.image for pair in found if pair.image is not None]
            files = [(pair.image_file, image.pages) for pair, image in zip(found, images, strict=True)]
            facts = _page_facts(found, page_names(files))
            problems += set_problems(images, files, facts, settings)
            training, measured = split_pages(settings.validation, len(facts), files, copies_of(facts))
            seen = {*on_both_sides([facts[i] for i in training], [facts[i] for i in measured])}
            if start is not None:
                before = leaks(files, images, measured, start, reading.scene)
                problems += [*start_problems(images, start), *leak_problems(before, measured, start)]
                seen |= {*before}
            held_out = [facts[i].name for i in measured]
        kept = [pair.kept for pair in found if pair.kept is not None]
        whole = kept and len(kept) == len(found) and not errors_of(problems)
        failures = [failure for pair in found for failure in pair.failures]
        joined = LabelledPages.joined(kept).only(training) if whole else None
        contents = None if errors_of(problems) else _contents(found)
        in_order = [name for name in held_out if name in seen]
        return SetReport(problems, held_out, joined, failures, contents, in_order, measured)
    finally:
        pool.close()


def check_pairs(
    pairs: Sequence[tuple[Path, Path]],
    settings: TrainingSettings,
    reading: Reading | None = None,
    *,
    silent: bool = False,
    start: ModelInfo | None = None,
) -> SetReport:
    """Return what `inspect_set` finds, with the labels; a `DataSetError` lists the errors, if any."""
    report = inspect_set(pairs, settings, reading, keep_labels=True, silent=silent, start=start)
    if errors := errors_of(report.problems):
        said = "; ".join(map(str, merged(errors)))
        raise DataSetError(f"the training set has {counted(len(errors), 'error')}: {said}")
    return report


def _keep_labels(pairs: Sequence["_Pair"], validation: ValidationSettings) -> None:
    """Keep the labels of the pairs, unless it is already clear that no training follows."""
    files = [(pair.image_file, pair.image.pages) for pair in pairs if pair.image is not None]
    if len(files) < len(pairs):
        return
    try:
        training, _ = split_pages(validation, sum(count for _, count in files), files)
    except SettingsError:  # `set_problems` raises it, after all files were read
        return
    for pair, pages in zip(pairs, pages_of_each(files, training), strict=True):
        pair.trained_on = set(pages)


@dataclass
class _Pair:
    """What is known of one image and its labels, without the other files; no pixels."""

    image_file: Path
    label_file: Path
    image: PooledImage | None = None
    image_problems: list[Problem] = field(default_factory=list)
    label_problems: list[Problem] = field(default_factory=list)
    failures: list[tuple[Path, UNet2015Error]] = field(default_factory=list)
    digests: list[PageDigest | None] = field(default_factory=list)
    frequencies: npt.NDArray[np.int64] | None = None
    areas: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Of the cells, in pixels."""
    pixels: int = 0
    holds_ids: bool = False
    refused_as_mask: bool = False
    fits: bool = False
    """The labels could be read, and are of the image's size."""
    trained_on: set[int] | None = None
    """Pages of this pair to train on, if the labels are kept."""
    kept: LabelledPages | None = None
    share: Share | None = None
    """Is told of each page that was read, of the image and of the labels."""

    @property
    def pages(self) -> int:
        """Of the image; 1 if it could not be opened."""
        return 1 if self.image is None else self.image.pages

    def page_done(self) -> None:
        if self.share is not None:
            self.share.step()

    @classmethod
    def open(cls, pool: ImagePool, image_file: Path, label_file: Path, reading: Reading) -> "_Pair":
        pair = cls(image_file, label_file)
        try:
            pair.image = pool.add(image_file, reading)
            pair.image_problems += [problem_of("warning", image_file, note) for note in pair.image.notes]
        except Exception as error:
            pair.image_problems.append(pair.failed(error, image_file))
        return pair

    def look(self, settings: TrainingSettings, axes: str | None) -> None:
        self.look_at_labels(settings.labels, axes)
        if self.image is not None and (self.fits or not is_too_large(self.image, self.image_problems)):
            try:
                self.digests = read_all(self.image, settings.mapping, self.image_problems, self.page_done)
                self.image.check_unchanged()
            except Exception as error:
                self.image_problems.append(self.failed(error, self.image_file))

    def failed(self, error: Exception, file: Path) -> Problem:
        """Keep an error for the report, and return the problem that it is."""
        found = failure_of(error, file)
        self.failures.append((file, found))
        return problem_of("error", file, str(found))

    def look_at_labels(self, settings: LabelSettings, axes: str | None, *, numbered: bool = False) -> None:
        self.areas, self.pixels, self.border = np.empty(0, np.int64), 0, 0
        self.label_problems, self.kept, self.fits = [], None, False
        watch = Unchanged(self.label_file)
        try:
            beside = read_beside(self.image, self.label_file, axes, cut=settings.threshold is not None)
            watch.check()
        except Exception as error:
            self.label_problems.append(self.failed(error, self.label_file))
            return
        if self.trained_on is not None:
            self.kept = LabelledPages(digests=[watch.sha256])
        labels = beside.pages
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
        self.frequencies = report.frequencies
        severity: Severity = "error" if report.problems else "warning"
        self.label_problems += [
            problem_of(severity, self.label_file, text) for text in grouped(report.problems or report.notes)
        ]
        if settings.kind in ("mask", "membrane") and not report.problems:
            self.label_problems += mask_problems(self.label_file, labels, settings)

    def _keep(self, targets: Targets, counts: npt.NDArray[np.int64], areas: npt.NDArray[np.int64]) -> None:
        self.page_done()
        self.areas = np.concatenate([self.areas, areas])
        self.border += int(areas.sum()) - int(np.count_nonzero(targets.cells))
        self.pixels += targets.cells.size
        if self.kept is not None and self.trained_on is not None:
            self.kept.add(targets, counts, trained_on=len(self.kept.classes) in self.trained_on)


def _contents(pairs: Sequence[_Pair]) -> SetContents:
    return contents_of(
        [pair.areas for pair in pairs],
        [None if pair.image is None else pixel_size(pair.image.calibration) for pair in pairs],
        [pair.frequencies for pair in pairs if pair.frequencies is not None],
        sum(pair.pixels for pair in pairs),
        border=sum(pair.border for pair in pairs),
    )


def _page_facts(pairs: Sequence[_Pair], names: Sequence[str]) -> list[PageFacts]:
    rows = [row for pair in pairs if pair.frequencies is not None for row in pair.frequencies]
    digests = [digest for pair in pairs for digest in pair.digests]
    return [PageFacts(*facts) for facts in zip(names, rows, digests, strict=True)]
