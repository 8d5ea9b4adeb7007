"""SEG of the Cell Tracking Challenge: how well each true object is covered by one result object."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.arguments import callback, file_path, integer, items, whole_numbers
from unet2015.errors import ArgumentError, AxesError, DataSetError, LabelError, UsageError
from unet2015.metrics.background import LabelAreas, describe_background
from unet2015.metrics.contingency import check_pages
from unet2015.metrics.masks import MEANT, check_no_image, in_pieces, like_mask
from unet2015.metrics.overlaps import object_overlaps

_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class SEGObject:
    """One ground truth object, its match in the result, and their IoU."""

    frame: int
    label: int
    match: int | None
    jaccard: float
    """0 without a match."""


@dataclass(frozen=True)
class SEGScore:
    """SEG of a sequence.

    Attributes
    ----------
    value : float
        Mean of the objects' ``jaccard``, pooled over the frames.
    objects : tuple of SEGObject
        In the order of frames and labels.
    """

    value: float
    objects: tuple[SEGObject, ...]

    def as_dict(self) -> dict[str, float | int]:
        """``seg`` and the number of ground truth ``objects``."""
        return {"seg": self.value, "objects": len(self.objects)}

    def per_frame(self) -> list[dict[str, float | int]]:
        """For each frame with objects: how many, how many matched, and the mean of their IoU."""
        frames: dict[int, list[SEGObject]] = {}
        for found in self.objects:
            frames.setdefault(found.frame, []).append(found)
        return [
            {
                "frame": frame,
                "objects": len(here),
                "matched": sum(found.match is not None for found in here),
                "seg": sum(found.jaccard for found in here) / len(here),
            }
            for frame, here in frames.items()
        ]


def seg_score(frames: Iterable[tuple[int, ArrayLike, ArrayLike]]) -> SEGScore:
    """SEG of a sequence of label images.

    Parameters
    ----------
    frames : iterable of (number, truth, result)
        Integer label images of one shape per frame, 0 is background; only frames with ground truth.

    Returns
    -------
    SEGScore

    Raises
    ------
    DataSetError
        When shapes differ within a frame, or no frame has an object, or the last axis may be channels (4 or
        fewer beside two longer ones).
    LabelError
        When labels are not integers from 0 on.

    Notes
    -----
    The match of a true object R is the result object S with ``|R n S| > |R| / 2`` (exactly half is no
    match); it scores ``|R n S| / |R u S|``, or 0 without one. Result objects that match nothing cost
    nothing, and one may match several true objects. A label is one object even if it is in several pieces.
    The challenge's hidden sets leave out objects wholly outside the field of interest, 50 px from
    the border in the two sets of the U-Net paper; here nothing is left out.

    References
    ----------
    Maška et al., Bioinformatics 30, 1609 (2014), doi:10.1093/bioinformatics/btu080.
    """
    objects = tuple(found for frame in _listed(frames) for found in _frame(*frame))
    if not objects:
        raise DataSetError(
            "SEG needs at least one ground truth object; every frame is empty, or there is none"
        )
    return SEGScore(sum(found.jaccard for found in objects) / len(objects), objects)


def _each(frames: Any, wanted: str) -> Iterator[Any]:
    """Yield what an iterator yields, one by one: a sequence may not fit into memory."""
    if isinstance(frames, Iterator):
        yield from frames
    else:
        yield from items(frames, "frames", wanted)


def _listed(frames: Any) -> Iterator[tuple[int, ArrayLike, ArrayLike]]:
    """Yield the frames; raise `ArgumentError` if they are something else."""
    wanted = "a list of (number, truth, result)"
    for frame in _each(frames, wanted):
        if not isinstance(frame, tuple | list) or len(frame) != 3:
            raise ArgumentError(f"frames: expected {wanted}, got {type(frame).__name__} among them")
        yield integer(frame[0], "number of a frame"), frame[1], frame[2]


def _frame(number: int, truth: ArrayLike, result: ArrayLike) -> list[SEGObject]:
    try:
        true = whole_numbers(truth, "truth")
        check_pages(true)
        both = object_overlaps(true, whole_numbers(result, "result"))
    except (ArgumentError, DataSetError, LabelError) as error:
        raise type(error)(f"frame {number}: {error}") from error
    matches = {
        int(both.true[k]): (int(both.found_labels[both.found[k]]), float(both.iou[k]))
        for k in np.flatnonzero(both.covers)
    }
    return [
        SEGObject(number, label, *matches.get(place, (None, 0.0)))
        for place, label in enumerate(both.true_labels.tolist())
    ]


def evaluate_seg(
    truth: str | Path, result: str | Path, *, progress: Callable[[int, int], None] | None = None
) -> SEGScore:
    """SEG of a folder of results against a folder of ground truth, in the challenge's layout.

    One sequence; the challenge's figure for a data set is the mean of its two sequences.

    Parameters
    ----------
    truth : path
        ``NN_GT`` or its folder ``SEG``, with ``man_segTTT.tif``.
    result : path
        A folder with ``maskTTT.tif`` for every frame that has ground truth, or with files of other names, of
        which one for each frame has its number.
    progress : callable, optional
        Called with (frames done, frames).

    Returns
    -------
    SEGScore

    Raises
    ------
    DataSetError
        When there is no ground truth, a result is missing, or shapes differ.
    ImageReadError
        When a file cannot be read.
    """
    truth, result = file_path(truth, "truth"), file_path(result, "result")
    progress = callback(progress, "progress")
    files = _truth_files(Path(truth)) or _truth_files(Path(truth) / "SEG")
    if not files:
        raise DataSetError(
            f"{truth}: expected man_segTTT.tif here or in SEG/ (one slice a frame), found none"
        )
    masks = numbered_files(Path(result), "mask") or _paired(files, result)
    if missing := [files[number].name for number in files if number not in masks]:
        raise DataSetError(
            f"{result}: no maskTTT.tif for {', '.join(missing)}, and no file that goes with it by its name; "
            "every frame with ground truth needs one"
        )

    from unet2015.images.notes import Repeated
    from unet2015.images.result_records import notes_on_results

    notes = Repeated()
    for note in notes_on_results(masks[number] for number in files):
        _log.warning("%s: %s", result, note)

    def frames() -> Iterable[tuple[int, ArrayLike, ArrayLike]]:
        for done, number in enumerate(files, 1):
            labels = _read(files[number], notes.say), _read(masks[number], notes.say)
            _check_pair(files[number], masks[number], notes.say)
            yield number, *labels
            if progress is not None:
                progress(done, len(files))

    score = seg_score(frames())
    notes.finish()
    return score


def _truth_files(folder: Path) -> dict[int, Path]:
    """Return the ground truth of each frame; refuse what may be more of it, as it would count for nothing."""
    from unet2015.images.formats import SUFFIXES

    files = numbered_files(folder, "man_seg")
    for path in sorted(folder.glob("[mM][aA][nN]_[sS][eE][gG]*")):
        if path not in files.values() and path.suffix.lower() in SUFFIXES:
            raise DataSetError(
                f"{path}: expected man_segTTT.tif, one file a frame, so this would be left out: rename or "
                "move it (single slices of a frame, man_seg_TTT_ZZZ.tif, are not measured)"
            )
    return files


def _paired(files: dict[int, Path], result: str | Path) -> dict[int, Path]:
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


def _check_pair(truth: Path, result: Path, say: Callable[[Path, str], None]) -> None:
    """Raise `DataSetError` if the pages of a frame are in another order in its result; say what differs."""
    from unet2015.images.counterpart import check_counterpart
    from unet2015.images.reader import open_image

    with open_image(truth, labels=True) as one, open_image(result, labels=True) as other:
        check_counterpart(one, other, "its truth", say=say)


def _read(path: Path, say: Callable[[Path, str], None]) -> NDArray[np.integer]:
    from unet2015.images.reader import read_pages

    try:
        pages = read_pages(path, say=say)
    except AxesError as error:  # which asks for an option that the challenge's layout has no use for
        raise AxesError(
            f"{path}: expected one frame, YX or ZYX, but it has more axes; save it alone"
        ) from error
    labels: NDArray[np.integer] = pages.astype(np.uint8) if pages.dtype == bool else pages
    for page in labels:
        try:
            check_no_image(page, "file")
        except DataSetError as error:
            raise DataSetError(f"{path}: {error}") from error
    if any(like_mask(page) and in_pieces(page) for page in labels):
        say(path, f"looks like a mask: {MEANT}; SEG needs labels in which every cell has its own number")
    if numbered := describe_background([LabelAreas.of(page) for page in labels]):
        say(path, numbered)
    return labels
