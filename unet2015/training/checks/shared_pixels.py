"""What is said of held-out pages that share pixels with pages trained on, without being their copies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from unet2015.training.checks.copied_pages import on_both_sides
from unet2015.training.checks.overlaps import Overlap, covered, overlaps
from unet2015.training.checks.problem import Problem
from unet2015.training.checks.rescaled import rescaled
from unet2015.training.checks.set_pages import SetPages
from unet2015.wording import listed

_MUCH = 0.1
"""Share of a held-out page that is trained on, from which the model keeps that its measures are too good."""


class SharedPixels(NamedTuple):
    """What was found.

    Attributes
    ----------
    problems : list of Problem
        What is to be said.
    seen : set of str
        Names of the held-out pages of which much is trained on, copies too.
    linked : bool
        Whether any page on one side shares pixels with one on the other, without being its copy.
    """

    problems: list[Problem]
    seen: set[str]
    linked: bool


def shared_pixels(pages: SetPages, training: Sequence[int], held_out: Sequence[int]) -> SharedPixels:
    """Find held-out pages that overlap pages trained on, or are the same in another brightness or contrast.

    Parameters
    ----------
    pages : SetPages
        Of the whole set.
    training, held_out : sequence of int
        Numbers of pages, by the side that they are on.
    """
    facts, sites = pages.facts, pages.sites
    trained = [page for page in training if facts[page].counts]
    copied = on_both_sides([facts[page] for page in trained], [facts[page] for page in held_out])
    rest = [page for page in held_out if facts[page].counts and facts[page].name not in copied]
    brighter = rescaled(pages.samples, sites, trained, rest)
    others = [page for page in rest if page not in brighter]
    moved = overlaps(pages.landmarks, sites, trained, others)
    for page, parts in overlaps(pages.orders, sites, trained, others, other_types=True).items():
        known = moved.setdefault(page, [])
        known += [part for part in parts if part.other not in {one.other for one in known}]
    shares = {
        page: covered(parts, sites[page][0].height, sites[page][0].width) for page, parts in moved.items()
    }
    names = [page.name for page in facts]
    much = {page for page, share in shares.items() if share >= _MUCH}
    notes = [*_of_brightness(names, brighter), *_of_overlaps(names, moved, shares)]
    return SharedPixels(
        [Problem("warning", "", note) for note in notes],
        {*copied, *(names[page] for page in {*brighter, *much})},
        bool(brighter or moved),
    )


def _of_brightness(names: Sequence[str], found: Mapping[int, int]) -> Iterator[str]:
    if found:
        twice = [f"{names[other]} and {names[page]}" for page, other in found.items()]
        yield (
            "the same image is trained on and held out, in another brightness or contrast, so what is "
            f"measured on it is too good: {listed(twice)}; leave one of them out, or hold out both"
        )


def _of_overlaps(
    names: Sequence[str], found: Mapping[int, Sequence[Overlap]], shares: Mapping[int, float]
) -> Iterator[str]:
    if found:
        said = [_in_words(names, page, shares[page], parts) for page, parts in found.items()]
        yield (
            "held-out pages overlap pages trained on, as crops of one image do, or copies with a scale bar, "
            f"so what is measured on the same pixels is too good: {listed(said)}; hold out pages that share "
            "no pixels with others, such as those of another image (--validate), or leave out the pages "
            "between"
        )


def _in_words(names: Sequence[str], page: int, share: float, parts: Sequence[Overlap]) -> str:
    where = [f"{part.height} x {part.width} px of {names[part.other]}" for part in parts]
    return f"{names[page]} has {listed(where, 2)} ({share:.0%} of it)"
