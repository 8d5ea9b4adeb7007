"""The files of frames in the layout of the Cell Tracking Challenge: found by number, paired, read."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import AxesError, DataSetError, ImageValueError, UsageError

_log = logging.getLogger("unet2015")


def truth_files(folder: Path) -> dict[int, Path]:
    """Return the ground truth of each frame, from a folder or its folder ``SEG``.

    Raises
    ------
    DataSetError
        There is none, or it lies in both; or what may be more of it would count for nothing.
    """
    files, inside = _truth_in(folder), _truth_in(folder / "SEG")
    if files and inside:
        raise DataSetError(
            f"{folder}: both it and its folder SEG hold man_segTTT.tif; move away those that are not meant"
        )
    if not files and not inside:
        raise DataSetError(
            f"{folder}: expected man_segTTT.tif here or in SEG/ (one slice a frame), found none"
        )
    return files or inside


def _truth_in(folder: Path) -> dict[int, Path]:
    from unet2015.images.formats import SUFFIXES

    files = numbered_files(folder, "man_seg")
    for path in sorted(folder.glob("[mM][aA][nN]_[sS][eE][gG]*")):
        if path not in files.values() and path.suffix.lower() in SUFFIXES:
            raise DataSetError(
                f"{path}: expected man_segTTT.tif, one file a frame, so this would be left out: rename or "
                "move it (single slices of a frame, man_seg_TTT_ZZZ.tif, are not measured)"
            )
    return files


def paired_results(files: dict[int, Path], result: str | Path) -> dict[int, Path]:
    """Return the results of the frames by what names have in common; none if there are no images."""
    from unet2015.images.pairs import named_files, pair_by_name
    from unet2015.images.result_names import LABELS

    try:
        results = named_files(result, LABELS)
    except UsageError:
        return {}
    numbers = {path: number for number, path in files.items()}
    pairing = pair_by_name({path: path.stem for path in numbers}, results)
    for true, found in pairing.pairs:
        if os.path.realpath(true) == os.path.realpath(found):
            raise DataSetError(f"{found}: the same file is given as truth and as result")
    if pairing.pairs:
        _log.info("frames were paired by their names, such as %s with %s", *pairing.pairs[0])
    return {numbers[true]: found for true, found in pairing.pairs}


def numbered_files(folder: Path, stem: str) -> dict[int, Path]:
    """Return the files ``<stem><digits>.tif`` of a folder by their number, in rising order.

    Raises
    ------
    DataSetError
        Two files have the same number.
    """
    if not folder.is_dir():
        return {}
    found = [(re.fullmatch(rf"{stem}_?(\d+)\.tiff?", path.name, re.I), path) for path in folder.iterdir()]
    files: dict[int, Path] = {}
    for number, path in sorted((int(match[1]), path) for match, path in found if match):
        if number in files:
            raise DataSetError(
                f"{path}: both it and {files[number].name} are of frame {number}; move away the one that is "
                "not meant"
            )
        files[number] = path
    return files


def check_frame(truth: Path, result: Path, say: Callable[[Path, str], None]) -> None:
    """Raise `DataSetError` if the pages of a frame are in another order in its result; say what differs.

    So it is raised where a file declares that its pages are times: SEG counts those of a file as slices.
    """
    from unet2015.images.counterpart import check_counterpart
    from unet2015.images.reader import open_image

    with open_image(truth, labels=True) as one, open_image(result, labels=True) as other:
        for image, beside in ((one, other), (other, one)):
            # Times beside slices are said below: a program may have called slices so.
            if (times := image.size("T")) > 1 and (beside.size("T") > 1 or beside.size("Z") == 1):
                raise DataSetError(
                    f"{image.name}: expected one frame, YX or ZYX, but by its header it has {times} times "
                    "(axis T), of which a cell would be one object with slices: save each time in a file of "
                    "its own, or, if they are slices, with the axis Z"
                )
        check_counterpart(one, other, "its truth", say=say)


def pages_of(path: Path, say: Callable[[Path, str], None]) -> NDArray[np.integer]:
    """Return the labels of a frame, (pages, height, width)."""
    from unet2015.images.reader import read_pages
    from unet2015.images.whole_numbers import whole_numbers_of

    try:
        pages = read_pages(path, say=say)
    except AxesError as error:  # which asks for an option that the challenge's layout has no use for
        raise AxesError(
            f"{path}: expected one frame, YX or ZYX, but it has more axes; save it alone"
        ) from error
    except ImageValueError as error:
        if "--axes" not in str(error):
            raise
        raise ImageValueError(
            f"{path}: expected one frame, YX or ZYX, but it has channels; save it alone"
        ) from error
    advice = "SEG needs labels in which every cell has its own number"
    return whole_numbers_of(pages, str(path), advice)
