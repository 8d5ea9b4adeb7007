"""All that one GPU is to give, at tiny size on a CPU: whole, stopped, broken off, out of time."""

import json
import os
import signal

import numpy as np
import pytest

from pipelines.base.command import INTERRUPTED
from pipelines.on_device import trainings
from pipelines.one_gpu import __main__ as one_gpu
from pipelines.one_gpu import results, training
from tests.pipelines.one_gpu.conftest import SETTINGS
from unet2015 import load_model
from unet2015.models.tensors import load_tensors
from unet2015.training.on_device import DeviceTraining

SIDE = 40
"""Of the frames in `sets`."""


def notes(folder):
    return json.loads((folder / "one_gpu.json").read_text())


def contents(folder):
    """Return arrays and tensors of all results, without times and dates."""
    found = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as maps:
            found |= {f"{path.name}/{key}": maps[key] for key in maps.files}
    for path in sorted(folder.glob("*.safetensors")):
        found |= {n: t.numpy() for n, t in load_model(path).network.state_dict().items()}
    return found


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.slow
def test_all_stages_at_the_size_that_is_shipped_for_it(packed, tmp_path, capsys):
    words = ["--data", str(packed), "--out", str(tmp_path), "--device", "cpu", "--quick", "--seconds", "300"]
    assert one_gpu.main(words) == 0
    found = notes(tmp_path)
    assert found["finished"]
    assert found["failed"] == {}
    assert found["agreement"]["float32"] < 1e-4
    assert found["bfloat16_peak"] > 0
    assert set(found["chosen"].values()) <= {"adam 2e-3", "sgd"}
    assert found["training"]["steps_a_second"] > 0
    assert found["training"]["share_of_peak"] > 0
    assert list(found["inference"]) == ["100"]
    assert all(8 <= steps <= 12 for steps in found["steps"].values())
    shapes = {name: (value.shape, value.dtype) for name, value in contents(tmp_path).items() if "/" in name}
    expected = {
        "em-4.npz/test/none": (6, 30, 36),
        "em-4.npz/test/rotations": (6, 30, 36),
        "em-4.npz/train/rotations": (24, 30, 36),
        "dic-01.npz/test/flips": (2, SIDE, SIDE),
        "dic-01.npz/train/flips": (3, SIDE, SIDE),
        "dic-02-silver.npz/test/flips": (3, SIDE, SIDE),
    }
    maps = {name: value for name, value in shapes.items() if name.split("/")[1] in ("test", "train")}
    assert maps == {name: (shape, np.dtype(np.uint8)) for name, shape in expected.items()}
    model = load_model(tmp_path / "em-all.safetensors")
    assert model.info.class_names == ("membrane", "cell")
    assert model.info.training["split"] == "em-all"
    # A finished run does nothing again.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert one_gpu.main(words) == 0
    assert "all is done already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    # Results of other settings are not mixed.
    other = tmp_path / "other.toml"
    other.write_text(one_gpu.QUICK.read_text().replace("2e-3", "3e-3"))
    assert one_gpu.main([*words[:6], "--settings", str(other)]) == 2
    assert "not mixed; choose another folder" in capsys.readouterr().err


def test_a_seed_given_is_that_of_the_settings_and_is_noted(command, settings, whole, tmp_path, capsys):
    """The same trainings once more with another seed need no second file."""
    one = SETTINGS.partition("em-all = ")[0]  # of the trainings, the first
    settings.write_text(one)
    assert command(seed=3) == 0
    assert notes(tmp_path / "out")["settings"]["base"]["seed"] == 3
    settings.write_text(one.replace("[base]", "[base]\nseed = 3"))
    assert command(out=tmp_path / "written") == 0
    found = contents(tmp_path / "out")
    assert_same(found, contents(tmp_path / "written"))
    assert (found["em-4.npz/test/none"] != contents(whole)["em-4.npz/test/none"]).any()
    assert command(seed=4) == 2
    assert "results of other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_the_parts_of_a_model_put_together_are_the_model(whole, command, tmp_path, monkeypatch):
    one = whole / "em-all.safetensors"
    size = one.stat().st_size
    monkeypatch.setattr(results, "PART", 700)
    assert command(out=tmp_path / "parts") == 0
    parts = sorted((tmp_path / "parts").glob("em-all.safetensors.part*"))
    assert len(parts) == -(-size // 700) > 1
    joined = tmp_path / "joined.safetensors"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert_same(*(load_model(path).network.state_dict() for path in (joined, one)))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["training", "finishing", "choosing"])
def test_a_stopped_run_goes_on_to_the_same_result(when, whole, command, tmp_path, monkeypatch):
    monkeypatch.setattr(trainings, "CHUNK", 2)
    expected, calls = contents(whole), []
    target = {"training": (DeviceTraining, "run", 15), "finishing": (results.Results, "finish", 2)}
    owner, name, last = target.get(when, (DeviceTraining, "load", 1))
    original = getattr(owner, name)

    def stopped(*given):
        original(*given)
        calls.append(given)
        if len(calls) == last:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopped)
        assert command(out=tmp_path / "again") == INTERRUPTED
    kept = sorted(path.stem for path in (tmp_path / "again").glob("*.stopped"))
    assert len(kept) == {"training": 4, "finishing": 2, "choosing": 0}[when]
    assert not notes(tmp_path / "again").get("finished")
    assert command(out=tmp_path / "again") == 0
    assert_same(contents(tmp_path / "again"), expected)
    assert not list((tmp_path / "again").glob("*.stopped"))


def test_a_gpu_taken_away_leaves_what_is_there_and_says_so(whole, command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trainings, "CHUNK", 2)
    expected, calls = contents(whole), []
    original = DeviceTraining.run

    def gone(self, steps):
        calls.append(steps)
        if len(calls) > 15:
            raise RuntimeError("CUDA error: device lost")
        original(self, steps)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(DeviceTraining, "run", gone)
        assert command(out=tmp_path / "again") == 1
    said = capsys.readouterr().out
    assert "train failed: RuntimeError: CUDA error: device lost; what is there is kept" in said
    found = notes(tmp_path / "again")
    assert found["failed"] == {"train": "RuntimeError: CUDA error: device lost"}
    assert "agreement" in found
    assert "inference" in found
    assert command(out=tmp_path / "again") == 0
    assert notes(tmp_path / "again")["failed"] == {}
    assert_same(contents(tmp_path / "again"), expected)


@pytest.mark.slow
def test_a_gpu_that_answers_no_more_leaves_the_trainings_kept_before(
    whole, command, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(trainings, "CHUNK", 2)
    monkeypatch.setattr(training, "KEPT", 0)
    expected, calls = contents(whole), []

    def lost(name):
        original = getattr(DeviceTraining, name)

        def gone(self, *given):
            calls.extend([name] * (name == "run"))
            if len(calls) > 15:
                raise RuntimeError("CUDA error: device lost")
            return original(self, *given)

        return gone

    capsys.readouterr()
    with monkeypatch.context() as patch:
        for name in ("run", "state", "predict"):
            patch.setattr(DeviceTraining, name, lost(name))
        assert command(out=tmp_path / "again") == 1
    said = capsys.readouterr().out
    assert "kept as they stand: no training" in said
    assert "as they stood some time ago: em-4" in said
    kept = list((tmp_path / "again").glob("*.stopped"))
    assert kept
    assert all(json.loads(load_tensors(path)[1])["at"] > 0 for path in kept)
    assert command(out=tmp_path / "again") == 0
    assert_same(contents(tmp_path / "again"), expected)


def test_a_training_that_cannot_be_written_does_not_cost_the_others(command, tmp_path, monkeypatch, capsys):
    original = results.Results.finish

    def finish(self, name, *given):
        if name == "em-all":
            raise OSError("no room")
        original(self, name, *given)

    with monkeypatch.context() as patch:
        patch.setattr(results.Results, "finish", finish)
        assert command() == 1
    assert "em-all failed: OSError: no room" in capsys.readouterr().out
    assert {path.stem for path in (tmp_path / "out").glob("*.npz")} == {"em-4", "dic-01", "dic-02"}
    assert command() == 0
    assert (tmp_path / "out/em-all.npz").exists()
