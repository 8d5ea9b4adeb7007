"""A training that begins, goes on or begins again, and what a result says of it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.base.curves import means
from unet2015.errors import OtherDataError, OtherSettingsError
from unet2015.settings import TrainingSettings
from unet2015.training.log import read_log
from unet2015.training.run_folder import remove_training

SEEDS = 5
"""Seeds that a training is begun with before it is given up."""
_log = logging.getLogger("unet2015")


def train_run(
    images: Path,
    labels: Path,
    run: Path,
    settings: TrainingSettings,
    device: str,
    seeds: int = SEEDS,
    encoder_weights: Path | None = None,
) -> None:
    """Train into `run`: go on with a training of the same settings and files, else begin again.

    A training that has learned nothing at its first validation begins again with the next seed: at the
    momentum of the paper some never leave the plateau on which all pixels look alike. Which seed it was
    stands in the model's record, and so does whether it has learned in the end: one that has not is kept,
    since the other trainings of an experiment are worth measuring, and `not_learned` names it.
    """
    validation = settings.validation.model_copy(update={"attempts": seeds})
    settings = settings.model_copy(update={"validation": validation})
    more: dict[str, Any] = {"settings": settings, "device": device, "encoder_weights": encoder_weights}
    go_on_or_begin_anew(images, labels, run, **more)


def go_on_or_begin_anew(images: Path, labels: Path, run: Path, **more: Any) -> None:
    """Go on with the training in `run`; one of other settings or files is removed, and a new one begun.

    Only that is removed which a training writes, and only once all else is known to be right: settings that
    are not possible, or files that cannot be read, cost nothing. `more` is for :func:`unet2015.train`.
    """
    from unet2015 import train

    try:
        train(images, labels, run, resume=True, **more)
    except (OtherSettingsError, OtherDataError) as other:
        _log.warning("%s. It is removed and begun anew here", other)
        remove_training(run)
        train(images, labels, run, **more)


def training_summary(run: Path) -> dict[str, Any]:
    """Return what a result says of a training: steps, seconds, the loss in 50 means, whether it learned.

    F1 and the best constant answer beside it are those of the check at which the model was kept, on the
    images it was trained on; ``why_not_learned`` is empty where it has learned.
    """
    from unet2015 import load_model

    info = load_model(run / "model.safetensors").info
    record, check = info.training, info.training["validation"]
    steps = [line for line in read_log(run / "log.jsonl") if "loss" in line]
    losses = [line["loss"] for line in steps if line["loss"] is not None]
    return {
        "steps": len(steps),
        "seconds": record["seconds"],
        "step_of_the_model": record["step"],
        "seed": record["seed"],
        "device": record["device"],
        "precision": record["precision"],
        "learned": info.learned,
        "why_not_learned": list(info.why_not_learned),
        "f1": check["f1"],
        "f1_of_the_best_constant_answer": check["baseline"],
        "loss": means(losses),
    }


def not_learned(trainings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the trainings that have not learned, by name, each with why, in words.

    Parameters
    ----------
    trainings : mapping of str to mapping
        By name, what `training_summary` returned.
    """
    return {
        name: "; ".join(training["why_not_learned"]) or "no reason is recorded"
        for name, training in trainings.items()
        if training["learned"] is False
    }


def alert(failed: Mapping[str, str]) -> str:
    """Return the report's warning of what `not_learned` found; empty where all have learned."""
    return " ".join(f"{name} has not learned: {why}." for name, why in failed.items())
