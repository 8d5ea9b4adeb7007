"""Every number that StarDist's own ``matching`` gave for pairs of label images."""

import json
from pathlib import Path

import numpy as np
import pytest

from unet2015.metrics import match_objects, mean_average_precision, object_scores
from unet2015.metrics.object_counts import THRESHOLDS, ObjectCounts, ObjectScores

ORACLE = json.loads((Path(__file__).parent / "oracles" / "stardist.json").read_text())
CASES = {case["name"]: case for case in ORACLE["cases"]}
OURS = {
    "precision": "precision",
    "recall": "recall",
    "accuracy": "average_precision",
    "f1": "f1",
    "mean_true_score": "true_iou",
    "mean_matched_score": "matched_iou",
    "panoptic_quality": "panoptic_quality",
}
FLOAT32 = 1e-6
"""StarDist divides in single precision."""


def labels(case: dict, side: str) -> np.ndarray:
    return np.array([[int(value) for value in row.split()] for row in case[side]])


def equal(ours: ObjectCounts, row: list[float]) -> None:
    theirs = dict(zip(ORACLE["columns"], row, strict=True))
    assert ours.threshold == theirs["thresh"]
    assert [ours.tp, ours.fp, ours.fn] == [theirs[name] for name in ("tp", "fp", "fn")]
    assert [ours.tp + ours.fn, ours.tp + ours.fp] == [theirs["n_true"], theirs["n_pred"]]
    for name, own in OURS.items():
        assert getattr(ours, own) == pytest.approx(theirs[name], abs=FLOAT32), name


@pytest.mark.parametrize("name", CASES)
def test_a_pair_has_stardists_counts_and_measures_at_every_threshold(name: str) -> None:
    case = CASES[name]
    truth, found = labels(case, "truth"), labels(case, "prediction")
    for row in case["matching"]:
        equal(match_objects(truth, found, row[0]), row)
    scores = object_scores(truth, found)
    rows = [row for row in case["matching"] if row[0] in THRESHOLDS]
    for ours, row in zip(scores.by_threshold, rows, strict=True):
        equal(ours, row)
    accuracy = ORACLE["columns"].index("accuracy")
    assert mean_average_precision(truth, found) == pytest.approx(np.mean([row[accuracy] for row in rows]))


def test_images_together_have_those_of_matching_dataset() -> None:
    data = ORACLE["dataset"]
    parts = [
        object_scores(*(labels(CASES[n], side) for side in ("truth", "prediction"))) for n in data["cases"]
    ]
    for ours, row in zip(ObjectScores.joined(parts).by_threshold, data["matching"], strict=True):
        equal(ours, row)


def test_the_oracle_has_matches_and_mismatches_at_every_threshold() -> None:
    names = ORACLE["columns"]
    for threshold in THRESHOLDS:
        rows = [row for case in CASES.values() for row in case["matching"] if row[0] == threshold]
        for count in ("tp", "fp", "fn"):
            assert len({row[names.index(count)] for row in rows}) > 2
