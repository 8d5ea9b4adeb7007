"""Fine-tuning starts from a model's weights, says what it gained, and ends the same if it is killed."""

import logging

import numpy as np
import pytest
import tifffile
import torch

from unet2015.errors import DataSetError, ModelError, SettingsError, UsageError
from unet2015.models.model_file import Model, ModelInfo, build_network, read_model_file, save_model
from unet2015.models.tensors import load_tensors
from unet2015.models.trained_scale import trained_sides
from unet2015.report.measures import measures, summary
from unet2015.settings import Mapping, NetworkSettings, TrainingSettings, load_settings
from unet2015.settings.network import PaddedSettings
from unet2015.training import loop
from unet2015.training.chosen_settings import choose_settings
from unet2015.training.log import read_log
from unet2015.training.loop import train
from unet2015.training.start import Start, find_start, mapping_settings, take_over
from unet2015.training.validation import Validation

CPU = torch.device("cpu")
FREEZE = {"fine_tuning": {"freeze": "encoder"}}
RECIPES = {
    "sgd": {"optimizer": "sgd", "weight_decay": 0.01},
    "adam": {"optimizer": "adam", "weight_decay": 0.01, "average": 0.7},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "muon": {"optimizer": "muon", "momentum": 0.95, "weight_decay": 0.1},
}


class Killed(BaseException):
    """Ends a training as a kill does."""


pytestmark = pytest.mark.usefixtures("nothing_chosen")


@pytest.fixture
def begun(tmp_path, small_set, small_settings):
    """The folder of a training of two steps, to start from."""
    train(*small_set, tmp_path / "begun", settings=small_settings(optimisation={"steps": 2}), device="cpu")
    return tmp_path / "begun"


def weights(path):
    return load_tensors(path)[0]


def model(run):
    return weights(run / "model.safetensors")


def last(run):
    found = weights(sorted((run / "checkpoints").iterdir())[-1])
    return {key.removeprefix("network."): value for key, value in found.items() if key.startswith("network.")}


def far(one, other):
    """How far the contracting path has moved, as a root mean square."""
    moved = [(other[key] - one[key]).flatten().double() for key in one if key.startswith("contract.")]
    return float(torch.cat(moved).square().mean().sqrt())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_frozen_encoder_keeps_its_bytes_whatever_the_optimizer(
    tmp_path, small_set, small_settings, begun, recipe
):
    settings = small_settings(optimisation={"steps": 5, **recipe}, validation={"interval": 5}, **FREEZE)
    train(*small_set, tmp_path / "run", settings=settings, start=begun, device="cpu")
    before = model(begun)
    for after in (last(tmp_path / "run"), model(tmp_path / "run")):
        assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("contract."))
    after = last(tmp_path / "run")
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved == {key for key in before if not key.startswith("contract.")}


@pytest.mark.parametrize("optimizer", ["adam", "muon", "sgd"])
def test_the_encoder_learns_at_a_lower_rate(tmp_path, small_set, small_settings, begun, optimizer):
    ends = {}
    for rate in (1.0, 0.01):
        rule = {"optimizer": optimizer, "steps": 1, "warmup": 0, "schedule": "constant"}
        settings = small_settings(optimisation=rule, fine_tuning={"encoder_rate": rate})
        train(*small_set, tmp_path / str(rate), settings=settings, start=begun, device="cpu")
        ends[rate] = last(tmp_path / str(rate))
    slow, fast = (far(model(begun), ends[rate]) for rate in (0.01, 1.0))
    assert slow == pytest.approx(0.01 * fast, rel=1e-3)
    rest = [key for key in ends[1.0] if not key.startswith("contract.")]
    assert all(torch.equal(ends[0.01][key], ends[1.0][key]) for key in rest)


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_resumed_equals_uninterrupted(
    tmp_path, small_set, small_settings, begun, monkeypatch, caplog, optimizer
):
    settings = small_settings(optimisation={"optimizer": optimizer}, fine_tuning={"encoder_rate": 0.1})
    train(*small_set, tmp_path / "whole", settings=settings, start=begun, device="cpu")
    real, count = loop.Training._step, []

    def dying(self, *words):
        count.append(1)
        if len(count) == 6:
            raise Killed
        return real(self, *words)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "_step", dying)
        with pytest.raises(Killed):
            train(*small_set, tmp_path / "parts", settings=settings, start=begun, device="cpu")
    train(*small_set, tmp_path / "parts", settings=settings, start=begun, resume=True, device="cpu")
    for part in (last, model):
        one, other = part(tmp_path / "whole"), part(tmp_path / "parts")
        assert all(torch.equal(one[key], other[key]) for key in one)
    logs = [read_log(tmp_path / run / "log.jsonl") for run in ("whole", "parts")]
    assert logs[0] == logs[1]
    assert "lacks step" not in caplog.text
    assert [line["step"] for line in logs[0] if "validation_f1" in line] == [0, 4, 8]


def test_it_goes_on_from_the_same_start_only(tmp_path, small_set, small_settings, begun):
    settings = small_settings(optimisation={"steps": 2})
    run = tmp_path / "run"
    train(*small_set, run, settings=settings, start=begun, device="cpu")
    with pytest.raises(
        SettingsError, match=r"from the model begun/model.safetensors .* drawn weights; .*--from"
    ):
        train(*small_set, run, settings=settings, resume=True, device="cpu")
    with pytest.raises(SettingsError, match=r"from drawn weights, .*without --from"):
        train(*small_set, begun, settings=settings, start=run, resume=True, device="cpu")
    with pytest.raises(UsageError, match="would replace the model that it starts from"):
        train(*small_set, run, settings=settings, start=run, resume=True, device="cpu")


def test_the_record_names_the_start_and_the_log_says_how_good_it_was(
    tmp_path, small_set, small_settings, begun, caplog
):
    settings = small_settings(optimisation={"optimizer": "adam", "learning_rate": 0.01})
    with caplog.at_level(logging.INFO, "unet2015"):
        kept = train(*small_set, tmp_path / "run", settings=settings, start=begun, device="cpu")
    start = kept.info.training["start"]
    assert start["model"] == "begun/model.safetensors"
    assert start["sha256"] == read_model_file(begun / "model.safetensors").sha256
    first = next(line for line in read_log(tmp_path / "run" / "log.jsonl") if "validation_f1" in line)
    assert first["step"] == 0
    assert start["validation"]["f1"] == first["validation_f1"]
    # The model that is started from was best after its last step, on the same held-out page.
    assert (
        first["validation_f1"]
        == read_model_file(begun / "model.safetensors").info.training["validation"]["f1"]
    )
    assert "fine-tuning, on the held-out pages: before (begun/model.safetensors) F1" in caplog.text
    checks = [line for line in read_log(tmp_path / "run" / "log.jsonl") if "validation_f1" in line]
    error = f"{first['validation_pixel_error']:.4f}"
    assert f"It was {error} before fine-tuning (begun/model.safetensors)." in summary(kept, 8, checks)
    titles = [row.cells[0] for row in measures(checks).tables[0].rows]
    assert titles[-1] == "before: the model that was started from"


def test_it_improves_on_the_start(tmp_path, small_set, small_settings, begun):
    settings = small_settings(
        optimisation={"optimizer": "adam", "learning_rate": 0.01, "steps": 30}, validation={"interval": 30}
    )
    kept = train(*small_set, tmp_path / "run", settings=settings, start=begun, device="cpu")
    record = kept.info.training
    before, after = record["start"]["validation"], record["validation"]
    assert after["f1"] > before["f1"]
    assert after["cross_entropy"] < before["cross_entropy"] - 0.05


def test_a_start_that_nothing_beats_is_kept_and_it_is_said(
    tmp_path, small_set, small_settings, begun, monkeypatch, caplog
):
    scores = iter([0.9, 0.5, 0.6])
    monkeypatch.setattr(
        loop, "validate", lambda *_: Validation(next(scores), 0.5, 0.7, constant=False, baseline=0.4, auc=0.9)
    )
    with caplog.at_level(logging.INFO, "unet2015"):
        kept = train(*small_set, tmp_path / "run", settings=small_settings(), start=begun, device="cpu")
    assert kept.info.training["step"] == 0
    assert "no step was better than begun/model.safetensors" in caplog.text
    one, other = model(begun), model(tmp_path / "run")
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("better", [False, True])
def test_the_scale_is_that_which_the_weights_have_seen(
    tmp_path, small_set, small_settings, begun, monkeypatch, told, better
):
    loaded = read_model_file(begun / "model.safetensors")
    seen = {"pixel_height_nm": 6.0, "appearance": {"noise": [1.0, 2.0]}}
    info = loaded.info.model_copy(update={"training": loaded.info.training | seen, "pixel_size_nm": 4.0})
    save_model(tmp_path / "start.safetensors", loaded.network, info)
    if told:
        options = {"imagej": True, "resolution": (2, 2), "metadata": {"unit": "um", "axes": "ZYX"}}
        tifffile.imwrite(small_set[0], tifffile.imread(small_set[0]), **options)
    scores = iter([0.5, 0.9, 0.6] if better else [0.9, 0.5, 0.6])
    monkeypatch.setattr(
        loop, "validate", lambda *_: Validation(next(scores), 0.5, 0.7, constant=False, baseline=0.4, auc=0.9)
    )
    start = tmp_path / "start.safetensors"
    made = train(*small_set, tmp_path / "run", settings=small_settings(), start=start, device="cpu").info
    assert (made.training["step"] == 0) is not better
    assert trained_sides(made) == ((500, 500) if told and better else (6, 4))
    assert (made.training.get("appearance") == seen["appearance"]) is not better


def test_another_seed_begins_with_the_start_again(tmp_path, small_set, small_settings, begun, monkeypatch):
    real, seen = loop.Training._validate, []

    def noted(self, *words, **more):
        if self.state.step == 0:
            seen.append((self.state.seed, {k: v.clone() for k, v in self.network.state_dict().items()}))
        monkeypatch.setattr(Validation, "plateau", self.state.seed == 0)
        return real(self, *words, **more)

    monkeypatch.setattr(loop.Training, "_validate", noted)
    settings = small_settings(validation={"attempts": 2})
    kept = train(*small_set, tmp_path / "run", settings=settings, start=begun, device="cpu")
    assert [seed for seed, _ in seen] == [0, 1]
    for _, first in seen:
        assert all(torch.equal(first[key], value) for key, value in model(begun).items())
    assert kept.info.training["seed"] == 1


# What must fit together


def test_network_and_mapping_come_from_the_model(begun, tmp_path, caplog):
    start = find_start(begun)
    with caplog.at_level(logging.INFO, "unet2015"):
        chosen = choose_settings("quick", CPU, {"labels": {"kind": "membrane"}}, start)
    assert chosen.network == start.model.info.network
    assert "U-Net (paper) of width 2 and depth 2, as in begun/model.safetensors" in caplog.text
    assert choose_settings("quick", CPU, {"network": {"width": 2}}, start).network.width == 2
    (tmp_path / "mine.toml").write_text(
        "[network]\nwidth = 2\n[mapping]\nmethod = 'standardise'\nlow = 3\neach = 'file'\n"
    )
    assert choose_settings(tmp_path / "mine.toml", CPU, None, start).network.depth == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[network]\nwidth = 16",
            "network.width = 16, but the network comes from begun/model.safetensors, where it is 2",
        ),
        ("[network]\ndepth = 3", "network.depth = 3, .* it is 2; leave network.depth out"),
        ("[mapping]\neach = 'page'", "mapping.each = 'page', .* it is 'file'; leave mapping.each out"),
        ("[mapping]\nmethod = 'integer-range'", "mapping.method = 'integer-range', .* 'standardise'"),
        (
            "[labels]\nkind = 'classes'\nclasses = 3",
            r"labels.classes = 3, but .* 2 classes apart \(membrane, cell\); .* set labels.classes = 2",
        ),
    ],
)
def test_what_contradicts_the_model_is_refused_by_name(tmp_path, begun, text, words):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        choose_settings(tmp_path / "mine.toml", CPU, None, find_start(begun))


def test_the_number_of_classes_comes_from_the_model_unless_somebody_wrote_one(tmp_path, caplog):
    network = {"width": 2, "depth": 1}
    info = ModelInfo(
        network=NetworkSettings(**network),
        mapping=Mapping(method="standardise"),
        classes=3,
        class_names=("class 0", "class 1", "class 2"),
    )
    start = Start(Model(build_network(info), info), "three")
    given = {"labels": {"kind": "classes"}}
    with caplog.at_level(logging.INFO, "unet2015"):
        chosen = choose_settings(None, CPU, given, start)
    assert (chosen.labels.classes, chosen.labels.kind) == (3, "classes")
    assert "labels: 3 classes, as in three" in caplog.text
    assert choose_settings("ronneberger2015", CPU, given, start).labels.classes == 3
    assert take_over(start, TrainingSettings.model_validate(given)).labels.classes == 3
    (tmp_path / "mine.toml").write_text("[labels]\nkind = 'classes'\n")
    assert choose_settings(tmp_path / "mine.toml", CPU, None, start).labels.classes == 3
    (tmp_path / "mine.toml").write_text("[labels]\nkind = 'classes'\nclasses = 2\n")
    two = load_settings(tmp_path / "mine.toml")
    for wrong in (
        lambda: choose_settings(tmp_path / "mine.toml", CPU, None, start),
        lambda: take_over(start, two),
        lambda: choose_settings("quick", CPU, {"labels": {"kind": "classes", "classes": 2}}, start),
    ):
        with pytest.raises(SettingsError, match=r"labels.classes = 2, but three .* set labels.classes = 3"):
            wrong()
    with pytest.raises(SettingsError, match=r"of the kind instances have 2 classes, .* --label-kind classes"):
        choose_settings(None, CPU, None, start)
    given["optimisation"] = {"loss": "bce_dice"}
    with pytest.raises(SettingsError, match=r'classes of three.*loss = "bce_dice" tells two classes apart'):
        choose_settings(None, CPU, given, start)


def test_other_channels_are_refused_before_anything_is_written(tmp_path, small_set, small_settings, begun):
    image = np.zeros((3, 50, 56), np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", image, photometric="minisblack", metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "label.tif", image[0], photometric="minisblack")
    with pytest.raises(
        DataSetError, match=r"rgb.tif: .* reads images of 1 channel, but this one has 3; .*--channel"
    ):
        train(
            tmp_path / "rgb.tif", tmp_path / "label.tif", tmp_path / "run",
            settings=small_settings(), start=begun, device="cpu",
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_images_unlike_those_of_the_start_are_said(
    tmp_path, small_set, small_settings, begun, caplog, monkeypatch
):
    loaded = read_model_file(begun / "model.safetensors")
    training = loaded.info.training | {"channel": 2}
    info = loaded.info.model_copy(update={"training": training, "pixel_size_nm": 4.0})
    save_model(tmp_path / "start.safetensors", loaded.network, info)
    options = {"imagej": True, "resolution": (2, 2), "metadata": {"unit": "um", "axes": "ZYX"}}
    tifffile.imwrite(small_set[0], tifffile.imread(small_set[0]), **options)
    monkeypatch.setattr(loop.Training, "run", lambda self, resume: self)
    train(
        *small_set,
        tmp_path / "run",
        settings=small_settings(),
        start=tmp_path / "start.safetensors",
        device="cpu",
    )
    assert "to start from: the model was trained on channel 2 of its images" in caplog.text
    assert "to start from: the model was trained on pixels of 4 nm, but these are of 500 nm" in caplog.text


@pytest.mark.parametrize("values", [{"freeze": "encoder"}, {"encoder_rate": 0.1}])
def test_fine_tuning_needs_a_start(tmp_path, small_set, small_settings, values):
    with pytest.raises(SettingsError, match="no model to start from; give one with --from"):
        train(*small_set, tmp_path / "run", settings=small_settings(fine_tuning=values), device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"freeze": "encoder", "encoder_rate": 0.5}, "give one of both"),
        ({"encoder_rate": 0}, "greater than 0"),
        ({"encoder_rate": 1.5}, "less than or equal to 1"),
        ({"freeze": "encodr"}, "did you mean 'encoder'"),
    ],
)
def test_settings_that_mean_nothing(values, words):
    with pytest.raises(SettingsError, match=words):
        load_settings(None, {"fine_tuning": values})


def test_settings_without_fine_tuning_say_nothing_of_it():
    assert "fine_tuning" not in load_settings().model_dump(mode="json")
    chosen = load_settings(None, FREEZE)
    assert type(chosen).model_validate(chosen.model_dump(mode="json")) == chosen


def test_where_a_start_is_found(tmp_path, begun):
    file = begun / "model.safetensors"
    found = [find_start(one) for one in (begun, str(file), read_model_file(file))]
    assert len({one.model.sha256 for one in found}) == 1
    assert find_start("em-membrane").name == "em-membrane"
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"this folder holds no model\.safetensors"):
        find_start(tmp_path / "empty")
    with pytest.raises(ModelError, match="did you mean em-membrane"):
        find_start("em-membran")


def test_percentiles_of_the_mapping_are_those_of_the_model(begun):
    info = read_model_file(begun / "model.safetensors").info
    image = {"method": "image-percentiles", "low": (2.0,), "high": (98.0,)}
    one = mapping_settings(info.model_copy(update={"mapping": info.mapping.model_copy(update=image)}))
    assert (one.method, one.low, one.high, one.each) == ("image-percentiles", 2, 98, "file")
    for method in (image, {"method": "standardise"}):
        given = {"mapping": info.mapping.model_copy(update=method | {"each": "page", "fill_value": 4.0})}
        one = mapping_settings(info.model_copy(update=given))
        assert (one.method, one.each, one.fill_value) == (method["method"], "page", 4)
    fixed = {"mapping": info.mapping.model_copy(update={"method": "fixed", "low": (5.0,), "high": (9.0,)})}
    said = {"settings": {"mapping": {"method": "training-percentiles", "low": 3, "high": 90}}}
    for training, low in ((said, 3), ({}, 1), ({"settings": 7}, 1)):
        one = mapping_settings(info.model_copy(update=fixed | {"training": training}))
        assert (one.method, one.low) == ("training-percentiles", low)


def test_running_means_of_a_frozen_path_stay(tmp_path, small_set, small_settings):
    chosen = PaddedSettings(width=2, depth=1)
    rule = small_settings(optimisation={"tile": 40, "steps": 2})
    first = rule.model_copy(update={"network": chosen})
    train(*small_set, tmp_path / "first", settings=first, device="cpu")
    frozen = small_settings(optimisation={"tile": 40, "steps": 2}, **FREEZE)
    train(*small_set, tmp_path / "run", settings=frozen, start=tmp_path / "first", device="cpu")
    before, after = model(tmp_path / "first"), last(tmp_path / "run")
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert not any(key.startswith("contract.") for key in changed)
    assert any("running_mean" in key for key in changed)
