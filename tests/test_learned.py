"""A model that has not learned says so, wherever it is used; and it holds a threshold for each use."""

import json
import logging

import numpy as np
import pytest
import tifffile
import torch

import unet2015
from unet2015.cli import main
from unet2015.errors import ModelError, NothingLearnedError
from unet2015.exchange.card import model_card
from unet2015.exchange.intensities import Intensities
from unet2015.models import ModelDescription, list_models, ship_model
from unet2015.models import shipped as shipped_models
from unet2015.models.model_file import Model, ModelInfo, build_network, read_model_file, save_model
from unet2015.report.measures import alert
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.settings import Mapping, NetworkSettings
from unet2015.training.start import find_start

REASON = "every pixel is predicted alike"


def describe(**changes):
    fields = {
        "network": NetworkSettings(width=2, depth=1),
        "mapping": Mapping(method="integer-range"),
        "class_names": ("membrane", "cell"),
        "threshold": 0.7,
        "thresholds": {"f1": 0.4, "rand": 0.7},
        "learned": False,
        "training": {"validation": {"why": [REASON]}},
    }
    return ModelInfo(**(fields | changes))


@pytest.fixture
def save(tmp_path):
    """Write a model with these words in its description."""

    def write(**changes):
        info = describe(**changes)
        torch.manual_seed(0)
        save_model(tmp_path / "m.safetensors", build_network(info), info)
        return tmp_path / "m.safetensors"

    return write


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)


@pytest.fixture
def file(tmp_path, pixels):
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    return tmp_path / "a.tif"


def warnings(caplog):
    found = [record for record in caplog.records if record.levelno == logging.WARNING]
    return [record.getMessage() for record in found if "not learned" in record.getMessage()]


def test_a_description_comes_back_and_one_of_before_is_read(save):
    info = read_model_file(save()).info
    assert info == describe()
    assert (info.threshold_name, info.why_not_learned) == ("rand", (REASON,))
    before = describe().model_dump(exclude={"thresholds", "learned"})
    old = ModelInfo.model_validate(before)
    assert (old.thresholds, old.learned, old.threshold_name, old.why_not_learned) == ({}, None, None, ())


def edited(path, **changes):
    """Change the description of a model file, and take out the digest that would tell."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    said = json.loads(header["__metadata__"]["unet2015"]) | changes
    header["__metadata__"]["unet2015"] = json.dumps(said)
    del header["__metadata__"]["sha256"]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    return path


@pytest.mark.parametrize("thresholds", [{"f1": 1.5}, {"rand": -0.1}, {"f1": float("nan")}, {"dice": 0.5}])
def test_thresholds_that_cannot_be_are_refused(save, thresholds):
    path = edited(save(), thresholds=thresholds)
    with pytest.raises(ModelError, match="thresholds"):
        read_model_file(path)


@pytest.mark.parametrize(
    "training", [{}, {"validation": None}, {"validation": {"why": "x"}}, {"validation": 3}]
)
def test_a_record_without_reasons_gives_none(training):
    assert describe(training=training).why_not_learned == ()


def test_python_warns_once_a_use(save, pixels, file, tmp_path, caplog):
    path = save()
    model = read_model_file(path)
    for use in (
        lambda: unet2015.load_model(path),
        lambda: unet2015.segment(pixels, path),
        lambda: unet2015.segment(pixels, model),
        lambda: segment_files([file], tmp_path / "one", path),
        lambda: segment_files([file, file.parent / "none.tif"][:1], tmp_path / "two", model),
        lambda: plan_files([file], tmp_path / "three", path),
    ):
        caplog.clear()
        use()
        (said,) = warnings(caplog)
        assert str(path) in said
        assert REASON in said


@pytest.mark.parametrize("learned", [True, None])
def test_no_warning_of_a_model_that_has_learned_or_does_not_say(save, pixels, caplog, learned):
    path = save(learned=learned)
    unet2015.segment(pixels, path)
    unet2015.segment(pixels, read_model_file(path))
    assert warnings(caplog) == []


def test_a_model_that_was_never_a_file(pixels, caplog):
    info = describe(training={})
    unet2015.segment(pixels, Model(build_network(info).eval(), info))
    (said,) = warnings(caplog)
    assert "does not say why" in said


def test_the_record_says_it(save, file, tmp_path):
    for learned in (False, True, None):
        segment_files([file], tmp_path / str(learned), save(learned=learned))
        record = json.loads((tmp_path / str(learned) / "a.record.json").read_text())
        assert record["learned"] is learned


def test_a_model_of_a_training_that_goes_on_says_so_at_each_use(save, pixels, file, tmp_path, capsys, caplog):
    path = save(learned=True, ended=False)
    model = read_model_file(path)
    assert repr(model).endswith(f", training not ended, SHA-256 {model.sha256[:12]}>")
    for use in (
        lambda: unet2015.load_model(path),
        lambda: unet2015.segment(pixels, path),
        lambda: unet2015.segment(pixels, model),
        lambda: plan_files([file], tmp_path / "plan", path),
        lambda: find_start(path),
    ):
        caplog.clear()
        use()
        (said,) = [record.getMessage() for record in caplog.records if "not ended" in record.getMessage()]
        assert said.startswith(f"{path}: the training of this model has not ended")
    assert find_start(path).record["ended"] is False
    assert "**The training of this model has not ended" in model_card(model, Intensities(None, "pixels"), {})
    assert alert(model, []) == "The training has not ended: this is its best model so far."
    for expected in ("made now", "done before"):
        status, out, err = run(capsys, "segment", file, "-o", tmp_path / "out", "--model", path, "--json")
        assert (status, err.count("has not ended")) == (0, 1), expected
        (note,) = json.loads(out)[0]["notes"]
        assert "has not ended" in note
    record = json.loads((tmp_path / "out" / "a.record.json").read_text())
    assert (record["ended"], record["notes"]) == (False, [note])


def test_a_model_file_that_may_have_been_changed_says_so_at_each_use(save, pixels, file, tmp_path, caplog):
    path = save(learned=True, ended=True)
    assert read_model_file(path).doubts == ()
    model = read_model_file(edited(path, threshold=0.99))
    (said,) = model.doubts
    assert said.startswith("the model file has no digest of itself")
    for use in (
        lambda: unet2015.segment(pixels, path),
        lambda: unet2015.segment(pixels, model),
        lambda: find_start(path),
        lambda: segment_files([file], tmp_path / "out", path),
    ):
        caplog.clear()
        use()
        assert [record.getMessage() for record in caplog.records].count(f"{path}: {said}") == 1
    assert json.loads((tmp_path / "out" / "a.record.json").read_text())["notes"] == [said]
    assert find_start(path).record["checked"] is False
    assert "**The model file has no digest" in model_card(model, Intensities(None, "pixels"), {})
    assert "has no digest" in alert(model, [])


@pytest.mark.parametrize("ended", [True, None])
def test_nothing_is_said_of_a_training_that_has_ended_or_is_not_known(save, file, tmp_path, ended, caplog):
    (result,) = segment_files([file], tmp_path / "out", save(learned=True, ended=ended))
    assert "ended" not in caplog.text
    assert result.notes == ()


def run(capsys, *arguments):
    logger = logging.getLogger("unet2015")
    level, handlers = logger.level, list(logger.handlers)
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    for handler in set(logger.handlers) - set(handlers):
        logger.removeHandler(handler)
    logger.setLevel(level)
    return int(end.value.code or 0), *capsys.readouterr()


def test_the_command_line_warns_and_goes_on(save, file, tmp_path, capsys):
    path = save()
    status, out, err = run(capsys, "segment", file, "-o", tmp_path / "out", "--model", path)
    assert (status, out) == (0, f"{tmp_path / 'out' / 'a.classes.tif'}\n")
    assert err.count("not learned") == 1
    assert REASON in err
    status, _, err = run(capsys, "replay", tmp_path / "out" / "a.record.json")
    assert (status, err.count("not learned")) == (0, 1)


def test_a_list_of_models_says_it_and_their_thresholds(save, tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.setattr(shipped_models, "FOLDER", tmp_path / "shipped")
    about = ModelDescription(name="stuck", summary="cells", modality="TEM", citation="nobody", terms="none")
    ship_model(read_model_file(save()), about, shipped_models.FOLDER)
    caplog.clear()
    (listed,) = list_models()
    assert warnings(caplog) == []  # a list is no use
    assert listed.as_dict()["doubts"] == list(listed.info.doubts) != []
    assert (listed.info.learned, listed.info.thresholds) == (False, {"f1": 0.4, "rand": 0.7})
    status, out, _ = run(capsys, "models")
    assert status == 0
    assert f"this model has not learned, and its results mean little: {REASON}" in out
    assert "0.7 (f1 0.4, rand 0.7)" in out
    ship_model(read_model_file(save(learned=True, thresholds={})), about, shipped_models.FOLDER)
    status, out, _ = run(capsys, "models")
    assert "not learned" not in out
    assert "threshold 0.7" in [" ".join(line.split()) for line in out.splitlines()]


def test_a_training_that_learned_nothing_ends_with_3(monkeypatch, capsys):
    def ending(*_, **__):
        raise NothingLearnedError("nothing is learned; try another seed")

    monkeypatch.setattr("unet2015.training.loop.train", ending)
    status, out, err = run(capsys, "train", "--images", "a", "--labels", "b", "-o", "c")
    assert (status, out) == (3, "")
    assert err.splitlines()[-1] == "unet2015: error: nothing is learned; try another seed"
    assert "3 a training that has not learned" in " ".join(run(capsys, "train", "--help")[1].split())


def test_a_model_that_does_not_find_each_class_says_so_and_its_training_ends_with_3(
    save, monkeypatch, capsys, tmp_path
):
    lost = "class 2 (F1 0.000; calling every pixel so: 0.020)"
    validation = {"not_found": [lost]}
    model = read_model_file(save(learned=True, training={"validation": validation}))
    assert model.doubts == (f"this model has not learned to find each class, by its held-out pages: {lost}",)
    monkeypatch.setattr("unet2015.training.loop.train", lambda *_, **__: model)
    words = ("train", "--images", "a", "--labels", "b", "-o", tmp_path / "c")
    assert run(capsys, *words)[:2] == (3, f"{model.path}\n")
    model.info.training["validation"]["not_found"] = []
    assert run(capsys, *words)[0] == 0
    for damaged in ({"not_found": "x"}, {"not_found": {}}, None, 3):
        assert read_model_file(save(learned=True, training={"validation": damaged})).doubts == ()
