"""The tables of documentation and README say what the results say, and nothing more."""

import json
import shutil

import pytest

from benchmarks import plots, summary, weight_map
from benchmarks.machine import RESULTS, row

PAGE = f"# A title\n\nBefore.\n\n{summary.BEGIN}\nold\n{summary.END}\n\nAfter.\n"
SIZES = [
    {"side": side, "seconds_per_megapixel": cost, "peak_mib": peak}
    for side, cost, peak in ((512, 0.6, 400.0), (1024, 0.5, 600.0), (2048, 0.49, 610.0))
]


def result(*rows, day="2026-11-21", processor="P", **more):
    machine = {
        "processor": processor,
        "cores": 2,
        "system": "S",
        "accelerators": [],
        "load": 0.1,
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
    }
    return {
        "question": "?",
        "measured": f"{day}T01:02:03+00:00",
        "machine": machine,
        "table": list(rows),
        **more,
    }


@pytest.fixture
def place(tmp_path):
    """Two documents with markers, and an empty folder of results; returns what runs the summary there."""
    page, readme, folder = tmp_path / "performance.md", tmp_path / "README.md", tmp_path / "results"
    page.write_text(PAGE)
    readme.write_text(PAGE)
    folder.mkdir()

    def run(*more, **results):
        for name, value in results.items():
            (folder / f"{name}.json").write_text(json.dumps(value))
        paths = ["--page", str(page), "--readme", str(readme), "--results", str(folder)]
        return summary.main([*paths, *more]), page.read_text()

    return run


def test_the_documents_say_what_the_results_say():
    assert summary.main(["--check"]) == 0, "make them again with: python -m benchmarks.summary"


def test_the_readme_has_a_few_of_the_rows(place, tmp_path):
    question, words = summary.FRONT[0]
    named = row(question, f"MONAI, {words}", 2, "x", 1, note="why")
    place(a=result(named, row("q", "r", 5, "x", 1)), b=result(row("s", "t", 3, "x", 1), processor="Q"))
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("# A title\n\nBefore.\n\n")
    assert f"| {question} | MONAI, {words} | >= 1x | 2x | yes |\n\nMeasured on 2026-11-21, P," in text
    assert "why" not in text
    assert "| 5x |" not in text
    assert "Q, 2 cores" not in text
    (tmp_path / "README.md").write_text(text.replace("2x", "4x"))
    assert place("--check")[0] == 1


def test_all_rows_of_the_readme_are_measured():
    results = summary.load(RESULTS)
    assert summary.front_of(results).count("\n| ") == len(summary.FRONT) + 1


def test_rows_become_a_table_and_all_other_text_stays(place):
    slow = row("start", "Python", 0.31, "s", 0.2, at_least=False, note="torch is\nloaded")
    fast = row("map | cells", "one each", 130.25, "x", 100, note="median of 7")
    status, text = place(a=result(slow, peers={"monai": "1.6.1"}), b=result(fast))
    assert status == 0
    assert text.startswith("# A title\n\nBefore.\n\n")
    assert text.endswith(f"{summary.END}\n\nAfter.\n")
    assert "old" not in text
    assert "| start | Python | <= 0.2 s | 0.31 s | **no** |" in text
    assert "| map \\| cells | one each | >= 100x | 130x | yes |" in text
    assert "and why:\n\n- start, next to Python: torch is loaded\n" in text
    assert "- map | cells, next to one each: median of 7\n" in text
    assert text.count("P, 2 cores, S; python 3.11.7, torch 2.13.0, monai 1.6.1") == 1
    assert place() == (0, text)


@pytest.mark.parametrize("other", [{"day": "2026-11-22"}, {"processor": "Q"}])
def test_other_days_and_machines_are_told_apart(place, other):
    _, text = place(a=result(row("q", "r", 2, "x", 1)), b=result(row("s", "t", 3, "x", 1), **other))
    assert "| 2x [a] |" in text
    assert "| 3x [b] |" in text
    assert "- [a] 2026-11-21, P" in text
    assert f"- [b] {other.get('day', '2026-11-21')}, {other.get('processor', 'P')}" in text


def test_results_without_rows_are_not_in_the_table(place):
    old = result()
    del old["table"]
    status, text = place(old=old)
    assert status == 0
    assert "| --- |" not in text
    assert "Measured on" not in text
    assert "No results." in text
    assert place("--check")[0] == 0


def test_a_miss_that_nobody_explained_says_so(place):
    assert "- q, next to r: not explained yet" in place(a=result(row("q", "r", 1, "x", 2)))[1]


def test_check_writes_nothing_and_sees_each_change(place, tmp_path, capsys):
    first = result(row("q", "r", 2, "x", 1))
    assert place("--check", a=first) == (1, PAGE)
    assert place()[0] == 0
    status, text = place("--check")
    assert status == 0
    assert place("--check", a=result(row("q", "r", 3, "x", 1)))[0] == 1
    assert "python -m benchmarks.summary" in capsys.readouterr().err
    assert place("--check", a=first) == (0, text)
    (tmp_path / "results" / "overview.svg").unlink()
    assert place("--check")[0] == 1
    assert place()[0] == 0
    (tmp_path / "performance.md").write_text(text.replace("2x", "4x"))
    assert place("--check")[0] == 1


@pytest.mark.slow
def test_pictures_are_the_same_bytes_and_go_with_their_results(place, tmp_path):
    folder = tmp_path / "results"
    for name in ("weight_map", "dask_overhead"):
        shutil.copy(RESULTS / f"{name}.json", folder)
    sizes = {"sizes": SIZES, "line": {"seconds_per_megapixel": 0.5, "from_side": 1024}, "cap_mib": 1024}
    point = {"seconds": 10.0, "pixel_error": 0.06, "v_rand": 0.9}
    quality = {"quality": {"pixel_error": 0.055, "v_rand": 0.93}}
    quality |= {"sides": {"ours": {"name": "ours", "runs": [{"points": [point]}]}}}
    _, text = place(
        image_size=result(row("q", "r", 2, "x", 1), **sizes),
        time_to_quality=result(row("s", "t", 2, "x", 1), **quality),
    )
    pictures = {path.name: path.read_bytes() for path in folder.glob("*.svg")}
    assert sorted(pictures) == sorted(plot.file for plot in plots.PLOTS)
    assert all(f"(results/{name})" in text for name in pictures)
    place()
    assert {path.name: path.read_bytes() for path in folder.glob("*.svg")} == pictures
    (folder / "image_size.json").unlink()
    assert place("--check")[0] == 1
    _, text = place()
    assert {path.name for path in folder.glob("*.svg")} == pictures.keys() - {"image_size.svg"}
    assert "image_size" not in text
    assert place("--check")[0] == 0


def test_what_the_weight_map_writes_now_can_be_drawn(tmp_path):
    assert weight_map.main(["--quick", "--out", str(tmp_path / "weight_map.json")]) == 0
    figures = plots.of_weight_map(summary.load(tmp_path))
    assert len(figures) == 2
    (plot,) = (plot for plot in plots.PLOTS if plot.name == "weight_map")
    assert plots.digest(figures) in plots.svg(plot, figures).decode()


@pytest.mark.parametrize(
    ("figure", "aim", "at_least", "shown"),
    [
        (94.98, 95, True, "94.98 %"),
        (95.2, 95, True, "95.2 %"),
        (5.004, 5, False, "5.004 %"),
        (1234.5, 5, True, "1,230 %"),
        (0.0441, 5, False, "0.0441 %"),
    ],
)
def test_no_figure_seems_to_meet_an_aim_that_it_misses(figure, aim, at_least, shown):
    assert plots.in_words(row("q", "r", figure, "%", aim, at_least=at_least)) == shown


def test_ratios_say_how_much_better_than_the_aim():
    assert plots.ratio_to_aim(row("q", "r", 6, "x", 3)) == 2
    assert plots.ratio_to_aim(row("q", "r", 0.1, "s", 0.2, at_least=False)) == 2
    less = row("q", "r", -1.0, "%", 5, at_least=False)
    assert plots.ratio_to_aim(less) is None
    none = row("q", "r", 0.0, "x", 2)
    figures = plots.of_rows({"a": result(less, none)})
    assert [row["met"] for row in figures] == [True, False]
    assert plots.svg(plots.PLOTS[0], figures).count(b"<title>") == 1


@pytest.mark.parametrize("text", ["no markers", PAGE + summary.END, f"{summary.END} {summary.BEGIN}"])
@pytest.mark.parametrize("name", ["README.md", "performance.md"])
def test_markers_that_are_missing_are_an_error(place, tmp_path, text, name):
    (tmp_path / name).write_text(text)
    with pytest.raises(RuntimeError, match=f"{name} needs one line"):
        place(a=result(row("q", "r", 2, "x", 1)))
    assert (tmp_path / name).read_text() == text
    assert not list((tmp_path / "results").glob("*.svg"))


def test_a_result_that_is_cut_is_named(place, tmp_path):
    (tmp_path / "results" / "cut.json").write_text('{"question": ')
    with pytest.raises(RuntimeError, match=r"cut\.json"):
        place()
