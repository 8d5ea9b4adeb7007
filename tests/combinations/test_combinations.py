"""A sample of ``python -m tests.combinations``; and that the search sees what differs."""

from random import Random

import pytest

from tests.combinations import expected, inputs
from tests.combinations.__main__ import search
from tests.combinations.bench import DiffersError
from tests.combinations.play import play


def test_combinations_of_inputs_and_options_give_what_must_come():
    result = search(seed=2026, rounds=8)
    assert result["found"] == []
    assert result["checks"] > 500


def test_another_class_is_found(tmp_path, monkeypatch):
    usual = expected.classes

    def inverted(made, threshold):
        classes, sure = usual(made, threshold)
        return 1 - classes, sure

    monkeypatch.setattr(expected, "classes", inverted)
    with pytest.raises(DiffersError, match="pixels of other classes"):
        play(Random("0"), tmp_path)


def test_another_pixel_size_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs.Drawn, "calibration", {"Y": 77.0, "X": 78.0})
    with pytest.raises(DiffersError, match=r"calibrated|step along"):
        play(Random("0"), tmp_path)
