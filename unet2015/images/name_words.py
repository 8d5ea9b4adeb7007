"""The names of files cut into words, numbers and signs, so that what tells names apart is kept."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import combinations, pairwise
from pathlib import Path

Words = tuple[str, ...]
_SIGNS = frozenset("+-\N{MINUS SIGN}\N{PLUS-MINUS SIGN}")
_DIVIDING = frozenset(".,;:")
"""Marks that go with a word that is taken from a name."""
_DECIMAL = re.compile(r"[0-9][.,p]\Z")
"""What stands before a fraction, whose zeros count: 0.05 is not 0.5, and 0p05 is not 0p5."""
_EXACT = re.compile(r"[0-9]+|[^\W0-9_]+|[^\w\s/\\]")
"""Every character but white space, underscores and the dividers of folders counts."""
_LOOSE = re.compile(
    r"[0-9]+"
    r"|[^\W0-9_]+"
    # A hyphen is a sign before a number (dose-1), unless it divides two numbers, and after a word (a-).
    r"|(?<![0-9-])-(?=[0-9])"
    r"|(?<=[^\W_])-(?=$|_|[^\w-])"
    # Other punctuation divides words; every other character counts.
    r"|[^\w\s\-–—.,;:!'\"/\\()\[\]{}]"
)


_IMAGE_WORDS = "im img image images raw orig original"
_LABEL_WORDS = (
    "mask masks seg segm segmentation segmented label labels lab lbl gt truth groundtruth annot "
    "anno annotation annotations classes pred prediction predictions predicted probability probabilities"
)
_OTHER_WORDS = (
    "input src source scan photo frame frames ground true manual man hand drawn roi rois outline outlines "
    "class result results res out output prob cp cellpose stardist cell cells nucleus nuclei object objects "
    "target ref reference"
)
_SURE_KINDS = frozenset(f"{_IMAGE_WORDS} {_LABEL_WORDS}".split())
"""Words that always say what a file is, and never which."""
_OF_LABELS = frozenset(_LABEL_WORDS.split()) - {"classes", "probability", "probabilities"}
"""Words of files that hold labels or a mask, beside whatever else there is of an image."""
_OF_LABELS_OR_RESULTS = frozenset(
    f"{_LABEL_WORDS} roi rois outlines result results res out output prob".split()
)
_KINDS = _SURE_KINDS | frozenset(_OTHER_WORDS.split())
"""Words that say what a file is, and not which, where all files of a side have them."""


def says_labels_or_results(name: str) -> bool:
    """Return whether all words of a name say that it holds labels or results, as those of ``labels`` do."""
    words = [word.lower() for word in _EXACT.findall(name) if word[0].isalpha()]
    return bool(words) and all(word in _OF_LABELS_OR_RESULTS for word in words)


def telling(words: Iterable[str]) -> set[str]:
    """Return the words that may tell files apart: no numbers, signs, small letters, or kinds of files."""
    found = {word for word in words if word[0].isalpha() and word.lower() not in _KINDS}
    return {word for word in found if not _small_letter(word)}


def bases_of_labels(words: Words) -> Iterator[Words]:
    """Go through the names of which a name may be that of labels: a for a_cp_masks."""
    for start, end in combinations(range(len(words) + 1), 2):
        added = words[:start] + words[end:]
        if any(word.lower() in _OF_LABELS for word in added) and all(
            word.lower() in _KINDS or _is_mark(word) for word in added
        ):
            yield words[start:end]


def says_only_kind(words: Words) -> bool:
    """Whether words before or after a name say what a file is, and nothing else; a number or a sign does not.

    A hyphen is no sign beside such a word, as in ``mask-``.
    """
    kinds = any(word.lower() in _KINDS for word in words)
    return all(
        word.lower() in _KINDS or _small_letter(word) or (_is_mark(word) and (kinds or word not in _SIGNS))
        for word in words
    )


def always_kinds(words: Words) -> bool:
    """Whether words are there, and all but marks among them always say what a file is."""
    said = [word for word in words if not _is_mark(word)]
    return bool(said) and all(word.lower() in _SURE_KINDS for word in said)


def exact_words(*sides: Mapping[Path, str]) -> tuple[dict[Path, Words], ...]:
    """Cut the names of several sides into words, numbers without leading zeros, and all other characters.

    Only white space, underscores and what divides folders is left out.

    Parameters
    ----------
    *sides : mapping of Path to str
        Files with their names.

    Returns
    -------
    tuple of dict of Path to tuple of str
        One for each side.
    """
    return tuple({path: _parts(_EXACT, name) for path, name in side.items()} for side in sides)


def bare_words(*sides: Mapping[Path, str], sure: bool = True) -> tuple[dict[Path, Words], ...]:
    """Return the same as `exact_words` without the words at the ends that always say what a file is.

    Such a word that some files of each side have, and others not, tells which file is meant, and stays. Where
    not only words are taken that are `sure`, those that mostly say what a file is are, too.
    """
    cut = exact_words(*sides)
    names = [[{word.lower() for word in words} for words in side.values()] for side in cut]
    every = _SURE_KINDS if sure else _KINDS
    kinds = {word for word in every if not all(_some_have(word, side) for side in names)}
    bare = [{path: _without_kinds(words, kinds) for path, words in side.items()} for side in cut]
    return tuple(_unless_numbers(*both) if sure else both[1] for both in zip(cut, bare, strict=True))


def loose_words(*sides: Mapping[Path, str]) -> tuple[dict[Path, Words], ...]:
    """Return the same as `exact_words`, of the other characters only those that are signs.

    A hyphen between a word and a number divides them, as in ``img-1``, where a side has it after this word
    always or never. It is a sign where one side has ``dose-1`` and ``dose2``.
    """
    cut = [{path: _parts(_LOOSE, name) for path, name in side.items()} for side in sides]
    telling: set[str] = set()
    for files in cut:
        telling |= _telling(files.values())
    return tuple({path: _without_dividers(words, telling) for path, words in files.items()} for files in cut)


def before_numbers(names: Iterable[Words]) -> set[str]:
    """Return the words that stand before a number, whatever marks are between."""
    return {
        word
        for words in names
        for word, following in pairwise(without_marks(words))
        if following.isdigit() and not word.isdigit()
    }


def without_marks(words: Words) -> Words:
    """Return the words and numbers among words."""
    return tuple(word for word in words if not _is_mark(word))


def signs(words: Words) -> Words:
    """Return the signs among words."""
    return tuple(word for word in words if word in _SIGNS)


def _is_mark(word: str) -> bool:
    return len(word) == 1 and not word.isalnum()


def _small_letter(word: str) -> bool:
    return len(word) == 1 and word.isascii() and word.islower()


def _unless_numbers(whole: dict[Path, Words], bare: dict[Path, Words]) -> dict[Path, Words]:
    """Return names without kinds, but the whole ones where numbers are left and not all files have kinds.

    So gt_1 beside wt_1 stays: gt may be no ground truth.
    """
    if len({len(words) - len(bare[path]) for path, words in whole.items()}) == 1:
        return bare
    return {
        path: whole[path] if all(word.isdigit() for word in words) else words for path, words in bare.items()
    }


def _past_marks(words: Words, place: int, end: int, step: int) -> int:
    while place != end and words[place] in _DIVIDING:
        place += step
    return place


def _some_have(word: str, names: Sequence[Set[str]]) -> bool:
    """Whether some of the names of a side have a word, and others not."""
    return len({word in name for name in names}) == 2


def _without_kinds(words: Words, kinds: Set[str]) -> Words:
    """Return a name without some words at its ends and the marks beside them; one word at least is left."""
    start, end = 0, len(words)
    while end - start > 1 and words[start].lower() in kinds:
        start = _past_marks(words, start + 1, end, 1)
    while end - start > 1 and words[end - 1].lower() in kinds:
        end = _past_marks(words, end - 2, start - 1, -1) + 1
    return words[start:end] or words


def _parts(pattern: re.Pattern[str], name: str) -> Words:
    found = []
    for match in pattern.finditer(name):
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
