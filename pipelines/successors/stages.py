"""The stages of the comparison: data, networks, the time of a step, and two stages for each training."""

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.base.json_files import read_json
from pipelines.base.stage import Stage
from pipelines.base.stages import find_stage
from pipelines.device_sets import pack
from pipelines.on_device.sets import array_of, find_split, load
from pipelines.successors.files import PARTS, SuccessorFiles
from pipelines.successors.settings import SuccessorSettings, Trial, training_settings, trials
from unet2015.device import accelerator_names
from unet2015.errors import UsageError
from unet2015.images.axes import Calibration
from unet2015.images.writer import write_image
from unet2015.provenance import machine
from unet2015.safe_files import make_folder, write_json


def stages(data: Path, out: Path, chosen: SuccessorSettings) -> list[Stage]:
    """Return all stages in their order."""
    files, every = SuccessorFiles(out), trials(chosen)
    described = chosen.model_dump(mode="json")
    timed = {(trial.network, trial.recipe): trial for trial in reversed(every)}
    return [
        _pack(data, files),
        *(_unpack(files, name) for name in chosen.sets),
        _facts(files, chosen),
        *(_time(files, chosen, trial) for trial in reversed(timed.values())),
        *(stage for trial in every for stage in _trial(files, chosen, trial)),
        _collect(files, every, described),
        _report(files),
    ]


def _pack(data: Path, files: SuccessorFiles) -> Stage:
    target = files.out / "data" / "sets.npz"

    def act() -> None:
        make_folder(target.parent)
        pack(data, target, every=10**9)

    given = sorted(path for path in data.rglob("*.tif") if "_ST" not in str(path))
    return Stage("pack", "read the labelled sets", act, given, [target])


def _unpack(files: SuccessorFiles, name: str) -> Stage:
    source = files.out / "data" / "sets.npz"
    made = [files.stack(name, part) for part in PARTS]

    def act() -> None:
        arrays = load(source)
        split = find_split(arrays, name)
        truth = "labels" if split.kind == "em" else "truth"
        wanted = [
            (split.train, "images"),
            (split.train, "labels"),
            (split.test, "images"),
            (split.test, truth),
        ]
        for path, ((prefix, pages), key) in zip(made, wanted, strict=True):
            stack = np.ascontiguousarray(array_of(arrays, f"{prefix}/{key}")[pages])
            write_image(path, stack, "IYX", Calibration())

    return Stage(f"data-{name}", f"stacks of {name}: to train on, and to measure", act, [source], made)


def _facts(files: SuccessorFiles, chosen: SuccessorSettings) -> Stage:
    from pipelines.successors.training import write_facts

    does, rule = (
        "parameters, operations and memory of each network",
        chosen.model_dump(mode="json")["networks"],
    )
    return Stage("networks", does, lambda: write_facts(chosen, files.facts), [], [files.facts], rule)


def _training_rule(chosen: SuccessorSettings, trial: Trial) -> dict[str, Any]:
    """Return what the training of a network with a recipe depends on, beside its length."""
    return training_settings(chosen, trial, 1000).model_dump(mode="json")


def _time(files: SuccessorFiles, chosen: SuccessorSettings, trial: Trial) -> Stage:
    data = chosen.sets[-1]
    images, labels = (files.stack(data, part) for part in PARTS[:2])
    target = files.timing(trial.network, trial.recipe)

    def act() -> None:
        import tempfile

        from pipelines.successors.training import time_step

        make_folder(target.parent)
        of_data = Trial(data, trial.network, trial.recipe, trial.until, trial.seed)
        with tempfile.TemporaryDirectory() as run:
            found = time_step(chosen, of_data, images, labels, Path(run) / "run")
        write_json(target, {"seconds_a_step": found})

    does = f"how long a step of {trial.network} takes ({trial.recipe} recipe)"
    name = f"time-{trial.network}-{trial.recipe}"
    return Stage(name, does, act, [images, labels], [target], _training_rule(chosen, trial))


def _trial(files: SuccessorFiles, chosen: SuccessorSettings, trial: Trial) -> list[Stage]:
    from pipelines.successors.training import budget, measure_trial, run_trial

    images, labels, test, truth = (files.stack(trial.data, part) for part in PARTS)
    timing, run = files.timing(trial.network, trial.recipe), files.run(trial.name)
    clock, row = files.clock(trial), files.row(trial)

    def act() -> None:
        steps = budget(chosen, trial, read_json(timing)["seconds_a_step"])
        write_json(clock, run_trial(images, labels, run, training_settings(chosen, trial, steps)))

    def find() -> dict[str, Any]:
        kind = trial.data.partition("-")[0]
        return measure_trial(run, test, truth, kind, read_json(clock))

    rule = _training_rule(chosen, trial) | {"seconds": chosen.cpu_seconds, "steps": chosen.steps}
    model = files.model(trial.name)
    said = f"{trial.network} on {trial.data}, {trial.recipe} recipe, equal {trial.until}, seed {trial.seed}"
    return [
        Stage(f"train-{trial.name}", f"train {said}", act, [images, labels, timing], [model, clock], rule),
        find_stage(f"measure-{trial.name}", f"measure {said}", find, [model, clock, test, truth], row),
    ]


def _collect(files: SuccessorFiles, every: list[Trial], described: dict[str, Any]) -> Stage:
    def find() -> dict[str, Any]:
        rows = [
            {
                "data": trial.data,
                "network": trial.network,
                "recipe": trial.recipe,
                "equal": trial.until,
                "seed": trial.seed,
                **read_json(files.row(trial)),
            }
            for trial in every
            if files.row(trial).exists()
        ]
        return {
            "rows": rows,
            "missing": [trial.name for trial in every if not files.row(trial).exists()],
            "networks": read_json(files.facts),
            "settings": described,
            "machine": machine(accelerator_names()),
        }

    given = [files.facts, *(files.row(trial) for trial in every)]
    return find_stage("collect", "all rows in one file", find, given, files.result, described)


def _report(files: SuccessorFiles) -> Stage:
    def act() -> None:
        from pipelines.successors.report import write_successor_report

        write_successor_report(files.result, files.page)

    return Stage("report", "one HTML page with tables and curves", act, [files.result], [files.page])


def partial(out: Path, chosen: SuccessorSettings) -> None:
    """Write result and report of what is finished so far; the record names what is missing.

    Raises
    ------
    UsageError
        Nothing is finished.
    """
    files, every = SuccessorFiles(out), trials(chosen)
    if not files.facts.is_file() or not any(files.row(trial).is_file() for trial in every):
        raise UsageError(
            f"{out}: expected at least one training of this comparison that is finished, but there is none; "
            "run the same command without --so-far first, or give the --out and --settings of that run"
        )
    _collect(files, every, chosen.model_dump(mode="json")).action()
    _report(files).action()
