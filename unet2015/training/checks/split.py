"""Which pages of a set are held out, where pages may be copies or share pixels."""

from collections.abc import Sequence
from typing import NamedTuple

from unet2015.images.image import Image
from unet2015.settings import ValidationSettings
from unet2015.training.checks.copied_pages import PageFacts, copies_of
from unet2015.training.checks.linked import linked_pages
from unet2015.training.checks.problem import Problem
from unet2015.training.checks.shared_pixels import SharedPixels, shared_pixels
from unet2015.training.dataset import split_pages
from unet2015.training.page_names import Files, shortened_pages
from unet2015.training.run_folder import Before
from unet2015.wording import listed


class Split(NamedTuple):
    """The pages of a set, by sides.

    Attributes
    ----------
    training, held_out : sequence of int
        Their numbers.
    shared : SharedPixels
        Which of them share pixels all the same.
    together : sequence of sequence of str
        Names of the pages that share pixels, and so are on one side; empty unless other pages are held out
        for it.
    problems : list of Problem
        What is to be said of that.
    """

    training: Sequence[int]
    held_out: Sequence[int]
    shared: SharedPixels
    together: Sequence[Sequence[str]] = ()
    problems: Sequence[Problem] = ()


def choose_split(
    pages: Sequence[PageFacts],
    images: Sequence[Image],
    files: Files,
    validation: ValidationSettings,
    before: Before | None = None,
) -> Split:
    """Return which pages are held out.

    Parameters
    ----------
    pages : sequence of PageFacts
        Of the whole set.
    images : sequence of Image
        Its images; read again where pages seem to share pixels.
    files : sequence of (path, pages)
        The image files, with their numbers of pages.
    validation : ValidationSettings
        Which pages are held out. If none are named, pages that are copies, or share pixels, are on one side.
    before : Before, optional
        Of a training that is resumed: the same are held out again, if none are named.

    Raises
    ------
    SettingsError
        The pages to hold out are not in the set, or leave none for training. This is wrong usage, not a
        problem of the set.
    """
    copies = copies_of(pages)
    training, held_out = split_pages(validation, len(pages), files, copies)
    split = Split(training, held_out, shared_pixels(pages, images, training, held_out))
    own = None if before is None or before.pages != len(pages) else [*before.held_out]
    if validation.pages is not None or own == held_out:
        return split
    if split.shared.linked:
        groups = linked_pages(pages, images)
        training, measured = split_pages(validation, len(pages), files, copies, groups)
        if measured != held_out and own in (None, measured):
            together = [[pages[page].name for page in group] for group in groups]
            problems = [Problem("warning", "", _in_words(together))]
            shared = shared_pixels(pages, images, training, measured)
            return Split(training, measured, shared, together, problems)
    if own is None:
        return split
    training = sorted({*range(len(pages))} - {*own})
    return Split(training, own, shared_pixels(pages, images, training, own))


def _in_words(together: Sequence[Sequence[str]]) -> str:
    said = listed([f"({shortened_pages(names)})" for names in together], 4)
    return (
        "pages overlap, as crops of one image do, or copies with a scale bar, or are the same in another "
        f"brightness or contrast: {said}; they are held out together or not at all, as what is measured on "
        "pixels that are trained on is too good; to hold out others, name them (--validate)"
    )
