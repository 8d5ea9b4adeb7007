"""Which maps are meant, what their results are called, and which images belong to them: by names."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from unet2015.errors import DataSetError, UsageError
from unet2015.images.beside_results import is_result, without_results, without_segmented
from unet2015.images.folder_pairs import pair_files
from unet2015.images.own_image import own_image
from unet2015.images.pairs import listed_files, named_files
from unet2015.images.result_names import (
    CLASSES_ZARR,
    LABELS_ZARR,
    image_around,
    is_ome_name,
    name_before,
    stem_of,
)
from unet2015.images.result_records import find_record_of_result, is_as_written
from unet2015.segmentation.products import LABELS, MAIN, OBJECT_PRODUCTS, PRODUCTS, ProbabilityMap
from unet2015.segmentation.record_beside import place_of_record
from unet2015.segmentation.source_record import SourceRecord

_MAPS = (ProbabilityMap.ending, MAIN.ending)
"""Endings of maps, the better one first: it also tells how certain an object is."""
_OTHERS = (product.ending for product in PRODUCTS.values() if product.ending not in _MAPS)
_MADE = (*_OTHERS, *(product.ending for product in OBJECT_PRODUCTS.values()), LABELS_ZARR)
_log = logging.getLogger("unet2015")


def best_maps(paths: Sequence[Path]) -> list[Path]:
    """Leave out results of maps, images, and class maps beside the probability map of their segmentation.

    An image is known by the record of its segmentation beside it.
    """
    paths = without_segmented(paths)
    probabilities = {path for path in paths if name_before(path.name, [ProbabilityMap.ending])}
    better = {place_of_record(path) or _by_name(path) for path in probabilities}
    kept: list[Path] = []
    worse: list[Path] = []
    results = [path for path in paths if name_before(path.name, _MADE) is not None and is_result(path)]
    if results and len(results) < len(paths):
        _log.warning("results of maps are left out (%d): %s", len(results), listed_files(results))
    for path in paths:
        if path in results:
            continue
        beside = path not in probabilities and bool({place_of_record(path), _by_name(path)} & better - {None})
        (worse if beside else kept).append(path)
    _say_left_out(worse)
    if not kept:
        raise UsageError(
            f"{listed_files(paths)}: these are results of maps; give class maps or probability maps"
        )
    return kept


def _say_left_out(classes: Sequence[Path]) -> None:
    """Name class maps beside probability maps, above all those that somebody has changed."""
    records = [(path, find_record_of_result(path)) for path in classes]
    changed = [path for path, found in records if found is not None and not is_as_written(path, found[1])]
    if whole := [path for path in classes if path not in changed]:
        _log.info("class maps beside their probability maps are left out: %s", listed_files(whole))
    if changed:
        _log.warning(
            "class maps that were changed since they were written are left out, as the probability maps "
            "beside them are taken: %s; what somebody corrected there does not count; to count it, give "
            "such a file itself: %s",
            listed_files(changed),
            changed[0],
        )


def _by_name(path: Path) -> tuple[Path, str, bool] | None:
    """Return what maps of one segmentation without a record have in common; all are OME-TIFFs or none."""
    name = name_before(path.name, _MAPS)
    return None if name is None else (path.parent, name, is_ome_name(path))


def named_results(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the files by the names of their results."""
    found: dict[str, Path] = {}
    for path in paths:
        around = image_around(path)
        if around.suffix.lower() != ".zarr":  # fields of all wells are named 0
            around = path
        endings = (*_MAPS, LABELS.ending, CLASSES_ZARR, LABELS_ZARR)
        name = name_before(around.name, endings) or stem_of(around)
        if name in found:
            raise UsageError(
                f"the results of {found[name]} and {path} would both be named {name}; "
                f"{_one_name(found[name], path)}"
            )
        found[name] = path
    return found


def _one_name(one: Path, other: Path) -> str:
    """Return what to do with two files whose results would have one name."""
    if one.parent == other.parent:  # such as all maps of one segmentation, whose records are gone
        for ending in (*_MAPS, LABELS.ending):
            if sum(path.name.endswith(ending) for path in (one, other)) == 1:
                return (
                    "where they are of one segmentation, give one of them, by a pattern in quotes, such as "
                    f"'{one.parent / f'*{ending}'}'"
                )
    return "give them one after the other, with another -o for each"


def partners_of(files: Mapping[Path, str], images: str | Path | None) -> dict[Path, Path | None]:
    """Return maps or label images, by their names, each with its image; None where there is none.

    The image that a label image of OME-Zarr lies in, or names, counts first; then names that are alike, with
    the folders before them; then what the record of a file says of its image; then what names have in common.

    Raises
    ------
    DataSetError
        By the names, several images could belong to one, and no record says which.
    """
    if images is None:
        return dict.fromkeys(files)
    own = set(map(os.path.realpath, files))  # labels may lie beside their images
    found = named_files(images)
    others = {path: found[path] for path in without_results([*found]) if os.path.realpath(path) not in own}
    by_name: dict[Path, Path] = {}
    failure = None
    try:
        by_name.update(pair_files(files, others, 1).pairs)
    except DataSetError as error:
        failure = error
    places = {os.path.realpath(path): path for path in others}
    partners: dict[Path, Path | None] = {}
    for path, name in files.items():
        partner = by_name.get(path)
        if (known := own_image(path)) is not None and os.path.realpath(known) in places:
            partner = places[os.path.realpath(known)]
        elif partner is None or others[partner] != _bare(name):
            partner = SourceRecord.beside(path).image_among(places) or partner
        if partner is None and failure is not None:
            raise failure
        partners[path] = partner
    return partners


def _bare(name: str) -> str:
    """Return the name of the image of a result, by that of the result without the ending of its file."""
    endings = [Path(ending).stem for ending in (*_MAPS, LABELS.ending)]
    return next((name.removesuffix(one) for one in endings if name.endswith(one)), name)
