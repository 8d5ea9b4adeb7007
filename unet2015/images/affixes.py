"""The words that all files of a side add to the cores of their names."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from unet2015.images.name_words import Words, before_numbers, says_only_kind


class Affix(NamedTuple):
    """What a side adds to the core of its names."""

    before: Words
    after: Words

    @property
    def words(self) -> Words:
        """Both parts."""
        return self.before + self.after

    @property
    def numbered(self) -> bool:
        """Whether it holds a number."""
        return any(word.isdigit() for word in self.words)


NO_AFFIX = Affix((), ())


class Side:
    """The files of one side, and the affixes that all of them have.

    Of a single file each part of its name may be an affix.
    """

    def __init__(self, words: Mapping[Path, Words]) -> None:
        self._words = words
        self.count = len(words)
        self.before_numbers = before_numbers(words.values())
        self.unlike = len(set(words.values())) == len(words)
        """Whether no two names have the same words."""

    def marks(self, affix: Affix) -> bool:
        """Whether an affix says nothing about which file it is: several have it, or it names a kind."""
        return self.count > 1 or (says_only_kind(affix.before) and says_only_kind(affix.after))

    def cores(self) -> dict[Words, list[tuple[Affix, Path]]]:
        """Return what may be a core, and in which files with which affix."""
        found: dict[Words, list[tuple[Affix, Path]]] = defaultdict(list)
        names = list(self._words.values())
        before, after = _common(names), _common([name[::-1] for name in names])
        shortest = min(map(len, names), default=0)
        lengths = [(b, a) for b in range(before + 1) for a in range(after + 1) if b + a < shortest]
        for path, name in self._words.items():
            for start, length in lengths:
                end = len(name) - length
                found[name[start:end]].append((Affix(name[:start], name[end:]), path))
        return found


def _common(names: Sequence[Words]) -> int:
    """Return how many words all names begin with."""
    first, last = min(names, default=()), max(names, default=())  # in order, all others lie between
    pairs = zip(first, last, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(first), len(last)))
