"""What each setting that the paper leaves open costs or gains: short trainings, equal budget, several seeds.

``python -m pipelines.settings_table --data FILE.npz --out DIR --seconds 300 [--device cuda]``

FILE is what :mod:`pipelines.device_sets` packs. One recipe is the base (`settings_table.toml`); each
row changes one thing. EM: trained on slices 0-23, measured on 24-29, best over thresholds, one pass. Cells:
SEG of the connected parts above 0.5, from one sequence to the other, or of the last gold frames where there
is one sequence. Rows are run seed by seed, so that a time too short leaves whole rows with fewer seeds.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.device_jobs import Job, run_jobs
from pipelines.device_sets import Split, find_split, label_settings, load, test_pages, training_pages
from unet2015.errors import UNet2015Error
from unet2015.objects.instances import label_objects
from unet2015.safe_files import make_folder, write_json
from unet2015.settings import TrainingSettings, load_settings, merged, read_toml
from unet2015.training.deform import DevicePages
from unet2015.training.on_device import DeviceTraining

SETTINGS = Path(__file__).with_name("settings_table.toml")
SPLITS = ("em-4", "dic-01", "phc-01")


def measure_em(truth: NDArray[Any], levels: NDArray[np.uint8]) -> dict[str, float]:
    """Return the EM measures but warping, best over thresholds, of maps of 0 to 255."""
    from unet2015.metrics import pixel_error, rand_error, thinned_scores

    found = levels.astype(np.float32) / 255
    v_rand, v_info = thinned_scores(truth, found)
    return {
        "pixel_error": pixel_error(truth, found).value,
        "rand_error": rand_error(truth, found).value,
        "v_rand": v_rand.value,
        "v_info": v_info.value,
    }


def measure_cells(truth: NDArray[Any], levels: NDArray[np.uint8]) -> dict[str, float]:
    """Return SEG at 0.5 and at the best of nine thresholds, of maps of 0 to 255."""
    from unet2015.metrics import seg_score

    found = levels.astype(np.float32) / 255

    def seg(threshold: float) -> float:
        objects = [label_objects(page, threshold, smallest=100, frame=50) for page in found]
        return seg_score(zip(range(len(truth)), truth, objects, strict=True)).value

    scores = {step / 10: seg(step / 10) for step in range(1, 10)}
    return {"seg": scores[0.5], "seg_best": max(scores.values())}


def auc(truth: NDArray[Any], levels: NDArray[np.uint8]) -> float:
    """Return the area under the ROC curve of maps of 0 to 255 against truth above 0."""
    inside, outside = (np.bincount(levels[mask].ravel(), minlength=256) for mask in (truth > 0, truth == 0))
    below = np.cumsum(outside) - outside
    pairs = inside.sum() * outside.sum()
    return float((inside * (below + outside / 2)).sum() / pairs) if pairs else float("nan")


def measure(kind: str, truth: NDArray[Any], levels: NDArray[np.uint8]) -> dict[str, float]:
    """Return the measures of a split's maps; runs in a process of its own."""
    found = measure_em(truth, levels) if kind == "em" else measure_cells(truth, levels)
    return found | {"auc": auc(truth, levels)}


class Table:
    """The jobs and what becomes of them."""

    def __init__(
        self, arrays: dict[str, NDArray[Any]], out: Path, given: dict[str, Any], device: torch.device
    ) -> None:
        self.arrays, self.out, self.given, self.device = arrays, out, given, device
        self.lines: list[dict[str, Any]] = []
        self._pages: dict[str, DevicePages] = {}
        self._tests: dict[str, tuple[NDArray[np.float32], NDArray[Any]]] = {}
        self._pending: list[tuple[dict[str, Any], Future[dict[str, float]]]] = []
        # Spawned, since a copy of a process that uses a GPU does not work.
        self.pool = ProcessPoolExecutor(
            given.get("processes", 2), mp_context=multiprocessing.get_context("spawn")
        )

    def settings(self, split: Split, row: dict[str, Any], seed: int) -> TrainingSettings:
        """Return the settings of a row on a split."""
        values = merged(self.given["base"], row)
        values = merged(values, self.given.get("only", {}).get(split.kind, {}))
        values = merged(values, {"seed": seed, "labels": label_settings(split.kind)})
        return load_settings(None, values)

    def jobs(self, seeds: range, splits: Sequence[str]) -> Iterator[Job]:
        """Yield the trainings, seed by seed; a row may have more seeds, or fewer splits, than the others."""
        rows = self.given["rows"]
        for seed in range(seeds.start, max(row.get("seeds", seeds.stop) for row in rows.values())):
            for title, row in rows.items():
                change = {key: value for key, value in row.items() if key not in ("splits", "seeds")}
                if seed < row.get("seeds", seeds.stop):
                    for name in (name for name in splits if name in row.get("splits", splits)):
                        split = find_split(self.arrays, name)
                        yield self._job(split, title, self.settings(split, change, seed))

    def _job(self, split: Split, title: str, settings: TrainingSettings) -> Job:
        key = json.dumps(
            [
                split.name,
                settings.mapping.model_dump(),
                settings.weight_map.model_dump(),
                settings.labels.model_dump(),
            ]
        )

        def pages() -> DevicePages:
            if key not in self._pages:
                self._pages[key] = training_pages(self.arrays, split, settings)
            return self._pages[key]

        started: list[float] = [time.monotonic()]

        def finish(training: DeviceTraining) -> None:
            if key not in self._tests:
                self._tests[key] = test_pages(self.arrays, split, settings)
            images, truth = self._tests[key]
            levels = training.predict(list(images))
            steps = settings.optimisation.steps
            losses = training.losses[:steps].cpu().numpy()
            norms = training.norms[:steps].cpu().numpy()
            line = {
                "row": title,
                "split": split.name,
                "seed": settings.seed,
                "steps": steps,
                "seconds": round(time.monotonic() - started[0], 2),
                "loss": [round(float(part.mean()), 4) for part in np.array_split(losses, min(20, steps))],
                "norm": [round(float(part.max()), 3) for part in np.array_split(norms, min(20, steps))],
            }
            self._pending.append((line, self.pool.submit(measure, split.kind, truth, levels)))
            self.collect()

        return Job(f"{title}, {split.name}, seed {settings.seed}", settings, pages, finish)

    def collect(self) -> None:
        """Take the measures that are there."""
        for line, future in [pair for pair in self._pending if pair[1].done()]:
            self._pending.remove((line, future))
            try:
                self.lines.append(line | future.result())
            except Exception as error:  # a measure that fails must not cost the others
                self.lines.append(line | {"error": f"{type(error).__name__}: {error}"})

    def close(self, seconds: float) -> None:
        """Wait for the measures, so long at most, and write all."""
        wait([future for _, future in self._pending], seconds)
        self.collect()
        if self._pending:
            print(f"{len(self._pending)} trainings were not measured in time", file=sys.stderr, flush=True)
        self.write()
        processes = list(self.pool._processes.values())
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in processes if self._pending else []:
            process.terminate()

    def write(self) -> None:
        """Write the lines."""
        where = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        write_json(
            self.out / "settings_table.json",
            {"settings": self.given, "device": where, "date": datetime.now(UTC).date().isoformat()}
            | {"trainings": self.lines},
        )


def main(words: Sequence[str] | None = None) -> int:
    """Run the table from the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="what pipelines.device_sets packed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--settings", type=Path, default=SETTINGS, help="base and rows (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=300, help="time (default: %(default)s)")
    parser.add_argument("--grace", type=float, default=120, help="and for the last measures")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--slots", type=int, default=6, help="trainings side by side")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="first seed (default: %(default)s)")
    parser.add_argument("--splits", nargs="+", default=list(SPLITS))
    given = parser.parse_args(words)
    until = time.monotonic() + given.seconds
    try:
        arrays = load(given.data)
        table = Table(
            arrays,
            make_folder(given.out),
            read_toml(given.settings, str(given.settings)),
            torch.device(given.device),
        )
        jobs = list(table.jobs(range(given.first, given.seeds), given.splits))
    except UNet2015Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    torch.backends.cudnn.benchmark = True

    def failed(job: Job, error: Exception) -> None:
        print(f"{job.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    # The compiled measures are made once, not by every process at once.
    tiny = np.zeros((1, 8, 8), np.uint8)
    table.pool.submit(measure, "em", tiny + 255, tiny + 255)
    started = time.monotonic()
    done = run_jobs(jobs, table.device, given.slots, until, failed)
    print(f"{done} of {len(jobs)} trainings in {time.monotonic() - started:.0f} s", flush=True)
    table.close(given.grace)
    return 0 if done == len(jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
