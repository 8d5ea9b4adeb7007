import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unet2015 import metrics
from unet2015.errors import DataSetError, ImageValueError, UsageError
from unet2015.metrics.em import evaluate_em, read_proposal
from unet2015.metrics.figure import COLOURS, draw_failures
from unet2015.metrics.thresholds import threshold_steps


@pytest.fixture
def stack() -> tuple[np.ndarray, np.ndarray]:
    labels = np.ones((3, 24, 40), np.uint8)
    labels[:, :, 20] = 0
    proposal = labels.astype(np.float32) * 0.95
    proposal[1, 12, 20] = 0.75  # a gap in the membrane
    proposal[2, 6, :20] = proposal[2, 16, 21:] = 0.0  # two false membranes
    return labels, proposal


def test_is_the_five_measures(stack: tuple[np.ndarray, np.ndarray]) -> None:
    told: list[tuple[int, int]] = []
    scores = evaluate_em(*stack, progress=lambda done, count: told.append((done, count)))
    assert told == [(k, 12) for k in range(1, 13)]
    assert list(scores.as_dict()) == ["pixel_error", "rand_error", "warping_error", "v_rand", "v_info"]
    for name, measure in scores.as_dict().items():
        assert measure == getattr(metrics, name)(*stack).as_dict()
        assert set(measure) == {"value", "threshold", "by_threshold"}


def test_the_script_of_2016_has_its_own_warping_error(stack: tuple[np.ndarray, np.ndarray]) -> None:
    scores = evaluate_em(*stack, script_2016=True)
    expected = metrics.warping_error(*stack, thresholds=threshold_steps(0.1, 0.9), radius=10)
    assert scores.warping_error == expected
    assert scores.pixel_error == metrics.pixel_error(*stack)


def test_slices_are_told_apart(stack: tuple[np.ndarray, np.ndarray]) -> None:
    scores = evaluate_em(*stack)
    rows = scores.per_slice()
    assert [row["slice"] for row in rows] == [0, 1, 2]
    assert [(row["splits"] > 0, row["mergers"] > 0) for row in rows] == [
        (False, False),
        (False, False),
        (True, False),
    ]
    assert scores.warping_error.threshold == 0.7999999999999999  # where the gap closes
    assert np.mean([row["warping_error"] for row in rows]) == pytest.approx(scores.warping_error.value)
    assert np.mean([row["v_rand"] for row in rows]) == pytest.approx(scores.v_rand.value)
    assert rows[0]["rand_error"] == rows[0]["pixel_error"] == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integer_predictions_are_probabilities_over_their_range(dtype: type) -> None:
    full = np.iinfo(dtype).max
    np.testing.assert_array_equal(
        read_proposal(np.array([0, full // 5, full], dtype)), np.float32([0, 0.2, 1])
    )
    half = np.array([0, full // 5, full * 3 // 5], dtype)
    np.testing.assert_array_equal(read_proposal(half), np.float32([0, 0.2, 0.6]))
    np.testing.assert_array_equal(read_proposal(np.array([0, 1, 1], dtype)), [0, 1, 1])


@pytest.mark.parametrize(
    "values",
    [
        np.array([0, 1, 2], np.uint8),
        np.array([0, 40, 100], np.uint8),  # percent
        np.array([-1, 1]),
        np.array([0, 70000], np.int32),
    ],
)
def test_instance_labels_and_percent_are_no_prediction(values: np.ndarray) -> None:
    with pytest.raises(ImageValueError, match=r"p\.tif.*class map"):
        read_proposal(values, "p.tif")


def marks(path: Path) -> set[str]:
    """Which colours of failures a picture shows."""
    from matplotlib import colors
    from matplotlib.image import imread

    pixels = imread(path)[..., :3]
    return {
        kind.name
        for kind, colour in COLOURS.items()
        if (np.abs(pixels - colors.to_rgb(colour)).max(axis=-1) < 0.02).any()
    }


def test_the_figure_marks_splits_and_mergers(stack: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    labels, proposal = stack
    for pages, expected in ((0, set()), (1, {"MERGER"}), (2, {"SPLIT"})):
        draw_failures(tmp_path / "f.png", labels[pages], proposal[pages], 0.5)
        assert marks(tmp_path / "f.png") == expected
    draw_failures(tmp_path / "f.png", labels, proposal, 0.5, image=np.zeros_like(labels), panels=1)
    assert marks(tmp_path / "f.png") == {"SPLIT"}  # the slice with the most
    assert [path.name for path in tmp_path.iterdir()] == ["f.png"]
    with pytest.raises(DataSetError, match=r"\(3, 24, 40\).*\(1, 24, 40\)"):
        draw_failures(tmp_path / "f.png", labels, proposal, 0.5, image=labels[0])
    with pytest.raises(UsageError, match=r"f\.xyz.*png"):
        draw_failures(tmp_path / "f.xyz", labels, proposal, 0.5)


def test_names_are_reached_from_the_package_without_loading_what_is_heavy() -> None:
    code = """
import sys
import unet2015.metrics as m
assert "numpy" not in sys.modules
m.pixel_error, m.evaluate_seg, m.iou
assert not {"numba", "matplotlib"} & set(sys.modules)
[getattr(m, name) for name in m.__all__]
assert "numba" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert sorted(metrics.__all__) == dir(metrics)
    with pytest.raises(AttributeError, match="evaluate_em"):
        metrics.nothing  # noqa: B018
