"""The cost of the EM measures: as the slices grow, next to plain Python, and next to the organisers' Java.

``python -m benchmarks.metrics [--quick] [--oracles FOLDER] [--out FILE]``

The stack is synthetic: cells between thin membranes; the proposal is the labels, blurred, with noise that
leaves thousands of small components, the measures' hard case. V_rand and V_info share one thinning and
are timed together. What numba compiles is compiled, or loaded, before the clock starts.

Plain Python (`benchmarks.naive_metrics`) does one slice, with equal results: once by itself, once with
SciPy's component labelling, as a tutorial would. It has one thread, so processor times are compared.

The organisers' Java is not run: `JAVA` holds the clock times that it took for five slices of 512 x 512 on
two processors (OpenJDK 17.0.15) when the oracle values were made. FOLDER is that of those values; its two
stacks of five slices are timed after their results were seen to equal Java's, and the slower of them counts.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks import naive_metrics
from benchmarks.command import options
from benchmarks.machine import keep_result, row, seconds
from unet2015.metrics import pixel_error, rand_error, thinned_scores, warping_error

Labels = NDArray[np.uint8]
Proposal = NDArray[np.float32]
MEASURES: dict[str, Any] = {
    "pixel_error": pixel_error,
    "rand_error": rand_error,
    "v_rand and v_info": thinned_scores,
    "warping_error": warping_error,
}
JAVA = {"rand_error": 63.0, "warping_error": 84.0}
ORACLES = {
    "rand_error": "foreground_restricted_rand_maximal_fscore",  # a score: 1 - error
    "warping_error": "minimum_splits_and_mergers_warping_error_radius20",
}
DATA = Path(os.environ.get("UNET2015_DATA", Path(__file__).parents[2] / "shared" / "data"))


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


def against_python(side: int, repeats: int) -> dict[str, Any]:
    """Compare with plain Python on one slice: first every number, then times."""
    (labels,), (proposal,) = stacks = noisy_cells(1, side)
    rand_rows, warping_rows = (MEASURES[name](*stacks).by_threshold for name in JAVA)
    thresholds = [[score.threshold for score in rows] for rows in (rand_rows, warping_rows)]
    expected = {
        "rand_error": [score.value for score in rand_rows],
        "warping_error": [(score.splits, score.mergers) for score in warping_rows],
    }
    answer: dict[str, Any] = {"side": side}
    for name, steps in zip(JAVA, thresholds, strict=True):
        naive = getattr(naive_metrics, name)
        for components in (naive_metrics.flood, naive_metrics.scipy_label):
            found = naive(labels, proposal, steps, components=components)
            if not np.allclose(found, expected[name], rtol=0, atol=1e-12):
                raise RuntimeError(f"{name}: plain Python gives {found}, not {expected[name]}")
        ours, plain, tutorial = seconds(
            lambda name=name: MEASURES[name](*stacks),  # type: ignore[misc]
            lambda naive=naive, steps=steps: naive(labels, proposal, steps),  # type: ignore[misc]
            lambda naive=naive, steps=steps: naive(  # type: ignore[misc]
                labels, proposal, steps, components=naive_metrics.scipy_label
            ),
            repeats=repeats,
        )
        answer[name] = {
            "unet2015": ours,
            "plain_python": plain,
            "python_with_scipy_label": tutorial,
            "speedup_cpu": plain["cpu"] / ours["cpu"],
            "speedup_over_scipy_label_cpu": tutorial["cpu"] / ours["cpu"],
        }
        print(
            f"{name:<18} {side} x {side}: CPU {ours['cpu']:.4f} s, plain Python {plain['cpu']:.2f} s "
            f"({answer[name]['speedup_cpu']:.0f} times), with SciPy's labelling {tutorial['cpu']:.2f} s "
            f"({answer[name]['speedup_over_scipy_label_cpu']:.0f} times)",
            flush=True,
        )
    return answer


def against_java(folder: Path, repeats: int) -> dict[str, Any]:
    """Time the two stacks of five slices whose results by Java are known, once they are seen to agree."""
    cases = json.loads((folder / "expected.json").read_text())["cases"]
    answer: dict[str, Any] = {name: {"java_seconds": java} for name, java in JAVA.items()}
    for case in ("p3_detector", "p4_blur_noise"):
        inputs = cases[case]["inputs"]
        stacks = [tifffile.imread(folder / inputs[kind]["file"]) for kind in ("labels", "proposal")]
        for name, metric in ORACLES.items():
            value = cases[case]["metrics"][metric]["value"]
            expected = 1 - value if name == "rand_error" else value
            found = MEASURES[name](*stacks).value
            if not abs(found - expected) <= 1e-9:
                raise RuntimeError(f"{case}: {name} is {found}, but Java gives {expected}")
            (time,) = seconds(lambda name=name, stacks=stacks: MEASURES[name](*stacks), repeats=repeats)  # type: ignore[misc]
            answer[name][case] = time
    for name, times in answer.items():
        slower = max(times[case]["median"] for case in ("p3_detector", "p4_blur_noise"))
        times["speedup"] = JAVA[name] / slower
        print(
            f"{name:<18} 5 x 512 x 512: {slower:.2f} s, Java {JAVA[name]:.0f} s "
            f"({times['speedup']:.0f} times)"
        )
    return answer


def table(python: dict[str, Any], java: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    rows = []
    for name, shown in (("warping_error", "warping error"), ("rand_error", "Rand error")):
        with_scipy = python[name]["speedup_over_scipy_label_cpu"]
        rows.append(
            row(
                f"{shown}, {python['side']} x {python['side']}",
                "plain Python",
                python[name]["speedup_cpu"],
                "x",
                20,
                note=f"processor time; {with_scipy:.0f}x where SciPy labels the components",
            )
        )
        if java is not None:
            rows.append(
                row(
                    f"{shown}, 5 x 512 x 512",
                    "the organisers' Java",
                    java[name]["speedup"],
                    "x",
                    20,
                    note=f"{JAVA[name]:.0f} s, recorded on two processors; results equal",
                )
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = options("metrics", __doc__, "a small stack")
    parser.add_argument(
        "--oracles",
        type=Path,
        default=DATA.parent / "oracles",
        help="what Java gave (default: beside the data)",
    )
    given = parser.parse_args(arguments)
    python = against_python(24, 1) if given.quick else against_python(256, 5)
    java = None
    if given.quick:
        pass
    elif (given.oracles / "expected.json").exists():
        java = against_java(given.oracles, 5)
    else:
        print(f"no values of the organisers' Java at {given.oracles}: left out")
    answer = measure(3, 48) if given.quick else measure(30, 512)
    answer |= {"against_python": python, "against_java": java, "table": table(python, java)}
    keep_result(given, "metrics", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
