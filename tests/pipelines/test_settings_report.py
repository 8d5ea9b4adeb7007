"""The tables of docs/settings.md say what was measured, and nothing more."""

import json
import re

import pytest

from pipelines import settings_report as report
from pipelines.settings_table import SETTINGS
from unet2015.settings import Frozen, load_settings, merged, read_toml

DOCUMENT = f"# A title\n\nBefore.\n\n{report.BEGIN}\nold\n{report.END}\n\nAfter.\n"


def training(row, split, seed, auc=0.95, **measures):
    return {"row": row, "split": split, "seed": seed, "steps": 10, "auc": auc, "loss": [0.7, 0.6], **measures}


def measured(*trainings, rows=None, base=None):
    given = {"base": base or {}, "rows": rows or {one["row"]: {} for one in trainings}}
    lines = [{**one, "seconds": 3.0, "norm": [1.0]} for one in trainings]
    return {"settings": given, "device": "D", "date": "2026-11-26", "trainings": lines}


@pytest.fixture
def place(tmp_path):
    """A document with markers; returns what runs the report on it."""
    document, result = tmp_path / "settings.md", tmp_path / "result.json"
    document.write_text(DOCUMENT)

    def run(*words, **added):
        paths = []
        for name, value in added.items():
            paths.append(tmp_path / f"{name}.json")
            paths[-1].write_text(json.dumps(value))
        more = ["--add", *map(str, paths)] if paths else []
        status = report.main(["--document", str(document), "--result", str(result), *words, *more])
        return status, document.read_text()

    return run


def test_the_document_says_what_was_measured():
    assert report.main(["--check"]) == 0, "make it again with: python -m pipelines.settings_report"


def test_what_was_measured_can_be_measured_again():
    result, given = json.loads(report.RESULT.read_text()), read_toml(SETTINGS, "")
    assert load_settings(None, result["base"]) == load_settings(None, given["base"])
    for title, row in result["rows"].items():
        again = {key: value for key, value in given["rows"][title].items() if key not in ("seeds", "splits")}
        for name in ("network", "initialisation", "mapping", "weight_map", "sampling", "augmentation"):
            assert row.get(name) == again.get(name), title
        rule = load_settings(None, merged(given["base"], again)).optimisation
        # When it was measured there was no ramp unless a row named one.
        ramp = row.get("optimisation", {}).get("momentum_ramp", 0)
        if rule.optimizer == "sgd" and rule.momentum > 0.9:
            assert rule.momentum_ramp == ramp, title
    for one in result["trainings"]:
        steps = merged(given["base"], given["rows"][one["row"]])["optimisation"]["steps"]
        assert one["steps"] == steps, one["row"]


def test_every_setting_is_in_the_document_and_every_figure_in_its_tables():
    text = report.DOCUMENT.read_text()
    for section, rule in load_settings():
        for name in type(rule).model_fields if isinstance(rule, Frozen) else [section]:
            assert f"`{name}`" in text, f"{section}.{name}"
    begin, end = text.index(report.BEGIN), text.index(report.END)
    prose = re.sub("`[^`\n]*`", "", text[:begin] + text[end:])  # but values of settings
    said = set(re.findall(r"\b0\.[0-9]{3}\b", prose))
    assert said
    assert said <= set(re.findall(r"\b0\.[0-9]{3}\b", text[begin:end]))


def test_figures_are_means_and_ranges_and_one_seed_is_marked(place):
    several = [
        training("as the base", "dic-01", 0, seg=0.5),
        training("as the base", "dic-01", 1, auc=0.91, seg=0.7),
        training("as the base", "phc-01", 0, seg=0.8),
    ]
    status, text = place(a=measured(*several, training("other", "dic-01", 0, seg=0.25)))
    assert status == 0
    assert text.startswith("# A title\n\nBefore.\n\n")
    assert text.endswith(f"{report.END}\n\nAfter.\n")
    assert "old" not in text
    base = (
        "| as the base | EM 0, DIC-HeLa 2, PhC-U373 1 |  |  |  | 0.600 (0.500 to 0.700) | 0.800\\* "
        "| -, 0.910, 0.950 |"
    )
    first, second = text.split("tells nothing small")
    assert base in first
    assert base in second
    assert "| other |" not in first
    assert "| 0.250 |" in second
    assert "Measured on D, 2026-11-26." in text


def test_times_are_left_out_and_a_training_done_again_takes_the_place_of_the_first(place, tmp_path):
    place(a=measured(training("r", "dic-01", 1, seg=0.123456789), training("r", "dic-01", 0, seg=0.5)))
    place(b=measured(training("r", "dic-01", 0, seg=0.75)))
    found = json.loads((tmp_path / "result.json").read_text())["trainings"]
    assert found == [
        training("r", "dic-01", 0, seg=0.75),
        training("r", "dic-01", 1, seg=0.12346),
    ]


@pytest.mark.parametrize(
    "other",
    [
        measured(training("r", "dic-01", 0, seg=0.5), base={"seed": 1}),
        measured(training("r", "dic-01", 0, seg=0.5), rows={"r": {"seed": 1}}),
    ],
)
def test_what_is_not_comparable_is_refused(place, other):
    place(a=measured(training("r", "dic-01", 0, seg=0.5)))
    with pytest.raises(RuntimeError, match=r"another base|changes"):
        place(b=other)


def test_rows_of_another_length_say_so(place):
    base = {"optimisation": {"steps": 20}}
    rows = {"as the base": {}, "2 steps": {}, "shorter": {}}
    trainings = [training(row, "dic-01", 0, seg=0.5) for row in rows]
    trainings[0]["steps"] = 20
    _, text = place(a=measured(*trainings, rows=rows, base=base))
    assert "| as the base | EM" in text
    assert "| 2 steps | EM" in text
    assert "| shorter, 10 steps | EM" in text


def test_check_writes_nothing_and_sees_each_change(place, tmp_path):
    place(a=measured(training("r", "dic-01", 0, seg=0.5)))
    status, text = place("--check")
    assert status == 0
    (tmp_path / "settings.md").write_text(text.replace("0.500", "0.600"))
    assert place("--check")[0] == 1
    assert place() == (0, text)


@pytest.mark.parametrize("text", ["no markers", DOCUMENT + report.END, f"{report.END} {report.BEGIN}"])
def test_markers_that_are_missing_are_an_error(place, tmp_path, text):
    (tmp_path / "settings.md").write_text(text)
    with pytest.raises(RuntimeError, match="needs one line"):
        place(a=measured(training("r", "dic-01", 0, seg=0.5)))
