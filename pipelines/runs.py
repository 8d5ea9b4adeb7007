"""What the experiments share: a training that begins, goes on or begins again, and what a run records."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unet2015.errors import DataSetError, SettingsError
from unet2015.files import make_folder
from unet2015.settings import TrainingSettings
from unet2015.training.log import read_log


def train_run(images: Path, labels: Path, run: Path, settings: TrainingSettings, device: str) -> None:
    """Train into `run`: go on with a training of the same settings and files, else begin again."""
    from unet2015 import train

    try:
        train(images, labels, run, settings=settings, device=device, resume=True)
    except (SettingsError, DataSetError):
        shutil.rmtree(run, ignore_errors=True)
        train(images, labels, run, settings=settings, device=device)


def training_summary(run: Path) -> dict[str, Any]:
    """Return what a result says of a training: steps, seconds, the loss in 50 means, and the last check."""
    from unet2015 import load_model

    record = load_model(run / "model.safetensors").info.training
    losses = [line["loss"] for line in read_log(run / "log.jsonl") if "loss" in line]
    means = [float(np.mean(part)) for part in np.array_split(losses, min(50, len(losses)))]
    return {
        "steps": len(losses),
        "seconds": record["seconds"],
        "step_of_the_model": record["step"],
        "device": record["device"],
        "loss": [round(value, 4) for value in means],
    }


def segment_into(out: Path, images: Sequence[Path], model: Path, average: Any, device: str) -> None:
    """Segment files into a folder, with probability maps; raise what went wrong."""
    from unet2015.tiling.files import segment_files
    from unet2015.tiling.segmentation import SegmentOptions

    options = SegmentOptions(device=device, average=average)
    for result in segment_files(images, make_folder(out), model, options, probability=True):
        if result.error is not None:
            raise result.error
