"""The cell experiments of the paper's Table 2, from the challenge's sequences to SEG and a report.

For each data set a network is trained on the gold frames of one sequence and measured on those of the
other, and the reverse. Where there is only one sequence, the first gold frames in time train and the rest
measure, and the row says so. Cells that a gold frame leaves out are ignored, not taught as background. The
challenge's own test sequences are secret: what is measured here are other images than the published ones.

--data is a folder with PhC-C2DH-U373 and DIC-C2DH-HeLa, or one above it named ctc; without it they are
downloaded. (Cell Tracking Challenge, http://celltrackingchallenge.net: cite it; ask before other public use.)
"""

import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from pipelines import ctc
from pipelines.experiment import CellTrackingExperiment, load_experiment, training_settings
from pipelines.fetch import fetch, unpack_folder
from pipelines.runs import not_learned, run_experiment, segment_into, train_run, training_summary
from pipelines.stages import Stage
from unet2015.errors import DataSetError
from unet2015.images.axes import Calibration
from unet2015.images.reader import read_pages
from unet2015.images.writer import write_image
from unet2015.metrics.seg import SEGScore, seg_score
from unet2015.objects.instances import Markers, label_objects
from unet2015.safe_files import make_folder, write_json
from unet2015.settings import TrainingSettings

HERE = Path(__file__).parent
_log = logging.getLogger("unet2015")
URL = "https://data.celltrackingchallenge.net/training-datasets/{name}.zip"
PIXEL_SIZES = {"PhC-C2DH-U373": 0.65, "DIC-C2DH-HeLa": 0.19}
"""In micrometres, by the files' own tags."""
KNOWN = {
    "PhC-C2DH-U373/01": "abde67017c664ee71d5594cd335ee75fb3e14f15919e991895c6b1a0eb9d33ec",
    "DIC-C2DH-HeLa/01": "16b6c561fda0bcb046552d47cc921059ceff8506de2fa3c71a1e7d78bc0aa7ed",
    "DIC-C2DH-HeLa/02": "4aed3d5fa84235e67041c59bfe5b62ce977c43e7a398dd4e5a7f071635b2fa41",
}
"""SHA-256 of the gold frames' pixels, image then truth, uint8 and uint16 in C order."""
THRESHOLDS = tuple(step / 10 for step in range(1, 10))
PAPER = {
    "u-net 2015 (paper, Table 2)": {"PhC-C2DH-U373": 0.9203, "DIC-C2DH-HeLa": 0.7756},
    "second-best 2015 (paper, Table 2)": {"PhC-C2DH-U373": 0.83, "DIC-C2DH-HeLa": 0.46},
    "KTH-SE 2014 (paper, Table 2)": {"PhC-C2DH-U373": 0.7953, "DIC-C2DH-HeLa": 0.4607},
    "HOUS-US 2014 (paper, Table 2)": {"PhC-C2DH-U373": 0.5323},
    "IMCB-SG 2014 (paper, Table 2)": {"PhC-C2DH-U373": 0.2669, "DIC-C2DH-HeLa": 0.2935},
    "best since (CALT-US)": {"PhC-C2DH-U373": 0.931, "DIC-C2DH-HeLa": 0.887},
}
"""SEG on the hidden test sequences, for comparison: other images than ours."""


@dataclass(frozen=True)
class Split:
    """What is trained on and what is measured.

    Attributes
    ----------
    data_set : str
        Folder of the data set.
    train, test : str
        Names of the sequences; the same where there is only one.
    first : float
        Share of the gold frames, from the start, to train on where there is only one sequence.
    """

    data_set: str
    train: str
    test: str
    first: float

    @property
    def name(self) -> str:
        """Folder of its files, and the end of its stages' names."""
        return f"{self.data_set}-{self.train}-to-{self.test}"

    @property
    def title(self) -> str:
        """What a reader is told."""
        if self.train != self.test:
            return f"{self.train} -> {self.test}"
        return f"{self.train}: first {self.first:.0%} of the gold frames -> the rest"

    def frames(self, folder: Path) -> tuple[list[int], list[int]]:
        """Return the gold frames to train on and to measure."""
        train, test = (ctc.Sequence(folder, name).gold() for name in (self.train, self.test))
        if self.train != self.test:
            return train, test
        if len(train) < 2:
            raise DataSetError(
                f"{folder / self.train}: a split in time needs 2 gold frames, there is {len(train)}"
            )
        count = min(max(1, round(self.first * len(train))), len(train) - 1)
        return train[:count], train[count:]


def splits_of(data_set: str, sequences: Sequence[str], first: float) -> list[Split]:
    """Return 01 -> 02 and the reverse, or a split in time where there is only one sequence."""
    if len(sequences) == 1:
        return [Split(data_set, sequences[0], sequences[0], first)]
    return [Split(data_set, *pair, first) for pair in (("01", "02"), ("02", "01"))]


class Experiment:
    """The stages, and the files that join them.

    Parameters
    ----------
    data : Path or None
        Folder of the data sets; None downloads them into the results.
    out : Path
        Folder of the results.
    settings : Path
        TOML file of a `CellTrackingExperiment`.
    device : str
        As in :func:`unet2015.train`.
    """

    def __init__(self, data: Path | None, out: Path, settings: Path, device: str = "auto") -> None:
        self.out, self.settings, self.device, self.download = out, settings, device, data is None
        self.data = out / "data" if data is None else data / "ctc" if (data / "ctc").is_dir() else data
        self.experiment = load_experiment(CellTrackingExperiment, settings)
        self.splits: list[Split] = []
        for data_set in self.experiment.data_sets:
            # A data set that is still to be downloaded has both sequences.
            there = [s.name for s in ctc.find_sequences(self.data / data_set)] if data else ["01", "02"]
            self.splits += splits_of(data_set, there, self.experiment.first)

    def stages(self) -> list[Stage]:
        """Return the stages in their order."""
        first = [self._fetch_stage(name) for name in self.experiment.data_sets] if self.download else []
        first += [self._verify_stage(name) for name in self.experiment.data_sets]
        return [
            *first,
            *(stage for split in self.splits for stage in self._split_stages(split)),
            *self._last(),
        ]

    def part(self, split: Split) -> Path:
        """Return the folder of one split."""
        return self.out / split.name

    def stack(self, split: Split, which: str, end: str = "") -> Path:
        """Return a stack of ``train`` or ``test`` frames: images, or what `end` says."""
        return self.part(split) / f"{which}{end}.tif"

    def _settings(self) -> TrainingSettings:
        labels = {"labels": {"kind": "instances", "ignore": ctc.IGNORE}}
        return training_settings(self.experiment.training, self.settings, labels)

    def _facts(self, data_set: str) -> Path:
        return self.out / f"{data_set}.json"

    def _fetch_stage(self, data_set: str) -> Stage:
        mark = self.data / f"{data_set}.fetched"
        url = URL.format(name=data_set)

        def act() -> None:
            unpack_folder(fetch(url, self.data), data_set, self.data)
            mark.write_text(url + "\n", encoding="utf-8")

        return Stage(f"fetch-{data_set}", f"download {data_set}", act, [], [mark], {"url": url})

    def _verify_stage(self, data_set: str) -> Stage:
        """Count and hash; the files themselves are too many to be declared one by one."""
        folder = self.data / data_set

        def act() -> None:
            facts = {}
            for sequence in ctc.find_sequences(folder):
                gold = sequence.gold()
                pixels = hashlib.sha256()
                ignored = {}
                for frame in gold:
                    image, labels = sequence.image(frame), sequence.labels(frame)
                    pixels.update(image.tobytes() + sequence.truth(frame).tobytes())
                    ignored[frame] = round(float((labels == ctc.IGNORE).mean()), 4)
                facts[sequence.name] = {
                    "gold_frames": gold,
                    "silver_frames": len(sequence.silver()),
                    "share_ignored": {frame: share for frame, share in ignored.items() if share},
                    "sha256_of_gold_frames": pixels.hexdigest(),
                }
                known = KNOWN.get(f"{data_set}/{sequence.name}")
                if known not in (None, pixels.hexdigest()):
                    message = (
                        f"{folder / sequence.name}: the pixels of the gold frames are not those that this "
                        f"project's figures are of (SHA-256 {pixels.hexdigest()}, expected {known})"
                    )
                    if self.download:
                        raise DataSetError(
                            f"{message}; the archive may be damaged, or a newer one: remove it, "
                            "or unpack it by hand and give --data"
                        )
                    _log.warning("%s", message)
            write_json(self._facts(data_set), facts)

        given = [self.data / f"{data_set}.fetched"] if self.download else ctc.files(folder)
        does = f"see what {data_set} has: gold frames, and what they leave out"
        return Stage(f"verify-{data_set}", does, act, given, [self._facts(data_set)])

    def _split_stages(self, split: Split) -> list[Stage]:
        settings = self._settings()
        folder, run = self.data / split.data_set, self.part(split) / "run"
        pixel = PIXEL_SIZES.get(split.data_set)
        calibration = Calibration(pixel_size_x=pixel, pixel_size_y=pixel, unit="um")
        images = [self.stack(split, which) for which in ("train", "test")]
        labels = [self.stack(split, which, "-labels") for which in ("train", "test")]
        model, maps = (
            run / "model.safetensors",
            [self.stack(split, w, ".probability") for w in ("train", "test")],
        )
        objects, target = self.part(split) / "objects.tif", self.part(split) / "seg.json"
        average, silver = self.experiment.average, self.experiment.silver

        def prepare() -> None:
            make_folder(self.part(split))
            for which, sequence, frames in zip(
                ("train", "test"), (split.train, split.test), split.frames(folder), strict=True
            ):
                source = ctc.Sequence(folder, sequence)
                pages = [(source.image(frame), source.labels(frame)) for frame in frames]
                if which == "train" and silver:
                    # Of the time that is measured nothing is used, silver truth either.
                    last = max(frames) if split.train == split.test else max(source.silver())
                    more = [f for f in source.silver() if f not in frames and f <= last]
                    pages += [(source.image(frame), source.labels(frame, True)) for frame in more]
                if len(sizes := {page.shape for pair in pages for page in pair}) > 1:
                    raise DataSetError(
                        f"{folder / sequence}: frames and truth of different sizes: {sorted(sizes)}"
                    )
                write_image(self.stack(split, which), np.stack([p[0] for p in pages]), "IYX", calibration)
                write_image(
                    self.stack(split, which, "-labels"), np.stack([p[1] for p in pages]), "IYX", calibration
                )

        def train() -> None:
            train_run(images[0], labels[0], run, settings, self.device)

        def segment() -> None:
            segment_into(self.part(split), images, model, average, self.device)

        def measure() -> None:
            frames = split.frames(folder)
            train_maps, test_maps = (read_pages(path) for path in maps)
            # On gold frames only: silver truth is other people's segmentation.
            gold = [
                self._truth(folder, name, f)
                for name, f in zip((split.train, split.test), frames, strict=True)
            ]
            on_training = {t: score(gold[0], train_maps, t, self.experiment).value for t in THRESHOLDS}
            threshold = max(on_training, key=lambda t: on_training[t])
            found = objects_of(test_maps, threshold, self.experiment)
            best = {t: score(gold[1], test_maps, t, self.experiment).value for t in THRESHOLDS}
            chosen = seg_score(zip(frames[1], gold[1], found, strict=True))
            write_image(objects, found, "IYX", calibration)
            results = make_folder(self.part(split) / f"{split.test}_RES")
            for frame, page in zip(frames[1], found, strict=True):
                write_image(results / f"mask{frame:03d}.tif", page, "YX", calibration)
            top = max(best, key=lambda t: best[t])
            write_json(
                target,
                {
                    "data_set": split.data_set,
                    "split": split.title,
                    "frames": {
                        "train": frames[0],
                        "test": frames[1],
                        "pages_trained_on": len(read_pages(images[0])),
                    },
                    "seg": chosen.value,
                    "threshold_of_training": threshold,
                    "seg_at_0.5": best[0.5],
                    "seg_best_over_thresholds": {"seg": best[top], "threshold": top},
                    "seg_on_training_frames": on_training[threshold],
                    "objects": len(chosen.objects),
                    "objects_without_match": sum(found.match is None for found in chosen.objects),
                    "per_frame": chosen.per_frame(),
                    "training": training_summary(run),
                },
            )

        post = {
            key: getattr(self.experiment, key) for key in ("smallest", "frame", "connectivity", "fill_holes")
        }
        facts = self._facts(split.data_set)
        end = split.name
        return [
            Stage(
                f"prepare-{end}",
                f"stacks of {split.data_set} {split.title}",
                prepare,
                [facts, *([] if self.download else ctc.files(folder, silver))],
                [*images, *labels],
                {"silver": silver, "first": split.first},
            ),
            Stage(
                f"train-{end}",
                f"train on {split.data_set} {split.train}",
                train,
                [images[0], labels[0]],
                [model, run / "log.jsonl"],
                settings.model_dump(mode="json"),
            ),
            Stage(f"segment-{end}", "segment", segment, [model, *images], maps, {"average": average}),
            Stage(
                f"measure-{end}",
                "objects, and their SEG",
                measure,
                [*maps, *labels, facts],
                [objects, target],
                post,
            ),
        ]

    def _truth(self, folder: Path, sequence: str, frames: Sequence[int]) -> list[NDArray[Any]]:
        source = ctc.Sequence(folder, sequence)
        return [source.truth(frame) for frame in frames]

    def _last(self) -> list[Stage]:
        measures = [self.part(split) / "seg.json" for split in self.splits]
        pages = [path for split in self.splits for path in self._pictured(split)]
        facts = [self._facts(name) for name in self.experiment.data_sets]
        result, page = self.out / "result.json", self.out / "report.html"

        def collect() -> None:
            write_json(
                result, self._result([json.loads(path.read_text(encoding="utf-8")) for path in measures])
            )

        def report() -> None:
            from pipelines.cell_report import write_cell_report

            write_cell_report(self, page)

        described = self.experiment.model_dump(mode="json")
        return [
            Stage("collect", "the table's rows", collect, [*measures, *facts], [result], described),
            Stage(
                "report", "one HTML page with tables, curves and pictures", report, [result, *pages], [page]
            ),
        ]

    def _pictured(self, split: Split) -> list[Path]:
        return [
            self.stack(split, "test"),
            self.stack(split, "test", "-labels"),
            self.part(split) / "objects.tif",
            self.part(split) / "run" / "log.jsonl",
        ]

    def _result(self, parts: list[dict[str, Any]]) -> dict[str, Any]:
        facts = {name: json.loads(self._facts(name).read_text("utf-8")) for name in self.experiment.data_sets}
        means = {}
        for name in self.experiment.data_sets:
            mine = [part for part in parts if part["data_set"] == name]
            means[name] = {
                "seg": float(np.mean([part["seg"] for part in mine])),
                "seg_at_0.5": float(np.mean([part["seg_at_0.5"] for part in mine])),
                "splits": [part["split"] for part in mine],
            }
        splits = dict(zip((split.name for split in self.splits), parts, strict=True))
        return {
            "data": "Cell Tracking Challenge training sequences, gold frames",
            "note": "held-out training frames; the published rows are on the hidden test sequences",
            "mean": means,
            "not_learned": not_learned({name: part["training"] for name, part in splits.items()}),
            "splits": splits,
            "data_sets": facts,
            "settings": self.experiment.model_dump(mode="json")
            | {"training": self._settings().model_dump(mode="json")},
            "machine": machine(),
            "date": datetime.now(UTC).date().isoformat(),
        }


def objects_of(
    maps: NDArray[np.float32],
    threshold: float,
    experiment: CellTrackingExperiment,
    markers: Markers | None = None,
) -> NDArray[np.uint16]:
    """Return the objects of each page, after the experiment's post-processing."""
    return np.stack(
        [
            label_objects(
                page,
                threshold,
                connectivity=experiment.connectivity,
                fill_holes=experiment.fill_holes,
                smallest=experiment.smallest,
                frame=experiment.frame,
                markers=markers,
            )
            for page in maps
        ]
    )


def score(
    truth: Sequence[NDArray[Any]],
    maps: NDArray[np.float32],
    threshold: float,
    experiment: CellTrackingExperiment,
    markers: Markers | None = None,
) -> SEGScore:
    """Return SEG of the pages (of `maps` the first ones) at a threshold."""
    found = objects_of(maps[: len(truth)], threshold, experiment, markers)
    return seg_score(zip(range(len(truth)), truth, found, strict=True))


def main(words: Sequence[str] | None = None) -> int:
    """Run the pipeline and return the exit status."""
    return run_experiment(words, Experiment, __doc__ or "", "cell_tracking", "mean")


if __name__ == "__main__":
    sys.exit(main())
