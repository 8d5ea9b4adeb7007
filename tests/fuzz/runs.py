"""The folder of a training that was interrupted: it goes on from damaged files, or its report is made."""

import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tifffile

from tests.fuzz.commands import command, inside, refusal
from tests.fuzz.looks import FindingError
from unet2015.training import loop

DAMAGED = ("run/log.jsonl", "run/checkpoints/*", "run/settings.json", "run/model.safetensors")
SETTINGS = """checkpoint_interval = 2
[labels]
kind = "membrane"
[network]
width = 1
depth = 1
[optimisation]
steps = 6
tile = 36
warmup = 1
[validation]
pages = "2"
interval = 3
attempts = 1
[augmentation]
elastic_std = 0.0
"""
TRAIN = (
    "train",
    "--images",
    "i.tif",
    "--labels",
    "l.tif",
    "--settings",
    "s.toml",
    "-o",
    "run",
    "--device",
    "cpu",
)


def make_run(folder: Path) -> None:
    """A training stopped after five of six steps; what it would have come to, as ``reference``."""
    labels = np.full((3, 40, 44), 255, np.uint8)
    labels[:, ::12] = labels[:, :, ::14] = 0
    images = np.where(labels, 170, 60) + np.random.default_rng(0).integers(0, 30, labels.shape)
    for name, pixels in (("i", images.astype(np.uint8)), ("l", labels)):
        tifffile.imwrite(folder / f"{name}.tif", pixels, photometric="minisblack")
    (folder / "s.toml").write_text(SETTINGS)
    with inside(folder):
        ended = command(*TRAIN, "--axes", "ZYX")
        assert ended.status in (0, 3), ended
        (folder / "run/model.safetensors").rename(folder / "reference.safetensors")
        last = max((folder / "run/checkpoints").iterdir())
        last.rename(folder / "reference-step.safetensors")
        shutil.rmtree(folder / "run")
        with mock.patch.object(loop.Training, "_step", stopped_after(5)):
            assert command(*TRAIN, "--axes", "ZYX").status == 130


def stopped_after(steps: int) -> Any:
    """Return a step of the training that is as if killed after so many."""
    real, done = loop.Training._step, []

    def step(self: Any, *arguments: Any) -> Any:
        if len(done) == steps:
            raise KeyboardInterrupt
        done.append(1)
        return real(self, *arguments)

    return step


def look_at_run(folder: Path, out: Path) -> str:
    """Resume: the model is that of an uninterrupted training, or it says what is damaged."""
    with inside(folder):
        ended = command(*TRAIN, "--axes", "ZYX", "--resume")
        if ended.status not in (0, 3):
            return refusal(ended, folder)
        for name, reference in (
            ("checkpoints/" + max((folder / "run/checkpoints").iterdir()).name, "reference-step"),
            ("model.safetensors", "reference"),
        ):
            found, expected = (folder / "run" / name), (folder / f"{reference}.safetensors")
            said = reference == "reference" and "the next validation writes another" in ended.err
            if not said and _weights(found) != _weights(expected):
                raise FindingError(f"differs: {name} is not that of a whole training; {ended.err[-300:]}")
    return "result"


def _weights(path: Path) -> bytes:
    """Return the bytes of all tensors of a file."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]


def look_at_report(folder: Path, out: Path) -> str:
    """Make the report of a run."""
    with inside(folder):
        ended = command("report", "run", "-o", "r.html")
        if ended.status:
            if Path("r.html").exists():
                raise FindingError("left: r.html")
            return refusal(ended, folder)
        if not Path("r.html").read_text(encoding="utf-8").strip().endswith("</html>"):
            raise FindingError("differs: the report is no whole page")
    return "result"
