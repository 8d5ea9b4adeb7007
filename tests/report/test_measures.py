"""What a report says of validations: in red where nothing was learned, and where F1 is undefined."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from unet2015.exchange.card import model_card
from unet2015.exchange.intensities import Intensities
from unet2015.models.model_file import ModelInfo, build_network, read_model_file, save_model
from unet2015.report.figures import plot_curves
from unet2015.report.html import Report, write_report
from unet2015.report.measures import measures, other_settings
from unet2015.report.run import report_run
from unet2015.settings import Mapping, NetworkSettings
from unet2015.training.validation import Validation

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

STUCK = Validation(0.75, 0.01, 0.69, constant=True, baseline=0.75, auc=0.5)
GOOD = Validation(0.9, 0.4, 0.3, constant=False, baseline=0.75, auc=0.95)
UNDEFINED = [
    Validation(None, 0.5, loss, constant=False, baseline=None) for loss in (0.6, 0.2, 0.4)
]  # by cross-entropy the second is best


@pytest.fixture
def run(tmp_path):
    """The folder of a training with these validations."""

    def make(*checks, model=None, step=None):
        lines = [{"step": k, "loss": 1 / k, "learning_rate": 0.1} for k in range(1, 7)]
        for k, check in enumerate(checks, 1):
            lines.append({"step": 2 * k, **{f"validation_{key}": v for key, v in check.as_dict().items()}})
        (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if model is not None:
            info = ModelInfo(
                network=NetworkSettings(width=2, depth=1),
                mapping=Mapping(method="integer-range"),
                classes=len(model.by_class or "12"),
                class_names=("background", "cell", "dot")[: len(model.by_class or "12")],
                threshold=model.threshold,
                learned=model.learned,
                training={
                    "step": step or 2 + 2 * checks.index(model),
                    "validation": model.as_dict(),
                    "validation_pages": 2,
                },
            )
            save_model(tmp_path / "model.safetensors", build_network(info), info)
        return tmp_path

    return make


def text_of(folder):
    return report_run(folder, device="cpu").read_text(encoding="utf-8")


def test_a_network_that_has_not_learned_is_said_first_and_in_red(run):
    text = text_of(run(STUCK, model=STUCK))
    start = text.index('<p class="alert" role="alert">')
    assert text.index("<h1>") < start < text.index('<p class="summary">')
    said = text[start : text.index("</p>", start)]
    for reason in STUCK.why:
        assert reason in said
    assert ".alert {" in text
    assert "var(--alert)" in text


def test_nothing_is_red_otherwise(run, tmp_path):
    for checks, model in (([STUCK, GOOD], GOOD), ([UNDEFINED[0]], UNDEFINED[0]), ([], None)):
        assert 'role="alert"' not in text_of(run(*checks, model=model))
    # Nor of a model of before, which does not say.
    folder = run(STUCK, model=STUCK)
    old = read_model_file(folder / "model.safetensors")
    save_model(folder / "model.safetensors", old.network, old.info.model_copy(update={"learned": None}))
    assert 'role="alert"' not in text_of(folder)


@pytest.mark.parametrize(
    ("checks", "model", "step", "said"),
    [
        ((STUCK, GOOD), replace(GOOD, f1=0.8), 4, "and the log has no such validation"),
        ((STUCK, GOOD), GOOD, 6, "of step 6, with F1 0.9000"),
        ((GOOD, replace(GOOD, f1=0.95)), GOOD, 2, "the log has a better one of step 4, with F1 0.9500"),
    ],
)
def test_a_model_that_is_not_the_best_of_the_log_is_said_and_has_its_own_figures(
    run, checks, model, step, said, caplog
):
    text = text_of(run(*checks, model=model, step=step))
    assert said in text[text.index('role="alert"') : text.index('<p class="summary">')]
    assert "is not the best model of this log" in caplog.text
    assert f"Pixel error (1 - F1) {1 - model.f1:.4f} on the 2 held-out pages, after {step} steps" in text
    kept = read_model_file(run(*checks) / "model.safetensors")
    row = measures([line("a", 2, STUCK)], kept).tables[0].rows[0].cells
    assert (row[1], row[3]) == (step, model.f1)


def test_the_alert_is_text(tmp_path):
    write_report(Report("t", "s", [], "<b>not</b> learned"), tmp_path / "r.html")
    assert "&lt;b&gt;not&lt;/b&gt; learned" in (tmp_path / "r.html").read_text()


def test_beside_f1_stands_what_one_answer_gets(run):
    (table,) = measures([line("a", 2, STUCK), line("b", 4, GOOD)]).tables
    row = dict(zip(table.columns, table.rows[0].cells, strict=True))
    assert (row["step"], row["F1"], row["F1 of one answer"], row["AUC"]) == (4, 0.9, 0.75, 0.95)
    old = {
        key: value for key, value in line("a", 2, GOOD).items() if "baseline" not in key and "auc" not in key
    }
    row = dict(zip(table.columns, measures([old]).tables[0].rows[0].cells, strict=True))
    assert (row["F1"], row["F1 of one answer"], row["AUC"]) == (0.9, None, None)


def line(name, step, check):
    return {"step": step, **{f"validation_{key}": value for key, value in check.as_dict().items()}}


def test_where_f1_is_undefined_the_best_is_that_of_the_lowest_cross_entropy(run):
    text = text_of(run(*UNDEFINED, model=UNDEFINED[1]))
    assert "F1 is undefined on the 2 held-out pages" in text
    assert "after 4 steps" in text
    (table,) = measures([line("", k, check) for k, check in enumerate(UNDEFINED)]).tables
    assert table.rows[0].cells[1] == 1


def test_equal_f1_leaves_the_first_with_the_lowest_cross_entropy():
    checks = [GOOD, replace(GOOD, cross_entropy=0.2), replace(GOOD, cross_entropy=0.2)]
    (table,) = measures([line("", k, check) for k, check in enumerate(checks)]).tables
    assert table.rows[0].cells[1] == 1


def test_curves_show_cross_entropy_where_there_is_no_f1(run):
    undefined = plot_curves({"": run(*UNDEFINED) / "log.jsonl"})
    other = plot_curves({"": run(*[replace(one, cross_entropy=0.5) for one in UNDEFINED]) / "log.jsonl"})
    assert undefined != other
    # One undefined among others is a gap.
    assert plot_curves({"": run(GOOD, UNDEFINED[0], GOOD) / "log.jsonl"}) != undefined


def test_settings_that_were_edited_after_the_training_are_said():
    trained = {"seed": 1, "network": {"width": 2}}
    model = SimpleNamespace(info=SimpleNamespace(training={"settings": trained}))
    assert other_settings(dict(trained), model) == ""
    assert other_settings(None, model) == other_settings(trained, None) == ""
    said = other_settings(trained | {"network": {"width": 64}, "mine": 3}, model)
    assert "settings.json was changed after the training" in said
    assert "own record in mine, network," in said


LOST = Validation(
    0.48, None, 0.3, constant=False, baseline=0.15, by_class=((0.97, 0.9), (0.95, 0.3), (0.01, 0.02))
)
WHOLE = replace(LOST, by_class=((0.97, 0.9), (0.95, 0.3), (0.8, 0.02)))


def test_a_class_that_is_never_found_is_said_in_red_and_each_has_its_f1(run):
    text = text_of(run(LOST, model=LOST))
    alert = text.partition('role="alert">')[2].partition("</p>")[0]
    assert "not learned to find each class" in alert
    assert "class 2 (F1 0.010; calling every pixel so: 0.020)" in alert
    assert "1 - the mean F1 of the classes from 1 on) 0.5200" in text
    assert "the mean over the classes from 1 on that occur" in text
    assert "at the best threshold" not in text
    for name in ("background", "cell", "dot", "every pixel called so"):
        assert f">{name}<" in text
    assert 'role="alert"' not in text_of(run(WHOLE, model=WHOLE))


def test_figures_of_classes_in_a_damaged_log_are_left_out(run):
    for damaged in ([[0.5]], [[0.5, "x"], [1, 1]], "abc", [], [None, None], [[0.5, None]], {"a": 1}):
        line = {"step": 2, **{f"validation_{key}": v for key, v in LOST.as_dict().items()}}
        line["validation_by_class"] = damaged
        assert [table.title for table in measures([line]).tables] == ["Validation"]


@pytest.mark.parametrize(("pages", "title"), [(0, "Training pages"), (2, "Held-out pages")])
def test_pages_that_were_trained_on_are_not_called_held_out(run, pages, title):
    folder = run(GOOD, model=GOOD)
    loaded = read_model_file(folder / "model.safetensors")
    record = loaded.info.training | {"validation_pages": pages}
    info = loaded.info.model_copy(update={"training": record})
    save_model(folder / "model.safetensors", loaded.network, info)
    text = text_of(folder)
    assert title in text
    assert ("Held-out" in text) == (pages > 0)
    assert ("On other pages nothing was measured" in text) == (pages == 0)
    card = model_card(replace(loaded, info=info), Intensities(None, "pixels"), {})
    assert ("on the very pages that it was trained on" in card) == (pages == 0)
