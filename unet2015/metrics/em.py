"""All EM measures of a stack at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.arguments import callback, flag, pixels
from unet2015.errors import ImageValueError
from unet2015.metrics.em_coding import EMNote, coding_notes
from unet2015.metrics.measures import measures_of
from unet2015.metrics.thresholds import Measure, Progress, threshold_steps
from unet2015.metrics.warping import Mismatches

RADIUS_2016 = 10
"""Radius of the warping error in the organisers' script of 2016."""
log = logging.getLogger(__name__)
_DARKEST = 0.4
"""Part of the range that probabilities as integers reach at least; percent, 0 to 100 of 255, do not."""


@dataclass(frozen=True)
class EMScores:
    """The measures of the ISBI 2012 challenge for one stack: errors as 1 - F, scores as they are.

    Attributes
    ----------
    measures : mapping of str to Measure
        By name, in the order of :data:`unet2015.metrics.measures.MEASURES`; each is an attribute, too.
    notes : tuple of EMNote
        What makes them doubtful: truth or proposal seem coded the other way round, a slice of the truth is
        all membrane, or a best threshold calls every pixel the same.
    """

    measures: Mapping[str, Measure[Any]]
    notes: tuple[EMNote, ...] = ()

    def __getattr__(self, name: str) -> Measure[Any]:
        if name in ("measures", "notes") or name not in self.measures:
            raise AttributeError(f"EMScores has no measure {name!r}")
        return self.measures[name]

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Plain values for JSON."""
        return {name: measure.as_dict() for name, measure in self.measures.items()}

    def per_slice(self) -> list[dict[str, float | int]]:
        """Each slice's own values (slices from 0), at the thresholds chosen for the stack."""
        columns = {name: measure.best.slices for name, measure in self.measures.items()}
        slices = zip(*columns.values(), strict=True)
        return [
            {"slice": number} | dict(chain(*map(_of_slice, columns, found)))
            for number, found in enumerate(slices)
        ]


def _of_slice(name: str, found: Any) -> list[tuple[str, float | int]]:
    """Return the value of one measure for one slice; for the warping error also its counts."""
    if isinstance(found, Mismatches):
        return [(name, found.error), ("splits", found.splits), ("mergers", found.mergers)]
    return [(name, found)]


def evaluate_em(
    labels: ArrayLike, proposal: ArrayLike, *, script_2016: bool = False, progress: Progress | None = None
) -> EMScores:
    """All measures of the ISBI 2012 challenge: the entries of the table that compare stacks.

    Parameters
    ----------
    labels : (slices, height, width) or (height, width) array of whole numbers
        Above 0 is cell interior.
    proposal : float array of the same shape, in [0, 1]
        Probability of cell interior.
    script_2016 : bool
        The warping error of the organisers' script of 2016 (radius 10, thresholds from 0.1) in place
        of the leaderboard's (radius 20, from 0.0).
    progress : callable, optional
        Called with (slices done, slices); each function that computes measures goes through all slices once.

    Returns
    -------
    EMScores
        What makes them doubtful is in its `notes`, and is said as warnings of `logging`.

    Raises
    ------
    DataSetError, ImageValueError, LabelError
        See `unet2015.metrics.thresholds.read_stack`.
    """
    scores = measured(labels, proposal, script_2016, progress)
    for note in scores.notes:
        log.warning("%s: %s", note.about, note.text)
    return scores


def measured(
    labels: ArrayLike, proposal: ArrayLike, script_2016: bool = False, progress: Progress | None = None
) -> EMScores:
    """Do as `evaluate_em`, without its warnings: who knows the names of the files says them with these."""
    script_2016, progress = flag(script_2016, "script_2016"), callback(progress, "progress")
    changed = {"thresholds": threshold_steps(0.1, 0.9), "radius": RADIUS_2016} if script_2016 else {}
    groups = [
        (function, [entry.name for entry in entries])
        for function, entries in groupby(measures_of("stacks"), lambda entry: entry.computed_by)
    ]

    def part(k: int) -> Progress | None:
        if progress is None:
            return None
        return lambda done, count: progress(k * count + done, len(groups) * count)

    found: dict[str, Measure[Any]] = {}
    for k, (function, names) in enumerate(groups):
        options = changed if "warping_error" in names else {}
        measured = function(labels, proposal, progress=part(k), **options)
        found |= zip(names, measured if len(names) > 1 else [measured], strict=True)
    return EMScores(found, coding_notes(pixels(labels, "labels"), pixels(proposal, "proposal"), found))


def read_proposal(values: NDArray[Any], name: str = "prediction") -> NDArray[np.float32]:
    """Interior probabilities from the pixels of a prediction file.

    Parameters
    ----------
    values : array
        Float probabilities, or a class map of 0 and 1 (1 = interior), or probabilities stored as
        8- or 16-bit integers.
    name : str
        Name of the prediction, for errors.

    Returns
    -------
    float32 array
        Floats as they are; integers above 1 divided by the largest value of their type. (The
        organisers' script stretches from lowest to highest instead, which depends on the image.)

    Raises
    ------
    ImageValueError
        When integers are neither 0 and 1 nor spread over their type's range.
    """
    if values.dtype.kind not in "iu":
        return values.astype(np.float32)
    low, high, full = int(values.min()), int(values.max()), int(np.iinfo(values.dtype).max)
    if low >= 0 and high <= 1:
        return values.astype(np.float32)
    if values.dtype not in (np.uint8, np.uint16) or high / full <= _DARKEST:
        raise ImageValueError(
            f"{name}: expected probabilities of cell interior (float in [0, 1], or 8- or 16-bit over their "
            f"range) or a class map of 0 and 1, got {values.dtype} from {low} to {high}; if percent or "
            "another number stands for 1, divide by that and save floats"
        )
    log.info("%s: read as probabilities, %d is 1", name, full)
    return (values / full).astype(np.float32)
