"""The table of conformance says what the results say, and comparisons are of the right pixels."""

import json

import numpy as np
import pytest

from benchmarks import conformance
from benchmarks.conformance_table import BEGIN, END, PAGE, ROWS, table, write_page
from benchmarks.machine import RESULTS

STORED = json.loads((RESULTS / "conformance.json").read_text())


def test_the_page_has_the_table_of_the_results(tmp_path):
    text = PAGE.read_text()
    made = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert made == table(STORED)
    page = tmp_path / "page.md"
    page.write_text(f"a\n{BEGIN}\nold\n{END}\nb\n")
    write_page(STORED, page)
    assert page.read_text() == f"a\n{BEGIN}\n\n{made}\n\n{END}\nb\n"


def test_the_results_have_each_row_and_each_network_gave_three_formats():
    assert set(ROWS) <= set(STORED["rows"])
    assert {"unet2015", "padded"} <= set(STORED["networks"])


@pytest.fixture
def ours():
    return {"on-grid": np.zeros((300, 310)), "off-grid": np.ones((300, 310))}


def test_a_difference_near_the_border_is_told_from_one_inside(tmp_path, ours):
    came = np.zeros((1, 2, 304, 316), np.float32)
    came[0, 1, 5, 7] = 0.5
    came[0, 1, 302] = 9  # beyond the image
    np.save(tmp_path / "a.npy", came)
    found = conformance.compared(tmp_path, "x", {"answer": "a.npy"}, ours)
    assert (found["largest"], found["inside"]) == (0.5, 0)
    assert found["pixels"] == pytest.approx(1 / 93_000)
    found = conformance.compared(tmp_path, "off the grid", {"answer": "a.npy"}, ours)
    assert (found["largest"], found["inside"]) == (1, 1)


def test_what_is_too_small_or_failed_is_no_answer(tmp_path, ours):
    np.save(tmp_path / "a.npy", np.zeros((1, 2, 299, 310), np.float32))
    assert conformance.compared(tmp_path, "x", {"answer": "a.npy"}, ours) == {"error": "gives (2, 299, 310)"}
    assert conformance.compared(tmp_path, "x", {"error": "no"}, ours) == {"error": "no"}


def test_verdicts():
    rows = {"onnxruntime": {"largest": 1e-6, "inside": 1e-7, "pixels": 0.0}}
    rows["opencv: one tile"] = {"largest": 0.1, "inside": 1e-7, "pixels": 0.25}
    rows["torch.jit"] = {"largest": 0.1, "inside": 0.05, "pixels": 0.5}
    rows["bioimageio: valid, blocks"] = {"error": "ValueError: no | blocks (halo: 0)"}
    said = table(STORED | {"rows": rows}).splitlines()
    ends = [line.rpartition("| ")[0].rpartition("| ")[2] or line for line in said]
    assert any("1.0e-06 | 1.0e-07 | same answer |" in line for line in said), ends
    assert any("same answer but near the border: 25.0 % of the pixels" in line for line in said)
    assert any("another answer: 50.0 % of the pixels" in line for line in said)
    assert any("refuses: ValueError: no   blocks |" in line for line in said)
