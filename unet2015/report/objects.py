"""The fate of each true object (matched, missed, split, merged), and found objects without a true one."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unet2015.metrics.contingency import contingency_table
from unet2015.metrics.seg import seg_objects

Fate = Literal["matched", "missed", "split", "merged"]
PART = 0.1
"""A found object counts as a part of a true one if it covers at least this share of it."""


@dataclass(frozen=True)
class ObjectFates:
    """The fate of each true object, by label, and the found objects where nothing is labelled.

    Attributes
    ----------
    truth : dict of int to {"matched", "missed", "split", "merged"}
        ``merged``: its match in the sense of SEG (a found object that covers more than half of it) also
        matches another true object. ``split``: two or more found objects lie mostly within it, and each
        covers at least `PART` of it. Otherwise ``matched`` if SEG finds a match, else ``missed``.
    unlabelled : tuple of int
        Found objects that touch no true object. Frames may be annotated in part, so these are not errors.
    """

    truth: dict[int, Fate]
    unlabelled: tuple[int, ...]


def fates_of_objects(truth: NDArray[np.integer[Any]], result: NDArray[np.integer[Any]]) -> ObjectFates:
    """Compare two label images, 0 is background.

    Raises
    ------
    DataSetError
        The shapes differ.
    LabelError
        Labels are not whole numbers from 0 on.
    """
    if not truth.any():
        return ObjectFates({}, tuple(np.unique(result[result > 0]).tolist()))
    match = {found.label: found.match for found in seg_objects(0, truth, result)}
    (true, i), (found, j) = (np.unique(labels, return_inverse=True) for labels in (truth, result))
    table = contingency_table(i.reshape(truth.shape), j.reshape(truth.shape))
    true_sizes, found_sizes = table.truth_sizes(), table.prediction_sizes()
    parts, touched = dict.fromkeys(match, 0), set()
    for a, b, shared in zip(table.truth, table.prediction, table.pixels, strict=True):
        if true[a] == 0 or found[b] == 0:
            continue
        touched.add(int(found[b]))
        if 2 * shared > found_sizes[b] and shared >= PART * true_sizes[a]:
            parts[int(true[a])] += 1
    takers = list(match.values())

    def fate_of(label: int) -> Fate:
        if match[label] is not None and takers.count(match[label]) > 1:
            return "merged"
        if parts[label] > 1:
            return "split"
        return "missed" if match[label] is None else "matched"

    unlabelled = tuple(label for label in found.tolist() if label and label not in touched)
    return ObjectFates({label: fate_of(label) for label in match}, unlabelled)
