"""Which pages of a set are held out, where pages may be copies or share pixels."""

from collections.abc import Sequence
from typing import NamedTuple

from unet2015.settings import ValidationSettings
from unet2015.training.checks.copied_pages import copies_of
from unet2015.training.checks.linked import linked_pages
from unet2015.training.checks.problem import Problem
from unet2015.training.checks.set_pages import SetPages
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
    pages: SetPages,
    files: Files,
    validation: ValidationSettings,
    before: Before | None = None,
) -> Split:
    """Return which pages are held out.

    Parameters
    ----------
    pages : SetPages
        Of the whole set.
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
    copies, total = copies_of(pages.facts), len(pages.facts)
    training, held_out = split_pages(validation, total, files, copies)
    split = Split(training, held_out, shared_pixels(pages, training, held_out))
    own = None if before is None or before.pages != total else [*before.held_out]
    if validation.pages is not None or own == held_out:
        return split
    if split.shared.linked:
        groups = linked_pages(pages)
        training, measured = split_pages(validation, total, files, copies, groups)
        if measured != held_out and own in (None, measured):
            together = [[pages.facts[page].name for page in group] for group in groups]
            problems = [Problem("warning", "", _in_words(together))]
            shared = shared_pixels(pages, training, measured)
            return Split(training, measured, shared, together, problems)
    if own is None:
        return split
    training = sorted({*range(total)} - {*own})
    return Split(training, own, shared_pixels(pages, training, own))


def _in_words(together: Sequence[Sequence[str]]) -> str:
    said = listed([f"({shortened_pages(names)})" for names in together], 4)
    return (
        "pages overlap, as crops of one image do, or copies with a scale bar, or are the same in another "
        f"brightness or contrast: {said}; they are held out together or not at all, as what is measured on "
        "pixels that are trained on is too good; to hold out others, name them (--validate)"
    )
