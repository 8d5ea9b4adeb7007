"""All that one GPU is to give, at tiny size on a CPU: whole, stopped, broken off, out of time."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines import one_gpu, one_gpu_plan, one_gpu_results, one_gpu_training
from pipelines.device_sets import IGNORE
from unet2015 import load_model
from unet2015.synthetic import em_stack
from unet2015.training.on_device import DeviceTraining

ROOT = Path(__file__).parents[2]
SIDE = 40


@pytest.fixture(scope="module")
def sets():
    """What pipelines.device_sets packs, tiny: 30 EM slices and two sequences of round cells."""
    images, labels = em_stack(2, 30, 36)
    turns = [np.rot90(images[k % 2], 2 * (k // 2 % 2)) for k in range(30)]
    arrays = {
        "em/images": np.stack(turns),
        "em/labels": np.stack([np.rot90(labels[k % 2], 2 * (k // 2 % 2)) for k in range(30)]),
    }
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for sequence, count in (("01", 3), ("02", 2)):
        truth = np.zeros((count, SIDE, SIDE), np.uint16)
        for frame in truth:
            for number, centre in enumerate(random.integers(8, SIDE - 8, (3, 2)), 1):
                frame[np.hypot(y - centre[0], x - centre[1]) < 7] = number
        given = truth.copy()
        given[0, :5] = IGNORE
        pixels = np.where(truth > 0, 150, 80) + random.normal(0, 10, truth.shape)
        made = {"images": pixels.clip(0, 255).astype(np.uint8), "truth": truth, "labels": given}
        made |= {"silver-images": made["images"][:1], "silver-labels": truth[:1]}
        arrays |= {f"DIC-C2DH-HeLa/{sequence}/{key}": value for key, value in made.items()}
    return arrays


@pytest.fixture(scope="module")
def packed(sets, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "sets.npz"
    np.savez(path, **sets)
    return path


SETTINGS = """
longest = 10
shortest = 6
timed = 2
matrix = 16
inference = [40]
[base]
network = { width = 2, depth = 1, dropout = 0.0 }
weight_map = { class_weights = [1.0, 1.0] }
optimisation = { tile = 44, warmup = 4, learning_rate = 2e-3 }
[recipes]
"adam" = { optimisation = { optimizer = "adam", average = 0.5 } }
"sgd" = {}
[trial]
on = ["em-4"]
steps = 3
[trainings]
em-4 = { split = "em-4", averages = ["none", "flips"], train_maps = false, steps = 8 }
em-all = { split = "em-all", train_maps = false, model = true, steps = 8 }
dic-01 = { split = "dic-01", averages = ["flips"], share = 2.0, steps = 8 }
dic-02 = { split = "dic-02", silver = true, train_maps = false, steps = 8 }
"""


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture
def command(packed, settings, tmp_path):
    """Run the command in this process; options may be replaced."""

    def run(**options):
        values = {
            "data": packed,
            "out": tmp_path / "out",
            "settings": settings,
            "seconds": 300,
            "device": "cpu",
        }
        return one_gpu.main([word for k, v in (values | options).items() for word in (f"--{k}", str(v))])

    return run


@pytest.fixture(scope="module")
def whole(packed, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "settings.toml").write_text(SETTINGS)
    words = ["--data", str(packed), "--out", str(folder / "out"), "--device", "cpu"]
    assert one_gpu.main([*words, "--settings", str(folder / "settings.toml")]) == 0
    return folder / "out"


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


@pytest.mark.slow
def test_the_parts_of_a_model_put_together_are_the_model(whole, command, tmp_path, monkeypatch):
    one = whole / "em-all.safetensors"
    size = one.stat().st_size
    monkeypatch.setattr(one_gpu_results, "PART", 700)
    assert command(out=tmp_path / "parts") == 0
    parts = sorted((tmp_path / "parts").glob("em-all.safetensors.part*"))
    assert len(parts) == -(-size // 700) > 1
    joined = tmp_path / "joined.safetensors"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert_same(*(load_model(path).network.state_dict() for path in (joined, one)))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["training", "finishing", "choosing"])
def test_a_stopped_run_goes_on_to_the_same_result(when, whole, command, tmp_path, monkeypatch):
    monkeypatch.setattr(one_gpu_training, "CHUNK", 2)
    expected, calls = contents(whole), []
    target = {"training": (DeviceTraining, "run", 15), "finishing": (one_gpu_results.Results, "finish", 2)}
    owner, name, last = target.get(when, (DeviceTraining, "load", 1))
    original = getattr(owner, name)

    def stopped(*given):
        original(*given)
        calls.append(given)
        if len(calls) == last:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopped)
        assert command(out=tmp_path / "again") == one_gpu.STOPPED
    kept = sorted(path.stem for path in (tmp_path / "again").glob("*.stopped"))
    assert len(kept) == {"training": 4, "finishing": 2, "choosing": 0}[when]
    assert not notes(tmp_path / "again").get("finished")
    assert command(out=tmp_path / "again") == 0
    assert_same(contents(tmp_path / "again"), expected)
    assert not list((tmp_path / "again").glob("*.stopped"))


def test_a_gpu_taken_away_leaves_what_is_there_and_says_so(whole, command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(one_gpu_training, "CHUNK", 2)
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


def test_a_training_that_cannot_be_written_does_not_cost_the_others(command, tmp_path, monkeypatch, capsys):
    original = one_gpu_results.Results.finish

    def finish(self, name, *given):
        if name == "em-all":
            raise OSError("no room")
        original(self, name, *given)

    with monkeypatch.context() as patch:
        patch.setattr(one_gpu_results.Results, "finish", finish)
        assert command() == 1
    assert "em-all failed: OSError: no room" in capsys.readouterr().out
    assert {path.stem for path in (tmp_path / "out").glob("*.npz")} == {"em-4", "dic-01", "dic-02"}
    assert command() == 0
    assert (tmp_path / "out/em-all.npz").exists()


@pytest.mark.parametrize("seconds", [0, 1e-9, -5])
def test_no_time_at_all_is_said(seconds, command, tmp_path, capsys):
    assert command(seconds=seconds) == 1
    assert notes(tmp_path / "out")["left_out"] == ["agree", "peak", "choose", "train", "inference"]
    assert "train is left out: no time is left" in capsys.readouterr().out
    assert not list((tmp_path / "out").glob("*.npz"))


@pytest.mark.parametrize(("steps", "there"), [(6, False), (22, True)])
def test_time_that_ends_in_the_middle_is_said(steps, there, command, tmp_path, monkeypatch, capsys):
    """Before the steps are chosen nothing is written; afterwards what was learned so far."""
    monkeypatch.setattr(one_gpu_training, "CHUNK", 2)
    original, clock = DeviceTraining.run, []
    made = one_gpu_plan.Clock.__init__

    def init(self, seconds):
        made(self, seconds)
        clock.append(self)

    def run(self, count):
        original(self, count)
        clock.append(count)
        if sum(clock[1:]) > steps:
            clock[0].seconds = clock[0].gone  # nothing is left

    monkeypatch.setattr(one_gpu_plan.Clock, "__init__", init)
    monkeypatch.setattr(DeviceTraining, "run", run)
    assert command() == 1
    found, said = notes(tmp_path / "out"), capsys.readouterr().out
    assert ("cut_short" in found) == there
    assert bool(list((tmp_path / "out").glob("*.npz"))) == there
    assert "no time is left" in said
    assert ("the time is up with" in said) == there


def test_the_steps_share_one_rest_of_the_time(command, settings, monkeypatch):
    """Drawing for one training takes time, which must not be taken from the next."""
    steps = {}

    def extend(self, name, count):
        steps[name] = count
        self.clock.seconds -= 2
        if len(steps) == 4:
            self.stop.set()

    monkeypatch.setattr(one_gpu_training.SideBySide, "_extend", extend)
    monkeypatch.setattr(one_gpu_plan.Plan, "_check", lambda self, name: self.trainings[name].pop("steps"))
    monkeypatch.setattr(
        one_gpu_plan.Plan, "longest", property(lambda _: 20_000, lambda _, value: None), False
    )
    assert command(seconds=30) == one_gpu.STOPPED
    assert steps["em-4"] == steps["em-all"] == steps["dic-02"] > 6


@pytest.mark.parametrize(
    ("change", "message", "status"),
    [
        (('split = "em-4"', 'split = "em-7"'), "em-7: no such split; there are em-0 to em-4", 1),
        (('split = "dic-01"', 'split = "phc-01"'), "lacks PhC-C2DH-U373/01/images; pack it again", 1),
        (('split = "em-4", ', ""), "trainings.em-4 lacks its split", 2),
        (('["flips"]', '["flop"]'), "trainings.dic-01.averages is 'flop', which is none of the ways", 2),
        (('on = ["em-4"]', 'on = ["em-5"]'), "trial.on is 'em-5', which is none of the trainings", 2),
        (("[recipes]", "[recipe]"), "expected a table [recipes], found none", 2),
        (("width = 2", "widht = 2"), "widht", 2),
        (("average = 0.5", "average = 0.99"), "looks back over 100 steps, but there are 6", 2),
        (("longest = 10", "longest = "), "not a TOML file", 2),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_is_done(
    change, message, status, command, settings, tmp_path, capsys
):
    settings.write_text(SETTINGS.replace(*change))
    assert command() == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("lacks", ["em/labels", "DIC-C2DH-HeLa/01/truth", "DIC-C2DH-HeLa/02/silver-labels"])
def test_a_packed_file_that_lacks_something_is_refused(lacks, sets, command, tmp_path, capsys):
    path = tmp_path / "less.npz"
    np.savez(path, **{key: value for key, value in sets.items() if key != lacks})
    assert command(data=path) == 1
    assert f"the packed file lacks {lacks}" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["absent", "empty", "text", "cut", "array", "flipped", "folder"])
def test_a_damaged_packed_file_is_refused(damage, packed, command, tmp_path, capsys):
    path = tmp_path / "damaged.npz"
    whole = bytearray(packed.read_bytes())
    whole[3000:3100] = bytes(100)
    made = {"empty": b"", "text": b"nothing", "cut": packed.read_bytes()[:5000], "flipped": bytes(whole)}
    if damage in made:
        path.write_bytes(made[damage])
    elif damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif damage == "folder":
        path.mkdir()
    assert command(data=path) == 1
    assert (
        f"error: {path}: expected a file (.npz) that pipelines.device_sets writes" in capsys.readouterr().err
    )


def test_damaged_notes_and_devices_that_are_not_there_are_refused(command, tmp_path, capsys, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/one_gpu.json").write_text("{")
    assert command() == 1
    assert "cannot read the notes of an earlier run" in capsys.readouterr().err
    assert command(device="quantum") == 2
    assert "expected a device such as cuda" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command(device="cuda") == 2
    assert "no GPU with CUDA here" in capsys.readouterr().err


@pytest.mark.slow
def test_it_needs_nothing_that_the_gpu_machine_lacks():
    """Nothing that reads images, runs stages or draws a command line."""
    absent = ("imagecodecs", "tifffile", "doit", "typer", "numba", "matplotlib", "pooch", "requests")
    code = f"import sys\nfor name in {absent}: sys.modules[name] = None\nimport pipelines.one_gpu"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
