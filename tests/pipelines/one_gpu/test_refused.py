"""What a run does not begin with: settings, packed files, notes, devices and folders that make no sense."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from unet2015.safe_files import claim, make_folder

ROOT = Path(__file__).parents[3]


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
    settings.write_text(settings.read_text().replace(*change))
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


def test_a_second_run_in_the_same_folder_is_refused_and_told_the_folder(command, tmp_path, capsys):
    pytest.importorskip("fcntl")
    out = make_folder(tmp_path / "out")
    with claim(out / "one_gpu"):
        assert command() == 1
    said = capsys.readouterr().err
    assert said == (
        f"error: {out}: another run is writing into this folder; wait until it ends, or choose another\n"
    )
    assert not (out / "one_gpu.json").exists()


@pytest.mark.slow
def test_it_needs_nothing_that_the_gpu_machine_lacks():
    """Nothing that reads images, runs stages or draws a command line; the table of settings neither."""
    absent = ("imagecodecs", "tifffile", "doit", "typer", "numba", "matplotlib", "pooch", "requests")
    code = f"import sys\nfor name in {absent}: sys.modules[name] = None\n"
    code += "import pipelines.one_gpu.__main__, pipelines.settings_table"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
