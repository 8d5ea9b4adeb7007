"""By which rule files of two sides are named: every rule that gives a pair is found, and all must agree.

A side adds one thing before and one after the names of its samples, the same for all its files. So a rule is
what each side adds. Where a sample has files of both sides, the right rule is among those that give a pair. A
pair that each of them gives is right, whichever is meant; files that they pair in several ways are refused.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import NamedTuple

from unet2015.images.affixes import NO_AFFIX, Affix, Side
from unet2015.images.name_words import (
    Words,
    always_kinds,
    bare_words,
    exact_words,
    loose_words,
    signs,
    telling,
    without_marks,
)

Edges = frozenset[tuple[Path, Path]]


class _Rule(NamedTuple):
    """What each side adds to the names of its samples."""

    first: Affix
    second: Affix

    @property
    def kinds_alone(self) -> bool:
        """Whether the sides differ in words that always say what a file is."""
        return always_kinds(self.first.words + self.second.words)


class Conventions:
    """All rules that give a pair of files of two sides.

    Parameters
    ----------
    first, second : mapping of Path to str
        Files with their names.
    equal : mapping of Path to Path
        Files of equal names.

    Attributes
    ----------
    pairs : frozenset of (Path, Path)
        Those of rules that may be meant.
    sure : frozenset of (Path, Path)
        Those of them that each rule gives.
    seen : frozenset of (Path, Path)
        Those of all rules, also of such that nobody means, but that cannot be told from them by names.
    exact : frozenset of (Path, Path)
        Those of rules that leave words such as mask in the names.
    by_kind : frozenset of (Path, Path)
        Those of rules that take nothing but words such as mask from the names.

    Notes
    -----
    A rule may be meant unless both sides add a number, or other signs (+, -); a number follows s on one side
    and t on the other, as in s1_t2 and t2; both sides add a word that may tell samples apart, such as left
    and right, and not all files have a partner; or a side has a single file, from whose name more would be
    taken than words such as mask.
    """

    def __init__(self, first: Mapping[Path, str], second: Mapping[Path, str], equal: Mapping[Path, Path]):
        self._names = first, second
        meant: dict[Edges, bool] = {}
        by_kind: set[tuple[Path, Path]] = set()
        exact: set[tuple[Path, Path]] = set()
        for cut in (exact_words, loose_words, bare_words):
            if cut is bare_words and any(meant.values()):
                continue  # all files of a side have the same words for kinds
            one, other = map(Side, cut(first, second))
            if cut is loose_words and not (one.unlike and other.unlike):
                continue  # dividers tell files of this side apart
            for rule, edges in _of_whole_names(one, other, [*_rules(one, other, equal)]):
                meant[edges] = meant.get(edges, False) or _may_be_meant(one, other, rule, len(edges))
                if cut is not bare_words:
                    exact |= edges
                if rule.kinds_alone:
                    by_kind |= edges
        found = [edges for edges, may_be in meant.items() if may_be]
        self.pairs: Edges = frozenset().union(*found)
        self.seen: Edges = frozenset().union(*meant)
        self.sure: Edges = self.pairs.intersection(*meant)
        self.exact: Edges = frozenset(exact)
        self.by_kind: Edges = frozenset(by_kind)

    def of_kinds(self, *, sure: bool = True) -> Edges:
        """Return the pairs of files whose names are the same but for words such as mask at their ends.

        Not all files of a side need have the same words. Where they need not be `sure`, words such as cells,
        which may say which file it is, are taken from the ends, too.
        """
        by_core: dict[Words, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
        for side, files in enumerate(bare_words(*self._names, sure=sure)):
            for path, words in files.items():
                by_core[words][side].append(path)
        return frozenset(edge for ones, others in by_core.values() for edge in product(ones, others))

    def within(self, found: Edges) -> Edges:
        """Return the pairs of a file in `found` with one whose whole name its name ends or begins with.

        Only names count that are longer than that of its partner: man_segs1_w1 may be of s1_w1, though its
        words say w1.
        """
        edges = set()
        for place in (0, 1):
            names = {name: path for path, name in self._names[place].items()}
            for pair in found:
                text, least = self._names[1 - place][pair[1 - place]], len(self._names[place][pair[place]])
                parts = (part for end in range(least + 1, len(text)) for part in (text[:end], text[-end:]))
                others = {names[part] for part in parts if part in names}
                edges |= {(other, pair[1]) if place == 0 else (pair[0], other) for other in others}
        return frozenset(edges)

    def begun(self, found: Edges) -> Edges:
        """Return the pairs of a single file with all names that begin with its own, where a partner's does.

        Else those with all names that end so. Words such as mask do not count. So image2_mask may be of each
        of image2_ch01 and image2_ch02, though one has the number 2 twice. A partner's whole name is no doubt.
        """
        edges: set[tuple[Path, Path]] = set()
        single = [place for place in (0, 1) if len(self._names[place]) == 1]
        bare = bare_words(*self._names, sure=False) if single else ()
        for place in single:
            ((path, core),) = bare[place].items()
            others = bare[1 - place]
            partners = {pair[1 - place] for pair in found}
            begin = {other for other, words in others.items() if words[: len(core)] == core}
            end = {other for other, words in others.items() if words[-len(core) :] == core}
            if core not in [others[partner] for partner in partners]:
                meant = next((some for some in (begin, end) if partners & some), set())
                edges |= {(other, path) if place else (path, other) for other in meant}
        return frozenset(edges)

    def alike(self, found: Edges) -> Edges:
        """Return the pairs of a file in `found` with one that is not, whose name begins or ends with its own.

        Words that say what a file is do not count. So c0_cells is such beside c0 and c0_probability.
        """
        paired = {path for edge in found for path in edge}
        bare, exact = bare_words(*self._names), exact_words(*self._names)
        alone = [[item for item in side.items() if item[0] not in paired] for side in exact]
        edges = set()
        for first, second in found:
            for place, path in ((1, first), (0, second)):
                core = bare[1 - place][path]
                for other, words in alone[place]:
                    if core in (words[: len(core)], words[-len(core) :]):
                        edges.add((first, other) if place else (other, second))
        return frozenset(edges)


def _rules(first: Side, second: Side, equal: Mapping[Path, Path]) -> Iterator[tuple[_Rule, Edges]]:
    """Go through the rules that give a pair; files of equal names have no other partner by equal words."""
    rules: dict[_Rule, set[tuple[Path, Path]]] = defaultdict(set)
    cores, other_cores = first.cores(), second.cores()
    for core in cores.keys() & other_cores.keys():
        for (one, path), (other, partner) in product(cores[core], other_cores[core]):
            if not _same_ends(one, other):
                rules[_Rule(one, other)].add((path, partner))
    partners = {other: one for one, other in equal.items()}
    for rule, edges in rules.items():
        if rule == (NO_AFFIX, NO_AFFIX):
            edges = {(a, b) for a, b in edges if equal.get(a, b) == b and partners.get(b, a) == a}
        yield rule, frozenset(edges)


def _of_whole_names(first: Side, second: Side, rules: list[tuple[_Rule, Edges]]) -> list[tuple[_Rule, Edges]]:
    """Return the rules that find whole names of several files in that of a single one; all if none does.

    So the 3 of exp3_pos_2_mask is not taken for exp3_pos_3 where exp3_pos_2 is there.
    """
    if min(first.count, second.count) > 1:
        return rules
    several = 0 if first.count > 1 else 1
    whole = [(rule, edges) for rule, edges in rules if rule[several] == NO_AFFIX]
    meant = any(_may_be_meant(first, second, rule, len(edges)) for rule, edges in whole)
    return whole if meant else rules


def _same_ends(one: Affix, other: Affix) -> bool:
    """Tell whether a word that both affixes have next to the core could be in it: the same rule again."""
    return (bool(one.before) and one.before[-1:] == other.before[-1:]) or (
        bool(one.after) and one.after[:1] == other.after[:1]
    )


def _may_be_meant(first: Side, second: Side, rule: _Rule, pairs: int) -> bool:
    one, other = rule
    if (one.numbered and other.numbered) or _other_signs(rule) or _other_number(first, second, rule):
        return False
    own, others = telling(one.words), telling(other.words)
    complete = pairs == first.count == second.count
    return first.marks(one) and second.marks(other) and (complete or not own - others or not others - own)


def _other_signs(rule: _Rule) -> bool:
    own, others = (signs(affix.words) for affix in rule)
    return bool(own and others and own != others)


def _other_number(first: Side, second: Side, rule: _Rule) -> bool:
    """Tell whether a number after the one affix is another than that after the other, as in s2_t3 and t2."""
    one, other = ((without_marks(affix.before) or ("",))[-1] for affix in rule)
    return (
        "" not in (one, other)
        and one != other
        and (one in second.before_numbers or other in first.before_numbers)
    )
