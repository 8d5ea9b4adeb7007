"""What is wrong with a training set, said before an hour is lost."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from unet2015.errors import DataSetError, SettingsError, UNet2015Error
from unet2015.images.image import Image
from unet2015.images.mapping import choose_mapping
from unet2015.images.reader import open_image
from unet2015.settings import LabelSettings, TrainingSettings
from unet2015.training.dataset import Labels, few, read_labels, split_pages
from unet2015.training.labels import label_notes, label_problems

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a training set.

    Attributes
    ----------
    severity : {"error", "warning"}
        Whether a training would fail or be spoilt, or only may be.
    file : str
        The file that it is about; empty where it is the whole set.
    message : str
        What was expected, what came, and what to do.
    """

    severity: Severity
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}" if self.file else self.message


def find_problems(
    pairs: Sequence[tuple[Path, Path]], settings: TrainingSettings, axes: str | None = None
) -> list[Problem]:
    """Say what is wrong with a training set, before an hour is lost.

    Parameters
    ----------
    pairs : sequence of (image, labels)
        See `pair_images`.
    settings : TrainingSettings
        What the labels are said to hold, and which pages are held out.
    axes : str, optional
        Axes of the images, where the files do not say.

    Returns
    -------
    list of Problem
        Errors and warnings, those of one file together, those of the whole set last.
    """
    problems: list[Problem] = []
    images: list[Image] = []
    values: set[float] = set()
    with ExitStack() as stack:
        for image_file, label_file in pairs:
            image = labels = None
            try:
                image = stack.enter_context(open_image(image_file, axes))
                images.append(image)
                problems += _image_problems(image)
            except UNet2015Error as error:
                problems.append(_problem("error", image_file, str(error)))
            try:
                labels = read_labels(label_file, axes)
            except UNet2015Error as error:
                problems.append(_problem("error", label_file, str(error)))
                continue
            if image is not None and (unlike := _unlike(image, labels)):
                problems.append(Problem("error", str(label_file), unlike))
            annotated = _values(labels, settings.labels)
            problems += _label_problems(label_file, labels, annotated, settings.labels)
            values |= annotated
        if not any(problem.severity == "error" for problem in problems):
            problems += _set_problems(images, values, settings)
    return problems


def check_pairs(
    pairs: Sequence[tuple[Path, Path]], settings: TrainingSettings, axes: str | None = None
) -> list[Problem]:
    """Return the warnings of `find_problems`; raise a `DataSetError` that lists the errors, if any."""
    problems = find_problems(pairs, settings, axes)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        raise DataSetError(
            f"the training set has {len(errors)} error{'s' * (len(errors) > 1)}: " + "; ".join(errors)
        )
    return problems


def _image_problems(image: Image) -> Iterator[Problem]:
    """Read all pixels, a band at a time."""
    low, high = np.inf, -np.inf
    for page in range(image.pages):
        for top in range(0, image.height, image.band_rows):
            band = image.read(page, top, min(top + image.band_rows, image.height), 0, image.width)
            bad = int(np.count_nonzero(~np.isfinite(band))) if band.dtype.kind == "f" else 0
            if bad:
                message = f"{bad} pixels of page {page} from row {top} on are NaN or infinite; replace them"
                yield Problem("error", image.name, message)
                return
            low, high = min(low, float(band.min())), max(high, float(band.max()))
    if low == high:
        yield Problem("warning", image.name, f"every pixel is {low:g}: there is nothing to learn from it")


def _values(labels: Labels, settings: LabelSettings) -> set[float]:
    """Return the label values of the annotated pixels."""
    return set(np.unique(labels).tolist()) - {settings.ignore}


def _label_problems(
    file: Path, labels: Labels, values: set[float], settings: LabelSettings
) -> Iterator[Problem]:
    """What is wrong with one label file by itself."""
    if found := label_problems(labels, settings, str(file)):
        yield from (_problem("error", file, text) for text in _grouped(found))
        return
    notes = label_notes(labels, settings, str(file))
    yield from (_problem("warning", file, text) for text in _grouped(notes))
    if settings.kind != "membrane":
        return
    inside = sorted(values - {0})
    if len(inside) > 1:
        yield _problem(
            "warning",
            file,
            f"has {len(inside)} different values beside 0 ({few(inside)}), all read as cell interior; "
            "instance labels need --label-kind instances, a blurred mask needs a threshold",
        )
    zeros = np.count_nonzero(labels == 0) / labels.size
    if 0.5 < zeros < 1:
        yield _problem(
            "warning", file, f"{zeros:.0%} of it is 0, which means membrane; is the coding inverted?"
        )


def _grouped(texts: Sequence[str]) -> Iterator[str]:
    """Say once what is wrong with several pages."""
    places: dict[str, list[str]] = {}
    for text in texts:
        match = re.search(r", page ([0-9]+): ", text)
        what = text[match.end() :] if match else text
        places.setdefault(what, []).append(match[1] if match else "")
    for what, pages in places.items():
        several = f"{len(pages)} pages ({few(pages)})" if len(pages) > 1 else f"page {pages[0]}"
        yield f"{several}: {what}" if pages[0] else what


def _set_problems(
    images: Sequence[Image], values: set[float], settings: TrainingSettings
) -> Iterator[Problem]:
    """What only shows when all files, each right by itself, are seen together."""
    if len({image.channels for image in images}) > 1:
        yield Problem(
            "error",
            "",
            f"one network takes one number of channels, but there are {_each(images, 'channels')}",
        )
        return
    if len({image.dtype for image in images}) > 1:
        yield Problem(
            "warning",
            "",
            f"the images differ in pixel type ({_each(images, 'dtype')}); see that their intensities compare",
        )
    try:
        choose_mapping(settings.mapping, images)
    except UNet2015Error as error:
        yield Problem("error", "", str(error))
    classes = values if settings.labels.kind == "classes" else {value != 0 for value in values}
    if len(classes) == 1:
        yield Problem("error", "", "all labels of the set are of one class; there is nothing to tell apart")
    elif absent := sorted(set(range(settings.labels.classes)) - classes):
        yield Problem("warning", "", f"no pixel of the set is of class {few(absent)}")

    total = sum(image.pages for image in images)
    try:
        training, held_out = split_pages(settings.validation, total)
    except SettingsError as error:
        yield Problem("error", "", str(error))
        return
    if len(training) == 1:
        yield Problem("warning", "", f"only one page, of {total}, is left for training")
    if not held_out:
        yield Problem(
            "warning", "", "no page is held out, so nothing will tell learning from learning by heart"
        )


def _unlike(image: Image, labels: Labels) -> str | None:
    """Say how labels differ in size from their image."""
    expected = (image.pages, image.height, image.width)
    if labels.shape == expected:
        return None
    pages, height, width = labels.shape
    return (
        f"the labels are {pages} page{'s' * (pages != 1)} of {height} x {width} px, but {image.name} is "
        f"{expected[0]} page{'s' * (expected[0] != 1)} of {expected[1]} x {expected[2]} px (height x width)"
    )


def _each(images: Sequence[Image], attribute: str) -> str:
    """Name one image for each value of an attribute."""
    first = {str(getattr(image, attribute)): image.name for image in reversed(images)}
    return ", ".join(f"{value} ({name})" for value, name in sorted(first.items()))


def _problem(severity: Severity, file: Path, text: str) -> Problem:
    """Make a problem of a message that may name the file itself."""
    return Problem(severity, str(file), text.removeprefix(str(file)).lstrip(":, "))
