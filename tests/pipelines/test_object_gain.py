"""What settings of objects gain: on probabilities of which the best are known."""

import json

import numpy as np
import tifffile

from pipelines import object_gain
from unet2015.settings.objects import ObjectSettings


def test_each_way_is_compared_with_the_truth(tmp_path, monkeypatch, capsys):
    truth = np.zeros((40, 60), np.uint16)
    truth[5:15, 5:15], truth[20:34, 20:50] = 1, 2
    maps = np.where(truth > 0, np.float32(0.9), np.float32(0.1))
    maps[0, 50:53] = 0.9  # a speck
    for folder, names, array in (("images", ("t1", "t2"), maps), ("truth", ("man_seg1",), truth)):
        (tmp_path / folder).mkdir()
        for name in names:
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", array)
    monkeypatch.setattr(object_gain, "segment", lambda path, model, probabilities: tifffile.imread(path))
    monkeypatch.setattr(object_gain, "ways", lambda model: {"plain": ObjectSettings(), "chosen": CHOSEN})
    words = ["--images", tmp_path / "images", "--truth", tmp_path / "truth", "--out", tmp_path / "r.json"]
    assert object_gain.main([*map(str, words), "em-membrane"]) == 0
    (row,) = json.loads((tmp_path / "r.json").read_text())["rows"]
    plain, chosen = row["ways"]["plain"], row["ways"]["chosen"]
    assert (plain["f1"], plain["true"], plain["found"], plain["count_error"]) == (0.8, 2, 3, 1)
    assert (chosen["f1"], chosen["seg"], chosen["found"], chosen["count_error"]) == (1, 1, 2, 0)
    assert "smaller than 9 px left out" in capsys.readouterr().out


CHOSEN = ObjectSettings(smallest=9)


def test_names_that_do_not_go_together_are_told(tmp_path, capsys):
    for folder, name in (("images", "a1"), ("images", "a2"), ("truth", "b3"), ("truth", "b4")):
        (tmp_path / folder).mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / folder / f"{name}.tif", np.zeros((8, 8), np.uint8))
    words = ["--images", str(tmp_path / "images"), "--truth", str(tmp_path / "truth"), "em-membrane"]
    assert object_gain.main(words) != 0
    assert "belongs to" in capsys.readouterr().err
