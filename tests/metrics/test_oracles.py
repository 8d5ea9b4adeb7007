"""Every number of the organisers' own code, at every threshold."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unet2015.metrics.homotopy import simple_points, warp
from unet2015.metrics.information import v_info
from unet2015.metrics.pixel import pixel_error
from unet2015.metrics.rand import rand_error
from unet2015.metrics.seg_folders import evaluate_seg
from unet2015.metrics.thinned_rand import v_rand
from unet2015.metrics.thinning import thin
from unet2015.metrics.thresholds import Measure, threshold_steps
from unet2015.metrics.warping import warping_error, warping_mismatches

SYNTHETIC = [
    "p1_tiny",
    "p8_gt_all_membrane",
    "p9_gt_all_interior",
    "p10_one_object_identical",
    "p11_one_object_split",
    "p12_one_empty_gt_slice",
    "p13_all_interior_identical",
    "p14_all_membrane_identical",
]
FROM_DATA = [
    "p2_identical",
    "p3_detector",
    "p4_blur_noise",
    "p5_shift2",
    "p6_all_membrane",
    "p7_all_interior",
]
SEG_FROM_DATA = [
    "hela01_err_seg",
    "hela01_st",
    "hela01_gt_seg_as_result",
    "hela01_gt_tra_as_result",
    "hela01_st_eroded1",
    "hela01_st_eroded3",
    "hela01_st_dilated2",
    "hela01_st_random_errors",
    "hela01_st_track_errors",
    "hela01_empty_result",
    "tiny",
]
NAN = float("nan")

EM: dict[str, Callable[[np.ndarray, np.ndarray], Measure[Any]]] = {
    "pixel_error_maximal_fscore": pixel_error,
    "foreground_restricted_rand_maximal_fscore": rand_error,
    "maximal_vrand_after_thinning": v_rand,
    "maximal_vinfo_after_thinning": v_info,
    "minimum_splits_and_mergers_warping_error_radius20": warping_error,
    "minimum_splits_and_mergers_warping_error_radius10": lambda labels, proposal: warping_error(
        labels, proposal, thresholds=threshold_steps(0.1, 0.9), radius=10
    ),
}
OURS = {"score": "value", "split_merge_error": "value"}
COUNTS = ("splits", "mergers", "hole_additions", "hole_deletions", "object_additions", "object_deletions")


def check(measured: Measure[Any], expected: dict[str, Any], plain: str) -> None:
    """Compare value, threshold and all rows; ``plain`` is our name of the challenge's metric_value."""
    assert measured.value == pytest.approx(expected.get("reported_error", expected["value"]), abs=1e-9, rel=0)
    assert measured.threshold == expected["best_threshold"]
    assert [row.threshold for row in measured.by_threshold] == [
        r["threshold"] for r in expected["per_threshold"]
    ]
    for row, theirs in zip(measured.by_threshold, expected["per_threshold"], strict=True):
        for key, number in theirs.items():
            if key == "per_slice":
                assert [[getattr(page, name) for name in COUNTS] for page in row.slices] == number
                continue
            ours = getattr(row, plain if key == "metric_value" else OURS.get(key, key))
            if key in ("tp", "fp", "fn", "tn") and plain == "rand_index":
                # Pairs: whole numbers here, products of rounded fractions there.
                tolerance = 1e-12 * abs(row.tp + row.fp + row.fn + row.tn)
            else:
                tolerance = 0 if isinstance(ours, int) else 1e-9
            assert ours == pytest.approx(
                NAN if number == "NaN" else number, abs=tolerance, rel=0, nan_ok=True
            ), key


@cache
def measure(found: Any, case: str, metric: str) -> Measure[Any]:
    return EM[metric](*found.stack(case))


def check_case(found: Any, case: str, metric: str) -> None:
    """One measure of one case; the plain warping error is checked with the radius that costs least."""
    measured = measure(found, case, metric)
    expected = found.expected["cases"][case]["metrics"]
    check(measured, expected[metric], "difference" if metric.startswith("pixel") else "rand_index")
    if metric.endswith("radius10"):
        plain = {
            row["threshold"]: row["value"]
            for row in expected["warping_error_all_mismatches"]["per_threshold"]
        }
        for row in measured.by_threshold:
            assert row.all_mismatches == pytest.approx(plain[row.threshold], abs=1e-9, rel=0)


@pytest.mark.parametrize("metric", EM)
@pytest.mark.parametrize("case", SYNTHETIC)
def test_em_equals_the_organisers_code(oracles: Any, case: str, metric: str) -> None:
    check_case(oracles, case, metric)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("metric", EM)
@pytest.mark.parametrize("case", FROM_DATA)
def test_em_equals_the_organisers_code_on_data(data_oracles: Any, case: str, metric: str) -> None:
    check_case(data_oracles, case, metric)


def check_slices(found: Any, case: str, expected: list[dict[str, Any]]) -> None:
    rand, thinned, information = (measure(found, case, metric).by_threshold for metric in list(EM)[1:4])
    steps = [row.threshold for row in rand]
    for theirs in expected:
        k, page = steps.index(theirs["threshold"]), theirs["slice"]
        ours = 1 - rand[k].slices[page], thinned[k].slices[page], information[k].slices[page]
        names = "rand_fscore", "thinned_rand_fscore", "thinned_vinfo"
        assert ours == pytest.approx([theirs[name] for name in names], abs=1e-9, rel=0)


def test_slices_equal_the_organisers_code(oracles: Any) -> None:
    check_slices(oracles, "p1_tiny", oracles.expected["p1_intermediates"]["per_slice"])


@pytest.mark.data
@pytest.mark.parametrize("case", ["p3_detector", "p4_blur_noise"])
def test_slices_equal_the_organisers_code_on_data(data_oracles: Any, case: str) -> None:
    check_slices(data_oracles, case, data_oracles.expected[f"{case[:2]}_per_slice"])


def test_simple_points_equal_the_organisers_code(oracles: Any) -> None:
    bits = oracles.expected["simple_point_table"]["bits"]
    assert "".join("1" if simple else "0" for simple in simple_points()) == bits


def test_thinning_warping_and_classes_equal_the_organisers_code(oracles: Any) -> None:
    labels, proposal = oracles.stack("p1_tiny")
    regions, warped, classes = map(oracles.pages, oracles.expected["p1_intermediates"]["files"])
    for k, threshold in enumerate(threshold_steps(0.0, 1.0)):
        thinned = [thin(page > threshold) for page in proposal.astype(np.float64)]
        np.testing.assert_array_equal(thinned, regions[2 * k : 2 * k + 2])
    for k, threshold in enumerate(threshold_steps(0.0, 0.9)):
        np.testing.assert_array_equal(warp(labels, proposal, threshold), warped[2 * k : 2 * k + 2] > 0)
        np.testing.assert_array_equal(
            warping_mismatches(labels, proposal, threshold), classes[2 * k : 2 * k + 2]
        )


@pytest.mark.data
@pytest.mark.parametrize("number", [0, 1])
def test_thinning_equals_the_organisers_code_on_data(data_oracles: Any, number: int) -> None:
    example = data_oracles.expected["watershed_examples"][number]
    page = data_oracles.stack(example["case"])[1][example["slice"]].astype(np.float64)
    np.testing.assert_array_equal(thin(page > example["threshold"])[None], data_oracles.pages(example))


def check_seg(found: Any, case: str, tmp_path: Path) -> None:
    """Lay the case's files out as the challenge does, and compare every object."""
    for folder, entries in (("truth", "gt_seg"), ("result", "result")):
        (tmp_path / folder).mkdir()
        for *name, file, sha256 in found.expected["cases"][case]["inputs"][entries]:
            if file.endswith(".tif"):
                (tmp_path / folder / (name or [Path(file).name])[0]).symlink_to(
                    found.path(file, sha256).resolve()
                )
    expected = found.expected["cases"][case]["metrics"]["SEG"]
    score = evaluate_seg(tmp_path / "truth", tmp_path / "result")
    assert score.value == pytest.approx(expected["value"], abs=1e-9, rel=0)
    assert len(score.objects) == expected["gt_label_count"]
    ours = [[found.frame, found.label, round(found.jaccard, 6), found.match] for found in score.objects]
    for mine, theirs in zip(ours, expected["per_label"], strict=True):
        assert mine == [*theirs[:2], pytest.approx(theirs[2], abs=1.1e-6), theirs[3]]


def test_seg_equals_the_organisers_code(oracles: Any, tmp_path: Path) -> None:
    check_seg(oracles, "tiny", tmp_path)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("case", SEG_FROM_DATA)
def test_seg_equals_the_organisers_code_on_data(data_oracles: Any, case: str, tmp_path: Path) -> None:
    check_seg(data_oracles, case, tmp_path)
