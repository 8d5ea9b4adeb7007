"""How long the official measures take, and whether the time grows linearly with the slices.

    python -m benchmarks.metrics [--slices 30] [--side 512] [-o RESULT.json]

The stack is synthetic: cells between thin membranes, and as proposal the blurred labels with noise,
which leaves thousands of small components at every threshold (the measures' hard case). Each
measure is timed after a first call that compiles or loads what it needs; that call's time, and the
time of the import, are given too. V_rand and V_info share the thinning, and are timed together.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def cells(slices: int, side: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Labels (255 = interior) and a noisy proposal, (slices, side, side)."""
    random = np.random.default_rng(seed)
    labels = np.empty((slices, side, side), np.uint8)
    proposal = np.empty(labels.shape, np.float32)
    for page, values in zip(labels, proposal, strict=True):
        seeds = np.ones((side, side), bool)
        seeds[tuple(random.integers(0, side, (2, max(side * side // 1500, 2))))] = False
        nearest = ndimage.distance_transform_edt(seeds, return_distances=False, return_indices=True)
        owner = nearest[0] * side + nearest[1]
        border = (ndimage.maximum_filter(owner, 3) != owner) | (ndimage.minimum_filter(owner, 3) != owner)
        page[:] = np.where(border, 0, 255)
        blurred = ndimage.gaussian_filter((page / 255).astype(np.float32), 1.5)
        values[:] = np.clip(blurred + random.normal(0, 0.15, page.shape), 0, 1)
    return labels, proposal


def measured(
    measure: Callable[..., Any], labels: NDArray[np.uint8], proposal: NDArray[np.float32]
) -> dict[str, float]:
    """Seconds of the first call (one small slice), of a third of the stack, and of all of it."""
    third = max(len(labels) // 3, 1)
    result = {
        "first_call": timed(lambda: measure(labels[:1, :32, :32], proposal[:1, :32, :32])),
        "third": timed(lambda: measure(labels[:third], proposal[:third])),
    }
    before = time.process_time()
    result["wall"] = timed(lambda: measure(labels, proposal))
    result["processor"] = time.process_time() - before  # over all cores: what a busy machine leaves alone
    return result


def timed(function: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Print, and write with ``-o``, the seconds of every measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--slices", type=int, default=30)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    from unet2015 import metrics

    labels, proposal = cells(options.slices, options.side)
    seconds: dict[str, dict[str, float]] = {}
    for name in ("pixel_error", "rand_error", "thinned_scores", "warping_error"):
        seconds[name] = measured(getattr(metrics, name), labels, proposal)
        print(f"{name:<15}{seconds[name]['wall']:8.2f} s", file=sys.stderr)
    imports = [sys.executable, "-c", "import unet2015.metrics.warping"]
    result = {
        "question": "how long each EM measure takes at all its thresholds",
        "stack": [options.slices, options.side, options.side],
        "seconds": seconds,
        "import_seconds": timed(lambda: subprocess.run(imports, check=True)),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "load_before": os.getloadavg()[0],
            "python": platform.python_version(),
            "versions": {name: _version(name) for name in ("numba", "numpy", "scipy", "scikit-image")},
        },
    }
    print(json.dumps(result, indent=2))
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


if __name__ == "__main__":
    main()
