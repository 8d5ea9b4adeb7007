"""Label files that are the same though their images are not, as where one was copied by mistake."""

from collections.abc import Iterator, Sequence

from unet2015.training.checks.pair import Pair
from unet2015.training.checks.problem import Problem
from unet2015.training.checks.rescaled import likeness
from unet2015.wording import listed

_ONE_PLACE = 0.8
"""Correlation of images from which they may show one place, as frames in which nothing moves."""


def same_labels(pairs: Sequence[Pair]) -> Iterator[Problem]:
    """Say which label files are the same, pixel by pixel, though their images show other places."""
    by_labels: dict[bytes, list[Pair]] = {}
    for pair in pairs:
        if pair.label_digest is not None:
            by_labels.setdefault(pair.label_digest, []).append(pair)
    copies = []
    for first, *others in by_labels.values():
        unlike = [pair for pair in others if not _may_be_of_one_place(first, pair)]
        if unlike:
            copies.append(" and ".join(str(pair.label_file) for pair in (first, *unlike)[:4]))
    if copies:
        yield Problem(
            "warning",
            "",
            "labels of different images are the same, pixel by pixel: "
            f"{listed(copies, 3)}; was one copied under the other's name? See that each is of its image",
        )


def _may_be_of_one_place(one: Pair, other: Pair) -> bool:
    """Whether no page of two images is unlike that of the other."""
    both = [(a, b) for a, b in zip(one.marks, other.marks, strict=False) if a is not None and b is not None]
    return all(
        a.digest.turned == b.digest.turned or likeness(a.sample, b.sample) >= _ONE_PLACE for a, b in both
    )
