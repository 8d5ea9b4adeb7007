import json
import math

import numpy as np
import pytest

from unet2015.errors import DataSetError, UsageError
from unet2015.images.reader import open_image
from unet2015.report import figures
from unet2015.report.figures import (
    INVENTED,
    MISSED,
    best_median_worst,
    draw_curves,
    draw_panel,
    mark_errors,
    plot_curves,
)

pytest.importorskip("matplotlib")


def test_errors_are_marked_by_kind():
    truth, result = np.array([[0, 0, 255, 255]]), np.array([[0, 1, 0, 1]])
    marked = mark_errors(result, truth)
    assert marked.tolist() == [[[0, 0, 0], list(INVENTED), list(MISSED), [255, 255, 255]]]


def test_a_panel_holds_all_pictures(tmp_path):
    scene = {
        "image": np.zeros((20, 30)),
        "weight map": np.ones((20, 30)),
        "c": np.zeros((20, 30, 3), np.uint8),
    }
    draw_panel(scene, tmp_path / "p.png")
    with open_image(tmp_path / "p.png") as picture:
        assert picture.width > 2 * picture.height


def test_curves_need_a_log_with_steps(tmp_path):
    with pytest.raises(DataSetError, match="no step"):
        draw_curves(tmp_path / "log.jsonl", tmp_path / "c.png")
    (tmp_path / "log.jsonl").write_text(
        '{"step": 1, "loss": 0.7, "learning_rate": 0.1}\n'
        '{"step": 1, "validation_f1": 0.5, "validation_pixel_error": 0.5}\n'
    )
    draw_curves(tmp_path / "log.jsonl", tmp_path / "c.png")
    with open_image(tmp_path / "c.png") as picture:
        assert picture.width > 300


def log_of(path, losses, errors=()):
    lines = [{"step": k, "loss": loss, "learning_rate": 0.1} for k, loss in enumerate(losses, 1)]
    lines += [
        {"step": 1 + k, "validation_f1": 1 - error, "validation_pixel_error": error}
        for k, error in enumerate(errors)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_several_trainings_share_a_figure(tmp_path):
    one, two = log_of(tmp_path / "1", [3, 2, 1], [0.5, 0.1]), log_of(tmp_path / "2", [3, 3, 3], [0.5])
    pictures = [plot_curves({"a": one}), plot_curves({"a": one, "b": two}), plot_curves({"b": two, "a": one})]
    assert len(set(pictures)) == 3
    assert plot_curves({"a": one}) == pictures[0]
    with pytest.raises(UsageError, match="at least one"):
        plot_curves({})


def test_a_line_says_how_good_the_start_of_a_fine_tuning_was(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "png_of", lambda figure: shown.append(figure.axes[1]) or b"")
    figures_of = {"f1": 0.75, "pixel_error": 0.25, "threshold": 0.5, "cross_entropy": 0.5, "constant": False}
    log = log_of(tmp_path / "log.jsonl", [3, 2, 1])
    for step in (3, 0):
        check = {"step": step, **{f"validation_{key}": value for key, value in figures_of.items()}}
        log.write_text(json.dumps(check) + "\n" + log.read_text())
        plot_curves({"": log})
    assert [[line.get_label() for line in axes.lines].count("before") for axes in shown] == [0, 1]
    assert set(shown[1].lines[-1].get_ydata()) == {0.25}


@pytest.mark.parametrize("text", ["not JSON\n", "[1]\n3\n", '"loss"\n'])
def test_a_file_that_is_no_log_is_said(tmp_path, text):
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(DataSetError, match=r"log\.jsonl"):
        plot_curves({"": tmp_path / "log.jsonl"})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], (0, 0, 0)),
        ([2, 1], (1, 1, 0)),
        ([5, 1, 3], (1, 2, 0)),
        ([5, 1, 3, 2], (1, 3, 0)),
        ([1, 1, 1, 1], (0, 1, 0)),
    ],
)
def test_best_median_and_worst(values, expected):
    assert best_median_worst(values) == expected
    mirrored = best_median_worst([-value for value in values], higher_is_better=True)
    assert mirrored == expected


@pytest.mark.parametrize("values", [[], [1.0, math.nan]])
def test_nothing_is_not_ranked(values):
    with pytest.raises(UsageError, match="at least one value"):
        best_median_worst(values)
