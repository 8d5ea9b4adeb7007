"""What experiments share: data, settings, the first and last stages, and the command line."""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Generic

from pipelines.base.command import attempt, options, stage_options
from pipelines.base.json_files import Files, read_json
from pipelines.base.run import run_stages
from pipelines.base.settings import FOLDER, Changes, S, load_experiment, training_settings
from pipelines.base.stage import Stage, listing
from pipelines.base.stages import find_stage
from unet2015.device import accelerator_names, choose_device
from unet2015.errors import NothingLearnedError
from unet2015.provenance import machine
from unet2015.settings import TrainingSettings


class Experiment(ABC, Generic[S]):
    """The stages, and the files that join them.

    An experiment says what `kind` of settings it has, where its data lie, what their `labels` mean, and its
    `stages`.

    Parameters
    ----------
    data : Path or None
        Folder of the data, or one above it that has `folder`; None downloads them into the results.
    out : Path
        Folder of the results.
    settings_file : Path
        TOML file of the experiment's `kind` of settings.
    device : str
        As in :func:`unet2015.train`.
    """

    kind: type[S]
    folder: ClassVar[str]
    """What the data's folder is called where it is kept beside others."""
    labels: ClassVar[Changes]
    """What the labels mean, as settings of a training."""
    files: Files

    def __init__(self, data: Path | None, out: Path, settings_file: Path, device: str = "auto") -> None:
        self.out, self.settings_file, self.device, self.download = out, settings_file, device, data is None
        if data is None:
            self.data = out / "data"
        else:
            self.data = data / self.folder if (data / self.folder).is_dir() else data
        self.settings = load_experiment(self.kind, settings_file)

    @abstractmethod
    def stages(self) -> list[Stage]:
        """Return the stages in their order."""

    def training(self, *changes: Changes) -> TrainingSettings:
        """Return the settings of a training: the experiment's with `changes`, later ones last."""
        given = (*self.settings.trainings()[0], *changes)
        return training_settings(self.settings_file, *given, {"labels": self.labels})

    def last_stages(
        self,
        result: Callable[[], dict[str, Any]],
        measured: Sequence[Path],
        write_report: Callable[[], object],
        shown: Sequence[Path],
    ) -> list[Stage]:
        """Return the two stages that end every experiment: `result` collected, and a page that shows it.

        Parameters
        ----------
        result : callable
            Gives what was found; how and where it was found is added.
        measured : sequence of Path
            What `result` reads.
        write_report : callable
            Writes the page.
        shown : sequence of Path
            What the page is drawn from beside the result.
        """
        described = self.settings.model_dump(mode="json")

        def collect() -> dict[str, Any]:
            return {
                **result(),
                "settings": described | {"training": self.training().model_dump(mode="json")},
                "machine": machine(accelerator_names()),
                "date": datetime.now(UTC).date().isoformat(),
            }

        does = "one HTML page with tables, curves and pictures"
        return [
            find_stage("collect", "the table's rows", collect, measured, self.files.result, described),
            Stage("report", does, write_report, [self.files.result, *shown], [self.files.page]),
        ]


def run_experiment(
    words: Sequence[str] | None,
    make: Callable[[Path | None, Path, Path, str], Experiment[Any]],
    description: str | None,
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
    normal, quick = (FOLDER / f"{name}-{kind}.toml" for kind in ("cpu", "quick"))
    parser = options(name, description)
    stage_options(parser, f"runs/{name}")
    parser.add_argument("--data", type=Path, help="folder of the data (default: download)")
    parser.add_argument("--settings", type=Path, default=normal, help="the experiment (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help=f"all stages in minutes: {quick.name}")
    parser.epilog = listing(make(None, Path(), normal, "auto").stages())
    given = parser.parse_args(words)

    def work() -> int:
        choose_device(given.device)
        settings = quick if given.quick else given.settings
        experiment = make(given.data, given.out, settings, given.device)
        status = run_stages(experiment.stages(), given.out, given.stages)
        return status or (0 if given.stages else say(experiment.files, headline))

    return attempt(work)


def say(files: Files, headline: str) -> int:
    """Print what a finished experiment found, and what has not learned; return the exit status."""
    result = read_json(files.result)
    print(json.dumps(result[headline], indent=2))
    print(f"look at {files.page}")
    for name, why in result["not_learned"].items():
        print(f"warning: {name} has not learned, and its figures mean little: {why}", file=sys.stderr)
    return NothingLearnedError.exit_status if result["not_learned"] else 0
