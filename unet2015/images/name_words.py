"""The names of files cut into words, numbers and signs, so that what tells names apart is kept."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

Words = tuple[str, ...]
_SIGNS = frozenset("+-\N{MINUS SIGN}\N{PLUS-MINUS SIGN}")
_DECIMAL = re.compile(r"[0-9][.,p]\Z")
"""What stands before a fraction, whose zeros count: 0.05 is not 0.5, and 0p05 is not 0p5."""
_PARTS = re.compile(
    r"[0-9]+"
    r"|[^\W0-9_]+"
    # A hyphen is a sign before a number (dose-1), unless it divides two numbers, and after a word (a-).
    r"|(?<![0-9-])-(?=[0-9])"
    r"|(?<=[^\W_])-(?=$|_|[^\w-])"
    # Other punctuation divides words; every other character counts.
    r"|[^\w\s\-–—.,;:!'\"/\\()\[\]{}]"
)


_IMAGE_WORDS = "im img image images raw orig original input src source scan photo frame frames"
_LABEL_WORDS = (
    "mask masks seg segm segmentation segmented label labels lab lbl gt truth ground groundtruth true annot "
    "anno annotation annotations manual man hand drawn roi rois outline outlines class classes "
    "pred prediction predictions predicted result results res out output prob probability probabilities "
    "cp cellpose stardist cell cells nucleus nuclei object objects target ref reference"
)
_KINDS = frozenset((*_IMAGE_WORDS.split(), *_LABEL_WORDS.split()))
"""Words that say what a file is, and not which."""


def telling(words: Iterable[str]) -> set[str]:
    """Return the words that may tell files apart: no numbers, signs, small letters, or kinds of files."""
    found = {word for word in words if word[0].isalpha() and word.lower() not in _KINDS}
    return {word for word in found if not (len(word) == 1 and word.isascii() and word.islower())}


def words_of(*sides: Mapping[Path, str]) -> tuple[dict[Path, Words], ...]:
    """Cut the names of several sides into words, numbers without leading zeros, and signs.

    Parameters
    ----------
    *sides : mapping of Path to str
        Files with their names.

    Returns
    -------
    tuple of dict of Path to tuple of str
        One for each side. A hyphen between a word and a number divides them, as in ``img-1``, where a side
        has it after this word always or never. It is a sign where one side has ``dose-1`` and ``dose2``.
    """
    cut = [{path: _parts(name) for path, name in side.items()} for side in sides]
    telling: set[str] = set()
    for files in cut:
        telling |= _telling(files.values())
    return tuple({path: _without_dividers(words, telling) for path, words in files.items()} for files in cut)


def before_numbers(names: Iterable[Words]) -> set[str]:
    """Return the words that stand before a number."""
    return {
        word
        for words in names
        for word, following in pairwise(words)
        if following.isdigit() and not word.isdigit()
    }


def signs(words: Words) -> Words:
    """Return the signs among words."""
    return tuple(word for word in words if word in _SIGNS)


def _parts(name: str) -> Words:
    found = []
    for match in _PARTS.finditer(name):
        part = match[0]
        if part[0] in "0123456789" and not _DECIMAL.search(name, 0, match.start()):
            part = part.lstrip("0") or "0"
        found.append(part)
    return tuple(found)


def _divides(words: Words, place: int) -> bool:
    """Whether a hyphen stands before a number."""
    return words[place] == "-" and place + 1 < len(words) and words[place + 1].isdigit()


def _telling(names: Iterable[Words]) -> set[str]:
    """Return the words that have a hyphen before their number in some names, and none in others."""
    forms: dict[str, set[bool]] = defaultdict(set)
    for words in names:
        for place in range(len(words)):
            previous = words[place - 1] if place else ""
            if _divides(words, place):
                forms[previous].add(True)
            elif words[place].isdigit() and previous != "-":
                forms[previous].add(False)
    return {word for word, found in forms.items() if len(found) > 1}


def _without_dividers(words: Words, telling: set[str]) -> Words:
    return tuple(
        word
        for place, word in enumerate(words)
        if not _divides(words, place) or (words[place - 1] if place else "") in telling
    )
