"""A sample of ``python -m tests.combinations``; and that the search sees what differs."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from tests.combinations import events, expected, folders, inputs
from tests.combinations.__main__ import search
from tests.combinations.bench import Bench, DiffersError
from tests.combinations.drawn import Drawn
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
    monkeypatch.setattr(Drawn, "calibration", {"Y": 77.0, "X": 78.0})
    with pytest.raises(DiffersError, match=r"calibrated|step along"):
        play(Random("0"), tmp_path)


def test_an_image_that_changed_and_is_taken_for_done_is_found(tmp_path, monkeypatch):
    batch = folders.draw(Random("0"), Bench(tmp_path))
    write = inputs.write

    def as_before(image, folder, name):  # so that the second run has nothing to see
        return write(replace(image, pixels=np.ascontiguousarray(image.pixels[..., ::-1, ::-1])), folder, name)

    monkeypatch.setattr(inputs, "write", as_before)
    with pytest.raises(DiffersError, match=r"pixels of other classes|probability"):
        events.changed_input(batch, Random("0"))


def test_rows_that_the_table_of_all_lacks_are_found(tmp_path):
    (tmp_path / "objects.csv").write_text("image,label\na.tif,1\n")
    row = {"image": "a.tif", "label": "1"}
    folders.joined(Bench(tmp_path), tmp_path / "objects.csv", {"a": [row], "b": []})
    with pytest.raises(DiffersError, match="rows of b in the table of all"):
        folders.joined(Bench(tmp_path), tmp_path / "objects.csv", {"a": [row], "b": [row]})


@pytest.mark.parametrize(("wrong", "right"), [(None, True), ("left out", False), ("not left out", False)])
def test_what_is_left_out_must_be_empty_and_an_empty_page_must_be_left_out(wrong, right):
    raw = np.zeros((2, 1, 20, 20))
    raw[0, 0, 4, 4] = 1  # seen within 3 pixels
    probabilities = np.full((2, 2, 20, 20), 0.5, np.float32)
    made = expected.Maps("I", (2,), raw, probabilities, 1e-5, expected.flat(raw, 3))
    shown = probabilities[:, 1:].copy()
    shown[1] = 0
    shown[0, 0, 8:] = 0
    if wrong == "left out":
        shown[0, 0, 7, 7] = 0
    elif wrong == "not left out":
        shown[1, 0, 3, 3] = 0.5
    found, fits = expected.with_what_was_left_out(made, shown)
    assert fits == right
    assert (found.probabilities[0, 1, 8:] == 0).all()
    assert (found.probabilities[0, 1, :7] == 0.5).all()
