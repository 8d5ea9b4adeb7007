"""The cost of the EM measures on a stack, and whether it grows linearly with the slices.

``python -m benchmarks.metrics [--quick] [--out FILE]``

The stack is synthetic: cells between thin membranes; the proposal is the labels, blurred, with noise that
leaves thousands of small components, the measures' hard case. V_rand and V_info share one thinning and
are timed together. What numba compiles is compiled, or loaded, before the clock starts.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.machine import keep_result, seconds
from unet2015.metrics import pixel_error, rand_error, thinned_scores, warping_error

Labels = NDArray[np.uint8]
Proposal = NDArray[np.float32]
MEASURES = {
    "pixel_error": pixel_error,
    "rand_error": rand_error,
    "v_rand and v_info": thinned_scores,
    "warping_error": warping_error,
}


def noisy_cells(slices: int, side: int, seed: int = 0) -> tuple[Labels, Proposal]:
    """Draw labels (255 is interior) and a noisy proposal, (slices, side, side)."""
    random = np.random.default_rng(seed)
    labels = np.empty((slices, side, side), np.uint8)
    proposal = np.empty(labels.shape, np.float32)
    for page, values in zip(labels, proposal, strict=True):
        free = np.ones(page.shape, bool)
        free[tuple(random.integers(0, side, (2, max(side * side // 1500, 2))))] = False
        y, x = ndimage.distance_transform_edt(free, return_distances=False, return_indices=True)
        owner = y * side + x
        page[:] = np.where(ndimage.maximum_filter(owner, 3) == ndimage.minimum_filter(owner, 3), 255, 0)
        blurred = ndimage.gaussian_filter(page / np.float32(255), 1.5)
        values[:] = np.clip(blurred + random.normal(0, 0.15, page.shape), 0, 1)
    return labels, proposal


def measure(slices: int, side: int) -> dict[str, Any]:
    """Time each measure on the stack and on its first third."""
    labels, proposal = noisy_cells(slices, side)
    third = max(slices // 3, 1)
    rows = {}
    for name, function in MEASURES.items():
        function(labels[:1, :8, :8], proposal[:1, :8, :8])
        (part,) = seconds(lambda f=function: f(labels[:third], proposal[:third]), repeats=1)  # type: ignore[misc]
        (whole,) = seconds(lambda f=function: f(labels, proposal), repeats=1)  # type: ignore[misc]
        rows[name] = {"third": part, "whole": whole}
        print(
            f"{name:<18} {whole['median']:.2f} s (CPU {whole['cpu']:.2f}); CPU of a third {part['cpu']:.2f}"
        )
    return {"slices": slices, "third": third, "side": side, "measures": rows}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small stack, to see that it runs")
    parser.add_argument("--out", type=Path, help="result file (default: results/metrics.json beside this)")
    options = parser.parse_args(arguments)
    answer = measure(3, 48) if options.quick else measure(30, 512)
    keep_result(options, "metrics", __doc__.partition("\n")[0], answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
