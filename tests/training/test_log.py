"""A log of any content: what can be read is used, what cannot is named, nothing is lost."""

import json
import logging

import pytest

from unet2015.errors import DataSetError
from unet2015.report import figures
from unet2015.report.figures import plot_curves
from unet2015.training.log import TrainingLog, inspect_log, read_log

STEPS = [{"step": step, "loss": 1 / step, "learning_rate": 1e-3} for step in (1, 2, 3)]
CHECK = {
    "step": 3,
    "validation_f1": 0.5,
    "validation_pixel_error": 0.5,
    "validation_threshold": 0.5,
    "validation_cross_entropy": 1.0,
    "validation_constant": False,
}
DAMAGED = {
    "cut": b'{"step": 2, "lo',
    "empty": b"",
    "binary": b"\x00\xff\xfe{}",
    "another type": b"[1, 2]",
    "a number": b"7",
    "no step": b'{"loss": 1.0}',
    "a step that is text": b'{"step": "2", "loss": 1.0}',
    "a step that is true": b'{"step": true, "loss": 1.0}',
    "a step below 0": b'{"step": -2, "loss": 1.0}',
    "a step too large": b'{"step": ' + b"9" * 30 + b', "loss": 1.0}',
    "a number of too many digits": b'{"step": ' + b"9" * 5000 + b"}",
    "nan": b'{"step": 2, "loss": NaN}',
    "infinity": b'{"step": 2, "loss": 1e999}',
    "a loss that is text": b'{"step": 2, "loss": "1.0"}',
    "a loss that is a list": b'{"step": 2, "loss": [1.0]}',
    "a validation without its figures": b'{"step": 2, "validation_f1": 0.5}',
    "a validation without a number": json.dumps(CHECK | {"validation_cross_entropy": None}).encode(),
    "nested too deep": b'{"step": 2, "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


def lines_of(*values):
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_named_and_left_out(tmp_path, caplog, monkeypatch, damage):
    path = tmp_path / "log.jsonl"
    whole = lines_of(STEPS[0]) + damage + b"\n" + lines_of(*STEPS[1:], CHECK)
    path.write_bytes(whole)
    found = inspect_log(path)
    assert found.good == [*STEPS, CHECK]
    assert found.damaged == [2]
    assert found.describe(path) == f"{path}: damaged in line 2; what it said there is left out"
    # What is drawn, not the picture, which takes the time.
    monkeypatch.setattr(figures, "png_of", lambda figure: figure.axes[0].lines[0].get_ydata().tolist())
    assert plot_curves({"": path}) == [step["loss"] for step in STEPS]
    with caplog.at_level(logging.WARNING, "unet2015"), TrainingLog(tmp_path, step=2) as log:
        log.write(3, loss=0.5)
    assert f"{path}: damaged in line 2" in caplog.text
    assert read_log(path) == [*STEPS[:2], {"step": 3, "loss": 0.5}]
    assert (tmp_path / "log.damaged.jsonl").read_bytes() == whole


def test_a_last_line_cut_by_a_kill_is_no_damage(tmp_path, caplog):
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines_of(*STEPS) + b'{"step": 4, "lo')
    found = inspect_log(path)
    assert (found.good, found.damaged, found.describe(path)) == (STEPS, [], "")
    with caplog.at_level(logging.WARNING, "unet2015"), TrainingLog(tmp_path, step=3):
        pass
    assert "damaged" not in caplog.text
    assert not (tmp_path / "log.damaged.jsonl").exists()


def test_several_damaged_lines_are_counted(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"x\n" + lines_of(STEPS[0]) + b"y\nz\n")
    assert "damaged in line 1 and 2 more; what" in inspect_log(path).describe(path)


def test_a_file_of_nothing_but_damage_is_no_log(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b"x\ny\n")
    with pytest.raises(DataSetError, match=r"log\.jsonl: not the log of a training"):
        plot_curves({"": tmp_path / "log.jsonl"})


def test_a_last_line_that_lacks_only_its_end_counts_and_is_gone_on_from(tmp_path):
    """As a kill or an editor leaves it."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines_of(*STEPS)[:-1])
    assert (inspect_log(path).good, inspect_log(path).damaged) == (STEPS, [])
    with TrainingLog(tmp_path, step=STEPS[-1]["step"]) as log:
        log.write(9, loss=0.5)
    assert read_log(path) == [*STEPS, {"step": 9, "loss": 0.5}]
    assert path.read_bytes() == lines_of(*STEPS, {"step": 9, "loss": 0.5})


@pytest.mark.parametrize("length", range(1, len(lines_of(STEPS[0])) - 1))
def test_no_part_of_a_line_counts(tmp_path, length):
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines_of(STEPS[0]) + lines_of(CHECK)[:length])
    assert read_log(path) == STEPS[:1]


def logged(*steps):
    return lines_of(*({"step": step, "loss": 0.5} for step in steps))


@pytest.mark.parametrize(
    ("there", "lacking"),
    [
        (None, "steps 1 to 28"),
        (b"", "steps 1 to 28"),
        (logged(*range(1, 25)), "steps 25 to 28"),
        (logged(*range(4, 29)), "steps 1 to 3"),
        (logged(*range(1, 14), *range(15, 29)), "step 14"),
        (logged(*range(2, 10), *range(12, 28)), "steps 1, 10 to 11, 28"),
        (logged(*range(2, 28, 2)), "steps 1, 3, 5, 7, 9 and 9 more"),
        (logged(*range(1, 29)), None),
        (logged(*range(1, 40)), None),
    ],
)
def test_steps_that_the_log_has_lost_are_named_where_a_training_goes_on(tmp_path, caplog, there, lacking):
    path = tmp_path / "log.jsonl"
    if there is not None:
        path.write_bytes(there)
    with caplog.at_level(logging.WARNING, "unet2015"), TrainingLog(tmp_path, 28, {"seed": 1}):
        pass
    said = (
        f"{path}: lacks {lacking}, which the training has taken; its curves and its report are without them"
    )
    assert [message for message in caplog.messages if "lacks" in message] == ([said] if lacking else [])


def looked(*steps):
    return lines_of(*(CHECK | {"step": step} for step in steps))


RULES = {"validations": [{"first": 4, "every": 10, "last": 25}, {"every": 10, "last": 20}]}
PHASE = lines_of({"step": 20, "phase": 2, "of": 10})  # the first has ended early


@pytest.mark.parametrize(
    ("there", "step", "lacking"),
    [
        (looked(4, 10, 20) + PHASE + looked(30, 40), 40, None),
        (looked(4, 20) + PHASE + looked(30, 40), 40, "the validation after step 10; it"),
        (looked(4, 10, 20) + PHASE + looked(30), 40, "the validation after step 40; it"),
        (looked(4, 10, 20) + PHASE + looked(30), 39, None),
        (PHASE, 33, "the validations after steps 4, 10, 20, 30; them"),
        (looked(10, 20), 25, "the validations after steps 4, 25; them"),
        (looked(10, 20, 25) + b"x\n", 25, None),
        (looked(10, 20) + b"x\n", 25, "the validations after steps 4, 25; them"),
    ],
)
def test_validations_that_the_log_has_lost_are_named_as_steps_are(tmp_path, caplog, there, step, lacking):
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines_of({"step": 0, "seed": 1}) + logged(*range(1, 41)) + there)
    with caplog.at_level(logging.WARNING, "unet2015"), TrainingLog(tmp_path, step, {"seed": 1} | RULES):
        pass
    if lacking:
        what, these = lacking.split("; ")
        said = [f"{path}: lacks {what}; its curves and its report are without {these}"]
    assert [message for message in caplog.messages if "lacks" in message] == (said if lacking else [])


def test_a_validation_of_a_step_that_is_lost_too_is_not_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines_of({"step": 0} | RULES) + logged(*range(1, 9), *range(12, 25)) + looked(4))
    assert inspect_log(path).describe(path) == (
        f"{path}: lacks steps 9 to 11, which the training has taken, and the validation after step 20; its "
        "curves and its report are without them"
    )
    path.write_bytes(lines_of({"step": 0} | RULES) + looked(4, 10) + logged(*range(1, 21)))
    assert inspect_log(path).describe(path) == ""  # of its last step it may be under way
    for damaged in ("x", [3], [{"every": 0, "last": 4}]):
        path.write_bytes(lines_of({"step": 0, "validations": damaged}) + logged(*range(1, 21)))
        assert inspect_log(path).describe(path) == ""


def test_lines_that_are_damaged_are_not_said_to_be_missing_as_well(tmp_path, caplog):
    (tmp_path / "log.jsonl").write_bytes(logged(1) + b"x\n" + logged(3))
    with caplog.at_level(logging.WARNING, "unet2015"), TrainingLog(tmp_path, 3):
        pass
    assert ["damaged in line 2" in message for message in caplog.messages] == [True]


def test_the_report_of_a_log_that_has_lost_steps_says_so(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(logged(*range(29, 61)))
    assert inspect_log(path).describe(path) == (
        f"{path}: lacks steps 1 to 28, which the training has taken; its curves and its report are "
        "without them"
    )
    path.write_bytes(lines_of({"step": 0, "seed": 1}) + logged(*range(1, 61)))
    assert inspect_log(path).describe(path) == ""
    path.write_bytes(lines_of({"step": 0, "seed": 1}))
    assert inspect_log(path).describe(path) == ""
