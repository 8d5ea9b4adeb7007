import numpy as np
import pytest

from unet2015.errors import DataSetError
from unet2015.images.reader import open_image
from unet2015.report.figures import INVENTED, MISSED, draw_curves, draw_panel, mark_errors

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
