"""Pages of a set that are copies of each other: they are kept on one side of the split, and said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unet2015.images.turned import PageDigest
from unet2015.training.checks.page_marks import PageMarks
from unet2015.wording import listed


@dataclass(frozen=True)
class PageFacts:
    """One page of a set.

    Attributes
    ----------
    name : str
        As `page_names` gives it.
    frequencies : ndarray of int64, shape (classes,)
        Annotated pixels of each class.
    marks : PageMarks or None
        None if all pixels of the page have one value.
    """

    name: str
    frequencies: npt.NDArray[np.int64]
    marks: PageMarks | None

    @property
    def digest(self) -> PageDigest | None:
        """The same for copies; None if all pixels of the page have one value."""
        return None if self.marks is None else self.marks.digest

    @property
    def counts(self) -> bool:
        """Whether a copy of the page would count again: pixels are annotated, and are not of one value."""
        return self.digest is not None and bool(self.frequencies.any())


def short_digests(pages: Sequence[PageFacts]) -> list[str | None]:
    """Return for each page by what a model knows its copies later; None if a copy would not count."""
    return [page.digest.short if page.digest is not None and page.counts else None for page in pages]


def copies_of(pages: Sequence[PageFacts]) -> list[bytes | None]:
    """Return for each page what its copies share, mirrored and turned ones too, for `split_pages`."""
    return [page.digest.turned if page.digest is not None and page.counts else None for page in pages]


def on_both_sides(training: Sequence[PageFacts], held_out: Sequence[PageFacts]) -> dict[str, str]:
    """Return, by the names of held-out pages, annotated ones to train on with the same pixels, or turned."""
    seen = {page.digest.turned: page.name for page in reversed(training) if page.digest and page.counts}
    return {
        page.name: seen[page.digest.turned]
        for page in held_out
        if page.digest is not None and page.digest.turned in seen
    }


def notes_on_copies(
    pages: Sequence[PageFacts], training: Sequence[int], held_out: Sequence[int], plain: Sequence[int]
) -> Iterator[str]:
    """Yield what is to be said of copies, in words.

    Parameters
    ----------
    pages : sequence of PageFacts
        Of the whole set.
    training, held_out : sequence of int
        Their numbers, by the side that they are on.
    plain : sequence of int
        The pages that would be held out if none were copies.
    """
    trained, measured = ([pages[i] for i in side] for side in (training, held_out))
    if found := on_both_sides(trained, measured):
        twice = [f"{one} and {other}" for other, one in found.items()]
        yield (
            f"the same image is trained on and held out (perhaps mirrored or turned), so what is measured "
            f"on it is too good: {listed(twice)}; leave one of them out, or hold out both"
        )
    together = _together(measured) if [*held_out] != [*plain] else []
    if together:
        yield (
            "the same image is in the set more than once (perhaps mirrored or turned); where one copy is "
            "held out, all are, as what is measured on a page that is trained on is too good: "
            f"{listed(together)}; leave copies out, or choose what is held out (--validate)"
        )
    for side, words in ((trained, "trained on"), ([] if together else measured, "held out")):
        if again := _again(side):
            yield (
                f"the same image is {words} more than once, and counts again each time: {listed(again)}; "
                "leave its copies out"
            )


def _together(pages: Sequence[PageFacts]) -> list[str]:
    """Return the names of pages that are copies, mirrored and turned ones too, those of one image joined."""
    return _joined([(page.digest.turned, page.name) for page in pages if page.digest and page.counts])


def _again(pages: Sequence[PageFacts]) -> list[str]:
    """Return the same of pages with equal pixels."""
    return _joined([(page.digest.exact, page.name) for page in pages if page.digest and page.counts])


def _joined(names: Sequence[tuple[bytes, str]]) -> list[str]:
    found: dict[bytes, list[str]] = {}
    for digest, name in names:
        found.setdefault(digest, []).append(name)
    return [" and ".join(copies) for copies in found.values() if len(copies) > 1]
