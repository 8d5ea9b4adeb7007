"""Images that lie beside their own results: which of both are meant."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unet2015.errors import DataSetError
from unet2015.images.renamed_results import known_results
from unet2015.images.result_names import (
    CLASSES,
    CLASSES_ZARR,
    ENDINGS,
    LABELS,
    ImageName,
    image_of,
    meant_inside,
    name_before,
    record_places,
    stem_of,
)
from unet2015.safe_files import read_record
from unet2015.wording import listed

_KNOWN = "under other names than in the records that know them by SHA-256"
_log = logging.getLogger("unet2015")


def is_result(path: Path) -> bool:
    """Whether a file has the name of a result and lies beside a record."""
    if name_before(path.name, ENDINGS) is None:
        return False
    # os.path: a path too long to be there is none, and no error.
    return any(map(os.path.exists, record_places(path)))


def without_results(files: Sequence[Path]) -> list[Path]:
    """Leave out results of this program where images are meant, and say so; they stay where all are such.

    So are those that somebody renamed or copied, such as a class map with a name of an image, where a record
    in their folder knows their bytes.
    """
    results = {path for path in files if is_result(path)}
    known = {} if len(files) == 1 else known_results([path for path in files if path not in results])
    results |= known.keys()
    renamed = [f"{path} ({name})" for path, name in known.items() if path.name != name]
    if not results:
        return list(files)
    if len(results) == len(files):
        if renamed:
            _log.warning("results of this program, %s, are taken as images: %s", _KNOWN, listed(renamed))
        return list(files)
    those = f", of which {_KNOWN}: {listed(renamed)}" if renamed else ""
    _log.info("%d results of this program among the images are left out%s", len(results), those)
    return _without(files, results)


def results_beside_images(files: Iterable[Path]) -> dict[Path, Path]:
    """Return those of some files that are named as results of another beside them, each with that image."""
    files = list(files)
    images = {(path.parent, name): path for path in files for name in (path.stem, stem_of(path))}
    beside = ((path, images.get(image)) for path in files if (image := image_of(path)) is not None)
    return {path: image for path, image in beside if image is not None}


def without_their_images(files: Iterable[Path], wanted: str, *, named: bool) -> list[Path]:
    """Leave out images whose results are among the files, and name them.

    Parameters
    ----------
    files : iterable of Path
        Images and results, in any order.
    wanted : str
        The ending of the results that are meant, such as `LABELS`.
    named : bool
        Whether a file is known as a result by its name. Else, as where truth is meant, only by a record.

    Raises
    ------
    DataSetError
        Nothing says whether a file is an image or a class map.
    """
    files = list(files)
    beside: dict[ImageName, Path] = {}
    meant: set[ImageName] = set()
    for path in files:
        if (image := image_of(path)) is not None:
            beside[image] = path
            if _is_wanted(path, wanted):
                meant.add(image)
    images = [path for path in files if _is_image(path, beside, meant, named)]
    return _without_images(files, images) if images else files


def without_segmented(files: Sequence[Path]) -> list[Path]:
    """Leave out images beside the record of their segmentation where maps are meant, and name them."""
    images = [
        path
        for path in files
        if image_of(path) is None
        and any("command" not in record and _is_input(path, record) for record in _records(path))
    ]
    if not images or len(images) == len(files):
        return list(files)
    return _without_images(files, images)


def _without_images(files: Sequence[Path], images: Sequence[Path]) -> list[Path]:
    _log.info("left out, as images of results that lie beside them: %s", listed(images))
    return _without(files, images)


def _without(files: Sequence[Path], left_out: Iterable[Path]) -> list[Path]:
    those = {*left_out}
    return [path for path in files if path not in those]


def without_other_results(files: Sequence[Path], wanted: str, *, named: bool) -> list[Path]:
    """Leave out results of another kind than is meant, and name them: a class map is no instance labels.

    Where no file is of the kind that is meant, class maps are left out only if a record says what they are,
    and a file that alone is given stays.

    Parameters
    ----------
    files, wanted, named
        As for `without_their_images`.

    Raises
    ------
    DataSetError
        All are of another kind.
    """
    files = list(files)
    some = any(_is_wanted(path, wanted) for path in files)
    if not some and (wanted != LABELS or len(files) == 1):
        return files
    others = [
        path
        for path in files
        if image_of(path) is not None
        and not _is_wanted(path, wanted)
        and ((some and named) or is_result(path))
    ]
    if not others:
        return files
    what = "no instance labels" if wanted == LABELS else "no class maps"
    how = "segment these images with --objects, or make labels of them with unet2015 label"
    advice = f"; {how}" if wanted == LABELS else ""
    if len(others) == len(files):
        raise DataSetError(f"{listed(others)}: by name and record {what}{advice}")
    _log.warning("left out, as they are %s: %s%s", what, listed(others), advice)
    return _without(files, others)


def _is_wanted(path: Path, wanted: str) -> bool:
    return name_before(path.name, (wanted,)) is not None or meant_inside(path, wanted) != path


def _is_image(path: Path, beside: Mapping[ImageName, Path], meant: set[ImageName], named: bool) -> bool:
    image = path.parent, stem_of(path)
    if image_of(path) is not None or image not in beside:
        return False
    records = _records(path)
    if any(
        path.name in record[group]
        for record in records
        for group in ("outputs", "earlier")
        if group in record
    ):
        return named and image in meant  # as the class map r.tif beside r.labels.tif
    if any(_is_input(path, record) for record in records):
        return True
    classes = any(path.with_name(f"{image[1]}{ending}").exists() for ending in (CLASSES, CLASSES_ZARR))
    if named and (records or classes or image in meant):
        return True
    raise DataSetError(
        f"{path}: it lies beside {beside[image].name}, and no record says whether it is the image of that or "
        "what is meant; give a pattern in quotes that leaves out what is not meant"
    )


def _records(path: Path) -> list[dict[str, Any]]:
    """Return the records of segmentations that may be about a file, as image or as class map."""
    places = dict.fromkeys(record_places(path))
    return [record for place in places if (record := read_record(place)) is not None]


def _is_input(path: Path, record: Mapping[str, Any]) -> bool:
    """Whether a record names a file as what its results were made from."""
    said = record.get("input")
    return isinstance(said, str) and os.path.realpath(said) == os.path.realpath(path)
