"""Checks of a training set, before the training starts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from unet2015.errors import DataSetError, SettingsError, UNet2015Error
from unet2015.images.pixel_size import pixel_size
from unet2015.models.model_file import ModelInfo
from unet2015.objects.progress import Share
from unet2015.settings import TrainingSettings, ValidationSettings
from unet2015.tiling.progress import Bar
from unet2015.training.checks.contents import SetContents, contents_of
from unet2015.training.checks.copied_pages import PageFacts, short_digests
from unet2015.training.checks.label_fit import LabelFit
from unet2015.training.checks.landmarks import places_of_each
from unet2015.training.checks.pair import Pair
from unet2015.training.checks.palettes import palette_problems
from unet2015.training.checks.problem import Problem, errors_of, merged
from unet2015.training.checks.same_labels import same_labels
from unet2015.training.checks.set_marks import marks_of_set
from unet2015.training.checks.set_pages import SetPages
from unet2015.training.checks.split import choose_split
from unet2015.training.checks.start_images import leak_problems, leaks, start_problems
from unet2015.training.checks.whole_set import set_problems
from unet2015.training.dataset import pages_of_each, split_pages
from unet2015.training.labelled import LabelledPages
from unet2015.training.page_names import page_names
from unet2015.training.pool import ImagePool, Reading
from unet2015.training.run_folder import Before
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
    digests : sequence of str or None
        Of the pixels of each page; see `short_digests`. Empty if there is an error.
    together : sequence of sequence of str
        Names of the pages that share pixels, where that decided which pages are held out; see `Split`.
    """

    problems: list[Problem]
    held_out: list[str]
    labelled: LabelledPages | None = None
    failures: Sequence[tuple[Path, UNet2015Error]] = ()
    contents: SetContents | None = None
    held_out_seen: Sequence[str] = ()
    held_out_pages: Sequence[int] = ()
    digests: Sequence[str | None] = ()
    together: Sequence[Sequence[str]] = ()


def inspect_set(
    pairs: Sequence[tuple[Path, Path]],
    settings: TrainingSettings,
    reading: Reading | None = None,
    *,
    keep_labels: bool = False,
    silent: bool = False,
    start: ModelInfo | None = None,
    before: Before | None = None,
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
        takes 5 bytes per pixel of a training page, and 1 to 5 bytes per pixel of a held-out page.
    silent : bool
        Show no progress.
    start : ModelInfo, optional
        Of the model that the training starts from.
    before : Before, optional
        Which pages a training that is resumed holds out, where the settings name none.

    Raises
    ------
    SettingsError
        The pages to hold out are not in the set, or leave none for training.
    """
    pool, reading = ImagePool(most=1), reading or Reading()
    try:
        found = [Pair.open(pool, *pair, reading) for pair in pairs]
        counts = [pair.pages for pair in found]
        fit = _compared(found)
        if keep_labels:
            _keep_labels(found, settings.validation)
        with Bar(2 * sum(counts), "images and labels checked", "page", silent=silent) as bar:
            for pair, count in zip(found, counts, strict=True):
                with Share(bar.update, 2 * count, 2 * count) as pair.share:
                    pair.look(settings, reading.axes)
        # If other files show that the cells have ids, a file with only 0 and 255 has a single cell.
        if any(pair.holds_ids for pair in found):
            for pair in found:
                if pair.refused_as_mask:
                    pair.look_at_labels(settings.labels, reading.axes, numbered=True)
        problems = [problem for pair in found for problem in (*pair.image_problems, *pair.label_problems)]
        problems += marks_of_set(found, settings.labels)
        problems += palette_problems([one for pair in found for one in pair.colours], settings.labels)
        sides = _Sides()
        if not errors_of(problems):
            sides = _sides_of(found, settings, fit, reading.scene, start, before)
            problems += sides.problems
        kept = [pair.kept for pair in found if pair.kept is not None]
        whole = kept and len(kept) == len(found) and not errors_of(problems)
        failures = [failure for pair in found for failure in pair.failures]
        joined = LabelledPages.joined(kept).only(sides.training) if whole else None
        contents = None if errors_of(problems) else _contents(found)
        names = [sides.names[page] for page in sides.held_out]
        in_order = [name for name in names if name in sides.seen]
        of_pages = sides.held_out, sides.digests, sides.together
        return SetReport(problems, names, joined, failures, contents, in_order, *of_pages)
    finally:
        pool.close()


def check_pairs(
    pairs: Sequence[tuple[Path, Path]],
    settings: TrainingSettings,
    reading: Reading | None = None,
    *,
    silent: bool = False,
    start: ModelInfo | None = None,
    before: Before | None = None,
) -> SetReport:
    """Return what `inspect_set` finds, with the labels; a `DataSetError` lists the errors, if any."""
    report = inspect_set(
        pairs, settings, reading, keep_labels=True, silent=silent, start=start, before=before
    )
    if errors := errors_of(report.problems):
        said = "; ".join(map(str, merged(errors)))
        raise DataSetError(f"the training set has {counted(len(errors), 'error')}: {said}")
    return report


class _Sides(NamedTuple):
    """What is found of a set whose files are right, each by itself: its pages by sides, and problems."""

    names: Sequence[str] = ()
    training: Sequence[int] = ()
    held_out: Sequence[int] = ()
    seen: Collection[str] = ()
    digests: Sequence[str | None] = ()
    together: Sequence[Sequence[str]] = ()
    problems: Sequence[Problem] = ()


def _sides_of(
    pairs: Sequence[Pair],
    settings: TrainingSettings,
    fit: LabelFit,
    scene: str | None,
    start: ModelInfo | None,
    before: Before | None,
) -> _Sides:
    images = [pair.image for pair in pairs if pair.image is not None]
    files = [(pair.image_file, image.pages) for pair, image in zip(pairs, images, strict=True)]
    names = page_names(files)
    facts = _page_facts(pairs, names)
    split = choose_split(SetPages(facts, images), files, settings.validation, before)
    training, measured, shared = split.training, split.held_out, split.shared
    problems = [*set_problems(images, files, facts, settings, (training, measured)), *fit.problems(names)]
    problems += [*split.problems, *shared.problems, *same_labels(pairs)]
    seen, digests = shared.seen, short_digests(facts)
    if start is not None:
        known = leaks(files, images, measured, start, scene, digests)
        problems += [*start_problems(images, start), *leak_problems(known, measured, start)]
        seen |= {*known}
    return _Sides(names, training, measured, seen, digests, split.together, problems)


def _keep_labels(pairs: Sequence[Pair], validation: ValidationSettings) -> None:
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


def _compared(pairs: Sequence[Pair]) -> LabelFit:
    """Return what each pair, while it is looked at, compares its labels with; say how much it keeps."""
    fit = LabelFit([pair.pages for pair in pairs])
    places = places_of_each(sum(pair.pages for pair in pairs))
    types = {pair.image.dtype for pair in pairs if pair.image is not None}
    for number, pair in enumerate(pairs):
        pair.fit, pair.places = fit.of_file(number, pair.label_file), places
        pair.several_types = len(types) > 1
    return fit


def _contents(pairs: Sequence[Pair]) -> SetContents:
    return contents_of(
        [pair.areas for pair in pairs],
        [None if pair.image is None else pixel_size(pair.image.calibration) for pair in pairs],
        [pair.frequencies for pair in pairs if pair.frequencies is not None],
        sum(pair.pixels for pair in pairs),
        border=sum(pair.border for pair in pairs),
    )


def _page_facts(pairs: Sequence[Pair], names: Sequence[str]) -> list[PageFacts]:
    rows = [row for pair in pairs if pair.frequencies is not None for row in pair.frequencies]
    marks = [page for pair in pairs for page in pair.marks]
    return [PageFacts(*facts) for facts in zip(names, rows, marks, strict=True)]
