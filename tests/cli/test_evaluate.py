import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.metrics.em import evaluate_em
from unet2015.metrics.seg_folders import evaluate_seg

ORACLES = Path(__file__).parents[1] / "metrics" / "oracles"
LABELS, PROPOSAL = ORACLES / "isbi/p1_tiny_labels.tif", ORACLES / "isbi/p1_tiny_proposal.tif"
TRUTH, RESULT = ORACLES / "ctc/tiny_GT", ORACLES / "ctc/tiny"
EM = ("evaluate", "em", "--labels", LABELS, "--prediction", PROPOSAL)
SEG = ("evaluate", "seg", "--truth", TRUTH, "--result", RESULT)


@pytest.fixture(scope="module")
def scores():
    return evaluate_em(tifffile.imread(LABELS), tifffile.imread(PROPOSAL))


@pytest.fixture
def empty(tmp_path):
    """Labels of two slices without any interior."""
    tifffile.imwrite(tmp_path / "empty.tif", np.zeros((2, 5, 5), np.uint8), photometric="minisblack")
    return tmp_path / "empty.tif"


def test_em_json_is_what_python_gives(cli, scores):
    ended = cli(*EM, "--json")
    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out) == scores.as_dict()
    script = evaluate_em(tifffile.imread(LABELS), tifffile.imread(PROPOSAL), script_2016=True)
    assert json.loads(cli(*EM, "--json", "--script-2016").out) == script.as_dict() != scores.as_dict()


def test_em_prints_a_table_with_thresholds_and_definitions(cli):
    lines = {line.split()[0]: line for line in cli(*EM).out.splitlines()}
    assert {"pixel_error", "rand_error", "warping_error", "v_rand", "v_info"} <= set(lines)
    assert lines["rand_error"].split()[1:3] == ["0.247390300", "0.5"]
    assert "foreground-restricted" in lines["rand_error"]


def test_em_writes_slices_and_a_figure(cli, scores, tmp_path):
    cli(*EM, "--per-slice", tmp_path / "s.csv", "--figure", tmp_path / "f.png", "--image", LABELS)
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(text) for name, text in row.items()} for row in rows] == scores.per_slice()
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.png", "s.csv", "s.record.json"]


def test_em_says_why_an_empty_slice_costs_so_much(cli, empty):
    ended = cli("evaluate", "em", "--labels", empty, "--prediction", empty)
    assert ended.status == 0
    assert "empty.tif" in ended.err
    assert "no cell interior" in ended.err
    assert "none" in ended.out


def test_em_says_where_cells_of_the_truth_touch_without_membrane(cli, tmp_path):
    cells = np.array([[1, 1, 0, 3], [2, 2, 0, 3], [2, 2, 0, 4]], np.uint8)
    for name, labels in (("touching", cells), ("apart", cells * (cells < 3) // 2 * 5 + (cells == 3))):
        tifffile.imwrite(tmp_path / f"{name}.tif", labels[None], photometric="minisblack")
    tifffile.imwrite(tmp_path / "p.tif", (cells[None] > 0).astype(np.float32), photometric="minisblack")
    words = ("evaluate", "em", "--prediction", tmp_path / "p.tif", "--labels")
    assert (
        "touching.tif: at 3 places different values that are not 0 touch"
        in cli(*words, tmp_path / "touching.tif").err
    )
    assert "touch" not in cli(*words, tmp_path / "apart.tif").err


def test_em_says_where_truth_or_prediction_may_be_inverted(cli, tmp_path):
    cells = np.ones((2, 40, 48), np.uint8)
    cells[:, ::10] = cells[:, :, ::12] = 0
    for name, values in (("t", 255 * (1 - cells)), ("p", cells * np.float32(0.9) + np.float32(0.05))):
        tifffile.imwrite(tmp_path / f"{name}.tif", values, photometric="minisblack")
    words = ("evaluate", "em", "--labels", tmp_path / "t.tif", "--prediction", tmp_path / "p.tif")
    ended = cli(*words, "--json")
    assert ended.status == 0
    notes = json.loads(ended.out)["notes"]
    assert [note.split(": ")[0] for note in notes] == [str(tmp_path / f"{name}.tif") for name in "tpp"]
    assert "82% of it is 0, which means membrane; is the coding inverted?" in notes[0]
    for err in (ended.err, cli(*words).err):
        assert [err.count(note) for note in notes] == [1, 1, 1]


def test_em_says_how_integers_are_read(cli, tmp_path):
    pages = np.full((2, 32, 32), 51, np.uint8)
    pages[:, 0] = 250
    tifffile.imwrite(tmp_path / "p.tif", pages, photometric="minisblack")
    ended = cli(*EM[:-1], tmp_path / "p.tif")
    assert "p.tif: read as probabilities, 255 is 1" in ended.err


def test_em_refuses_shapes_that_differ_and_labels_as_prediction(cli, refused, empty, tmp_path):
    refused(cli("evaluate", "em", "--labels", empty, "--prediction", PROPOSAL), 1, "(2, 5, 5)", "(2, 32, 32)")
    tifffile.imwrite(tmp_path / "n.tif", np.full((2, 5, 5), np.nan, np.float32), photometric="minisblack")
    refused(cli("evaluate", "em", "--labels", empty, "--prediction", tmp_path / "n.tif"), 1, "slice 0", "NaN")
    refused(cli(*EM[:3], tmp_path / "none.tif", *EM[4:]), 1, "none.tif")


def test_seg_is_what_python_gives(cli, tmp_path):
    score = evaluate_seg(TRUTH, RESULT)
    ended = cli(*SEG, "--json", "--per-slice", tmp_path / "frames.csv")
    told = json.loads(ended.out)
    large, note = told.pop("notes")
    assert "man_seg009.tif: 544 pixels have the number 65535, as many as 15 cells" in large  # a cell alone
    assert told == {"seg": score.value, "objects": 11}
    assert "1 of 11 objects are in several pieces" in note  # object 14 of the truth is
    assert "14 (man_seg000.tif)" in note
    with (tmp_path / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(text) for name, text in row.items()} for row in rows] == score.per_frame()
    assert cli(*SEG).out.splitlines()[-1].split() == ["all", "11", "6", "0.272537879"]


def test_seg_refuses_folders_without_truth_or_result(cli, refused):
    refused(cli(*SEG[:3], RESULT, *SEG[4:]), 1, RESULT, "man_segTTT.tif")
    refused(cli(*SEG[:5], TRUTH), 1, TRUTH, "man_seg000.tif")
