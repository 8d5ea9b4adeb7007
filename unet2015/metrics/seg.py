"""SEG of the Cell Tracking Challenge: how well each true object is covered by one result object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from unet2015.arguments import integer, items, whole_numbers
from unet2015.errors import ArgumentError, DataSetError, LabelError
from unet2015.metrics.contingency import check_pages
from unet2015.metrics.doubtful_labels import LabelDoubts
from unet2015.metrics.overlaps import object_overlaps


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
    notes : tuple of str
        What was said of the files; of arrays the log tells it.
    """

    value: float
    objects: tuple[SEGObject, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    def as_dict(self) -> dict[str, Any]:
        """``seg``, the number of ground truth ``objects``, and ``notes``."""
        return {"seg": self.value, "objects": len(self.objects), "notes": list(self.notes)}

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
    sides = LabelDoubts("truth"), LabelDoubts("result")
    objects: list[SEGObject] = []
    for number, *both in _listed(frames):
        objects += seg_objects(number, *both)
        for side, labels in zip(sides, both, strict=True):
            side.look_at_all(whole_numbers(labels, ""), f"frame {number}")
    score = _pooled(objects)
    for side in sides:
        side.say()
    return score


def score_frames(frames: Iterable[tuple[int, ArrayLike, ArrayLike]]) -> SEGScore:
    """Return SEG as `seg_score` does, and say nothing of labels that may be none."""
    return _pooled([found for frame in frames for found in seg_objects(*frame)])


def _pooled(objects: Sequence[SEGObject]) -> SEGScore:
    if not objects:
        raise DataSetError(
            "SEG needs at least one ground truth object; every frame is empty, or there is none"
        )
    return SEGScore(sum(found.jaccard for found in objects) / len(objects), tuple(objects))


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


def seg_objects(number: int, truth: ArrayLike, result: ArrayLike) -> list[SEGObject]:
    """Return the true objects of a frame and what each is matched with."""
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
