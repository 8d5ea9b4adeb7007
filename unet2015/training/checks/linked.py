"""Pages that share pixels: they are kept on one side of the split, where the program chooses it."""

from collections.abc import Sequence

from unet2015.images.image import Image
from unet2015.training.checks.copied_pages import PageFacts
from unet2015.training.checks.overlaps import overlapping
from unet2015.training.checks.rescaled import rescaled


def linked_pages(pages: Sequence[PageFacts], images: Sequence[Image]) -> list[list[int]]:
    """Return groups of pages that overlap, or are the same in another brightness or contrast.

    Copies are not looked at again: one of them stands for all, and all are in its group.

    Parameters
    ----------
    pages : sequence of PageFacts
        Of the whole set.
    images : sequence of Image
        Its images; read again where pages seem to share pixels.

    Returns
    -------
    list of list of int
        Numbers of two or more pages each, in their order.
    """
    sites = [(image, page) for image in images for page in range(image.pages)]
    digests = {i: page.digest for i, page in enumerate(pages) if page.digest is not None and page.counts}
    alone = sorted({digest.exact: number for number, digest in reversed(digests.items())}.values())
    joined = _Joined(len(pages))
    marks = [page.marks for page in pages]
    for one, other in rescaled([each and each.sample for each in marks], sites, alone, alone).items():
        joined.join(one, other)
    places = [each and each.landmarks for each in marks]
    for one, other in overlapping(places, sites, alone, joined.together):
        joined.join(one, other)
    order = [each and each.order for each in marks]
    for one, other in overlapping(order, sites, alone, joined.together, other_types=True):
        joined.join(one, other)
    copies: dict[bytes, int] = {}
    for number, digest in digests.items():
        joined.join(number, copies.setdefault(digest.turned, number))
    return [group for group in joined.groups() if len({digests[page].turned for page in group}) > 1]


class _Joined:
    """Groups that grow as their members are found to belong together."""

    def __init__(self, members: int) -> None:
        self._before = [*range(members)]

    def _first(self, one: int) -> int:
        while self._before[one] != one:
            self._before[one] = self._before[self._before[one]]
            one = self._before[one]
        return one

    def together(self, one: int, other: int) -> bool:
        """Whether both are in one group."""
        return self._first(one) == self._first(other)

    def join(self, one: int, other: int) -> None:
        """Make one group of those of both."""
        low, high = sorted((self._first(one), self._first(other)))
        self._before[high] = low

    def groups(self) -> list[list[int]]:
        """Return the groups of more than one."""
        found: dict[int, list[int]] = {}
        for one in range(len(self._before)):
            found.setdefault(self._first(one), []).append(one)
        return [members for members in found.values() if len(members) > 1]
