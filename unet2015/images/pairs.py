"""Which file of one folder belongs to which of another: by what their names have in common.

``man_seg002.tif`` goes with ``mask002.tif``, ``c0_mask.tif`` with ``c0.tif``, ``x/0001.png`` with
``x/0001.png``. A name is cut into words and numbers. What two names share, the core, lies between affixes,
which each side adds to all or several of its files.
"""

import glob
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple, NoReturn

from unet2015.errors import DataSetError, UsageError
from unet2015.images.reader import find_images, natural_order

Words = tuple[str, ...]
_MOST_AFFIXES = 64
"""Affixes that are tried on each side, those of most files first."""
_NAMED = 8


class Affix(NamedTuple):
    """What a side adds to the core of its names."""

    before: Words
    after: Words

    @property
    def words(self) -> Words:
        """Both parts."""
        return self.before + self.after


_NONE = Affix((), ())
Rule = tuple[Affix, Affix]
"""The affixes of the two sides."""


class _Vote(NamedTuple):
    """Two files that have a core in common."""

    core: Words
    first: Path
    second: Path


@dataclass(frozen=True)
class Pairing:
    """Files of two sides that belong together, and those that are alone.

    Attributes
    ----------
    pairs : tuple of (Path, Path)
        In natural order of the first side.
    first_alone, second_alone : tuple of Path
        Without a partner.
    """

    pairs: tuple[tuple[Path, Path], ...]
    first_alone: tuple[Path, ...]
    second_alone: tuple[Path, ...]


def named_files(given: str | Path) -> dict[Path, str]:
    """Return the images that a path or a pattern names, each with its name without ending.

    The name begins with the folders that tell files apart: those below `given`, where it is a folder without
    images of its own, and those that differ, where it is a pattern.

    Raises
    ------
    UsageError, ImageReadError
        As from `find_images`.
    """
    root = Path(given)
    try:
        files = find_images([given])
    except UsageError:
        below = glob.glob(str(Path(glob.escape(str(root))) / "*" / "**"), recursive=True)
        if not below or not root.is_dir():
            raise
        files = find_images([Path(glob.escape(str(root))) / "**" / "*"])
    else:
        root = Path(os.path.commonpath([file.absolute().parent for file in files]))
    names = {file: file.absolute().relative_to(root.absolute()).with_suffix("") for file in files}
    return {file: unicodedata.normalize("NFC", str(name)) for file, name in names.items()}


def pair_by_name(first: Mapping[Path, str], second: Mapping[Path, str]) -> Pairing:
    """Find out which files belong together.

    Parameters
    ----------
    first, second : mapping of Path to str
        Files with their names, as from `named_files`. One file on each side belong together, whatever their
        names.

    Returns
    -------
    Pairing

    Raises
    ------
    DataSetError
        A file could go with several others.

    Notes
    -----
    Equal names go first. Then, again and again, the affixes that pair most files and, of those, the shortest.
    Several files of a side must have an affix, unless it stands against none on the other side, or its side
    has a single file. Numbers tell files apart, so an affix holds one only if all files of its side have it,
    and the affix of the other side holds none.
    """
    if len(first) == len(second) == 1:
        found = {next(iter(first)): next(iter(second))}
    else:
        found = _equal_names(first, second)
        sides = _Side(first), _Side(second)
        while more := _by_affixes(*sides, found):
            found |= more
    taken = set(found.values())
    return Pairing(
        tuple((one, found[one]) for one in sorted(found, key=natural_order)),
        tuple(path for path in first if path not in found),
        tuple(path for path in second if path not in taken),
    )


def _equal_names(first: Mapping[Path, str], second: Mapping[Path, str]) -> dict[Path, Path]:
    by_name: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for side, files in enumerate((first, second)):
        for path, name in files.items():
            by_name[name][side].append(path)
    found = {}
    for ones, others in by_name.values():
        if len(ones) == len(others) == 1:
            found[ones[0]] = others[0]
        elif ones and others:
            _refuse(*((ones[0], others) if len(others) > 1 else (others[0], ones)))
    return found


class _Side:
    """The files of one side, and the affixes that they may have."""

    def __init__(self, files: Mapping[Path, str]) -> None:
        self.words = {path: _words(name) for path, name in files.items()}
        self.count = len(files)
        self.files_with = Counter(affix for words in self.words.values() for affix, _ in _splits(words))
        often = sorted(self.files_with.items(), key=lambda item: (-item[1], len(item[0].words)))
        self.affixes = {affix for affix, _ in often[:_MOST_AFFIXES]}

    def shared(self, affix: Affix) -> bool:
        """Whether the affix marks the side rather than one file of several."""
        return affix == _NONE or self.files_with[affix] > 1 or self.count == 1

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


def _words(name: str) -> Words:
    """Cut a name into words and numbers; numbers without leading zeros."""
    return tuple(
        word.lstrip("0") or "0" if word[0] in "0123456789" else word
        for word in re.findall(r"[0-9]+|[^\W\d_]+", name)
    )


def _splits(words: Words) -> Iterator[tuple[Affix, Words]]:
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            yield Affix(words[:start], words[end:]), words[start:end]


def _fit(first: _Side, second: _Side, rule: Rule) -> bool:
    """Tell whether two affixes may stand against each other."""
    one, other = rule
    if not (first.shared(one) or other == _NONE) or not (second.shared(other) or one == _NONE):
        return False
    numbered = [any(word.isdigit() for word in affix.words) for affix in rule]
    if all(numbered):
        return False
    return all(
        side.everywhere(affix)
        for side, affix, has in zip((first, second), rule, numbered, strict=True)
        if has
    )


def _by_affixes(first: _Side, second: _Side, found: Mapping[Path, Path]) -> dict[Path, Path]:
    """Return the pairs of the affixes that pair most files; none where there are no more.

    Raises
    ------
    DataSetError
        A file has several partners that are equally good.
    """
    cores, other_cores = first.cores(set(found)), second.cores(set(found.values()))
    rules: dict[Rule, list[_Vote]] = defaultdict(list)
    of_core: dict[Words, list[_Vote]] = defaultdict(list)
    fits: dict[Rule, bool] = {}
    for core in (core for core in cores if core in other_cores):
        for (one, path), (other, partner) in product(cores[core], other_cores[core]):
            if (one, other) not in fits:
                fits[one, other] = _fit(first, second, (one, other))
            if fits[one, other]:
                vote = _Vote(core, path, partner)
                rules[one, other].append(vote)
                of_core[core].append(vote)
    if not rules:
        return {}

    def rank(rule: Rule) -> tuple[int, int]:
        return -len(rules[rule]), sum(len(affix.words) for affix in rule)

    best = min(map(rank, rules))
    votes = [vote for rule in rules for vote in rules[rule] if rank(rule) == best]
    rivals = [rival for vote in votes for rival in of_core[vote.core]] if best[1] else []
    chosen = {vote.first: vote.second for vote in votes}
    partners = {vote.second: vote.first for vote in votes}
    for vote in votes + rivals:
        # A rival with the same core counts, whatever its affix; one of another core only if it is as good.
        if chosen.get(vote.first, vote.second) != vote.second:
            _refuse(vote.first, [chosen[vote.first], vote.second])
        if partners.get(vote.second, vote.first) != vote.first:
            _refuse(vote.second, [partners[vote.second], vote.first])
    return chosen


def listed(paths: Sequence[Path]) -> str:
    """List the first of `paths`, and say how many more there are."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(map(str, paths[:_NAMED])) + more


def _refuse(path: Path, candidates: Sequence[Path]) -> NoReturn:
    raise DataSetError(
        f"{path}: by their names it could belong to each of {listed(sorted(candidates, key=natural_order))}; "
        "give a pattern in quotes that leaves out those that are not meant"
    )
