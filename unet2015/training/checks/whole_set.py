"""Problems that show only when all files of a training set are compared."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from unet2015.errors import UNet2015Error
from unet2015.images.channel import is_unnamed, tell_nothing
from unet2015.images.image import Image
from unet2015.images.mapping import choose_mapping, intensity_scale
from unet2015.images.pixel_size import in_words, pixel_size, sizes_of, usual_size
from unet2015.images.pixel_types import other_types, pixel_type
from unet2015.settings import LabelSettings, MappingSettings, TrainingSettings
from unet2015.training.checks.annotated import HOW_TO_IGNORE, hold_only_zero, rest_ignored, zero_ignored
from unet2015.training.checks.copied_pages import PageFacts, notes_on_copies
from unet2015.training.checks.problem import Problem
from unet2015.training.dataset import pages_of_each, split_pages
from unet2015.training.page_names import Files, describe_held_out, shortened_pages
from unet2015.wording import listed, pages_listed

_NAMED = 5
_FEWER = 3
"""How many times less of a page than of the median page cells must cover to be noticed."""


def _warning(message: str) -> Problem:
    """Return a warning about the whole set."""
    return Problem("warning", "", message)


def _error(message: str) -> Problem:
    """Return an error of the whole set."""
    return Problem("error", "", message)


def set_problems(
    images: Sequence[Image],
    files: Files,
    pages: Sequence[PageFacts],
    settings: TrainingSettings,
    sides: tuple[Sequence[int], Sequence[int]],
) -> Iterator[Problem]:
    """Say what is wrong with a set.

    Parameters
    ----------
    images : sequence of Image
        The images of all pairs; they are read again if the mapping is by percentiles.
    files : sequence of (path, pages)
        The image files, with their numbers of pages.
    pages : sequence of PageFacts
        The pages of all images, one after the other.
    settings : TrainingSettings
        What the labels hold, how intensities are mapped, and which pages are held out.
    sides : tuple of sequences of int
        Numbers of the pages to train on, and of those held out.
    """
    if len({image.channels for image in images}) > 1:
        yield _error(f"one network takes one number of channels, but there are {_each(images, 'channels')}")
        return
    yield from _unlike(images)
    present = np.flatnonzero(sum(page.frequencies for page in pages))
    if not present.size:
        yield _error(f"no pixel of the set is annotated (ignore = {settings.labels.ignore})")
        return
    if present.size == 1:
        yield _error(f"all labels of the set are of one class; {_why_one(images, pages, settings.labels)}")
    elif absent := sorted(set(range(settings.labels.classes)) - set(present.tolist())):
        yield _warning(f"no pixel of the set is of class {listed(absent)}")
    training, held_out = sides
    yield from _mapping_problems(images, pages_of_each(files, training), settings.mapping)
    if present.size > 1:
        yield from _empty_pages(pages, settings.labels, len(files))
        yield from _sparse_pages(pages, settings.labels)
        yield from _split_problems(
            [pages[i] for i in training], [pages[i] for i in held_out], settings.labels
        )
        plain = split_pages(settings.validation, len(pages), files)[1]
        yield from map(_warning, notes_on_copies(pages, training, held_out, plain))
    if len(training) == 1:
        yield _warning(f"only one page, of {len(pages)}, is left for training")
    if not held_out:
        yield _warning("no page is held out, so overfitting will not be seen")


def _why_one(images: Sequence[Image], pages: Sequence[PageFacts], labels: LabelSettings) -> str:
    if labels.ignore == 0 and labels.kind != "classes":
        return zero_ignored(labels.kind)
    frequencies = np.sum([page.frequencies for page in pages], axis=0)
    if frequencies.sum() < sum(image.pages * image.height * image.width for image in images):
        return rest_ignored(labels, int(np.argmax(frequencies)))
    return "there is nothing to tell apart"


def _unlike(images: Sequence[Image]) -> Iterator[Problem]:
    """Say if images differ in the type of their pixels, in their bits, or in their size."""
    if unlike := other_types((image.name, pixel_type(image)) for image in images):
        yield _warning(f"the images {unlike}; see that their intensities compare")
    yield from _other_names(images)
    if len(sizes := sizes_of(images)) > 1:
        said = ", ".join(f"{in_words(size)} ({name})" for size, name in sorted(sizes.items()))
        unknown = "" if usual_size(images) else "; the model will not know which scale it is for"
        yield _warning(
            f"the images differ in the size of a pixel ({said}), so the same cell has another size in them; "
            f"see that they are right, and that all images are scaled alike{unknown}"
        )
    elif sizes and not usual_size(images):
        silent = [image.name for image in images if pixel_size(image.calibration) is None]
        yield _warning(
            f"{len(silent)} of {len(images)} images do not say the size of a pixel "
            f"({listed(silent, _NAMED)}), so the model will not know which scale it is for; save them with it"
        )


def _mapping_problems(
    images: Sequence[Image], training: Sequence[Sequence[int]], settings: MappingSettings
) -> Iterator[Problem]:
    """Say if percentiles would make an image blank, or if no mapping can be chosen."""
    try:
        mapping = choose_mapping(settings, images, training)
        what = f"the percentiles {settings.low:g} and {settings.high:g}"
        advice = 'sparse bright pixels need mapping.method = "standardise", or a higher percentile'
        if mapping.method == "image-percentiles":
            for image in images:
                offset, gain = map(np.atleast_2d, intensity_scale(mapping, image))
                pages, channels = np.nonzero(gain == 0)
                if pages.size:
                    own, blank = sorted(set(pages.tolist())), sorted(set(channels.tolist()))
                    where = f" on {pages_listed(own)}" if mapping.of_each_page else ""
                    yield Problem(
                        "warning",
                        image.name,
                        f"{what} are both {offset[pages[0], channels[0]]:g}{_of_channels(image, blank)}"
                        f"{where}, so the network would see a blank image; {advice}",
                    )
        elif settings.method == "training-percentiles" and mapping.low == mapping.high:
            yield _warning(
                f"{what} of the training images are both {mapping.low[0]:g}, so the network would see blank "
                f"images; {advice}"
            )
    except UNet2015Error as error:
        yield _error(str(error))


def _of_channels(image: Image, channels: Sequence[int]) -> str:
    return f" in channel {listed(channels)}" if image.channels > 1 else ""


def _empty_pages(pages: Sequence[PageFacts], labels: LabelSettings, files: int) -> Iterator[Problem]:
    """Say if most pages of several files hold only class 0; of a single file, its own notes say it."""
    annotated = [page for page in pages if page.frequencies.any()]
    empty = [page.name for page in annotated if not page.frequencies[1:].any()]
    if files > 1 and 2 * len(empty) > len(annotated):
        yield _warning(
            f"{len(empty)} of {len(pages)} pages {hold_only_zero(labels.kind)} ({shortened_pages(empty)}): "
            f"annotated so, or not annotated? If nobody annotated them, {HOW_TO_IGNORE}"
        )


def _sparse_pages(pages: Sequence[PageFacts], labels: LabelSettings) -> Iterator[Problem]:
    """Say if a few pages hold far fewer cells than all others: perhaps not every cell was annotated.

    They must stand apart. Where there are pages between, the number of cells just varies.
    """
    if labels.kind not in ("instances", "mask"):
        return
    shares = {
        page.name: float(page.frequencies[1] / page.frequencies.sum())
        for page in pages
        if page.frequencies[1:].any()
    }
    middle = float(np.median([*shares.values()])) if len(shares) > 3 else 0.0
    sparse = {name: share for name, share in shares.items() if share < middle / _FEWER}
    others = [share for name, share in shares.items() if name not in sparse]
    if sparse and 4 * len(sparse) <= len(shares) and 2 * max(sparse.values()) <= min(others):
        yield _warning(
            f"on {shortened_pages([*sparse])} cells cover {_range(sparse.values())} of the annotated pixels, "
            f"on the other pages {_range(others)}: is every cell annotated? If not, the other cells are "
            f"learned as background: {HOW_TO_IGNORE}"
        )


def _range(shares: Collection[float]) -> str:
    low, high = (f"{share:.1%}" for share in (min(shares), max(shares)))
    return low if low == high else f"{low} to {high}"


def _split_problems(
    training: Sequence[PageFacts], held_out: Sequence[PageFacts], labels: LabelSettings
) -> Iterator[Problem]:
    """Say what one side of the split lacks."""
    learned = sum((page.frequencies for page in training), np.zeros(labels.classes, np.int64))
    measured = sum((page.frequencies for page in held_out), np.zeros(labels.classes, np.int64))
    names = describe_held_out([page.name for page in held_out])
    choose = "choose others to hold out (--validate)"
    if not learned.any():
        yield _error(f"no pixel of the training pages is annotated ({names}); {choose}")
        return
    if np.count_nonzero(learned) == 1:
        only = _class_name(int(learned.argmax()), labels)
        yield _error(
            f"all labels of the training pages are of one class, {only}: the others are on held-out pages "
            f"alone ({names}); {choose}"
        )
    elif missing := np.flatnonzero((learned == 0) & (measured > 0)).tolist():
        yield _warning(
            f"no training page holds {_any_of(missing, labels)}, but held-out pages do ({names}), so it "
            f"cannot be learned; {choose}"
        )
    if held_out and not measured.any():
        yield _warning(
            f"no pixel of the held-out pages is annotated ({names}): they measure nothing; {choose}"
        )
    elif held_out and (missing := np.flatnonzero((learned > 0) & (measured == 0)).tolist()):
        yield _warning(
            f"no held-out page holds {_any_of(missing, labels)} ({names}), so nothing shows how well it is "
            f"found; {choose}"
        )


def _other_names(images: Sequence[Image]) -> Iterator[Problem]:
    """Say where the channels of an image have other names than those of the first that names them."""
    named = [image for image in images if any(image.channel_names)]
    for image in named[1:]:
        if image.channel_names != named[0].channel_names:
            ours, theirs = (", ".join(one.channel_names) for one in (image, named[0]))
            message = f"its channels are named {ours}, but those of {named[0].name} {theirs}"
            yield Problem("warning", image.name, f"{message}; see that each is the same in all images")
    nameless = [image.name for image in images if is_unnamed(image)]
    telling = next((image for image in named if not tell_nothing(image.channel_names)), None)
    if telling is not None and nameless:
        names = telling.channel_names
        see = "all have them in this order" if len(names) > 1 else "the channel is the same in all"
        yield _warning(
            f"some images do not name their channels ({listed(nameless)}), but {telling.name} does: "
            f"{', '.join(names)}; see that {see}"
        )


def _class_name(number: int, labels: LabelSettings) -> str:
    if labels.kind == "classes":
        return f"class {number}"
    return "cells" if number else "membrane" if labels.kind == "membrane" else "background"


def _any_of(classes: Sequence[int], labels: LabelSettings) -> str:
    if labels.kind == "classes":
        return f"a pixel of class {listed(classes)}"
    return "a cell" if classes[0] else f"a pixel of {_class_name(0, labels)}"


def _each(images: Sequence[Image], attribute: str) -> str:
    """Name one image for each value of an attribute."""
    first = {str(getattr(image, attribute)): image.name for image in reversed(images)}
    return ", ".join(f"{value} ({name})" for value, name in sorted(first.items()))
