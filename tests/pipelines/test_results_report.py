"""The tables of docs/results.md say what the result files say, of all folds and directions."""

import json
import re
import shutil

import pytest

from pipelines import results_report as report
from pipelines.base.paper import TABLE_1, TABLE_2
from pipelines.cells.tables import direction, table_2
from pipelines.em.tables import table_1

ONE_GPU = json.loads((report.RESULTS / "one_gpu" / "result.json").read_text())
EMPTY = "\n".join(f"{report.block(name).begin}\n{report.block(name).end}" for name in report.PARTS)


@pytest.fixture
def place(tmp_path):
    """A document and results of its own; returns what runs the report on them."""
    for folder in {folder for folder, _ in report.PARTS.values()}:
        (tmp_path / folder).mkdir()
        shutil.copy(report.RESULTS / folder / "result.json", tmp_path / folder)
    document = tmp_path / "results.md"
    document.write_text(f"# A title\n\nBefore.\n\n{EMPTY}\n\nAfter.\n")

    def run(*words):
        status = report.main(["--document", str(document), "--results", str(tmp_path), *words])
        return status, document.read_text()

    return run


def rows_of(text, begin=""):
    """Return the cells of the rows whose title begins so."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    return [cells for cells in lines if cells[0].startswith(begin) and not cells[0].startswith("--")]


def test_the_document_says_what_the_results_say():
    assert report.main(["--check"]) == 0, "make it again with: python -m pipelines.results_report"


def test_table_1_has_the_papers_rows_beside_ours_and_every_fold():
    text = table_1(ONE_GPU)
    for title, values in TABLE_1.items():
        (row,) = rows_of(text, title)
        assert [float(cell) for cell in row[1:] if cell] == pytest.approx(list(values.values()), abs=5e-5)
        assert "hidden test set" in row[0]
    last = list(ONE_GPU["em"]["rows"])[-1]
    for number in range(5):
        fold = ONE_GPU["em"]["folds"][f"em-{number}"]
        *_, row = rows_of(text, f"of these, fold {number} (slices {6 * number}-{6 * number + 5})")
        expected = fold[last]["at_training_threshold"]
        assert row[1:3] == [f"{expected['warping_error']:.6f}", f"{expected['rand_error']:.4f}"]
    assert len(rows_of(text, "of these, fold ")) == 5 * len(ONE_GPU["em"]["rows"])
    assert len(rows_of(text, "ours, held-out training slices")) == 2 * len(ONE_GPU["em"]["rows"])
    steps = [ONE_GPU["steps"][f"em-{number}"] for number in range(5)]
    assert f"{min(steps):,} to {max(steps):,} steps" in text


def test_table_2_has_both_directions_and_names_what_is_not_the_papers():
    text = table_2(ONE_GPU)
    titles = rows_of(text)[0]
    trainings = ONE_GPU["cells"]["trainings"]
    column = {
        name: titles.index(f"{one['data_set']}, {direction(one)}")
        for name, one in trainings.items()
        if not one["silver"]
    }
    assert column["dic-01"] != column["dic-02"]
    for title, values in TABLE_2.items():
        (row,) = rows_of(text, title)
        assert [float(cell) for cell in row[1:] if cell] == [values[n] for n in sorted(values)]
    (row,) = rows_of(text, "ours, connected parts, held-out training frames, 4 flips averaged, best")
    for name in ("dic-01", "dic-02", "phc-01"):
        assert row[column[name]] == f"{trainings[name]['rows']['flips']['best_over_thresholds']['seg']:.4f}"
    assert row[titles.index("DIC-C2DH-HeLa, mean")] == "0.6784"
    for begin, name in (
        ("markers", "dic-02"),
        ("gold and silver truth, 4 flips averaged, markers", "dic-02-silver"),
    ):
        *_, row = rows_of(text, f"*not the paper's:* {begin}")
        found = trainings[name]["rows"]["flips"]["seg_markers_and_watershed"]
        assert row[column[name.removesuffix("-silver")]] == f"{found:.4f}"
    marked = [row[0] for row in rows_of(text) if re.search("silver|watershed", row[0])]
    assert marked
    assert all(title.startswith("*not the paper's:*") for title in marked)


def test_what_a_result_lacks_is_an_empty_cell():
    less = json.loads(json.dumps(ONE_GPU))
    del less["cells"]["mean"]["DIC-C2DH-HeLa, gold and silver truth"]
    del less["cells"]["mean"]["PhC-C2DH-U373"]["flips"]["seg_markers_and_watershed"]
    text = table_2(less)
    (row,) = rows_of(text, "*not the paper's:* markers and watershed, 4 flips averaged")
    assert row[1:] == ["0.7205", "0.6709", "0.7702", ""]
    assert len(rows_of(text, "*not the paper's:* gold and silver")[0]) == len(rows_of(text)[0])


def test_only_what_is_between_the_markers_is_written_and_check_sees_each_change(place, tmp_path):
    assert place("--check")[0] == 1
    status, text = place()
    assert status == 0
    assert text.startswith("# A title\n\nBefore.\n\n")
    assert text.endswith("\n\nAfter.\n")
    assert "| stride 384, mirrored (this project's) | 0 |" in text
    assert place("--check") == (0, text)
    path = tmp_path / "one_gpu" / "result.json"
    changed = json.loads(path.read_text())
    changed["em"]["rows"]["none"]["at_training_threshold"]["pixel_error"] += 0.01
    path.write_text(json.dumps(changed))
    assert place("--check") == (1, text)
    assert place()[1] != text


def test_a_document_without_markers_is_an_error(place, tmp_path):
    (tmp_path / "results.md").write_text("nothing")
    with pytest.raises(RuntimeError, match="needs one line"):
        place()
