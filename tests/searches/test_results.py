"""The tables of docs/searches.md say what the result files say; a search writes where and on what it ran."""

import json
import shutil

import pytest

from tests.searches import results

FILES = {name: json.loads((results.FOLDER / f"{name}.json").read_text()) for name in results.PARTS}


@pytest.fixture
def place(tmp_path):
    """A document and results of its own; returns what brings the one up to the other."""
    for name in results.PARTS:
        shutil.copy(results.FOLDER / f"{name}.json", tmp_path)
    empty = [f"{results.block(name).begin}\n{results.block(name).end}" for name in results.PARTS]
    (tmp_path / "searches.md").write_text("\n".join(["# A title", "", *empty, "", "After."]) + "\n")

    def run(*words):
        given = ["--document", str(tmp_path / "searches.md"), "--results", str(tmp_path), *words]
        return results.main(given), (tmp_path / "searches.md").read_text()

    return run


def cells(text):
    """Return the cells of the rows of a table by the first one."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    return {row[0]: row[1:] for row in rows}


def test_the_document_says_what_the_results_say():
    assert results.main(["--check"]) == 0, "make it again with: python -m tests.searches.results"


def test_each_copy_is_counted_once():
    rows = cells(results.fuzz(FILES["fuzz"]))
    counts = [[int(cell.replace(",", "")) for cell in row] for row in rows.values() if row[0][0].isdigit()]
    assert all(row[0] == sum(row[1:]) for row in counts)
    assert sum(row[0] for row in counts) == sum(one["files"] for one in FILES["fuzz"]["searches"])
    findings = sum(len(one["findings"]) for one in FILES["fuzz"]["searches"])
    assert sum(row[3] for row in counts) == findings


def test_a_case_that_falls_short_and_a_problem_after_a_kill_are_in_the_tables():
    changed = json.loads(json.dumps(FILES["cases"]))
    changed["cases"][3]["short"] = ["expected this; came that"]
    found = cells(results.cases(changed))
    assert found[changed["cases"][3]["case"]][-1] == "falls short"
    assert f"{len(changed['cases'])} cases" in results.cases(changed)
    killed = json.loads(json.dumps(FILES["kills"]))
    name = next(iter(killed["layouts"]))
    before = int(cells(results.kills(killed))[name][-1])
    killed["problems"].append(f"{name}, round 3: other bytes")
    assert int(cells(results.kills(killed))[name][-1]) == before + 1


def test_only_what_is_between_the_markers_is_written_and_check_sees_each_change(place, tmp_path):
    assert place("--check")[0] == 1
    status, text = place()
    assert status == 0
    assert text.startswith("# A title\n\n")
    assert text.endswith("\n\nAfter.\n")
    assert place("--check") == (0, text)
    for name in results.PARTS:
        path = tmp_path / f"{name}.json"
        whole = path.read_text()
        path.write_text(json.dumps(json.loads(whole) | {"commit": "0123"}))
        assert place("--check") == (1, text), name
        path.write_text(whole)


def test_a_result_says_where_and_on_what_it_was_found(tmp_path):
    results.write_result(tmp_path / "a.json", "cases", {"cases": []})
    said = json.loads((tmp_path / "a.json").read_text())
    assert said["question"] == results.QUESTIONS["cases"]
    assert len(said["commit"].rstrip("+")) == 12
    assert said["machine"]["processor"]
    assert results.where(said).startswith(f"{said['measured'][:10]}, commit {said['commit']}")
