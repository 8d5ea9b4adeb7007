"""What each setting that the paper leaves open costs or gains: short trainings, equal budget, several seeds.

``python -m pipelines.settings_table --data FILE.npz --out DIR --seconds 300 [--device cuda]``

FILE is what :mod:`pipelines.device_sets` packs. One recipe is the base (`settings_table.toml`); each
row changes one thing. EM: trained on slices 0-23, measured on 24-29, best over thresholds, one pass. Cells:
SEG of the connected parts above 0.5, from one sequence to the other, or of the last gold frames where there
is one sequence. Rows are run seed by seed, so that a time too short leaves whole rows with fewer seeds.

Other settings compare other things, on the splits that they name: `settings_table-wide.toml` tries four means
against overfitting at the paper's width, each of them in half of the rows.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.base.command import attempt, options
from pipelines.base.curves import means
from pipelines.on_device.jobs import QueuedTraining, run_jobs
from pipelines.on_device.measuring import Measuring
from pipelines.on_device.sets import Arrays, PackedSets, PackedSplit, find_split, label_settings, load
from unet2015.device import gpu_count, hardware_name
from unet2015.safe_files import make_folder, write_json
from unet2015.settings import TrainingSettings, load_settings, merged, read_toml
from unet2015.training.on_device import DeviceTraining

SETTINGS = Path(__file__).with_name("settings_table.toml")
WIDE = Path(__file__).with_name("settings_table-wide.toml")
SPLITS = ("em-4", "dic-01", "phc-01")
"""Where the settings name none."""


class Table:
    """The jobs and what becomes of them.

    Parameters
    ----------
    arrays : mapping
        The packed sets.
    out : Path
        Folder of the results.
    given : dict
        The values of a settings file.
    device : torch.device
        What is trained on.
    """

    def __init__(self, arrays: Arrays, out: Path, given: dict[str, Any], device: torch.device) -> None:
        self.sets, self.out, self.given, self.device = PackedSets(arrays), out, given, device
        self.lines: list[dict[str, Any]] = []
        self.measuring = Measuring(given.get("processes", 2))

    def settings(self, split: PackedSplit, row: dict[str, Any], seed: int) -> TrainingSettings:
        """Return the settings of a row on a split."""
        values = merged(self.given["base"], row)
        values = merged(values, self.given.get("only", {}).get(split.kind, {}))
        values = merged(values, {"seed": seed, "labels": label_settings(split.kind)})
        return load_settings(None, values)

    def jobs(self, seeds: range, splits: Sequence[str]) -> Iterator[QueuedTraining]:
        """Yield the trainings, seed by seed; a row may have more seeds, or fewer splits, than the others."""
        rows = self.given["rows"]
        for seed in range(seeds.start, max(row.get("seeds", seeds.stop) for row in rows.values())):
            for title, row in rows.items():
                change = {key: value for key, value in row.items() if key not in ("splits", "seeds")}
                if seed < row.get("seeds", seeds.stop):
                    for name in (name for name in splits if name in row.get("splits", splits)):
                        split = find_split(self.sets.arrays, name)
                        yield self._job(split, title, self.settings(split, change, seed))

    def _job(self, split: PackedSplit, title: str, settings: TrainingSettings) -> QueuedTraining:
        started: list[float] = [time.monotonic()]

        def finish(training: DeviceTraining) -> None:
            images, truth = self.sets.test(split, settings)
            levels = training.predict(list(images), self.given.get("averages", {}).get(split.kind, "none"))
            steps = settings.optimisation.steps
            losses = training.losses[:steps].cpu().numpy()
            norms = training.norms[:steps].cpu().numpy()
            line = {
                "row": title,
                "split": split.name,
                "seed": settings.seed,
                "steps": steps,
                "seconds": round(time.monotonic() - started[0], 2),
                "loss": means(losses, 20),
                "norm": [round(float(part.max()), 3) for part in np.array_split(norms, min(20, steps))],
            }
            self.take(line, split.kind, truth, levels)

        name = f"{title}, {split.name}, seed {settings.seed}"
        return QueuedTraining(name, settings, lambda: self.sets.training(split, settings), finish)

    def take(self, line: dict[str, Any], kind: str, truth: NDArray[Any], levels: NDArray[np.uint8]) -> None:
        """Add a line with the measures of a training's maps once they are made."""

        def add(found: dict[str, Any]) -> None:
            self.lines.append(line | found)
            self.write()  # a device that is gone must not take what is measured with it
            shown = {key: round(v, 4) if isinstance(v, float) else v for key, v in found.items()}
            print(*(line[key] for key in ("row", "split", "seed") if key in line), shown, flush=True)

        def done(measures: dict[str, float]) -> None:
            add(measures)

        def failed(error: Exception) -> None:
            add({"error": f"{type(error).__name__}: {error}"})

        self.measuring.add(kind, truth, levels, done, failed)

    def run(self, jobs: Sequence[QueuedTraining], slots: int, until: float, grace: float) -> int:
        """Run jobs, measure what they give and write it; return the exit status: 1 where one is missing."""
        torch.backends.cudnn.benchmark = True

        def failed(job: QueuedTraining, error: Exception) -> None:
            print(f"{job.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

        self.measuring.warm()
        started = time.monotonic()
        done = run_jobs(jobs, self.device, slots, until, failed, meanwhile=self.measuring.collect)
        print(f"{done} of {len(jobs)} trainings in {time.monotonic() - started:.0f} s", flush=True)
        if missing := self.measuring.close(grace):
            print(f"{missing} trainings were not measured in time", file=sys.stderr, flush=True)
        self.write()
        return 0 if done == len(jobs) else 1

    def write(self) -> None:
        """Write the lines."""
        write_json(
            self.out / "settings_table.json",
            {
                "settings": self.given,
                "device": hardware_name(self.device),
                "date": datetime.now(UTC).date().isoformat(),
                "trainings": self.lines,
            },
        )


def main(words: Sequence[str] | None = None) -> int:
    """Run the table from the command line and return the exit status."""
    parser = options("settings_table", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="what pipelines.device_sets packed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--settings", type=Path, default=SETTINGS, help="base and rows (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=300, help="time (default: %(default)s)")
    parser.add_argument("--grace", type=float, default=120, help="and for the last measures")
    parser.add_argument("--device", default="cuda" if gpu_count() else "cpu")
    parser.add_argument("--slots", type=int, default=6, help="trainings side by side")
    parser.add_argument("--seeds", type=int, help="default: the settings', or 3")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: %(default)s)")
    parser.add_argument("--splits", nargs="+", help=f"default: the settings', or {' '.join(SPLITS)}")
    parser.add_argument("--steps", type=int, help="of the base, in place of the settings'")
    given = parser.parse_args(words)
    until = time.monotonic() + given.seconds

    def work() -> int:
        arrays, values = load(given.data), read_toml(given.settings, str(given.settings))
        if given.steps is not None:
            values = merged(values, {"base": {"optimisation": {"steps": given.steps}}})
        table = Table(arrays, make_folder(given.out), values, torch.device(given.device))
        seeds = values.get("seeds", 3) if given.seeds is None else given.seeds
        jobs = list(table.jobs(range(given.first, seeds), given.splits or values.get("splits", SPLITS)))
        return table.run(jobs, given.slots, until, given.grace)

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
