"""Which file of one folder belongs to which of another: by what their names have in common.

``man_seg002.tif`` goes with ``mask002.tif``, ``c0_mask.tif`` with ``c0.tif``, ``x/0001.png`` with
``x/0001.png``. A name is cut into words, numbers and signs. What two names share, the core, lies
between affixes, which each side adds to all of its files.
"""

import glob
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from unet2015.errors import DataSetError, UsageError
from unet2015.file_names import natural_order
from unet2015.images.beside_results import without_other_results, without_their_images
from unet2015.images.conventions import Conventions, Edges
from unet2015.images.earlier_runs import without_earlier
from unet2015.images.folders_below import NotSearched
from unet2015.images.name_words import bases_of_labels, exact_words
from unet2015.images.reader import find_images
from unet2015.images.result_names import meant_inside, results_meant, shared_stem, shown_name
from unet2015.wording import listed

_ADVICE = (
    "give a pattern in quotes that leaves out those that are not meant, or name the files of both sides "
    "alike, with the same words, such as _mask, added to all of a side or to none"
)
_ADVICE_ON_FOLDERS = (
    "give the files of one folder at a time, or name the folders of both sides alike, as in images/exp1 and "
    "labels/exp1"
)


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


def named_files(
    given: str | Path,
    wanted: str | None = None,
    *,
    truth: bool = False,
    below: NotSearched | None = None,
) -> dict[Path, str]:
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
        label image inside is returned. Images that lie beside their results, and results of another kind,
        are left out.
    truth : bool
        Whether truth is meant, so that a name does not make a file a result.
    below : NotSearched, optional
        As of `find_images`.

    Raises
    ------
    DataSetError
        All that is meant is of an earlier run or of another kind, or nothing says whether a file is an image
        or a result.
    UsageError, ImageReadError
        As from `find_images`.
    """
    root = Path(given)
    try:
        files = find_images([given], below)
    except UsageError:
        deeper = glob.glob(str(Path(glob.escape(str(root))) / "*" / "**"), recursive=True)
        if not deeper or not root.is_dir():
            raise
        files = find_images([Path(glob.escape(str(root))) / "**" / "*"], below)
    else:
        root = Path(os.path.commonpath([file.absolute().parent for file in files]))
    if wanted is not None:
        files = without_their_images(files, wanted, named=not truth)
        files = without_other_results(results_meant(files, wanted), wanted, named=not truth)
        files = without_earlier(files, [given])
    # Without .ome as well: a.ome.tif goes with a.tif before anything else.
    names = {
        file: file.absolute().relative_to(root.absolute()).with_name(shared_stem(file)) for file in files
    }
    return {
        meant_inside(file, wanted): unicodedata.normalize("NFC", str(name)) for file, name in names.items()
    }


def pair_by_name(first: Mapping[Path, str], second: Mapping[Path, str], images: int | None = None) -> Pairing:
    """Find out which files belong together.

    Parameters
    ----------
    first, second : mapping of Path to str
        Files with their names, as from `named_files`. One file on each side belong together, whatever their
        names.
    images : int, optional
        Which side is meant to be images: 0 or 1. Default: both sides are labels, masks or maps.

    Returns
    -------
    Pairing

    Raises
    ------
    DataSetError
        A file could go with several others, or the files could go together in several ways.

    Notes
    -----
    Equal names go together, where all files of a side have one. Otherwise each side is taken to add one thing
    before and one after the names of its samples, in all its files. What pairs by one such rule and not by
    another stays alone, and what pairs with two files is refused (see `unet2015.images.conventions`). So no
    pair is wrong where sides are named in this way, some sample has files of both, and samples differ in more
    than spaces, underscores and leading zeros. Last, names go together that are equal but for words at their
    ends that say what a file is (image, mask). Beside a_mask, a file a is taken for the image.
    """
    if len(first) == len(second) == 1:
        found = {next(iter(first)): next(iter(second))}
    else:
        found = _equal_names(first, second)
        rules, equal = Conventions(first, second, found), frozenset(found.items())
        if found and len(found) == min(len(first), len(second)):
            _check_partners(equal, equal | rules.by_kind)
        else:
            found = _agreed(rules, equal)
        _check_labels_beside((first, second), found, images)
    taken = set(found.values())
    pairs = tuple((one, found[one]) for one in sorted(found, key=natural_order))
    return Pairing(
        pairs,
        tuple(path for path in first if path not in found),
        tuple(path for path in second if path not in taken),
        tuple((one, other) for one, other in pairs if first[one] != second[other]),
    )


def _agreed(rules: Conventions, equal: Edges) -> dict[Path, Path]:
    """Return the pairs of all rules, and those of files that no rule pairs but for words such as mask."""
    _check_partners(rules.pairs, rules.seen)
    if rules.pairs and not rules.sure:
        names = {shown_name(one): (one, other) for one, other in sorted(rules.pairs, reverse=True)}
        two = list(names.values())[-1:-3:-1]
        shown = " or ".join(f"{one} with {shown_name(other)}" for one, other in two)
        raise DataSetError(f"by their names files go together in several ways: {shown}; {_ADVICE}")
    of_kinds, taken = rules.of_kinds(), {path for pair in rules.seen for path in pair}
    found = rules.sure | {pair for pair in of_kinds if not taken & {*pair}}
    # Beside a.tif, a_mask.tif is as good a partner of a_gt.tif, unless it has its own.
    paired = {path for pair in found for path in pair}
    rivals = {pair for pair in of_kinds | rules.of_kinds(sure=False) if not paired >= {*pair}}
    _check_partners(found - equal, found | rivals)
    _check_partners(found - rules.exact, found | rules.alike(found))
    _check_partners(found - equal, found | rules.within(found - equal))
    _check_partners(found - equal, found | rules.begun(found - equal))
    return dict(found)


def _check_partners(pairs: Edges, others: Edges) -> None:
    """Refuse a file of `pairs` that has several partners among `others`."""
    for side in (0, 1):
        partners: dict[Path, set[Path]] = defaultdict(set)
        for pair in others:
            partners[pair[side]].add(pair[1 - side])
        for path in sorted({pair[side] for pair in pairs}, key=natural_order):
            if len(partners[path]) > 1:
                _refuse(path, list(partners[path]))


def _check_labels_beside(
    sides: tuple[Mapping[Path, str], Mapping[Path, str]], found: Mapping[Path, Path], images: int | None
) -> None:
    """Refuse labels that are paired as the image beside them, and an image as the labels beside it."""
    for place, partners in enumerate((found, {other: one for one, other in found.items()})):
        for path, bases in _bases_beside(sides[place]):
            for base in {*bases} - {path}:
                wrong = path if place == images else base
                if wrong in partners and (place == images or path not in partners):
                    _refuse(partners[wrong], [base, path])


def labels_beside_images(files: Iterable[Path]) -> dict[Path, Path]:
    """Return those of some files that are named as labels of another beside them, each with that image."""
    folders: dict[Path, dict[Path, str]] = defaultdict(dict)
    for path in files:
        folders[path.parent][path] = shared_stem(path)
    found: dict[Path, Path] = {}
    for names in folders.values():
        for path, bases in _bases_beside(names):
            base = next(iter(bases), path)
            if base != path:
                found[path] = base
    return found


def _bases_beside(names: Mapping[Path, str]) -> Iterator[tuple[Path, list[Path]]]:
    """Yield each file with those whose labels it may be, by the names of all."""
    (words,) = exact_words(names)
    by_words = {name: path for path, name in words.items()}
    for path, name in words.items():
        yield path, [by_words[core] for core in bases_of_labels(name) if core in by_words]


def pattern_of_labels(labels: Path, image: Path) -> str:
    """Return a pattern of labels that are named as these beside their image; empty where there is none."""
    name, stem = shared_stem(image), shared_stem(labels)
    ending = labels.name[len(stem) :]
    if stem.startswith(name):
        pattern = f"*{glob.escape(stem.removeprefix(name) + ending)}"
    elif stem.endswith(name):
        pattern = f"{glob.escape(stem.removesuffix(name))}*{glob.escape(ending)}"
    else:
        return ""
    return str(Path(glob.escape(str(labels.parent)), pattern))


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


def listed_files(paths: Sequence[Path]) -> str:
    """List the first of `paths`, and say how many more there are; a folder is said where it changes."""
    folders = [None, *(path.parent for path in paths[:-1])]
    pairs = zip(paths, folders, strict=True)
    return listed([path.name if path.parent == before else path for path, before in pairs])


def _refuse(path: Path, candidates: Sequence[Path]) -> NoReturn:
    others = listed_files(sorted(candidates, key=natural_order))
    one_name = len({other.name for other in candidates}) == 1
    advice = _ADVICE_ON_FOLDERS if one_name else _ADVICE
    raise DataSetError(f"{path}: by their names it could belong to each of {others}; {advice}")
