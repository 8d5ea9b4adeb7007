"""The cost of the weight map, next to one distance transform, and next to one for each cell.

``python -m benchmarks.weight_map [--quick] [--out FILE]``

Public U-Net code computes Eq. 2 by one full-frame distance transform per cell, all of them kept in one
array, which is sorted. `one_transform_per_cell` is that as fast as it goes: the two least distances are
kept instead, in place, so that nothing but the transforms costs. `one_transform_per_window` is what nobody
was seen to do, but could: each transform looks no farther than the weights do. SciPy's transform has
one thread, so times for each cell are compared by the processor time of all threads of either side.
"""

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects

from benchmarks.command import options
from benchmarks.machine import keep_result, row, said, seconds
from unet2015 import weight_map

Labels = NDArray[np.int32]
W0, SIGMA = 10.0, 5.0
TOLERANCE = 1e-6


def cell_labels(side: int, cells: int, gap: float = 2.5, seed: int = 0) -> Labels:
    """Draw cells that fill the plane but for gaps about ``2 * gap`` wide: Voronoi cells of random points."""
    points = np.random.default_rng(seed).choice(side * side, cells, replace=False)
    seeds = np.zeros((side, side), np.int32)
    seeds.flat[points] = np.arange(1, cells + 1)
    y, x = distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    labels: Labels = seeds[y, x]
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    labels[distance_transform_edt(~edge) < gap] = 0
    return labels


def one_transform_per_cell(labels: Labels) -> NDArray[np.float64]:
    """Eq. 2 literally, with the two least distances kept: what the weight map is usually computed by."""
    ids = np.unique(labels[labels > 0])
    d1 = np.full(labels.shape, np.inf)
    d2, distance, outside = d1.copy(), np.empty(labels.shape), np.empty(labels.shape, bool)
    for cell in ids:
        distance_transform_edt(np.not_equal(labels, cell, out=outside), distances=distance)
        _keep_two_least(d1, d2, distance)
    return _equation_2(labels, d1, d2)


def one_transform_per_window(labels: Labels) -> NDArray[np.float64]:
    """As `one_transform_per_cell`, but each transform ends where no weight can show the cell any more."""
    reach = math.ceil(SIGMA * math.sqrt(2 * math.log(W0 / 2.0**-26)))  # of weights of 0.5 and more
    d1 = np.full(labels.shape, np.inf)
    d2 = d1.copy()
    for cell, found in enumerate(find_objects(labels), 1):
        if found is not None:
            window = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in found)
            _keep_two_least(d1[window], d2[window], distance_transform_edt(labels[window] != cell))
    return _equation_2(labels, d1, d2)


def _keep_two_least(d1: NDArray[np.float64], d2: NDArray[np.float64], distance: NDArray[np.float64]) -> None:
    np.minimum(d2, np.maximum(d1, distance), out=d2)
    np.minimum(d1, distance, out=d1)


def _equation_2(labels: Labels, d1: NDArray[np.float64], d2: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.count_nonzero(labels)
    w_c = np.where(labels > 0, labels.size / (2 * inside), labels.size / (2 * (labels.size - inside)))
    weights: NDArray[np.float64] = w_c + W0 * np.exp(-((d1 + d2) ** 2) / (2 * SIGMA**2))
    return weights


def difference(labels: Labels) -> float:
    """Return the largest relative difference from one transform per cell; more than 1e-6 is an error."""
    expected = one_transform_per_cell(labels)
    least = []
    for name, weights in (
        ("weight map", weight_map(labels, W0, SIGMA, gaps="everywhere")),
        ("map by windows", one_transform_per_window(labels)),
    ):
        least.append(float(np.max(np.abs(weights - expected) / expected)))
        if not least[-1] <= TOLERANCE:
            raise RuntimeError(f"the {name} is off by {least[-1]:.2g} (relative), more than {TOLERANCE}")
    return least[0]


def against_one_transform(side: int, counts: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """Time the weight map and one full-frame transform of the same labels, for each number of cells."""
    rows = []
    for count in counts:
        labels = cell_labels(side, count)
        ours, transform = seconds(
            lambda labels=labels: weight_map(labels, W0, SIGMA, gaps="everywhere"),  # type: ignore[misc]
            lambda labels=labels: distance_transform_edt(labels == 0),  # type: ignore[misc]
            repeats=repeats,
        )
        ratio = ours["median"] / transform["median"]
        cells = np.unique(labels[labels > 0]).size
        rows.append(
            {"side": side, "cells": cells, "weight_map": ours, "one_transform": transform, "ratio": ratio}
        )
        print(
            f"{side} x {side}, {cells:6} cells: {said(ours, 3)}; one transform {said(transform, 3)}; "
            f"{ratio:.2f} times one",
            flush=True,
        )
    return rows


def against_one_per_cell(side: int, count: int, repeats: int) -> dict[str, Any]:
    """Compare results, then times, with one transform per cell, in the whole image and in a window."""
    labels = cell_labels(side, count)
    found = difference(labels)
    brute, windows, ours = seconds(
        lambda: one_transform_per_cell(labels),
        lambda: one_transform_per_window(labels),
        lambda: weight_map(labels, W0, SIGMA, gaps="everywhere"),
        repeats=repeats,
    )
    cells = np.unique(labels[labels > 0]).size
    answer = {
        "side": side,
        "cells": cells,
        "weight_map": ours,
        "one_transform_per_cell": brute,
        "one_transform_per_window": windows,
        "speedup_cpu": brute["cpu"] / ours["cpu"],
        "speedup_clock": brute["median"] / ours["median"],
        "speedup_over_windows_cpu": windows["cpu"] / ours["cpu"],
        "largest_relative_difference": found,
    }
    print(
        f"{side} x {side}, {cells:6} cells: {said(ours, 3)}\n"
        f"    one transform per cell {said(brute, 3)}: {answer['speedup_cpu']:.0f} times the processor time, "
        f"{answer['speedup_clock']:.0f} times by the clock\n"
        f"    in windows {said(windows, 3)}: {answer['speedup_over_windows_cpu']:.1f} times\n"
        f"    largest relative difference {found:.1e}",
        flush=True,
    )
    return answer


def table(per_cell: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    ratios = [each["ratio"] for each in rows]
    side, cells = per_cell["side"], [each["cells"] for each in rows]
    return [
        row(
            f"weight map, {side} x {side}, {per_cell['cells']} cells",
            "one SciPy transform per cell",
            per_cell["speedup_cpu"],
            "x",
            150,
            note="processor time; SciPy has one thread",
        ),
        row(
            f"weight map, {rows[0]['side']} x {rows[0]['side']}, {cells[0]} to {cells[-1]} cells",
            "one SciPy transform",
            max(ratios),
            "times",
            3,
            at_least=False,
            note=f"{min(ratios):.2f} to {max(ratios):.2f}",
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that the results agree, measure, print, and write the result file."""
    parser = options("weight_map", __doc__, "small images")
    given = parser.parse_args(arguments)
    if given.quick:
        per_cell = against_one_per_cell(64, 10, repeats=2)
        rows = against_one_transform(96, (3, 40), repeats=2)
    else:
        per_cell = against_one_per_cell(1024, 300, repeats=3)
        rows = against_one_transform(2048, (30, 300, 3_000, 10_000), repeats=7)
    answer = {
        "against_one_transform": rows,
        "against_one_transform_per_cell": per_cell,
        "table": table(per_cell, rows),
    }
    keep_result(given, "weight_map", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
