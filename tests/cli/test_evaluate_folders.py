import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.metrics import evaluate_objects, evaluate_pixels

CELLS = np.kron(np.array([[1, 0, 2], [0, 3, 3]], np.uint16), np.ones((10, 10), np.uint16))


@pytest.fixture
def both(tmp_path):
    """Two files of truth and their results, of which the second has lost a cell."""
    for folder in ("truth", "result"):
        (tmp_path / folder).mkdir()
    for number in (0, 1):
        tifffile.imwrite(tmp_path / "truth" / f"c{number}.tif", CELLS)
        tifffile.imwrite(tmp_path / "result" / f"c{number}_cells.tif", CELLS * (number < CELLS))
    return ["--truth", tmp_path / "truth", "--result", tmp_path / "result"]


@pytest.mark.parametrize(("command", "python"), [("objects", evaluate_objects), ("pixels", evaluate_pixels)])
def test_json_and_table_are_what_python_gives(cli, both, tmp_path, command, python):
    expected = python(both[1], both[3])
    ended = cli("evaluate", command, *both, "--json", "--per-image", tmp_path / "rows.csv")
    assert ended.status == 0
    assert json.loads(ended.out) == expected.as_dict()
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(value) for name, value in row.items()} for row in expected.per_image()]
    assert "c0.tif with" in ended.err
    assert "(and 1 more whose names differ)" in ended.err
    assert [Path(other).name for _, other in expected.as_dict()["unlike_names"]] == [
        "c0_cells.tif",
        "c1_cells.tif",
    ]


def test_a_pair_whose_names_differ_is_named_wherever_it_is(cli, both):
    for folder in (both[1], both[3]):
        tifffile.imwrite(folder / "a.tif", CELLS)
    (both[1] / "c0.tif").rename(both[1] / "c0_cells.tif")
    (both[3] / "c1_cells.tif").rename(both[3] / "c1_mask.tif")
    assert "c1.tif with" in cli("evaluate", "objects", *both).err


def test_objects_prints_a_line_for_each_threshold(cli, both):
    lines = cli("evaluate", "objects", *both, "--threshold", "0.42").out.splitlines()
    assert lines[0].split()[:4] == ["IoU", "TP", "FP", "FN"]
    assert lines[1].split() == ["0.42", "5", "0", "1", "1.000000", "0.833333", "0.909091", "0.833333",
                                "1.000000", "0.833333", "0.909091", "<"]  # fmt: skip
    assert len(lines) == 1 + 11 + 3
    assert lines[-3].startswith("mean AP: 0.833333")
    assert lines[-2].startswith("SEG: 0.833333")
    assert lines[-1] == "2 of 2 files of the truth, 2 pages: 6 true objects, 5 found"


def test_pixels_prints_a_line_for_each_class(cli, both):
    lines = cli("evaluate", "pixels", *both, "--foreground").out.splitlines()
    assert lines[2].split() == ["1", "800", "700", "0.933333", "0.875000", "1.000000", "0.875000"]
    assert [line.split()[0] for line in cli("evaluate", "pixels", *both).out.splitlines()[1:5]] == list(
        "0123"
    )


@pytest.mark.parametrize("command", ["objects", "pixels"])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_is_missing_is_said_with_status_1(cli, both, command, form):
    tifffile.imwrite(both[1] / "c2.tif", CELLS)
    tifffile.imwrite(both[1] / "c3.tif", CELLS)
    tifffile.imwrite(both[3] / "c3_cells.tif", CELLS[:5])
    tifffile.imwrite(both[3] / "c4_cells.tif", CELLS)
    ended = cli("evaluate", command, *both, *form)
    assert ended.status == 1
    assert "1 without truth, not compared: " in ended.err
    assert "c4_cells.tif" in ended.err
    errors = [line for line in ended.err.splitlines() if line.startswith("unet2015: error: ")]
    assert "c3_cells.tif: it has 1 page of 5 x 30 px" in errors[0]
    assert "1 of the truth without a result" in errors[1]
    assert "c2.tif" in errors[1]
    if form:
        assert json.loads(ended.out)["complete"] is False
    else:
        assert ended.out.splitlines()[-1].startswith("2 of 4 files of the truth, 2 pages")


def test_nothing_is_printed_or_written_where_all_fail(cli, both, tmp_path):
    for number in (0, 1):
        (both[3] / f"c{number}_cells.tif").write_bytes(b"no image")
    ended = cli("evaluate", "objects", *both, "--per-image", tmp_path / "rows.csv")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.count("unet2015: error: ") == 2
    assert not (tmp_path / "rows.csv").exists()
    failed = json.loads(cli("evaluate", "objects", *both, "--json").out)
    assert (failed["pages"], failed["complete"], len(failed["failures"])) == (0, False, 2)


def test_ambiguous_names_and_wrong_thresholds_are_refused(cli, refused, both):
    tifffile.imwrite(both[3] / "c0_probability.tif", CELLS)
    tifffile.imwrite(both[3] / "c1_probability.tif", CELLS)
    refused(cli("evaluate", "objects", *both), 1, "c0.tif", "c0_cells.tif", "c0_probability.tif")
    assert cli("evaluate", "objects", *both[:3], both[3] / "*_cells.tif").status == 0
    refused(cli("evaluate", "objects", *both, "--threshold", "0"), 2, "above 0 and at most 1")


def test_files_that_are_compared_with_themselves_are_said(cli, both):
    ended = cli("evaluate", "objects", *both[:2], "--result", both[1])
    assert ended.status == 0
    assert "2 files are compared with themselves" in ended.err
    assert "mean AP: 1.000000" in ended.out


@pytest.mark.parametrize("command", ["objects", "pixels"])
def test_a_table_replaces_earlier_tables_only(cli, refused, both, tmp_path, command):
    mine = tmp_path / "mine.csv"
    mine.write_text("name,size\n")
    refused(cli("evaluate", command, *both, "--per-image", mine), 1, "mine.csv", "not replaced")
    assert mine.read_text() == "name,size\n"
    for _ in range(2):
        assert cli("evaluate", command, *both, "--per-image", tmp_path / "ours.csv").status == 0


def test_a_table_of_other_measures_is_not_replaced(cli, both, tmp_path):
    table = tmp_path / "rows.csv"
    for _ in range(2):
        assert cli("evaluate", "objects", *both, "--per-image", table).status == 0
    before = table.read_bytes()
    ended = cli("evaluate", "pixels", *both, "--per-image", table)
    assert ended.status == 1
    assert "rows.csv: exists, and is a result of evaluate objects, so it is not replaced" in ended.err
    assert table.read_bytes() == before
