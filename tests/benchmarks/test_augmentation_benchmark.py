"""The benchmark of the augmentation still runs, and refuses to time a wrong result."""

import json

import numpy as np
import pytest
import torch

from benchmarks import augmentation
from unet2015.training.draw import draw


def test_quick_run_writes_times_and_differences(tmp_path, capsys, benchmark):
    out = tmp_path / "augmentation.json"
    threads = torch.get_num_threads()
    assert benchmark.pedantic(augmentation.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    assert [run["threads"] for run in result["runs"]] == sorted({1, threads})
    assert torch.get_num_threads() == threads
    for run in result["runs"]:
        assert run["seconds"].keys() >= {"ours", "ours, three planes", "ours, as trained", "SciPy"}
        assert max(run["largest_difference"].values()) <= augmentation.TOLERANCE
    assert str(out) in capsys.readouterr().out


def test_a_wrong_result_is_not_timed(monkeypatch):
    monkeypatch.setattr(augmentation, "warp", lambda image, at, origin: torch.zeros(1, *at.shape[1:]))
    monkeypatch.setattr(augmentation, "seconds", None)
    with pytest.raises(RuntimeError, match="ours: the image is off by"):
        augmentation.main(["--quick"])


def test_other_labels_are_noticed():
    image, labels, _ = augmentation.sample(40)
    augmentation.check("itself", (image, labels), (image, labels))
    with pytest.raises(RuntimeError, match=r"100\.00% of the labels"):
        augmentation.check("other", (image, labels), (image, 1 - labels))


def test_what_is_timed_is_what_a_training_gets():
    """The image and the classes of the two planes are those of `augment`, to the last bit."""
    image, labels, weights = augmentation.sample(60)
    drawn = draw(augmentation.ELASTIC, 0, 3, 60, 60)
    two = augmentation.ours(image, labels, drawn)()
    three = augmentation.trainings(image, labels, weights, drawn, 60)()
    for one, other in zip(two, three, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_row_takes_elasticdeform_at_its_fastest():
    seconds = {
        "ours": {"median": 1.0},
        "ours, three planes": {"median": 2.0},
        "elasticdeform, mirror": {"median": 12.0},
        "elasticdeform, constant": {"median": 10.0},
        "three planes: elasticdeform, mirror": {"median": 14.0},
        "SciPy": {"median": 0.5},
    }
    first, second, third = augmentation.table({"side": 572, "seconds": seconds})
    assert (third["figure"], third["met"]) == (0.5, False)
    assert (first["figure"], first["met"]) == (10, True)
    assert (second["figure"], second["met"]) == (7, False)
    assert augmentation.table({"side": 572, "seconds": {"ours": {"median": 1.0}}}) == []
