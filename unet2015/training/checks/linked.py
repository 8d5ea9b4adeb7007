"""Pages that share pixels: they are kept on one side of the split, where the program chooses it."""

from unet2015.training.checks.overlaps import overlapping
from unet2015.training.checks.rescaled import rescaled
from unet2015.training.checks.set_pages import SetPages


def linked_pages(pages: SetPages) -> list[list[int]]:
    """Return groups of pages that overlap, or are the same in another brightness or contrast.

    Copies are not looked at again: one of them stands for all, and all are in its group.

    Parameters
    ----------
    pages : SetPages
        Of the whole set.

    Returns
    -------
    list of list of int
        Numbers of two or more pages each, in their order.
    """
    facts = pages.facts
    digests = {i: page.digest for i, page in enumerate(facts) if page.digest is not None and page.counts}
    alone = sorted({digest.exact: number for number, digest in reversed(digests.items())}.values())
    joined = _Joined(len(facts))
    for one, other in rescaled(pages.samples, pages.sites, alone, alone).items():
        joined.join(one, other)
    for one, other in overlapping(pages.landmarks, pages.sites, alone, joined.together):
        joined.join(one, other)
    for one, other in overlapping(pages.orders, pages.sites, alone, joined.together, other_types=True):
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
