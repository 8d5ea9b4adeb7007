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
        Of a training that is resumed: the same are held out again, if none are named. Then it is not looked
        for others, nor for the pages that share pixels, which the training has found.

    Raises
    ------
    SettingsError
        The pages to hold out are not in the set, or leave none for training. This is wrong usage, not a
        problem of the set.
    """
    copies, total = copies_of(pages.facts), len(pages.facts)
    if validation.pages is None and before is not None and before.pages == total:
        return _as_before(pages, before)
    training, held_out = split_pages(validation, total, files, copies)
    split = Split(training, held_out, shared_pixels(pages, training, held_out))
    if validation.pages is not None or not split.shared.linked:
        return split
    groups = linked_pages(pages)
    training, measured = split_pages(validation, total, files, copies, groups)
    if measured == held_out:
        return split
    together = [[pages.facts[page].name for page in group] for group in groups]
    return _split_of(pages, training, measured, together)


def _as_before(pages: SetPages, before: Before) -> Split:
    names, held_out = {page.name for page in pages.facts}, [*before.held_out]
    training = sorted({*range(before.pages)} - {*held_out})
    known = all(names.issuperset(group) for group in before.together)  # else files have other names now
    return _split_of(pages, training, held_out, before.together if known else ())


def _split_of(
    pages: SetPages, training: Sequence[int], held_out: Sequence[int], together: Sequence[Sequence[str]]
) -> Split:
    problems = [Problem("warning", "", _in_words(together))] if together else []
    return Split(training, held_out, shared_pixels(pages, training, held_out), together, problems)


def _in_words(together: Sequence[Sequence[str]]) -> str:
    said = listed([f"({shortened_pages(names)})" for names in together], 4)
    return (
        "pages overlap, as crops of one image do, or copies with a scale bar, or are the same in another "
        f"brightness or contrast: {said}; they are held out together or not at all, as what is measured on "
        "pixels that are trained on is too good; to hold out others, name them (--validate)"
    )
