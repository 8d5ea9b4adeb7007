"""The words that a side of files adds to the cores of its names, and what of a name may be a core."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from unet2015.images.name_words import Words, before_numbers

_MOST_AFFIXES = 64
"""Affixes that are tried on each side, those of most files first."""


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

    def of(self, words: Words) -> bool:
        """Whether a name has it, with a core between."""
        start, end = len(self.before), len(words) - len(self.after)
        return start < end and words[:start] == self.before and words[end:] == self.after


NO_AFFIX = Affix((), ())


class Side:
    """The files of one side, and the affixes that they may have."""

    def __init__(self, words: Mapping[Path, Words]) -> None:
        self.words = words
        self.count = len(words)
        self.before_numbers = before_numbers(words.values())
        self._from_start = _same_places(set(words.values()))
        self._from_end = _same_places({name[::-1] for name in words.values()})
        self.files_with = Counter(affix for name in words.values() for affix, _ in _splits(name))
        often = sorted(self.files_with.items(), key=lambda item: (-item[1], len(item[0].words)))
        self.affixes = {affix for affix, _ in often[:_MOST_AFFIXES]}
        self.with_core: dict[Words, set[Path]] = defaultdict(set)
        for path, name in words.items():
            for _, core in _splits(name):
                self.with_core[core].add(path)

    def constants(self, affix: Affix, core: Words) -> tuple[bool, ...]:
        """Return which words of a core all of several files have at that place, from the start or the end."""
        return tuple(
            (len(affix.before) + place, word) in self._from_start
            or (len(affix.after) + len(core) - 1 - place, word) in self._from_end
            for place, word in enumerate(core)
        )

    def shared(self, affix: Affix) -> bool:
        """Whether the affix marks the side rather than one file of several."""
        return affix == NO_AFFIX or self.files_with[affix] > 1 or self.count == 1

    def everywhere(self, affix: Affix) -> bool:
        """Whether all of several files have it."""
        return self.count > 1 and self.files_with[affix] == self.count

    def cores(self, taken: set[Path]) -> dict[Words, list[tuple[Affix, Path]]]:
        """Return what may be a core, and in which files with which affix; without those that are taken."""
        found: dict[Words, list[tuple[Affix, Path]]] = defaultdict(list)
        for path, words in self.words.items():
            if path not in taken:
                for affix, core in _splits(words):
                    if affix in self.affixes:
                        found[core].append((affix, path))
        return found

    def rivals(self, affix: Affix, core: Words) -> list[Path]:
        """Return the files without `affix` that have the core all the same.

        A number alone is found in many names by chance: beside other numbers it must stand where `affix`
        has it.
        """
        found = []
        for path in self.with_core[core]:
            words = self.words[path]
            if not affix.of(words) and any(
                not own.numbered
                or not all(word.isdigit() for word in core)
                or own.before == affix.before
                or own.after == affix.after
                for own, part in _splits(words)
                if part == core
            ):
                found.append(path)
        return found


def _same_places(names: set[Words]) -> set[tuple[int, str]]:
    """Return places and words that all of several names have."""
    return set.intersection(*(set(enumerate(name)) for name in names)) if len(names) > 1 else set()


def _splits(words: Words) -> Iterator[tuple[Affix, Words]]:
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            yield Affix(words[:start], words[end:]), words[start:end]
