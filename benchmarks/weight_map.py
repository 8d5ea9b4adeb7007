"""The cost of the weight map, next to one distance transform, and next to one for each cell.

``python -m benchmarks.weight_map [--quick] [--out FILE]``
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from benchmarks.machine import keep_result, seconds
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
    d2 = d1.copy()
    for cell in ids:
        distance = distance_transform_edt(labels != cell)
        np.minimum(d2, np.maximum(d1, distance), out=d2)
        np.minimum(d1, distance, out=d1)
    inside = np.count_nonzero(labels)
    w_c = np.where(labels > 0, labels.size / (2 * inside), labels.size / (2 * (labels.size - inside)))
    weights: NDArray[np.float64] = w_c + W0 * np.exp(-((d1 + d2) ** 2) / (2 * SIGMA**2))
    return weights


def difference(labels: Labels) -> float:
    """Return the largest relative difference from one transform per cell; more than 1e-6 is an error."""
    expected = one_transform_per_cell(labels)
    found = float(np.max(np.abs(weight_map(labels, W0, SIGMA) - expected) / expected))
    if not found <= TOLERANCE:
        raise RuntimeError(f"the weight map is off by {found:.2g} (relative), more than {TOLERANCE}")
    return found


def against_one_transform(side: int, counts: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """Time the weight map and one full-frame transform of the same labels, for each number of cells."""
    rows = []
    for count in counts:
        labels = cell_labels(side, count)
        ours, transform = seconds(
            lambda labels=labels: weight_map(labels, W0, SIGMA),  # type: ignore[misc]
            lambda labels=labels: distance_transform_edt(labels == 0),  # type: ignore[misc]
            repeats=repeats,
        )
        ratio = ours["median"] / transform["median"]
        cells = np.unique(labels[labels > 0]).size
        rows.append(
            {"side": side, "cells": cells, "weight_map": ours, "one_transform": transform, "ratio": ratio}
        )
        print(
            f"{side} x {side}, {cells:6} cells: {_text(ours)}; one transform {_text(transform)}; "
            f"{ratio:.2f} times one",
            flush=True,
        )
    return rows


def against_one_per_cell(side: int, count: int, repeats: int) -> dict[str, Any]:
    """Compare results, then times, with one transform per cell."""
    labels = cell_labels(side, count)
    found = difference(labels)
    (brute,) = seconds(lambda: one_transform_per_cell(labels), repeats=min(repeats, 3))
    (ours,) = seconds(lambda: weight_map(labels, W0, SIGMA), repeats=repeats)
    speedup = brute["median"] / ours["median"]
    cells = np.unique(labels[labels > 0]).size
    print(
        f"{side} x {side}, {cells:6} cells: {_text(ours)}; one transform per cell {_text(brute)}; "
        f"{speedup:.0f} times as fast; largest relative difference {found:.1e}",
        flush=True,
    )
    return {
        "side": side,
        "cells": cells,
        "weight_map": ours,
        "one_transform_per_cell": brute,
        "speedup": speedup,
        "largest_relative_difference": found,
    }


def _text(times: dict[str, Any]) -> str:
    return f"{times['median']:.3f} s ({times['least']:.3f} to {times['most']:.3f}; CPU {times['cpu']:.3f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that the results agree, measure, print, and write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.weight_map", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small images, to see that it runs")
    parser.add_argument("--out", type=Path, help="result file (default: results/weight_map.json beside this)")
    options = parser.parse_args(arguments)
    if options.quick:
        per_cell = against_one_per_cell(64, 10, repeats=2)
        rows = against_one_transform(96, (3, 40), repeats=2)
    else:
        per_cell = against_one_per_cell(1024, 300, repeats=7)
        rows = against_one_transform(2048, (30, 300, 3_000, 10_000), repeats=7)
    answer = {"against_one_transform": rows, "against_one_transform_per_cell": per_cell}
    keep_result(options, "weight_map", __doc__.partition("\n")[0], answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
