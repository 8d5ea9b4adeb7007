"""Which file of one folder belongs to which of another: by what their names have in common.

``man_seg002.tif`` goes with ``mask002.tif``, ``c0_mask.tif`` with ``c0.tif``, ``x/0001.png`` with
``x/0001.png``. A name is cut into words, numbers and signs. What two names share, the core, lies
between affixes, which each side adds to all or several of its files.
"""

import glob
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import NamedTuple, NoReturn

from unet2015.errors import DataSetError, UsageError
from unet2015.images.affixes import NO_AFFIX, Affix, Side
from unet2015.images.earlier_runs import without_earlier
from unet2015.images.name_words import Words, signs, telling, words_of
from unet2015.images.reader import find_images, natural_order
from unet2015.images.result_names import meant_inside, results_meant, shared_stem
from unet2015.wording import listed

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
    unlike : tuple of (Path, Path)
        The pairs whose names differ: somebody should look whether they are right.
    """

    pairs: tuple[tuple[Path, Path], ...]
    first_alone: tuple[Path, ...]
    second_alone: tuple[Path, ...]
    unlike: tuple[tuple[Path, Path], ...] = ()


def named_files(given: str | Path, wanted: str | None = None) -> dict[Path, str]:
    """Return the images that a path or a pattern names, each with its name without ending.

    The name begins with the folders that tell files apart: those below `given`, where it is a folder without
    images of its own, and those that differ, where it is a pattern.

    Parameters
    ----------
    given : path
        A file, a folder or a pattern.
    wanted : str, optional
        Which results are meant, where a segmentation has left several of one image: their ending. Results
        of an earlier run than the last are left out, unless `given` is such a file. Of OME-Zarr results the
        label image inside is returned.

    Raises
    ------
    DataSetError
        All that is meant is of an earlier run.
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
    files = files if wanted is None else without_earlier(results_meant(files, wanted), [given])
    # Without .ome as well: a.ome.tif goes with a.tif before anything else.
    names = {
        file: file.absolute().relative_to(root.absolute()).with_name(shared_stem(file)) for file in files
    }
    return {
        meant_inside(file, wanted): unicodedata.normalize("NFC", str(name)) for file, name in names.items()
    }


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
    and the affix of the other side holds none. A number goes with the word before it: where one side has
    s1_t2 and the other t1, s1 is not t1. Words of both sides that differ, as left and right, or the wells A1
    and B1, must be in all files, unless one says what a file is (image, mask). A file without the affix that
    has the same core makes the pair unsure.
    """
    if len(first) == len(second) == 1:
        found = {next(iter(first)): next(iter(second))}
    else:
        found = _equal_names(first, second)
        one, other = words_of(first, second)
        sides = Side(one), Side(other)
        while more := _by_affixes(*sides, found):
            found |= more
    taken = set(found.values())
    pairs = tuple((one, found[one]) for one in sorted(found, key=natural_order))
    return Pairing(
        pairs,
        tuple(path for path in first if path not in found),
        tuple(path for path in second if path not in taken),
        tuple((one, other) for one, other in pairs if first[one] != second[other]),
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


def _fit(first: Side, second: Side, rule: Rule) -> bool:
    """Tell whether two affixes may stand against each other."""
    one, other = rule
    if not (first.shared(one) or other == NO_AFFIX) or not (second.shared(other) or one == NO_AFFIX):
        return False
    numbered = [affix.numbered for affix in rule]
    own, others = (signs(affix.words) for affix in rule)
    if all(numbered) or (own and others and own != others):
        return False
    return all(
        side.everywhere(affix)
        for side, affix, has in zip((first, second), rule, numbered, strict=True)
        if has
    )


def _another_number(first: Side, second: Side, rule: Rule, core: Words) -> bool:
    """Tell whether a number of a core does not mean the same on both sides.

    It is after another word; or all files of one side have it (2x), while it tells those of the other apart.
    """
    if not core[0].isdigit():
        return False
    if all(word.isdigit() for word in core):
        same = list(zip(first.constants(rule[0], core), second.constants(rule[1], core), strict=True))
        ways = {pair for pair in same if pair[0] != pair[1]}
        if len(ways) == 2 or (ways and len(core) == 1):
            return True
    return _other_number(first, second, rule)


def _other_number(first: Side, second: Side, rule: Rule) -> bool:
    """Tell whether a number after the one affix is another than that after the other, as in s2_t3 and t2."""
    one, other = (affix.before[-1] if affix.before else "" for affix in rule)
    return (
        "" not in (one, other)
        and one != other
        and (one in second.before_numbers or other in first.before_numbers)
    )


def _other_word(first: Side, second: Side, rule: Rule, votes: Sequence[_Vote]) -> bool:
    """Tell whether both sides have a word of their own that does not say what a file is, as left and right.

    Where each file of both sides has it, the words are taken for the names of the sides.
    """
    own, others = (telling(affix.words) for affix in rule)
    complete = len(votes) == first.count == second.count
    return bool(own - others and others - own) and not complete


def _without_affix(first: Side, second: Side, rule: Rule, vote: _Vote) -> Iterator[tuple[Path, _Vote]]:
    """Go through the files that have the core of `vote` without the affix, each as a rival of its partner."""
    for path in first.rivals(rule[0], vote.core):
        yield path, vote._replace(first=path)
    for path in second.rivals(rule[1], vote.core):
        yield path, vote._replace(second=path)


def _longest_cores(of_core: Mapping[Words, Sequence[_Vote]]) -> dict[Path, int]:
    """Return the length of the longest core that each file shares with another."""
    longest: dict[Path, int] = {}
    for core, votes in of_core.items():
        for path in (path for vote in votes for path in (vote.first, vote.second)):
            longest[path] = max(longest.get(path, 0), len(core))
    return longest


def _by_affixes(first: Side, second: Side, found: Mapping[Path, Path]) -> dict[Path, Path]:
    """Return the pairs of the affixes that pair most files; none where there are no more.

    Raises
    ------
    DataSetError
        A file has several partners that are equally good.
    """
    taken = set(found.values())
    cores, other_cores = first.cores(set(found)), second.cores(taken)
    rules: dict[Rule, list[_Vote]] = defaultdict(list)
    fits: dict[Rule, bool] = {}
    for core in (core for core in cores if core in other_cores):
        for (one, path), (other, partner) in product(cores[core], other_cores[core]):
            if (one, other) not in fits:
                fits[one, other] = _fit(first, second, (one, other))
            if fits[one, other] and not _another_number(first, second, (one, other), core):
                rules[one, other].append(_Vote(core, path, partner))
    for rule in [rule for rule in rules if _other_word(first, second, rule, rules[rule])]:
        del rules[rule]
    if not rules:
        return {}
    of_core: dict[Words, list[_Vote]] = defaultdict(list)
    for vote in chain.from_iterable(rules.values()):
        of_core[vote.core].append(vote)

    def rank(rule: Rule) -> tuple[int, int]:
        return -len(rules[rule]), sum(len(affix.words) for affix in rule)

    best = min(map(rank, rules))
    votes = [vote for rule in rules for vote in rules[rule] if rank(rule) == best]
    rivals = [rival for vote in votes for rival in of_core[vote.core]] if best[1] else []
    better = _longest_cores(of_core)
    for rule in (rule for rule in rules if rank(rule) == best):
        for vote in rules[rule]:
            rivals += (
                rival
                for path, rival in _without_affix(first, second, rule, vote)
                # A longer core in common with another file is the better claim.
                if path not in found and path not in taken and better.get(path, 0) <= len(vote.core)
            )
    chosen = {vote.first: vote.second for vote in votes}
    partners = {vote.second: vote.first for vote in votes}
    for vote in votes + rivals:
        # A rival with the same core counts, whatever its affix; one of another core only if it is as good.
        if chosen.get(vote.first, vote.second) != vote.second:
            _refuse(vote.first, [chosen[vote.first], vote.second])
        if partners.get(vote.second, vote.first) != vote.first:
            _refuse(vote.second, [partners[vote.second], vote.first])
    return chosen


def listed_files(paths: Sequence[Path]) -> str:
    """List the first of `paths`, and say how many more there are; a folder is said where it changes."""
    folders = [None, *(path.parent for path in paths[:-1])]
    pairs = zip(paths, folders, strict=True)
    return listed([path.name if path.parent == before else path for path, before in pairs])


def _refuse(path: Path, candidates: Sequence[Path]) -> NoReturn:
    others = listed_files(sorted(candidates, key=natural_order))
    raise DataSetError(
        f"{path}: by their names it could belong to each of {others}; give a pattern in quotes "
        "that leaves out those that are not meant"
    )
