"""What the experiments share: a training that begins, goes on or begins again, and what a run records."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipelines.stages import Stage, arguments, listing, run_stages
from unet2015.device import choose_device
from unet2015.errors import DataSetError, NothingLearnedError, SettingsError, UNet2015Error
from unet2015.safe_files import make_folder
from unet2015.settings import TrainingSettings
from unet2015.training.log import read_log


class Staged(Protocol):
    """An experiment: what has stages."""

    def stages(self) -> list[Stage]:
        """Return the stages in their order."""


SEEDS = 5
"""Seeds that a training is begun with before it is given up."""


def train_run(
    images: Path, labels: Path, run: Path, settings: TrainingSettings, device: str, seeds: int = SEEDS
) -> None:
    """Train into `run`: go on with a training of the same settings and files, else begin again.

    A training that has learned nothing at its first validation begins again with the next seed: at the
    momentum of the paper some never leave the plateau on which all pixels look alike. Which seed it was
    stands in the model's record, and so does whether it has learned in the end: one that has not is kept,
    since the other trainings of an experiment are worth measuring, and `not_learned` names it.
    """
    from unet2015 import train

    validation = settings.validation.model_copy(update={"attempts": seeds})
    settings = settings.model_copy(update={"validation": validation})
    try:
        train(images, labels, run, settings=settings, device=device, resume=True)
    except (SettingsError, DataSetError):
        shutil.rmtree(run, ignore_errors=True)
        train(images, labels, run, settings=settings, device=device)


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
    means = [float(np.mean(part)) for part in np.array_split(losses, min(50, len(losses)))]
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
        "loss": [round(value, 4) for value in means],
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


def segment_into(out: Path, images: Sequence[Path], model: Path, average: Any, device: str) -> None:
    """Segment files into a folder, with probability maps; raise what went wrong."""
    from unet2015.segmentation.batch import segment_files
    from unet2015.segmentation.options import SegmentOptions

    options = SegmentOptions(device=device, average=average, products=("classes", "probability"))
    for result in segment_files(images, make_folder(out), model, options):
        if result.error is not None:
            raise result.error


def run_experiment(
    words: Sequence[str] | None,
    make: Callable[[Path | None, Path, Path, str], Staged],
    description: str,
    name: str,
    headline: str,
) -> int:
    """Run an experiment from the command line and return the exit status: 3 where a training has not learned.

    Parameters
    ----------
    words : sequence of str or None
        The command line's; None takes the process's own.
    make : callable
        Data (or None), results, settings and device to the experiment.
    description, name : str
        What it is, for ``--help``; and what its settings, ``NAME-cpu.toml`` and ``NAME-quick.toml``, and
        its folder of results are called.
    headline : str
        The part of ``result.json`` that is printed at the end.
    """
    normal, quick = (Path(__file__).with_name(f"{name}-{kind}.toml") for kind in ("cpu", "quick"))
    parser = arguments(description, f"runs/{name}")
    parser.add_argument("--data", type=Path, help="folder of the data (default: download)")
    parser.add_argument("--settings", type=Path, default=normal, help="the experiment (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help=f"all stages in minutes: {quick.name}")
    parser.epilog = listing(make(None, Path(), normal, "auto").stages())
    given = parser.parse_args(words)
    try:
        choose_device(given.device)
        chain = make(given.data, given.out, quick if given.quick else given.settings, given.device).stages()
    except UNet2015Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    status = run_stages(chain, given.out, given.stages)
    if status == 0 and not given.stages:
        result = json.loads((given.out / "result.json").read_text(encoding="utf-8"))
        print(json.dumps(result[headline], indent=2))
        print(f"look at {given.out / 'report.html'}")
        for name, why in result["not_learned"].items():
            print(f"warning: {name} has not learned, and its figures mean little: {why}", file=sys.stderr)
        if result["not_learned"]:
            return NothingLearnedError.exit_status
    return status
