"""The cell experiments of the paper's Table 2, from the challenge's sequences to SEG and a report.

For each data set a network is trained on the gold frames of one sequence and measured on those of the
other, and the reverse. Where there is only one sequence, the first gold frames in time train and the rest
measure, and the row says so. Cells that a gold frame leaves out are ignored, not taught as background. The
challenge's own test sequences are secret: what is measured here are other images than the published ones.

--data is a folder with PhC-C2DH-U373 and DIC-C2DH-HeLa, or one above it named ctc; without it they are
downloaded. (Cell Tracking Challenge, http://celltrackingchallenge.net: cite it; ask before other public use.)
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.base.experiment import Experiment, run_experiment
from pipelines.base.json_files import read_json
from pipelines.base.stage import Stage
from pipelines.base.stages import segment_stage, train_stage
from pipelines.base.trainings import not_learned
from pipelines.cells.cell_files import CellFiles
from pipelines.cells.data import CellData
from pipelines.cells.frames import IGNORE
from pipelines.cells.measures import measure_split
from pipelines.cells.report import write_cell_report
from pipelines.cells.settings import CellSettings
from pipelines.cells.splits import Split, splits_of
from unet2015.safe_files import write_json
from unet2015.segmentation.options import SegmentOptions


class CellExperiment(Experiment[CellSettings]):
    """The cell experiments; see `Experiment`."""

    kind, folder, labels = CellSettings, "ctc", {"kind": "instances", "ignore": IGNORE}
    files: CellFiles

    def __init__(self, data: Path | None, out: Path, settings_file: Path, device: str = "auto") -> None:
        super().__init__(data, out, settings_file, device)
        self.files, names = CellFiles(out), self.settings.data_sets
        self.data_sets = {name: CellData(self.data, name, self.download) for name in names}
        self.splits = [
            split
            for name, one in self.data_sets.items()
            for split in splits_of(name, one.names(), self.settings.first)
        ]

    def stages(self) -> list[Stage]:
        """Return the stages in their order."""
        sets = self.data_sets.values()
        return [
            *(one.fetch_stage() for one in sets if self.download),
            *(one.verify_stage(self.files) for one in sets),
            *(stage for split in self.splits for stage in self._split(split)),
            *self._last(),
        ]

    def _split(self, split: Split) -> list[Stage]:
        files, settings, end = self.files, self.settings, split.name
        images, labels = (
            [files.stack(end, which, kind) for which in ("train", "test")] for kind in ("", "-labels")
        )
        options = SegmentOptions(device=self.device, average=settings.average)
        return [
            self.data_sets[split.data_set].prepare_stage(split, files, settings.silver),
            train_stage(
                f"train-{end}",
                f"train on {split.data_set} {split.train}",
                [images[0], labels[0]],
                files.run(end),
                self.training(),
                self.device,
            ),
            segment_stage(
                f"segment-{end}",
                "segment",
                images,
                files.model(end),
                {files.part(end): options},
                settings={"average": settings.average},
            ),
            self._measure(split, labels),
        ]

    def _measure(self, split: Split, labels: Sequence[Path]) -> Stage:
        files, name = self.files, split.name
        maps = [files.stack(name, which, ".probability") for which in ("train", "test")]
        folder, made = self.data / split.data_set, [files.objects(name), files.measures(name)]

        def measure() -> None:
            write_json(files.measures(name), measure_split(split, folder, files, self.settings))

        given = [*maps, *labels, files.facts(split.data_set)]
        keys = ("smallest", "frame", "connectivity", "fill_holes")
        post = {key: getattr(self.settings, key) for key in keys}
        return Stage(f"measure-{name}", "objects, and their SEG", measure, given, made, post)

    def _last(self) -> list[Stage]:
        files, names = self.files, [split.name for split in self.splits]
        measured = [*(files.measures(name) for name in names), *(files.facts(d) for d in self.data_sets)]
        shown = [
            path
            for name in names
            for path in (
                files.stack(name, "test"),
                files.stack(name, "test", "-labels"),
                files.objects(name),
                files.log(name),
            )
        ]
        return self.last_stages(self._result, measured, lambda: write_cell_report(files), shown)

    def _result(self) -> dict[str, Any]:
        splits = {split.name: read_json(self.files.measures(split.name)) for split in self.splits}
        means = {}
        for name in self.data_sets:
            mine = [part for part in splits.values() if part["data_set"] == name]
            means[name] = {
                "seg": float(np.mean([part["seg"] for part in mine])),
                "seg_at_0.5": float(np.mean([part["seg_at_0.5"] for part in mine])),
                "splits": [part["split"] for part in mine],
            }
        return {
            "data": "Cell Tracking Challenge training sequences, gold frames",
            "note": "held-out training frames; the published rows are on the hidden test sequences",
            "mean": means,
            "not_learned": not_learned({name: part["training"] for name, part in splits.items()}),
            "splits": splits,
            "data_sets": {name: read_json(self.files.facts(name)) for name in self.data_sets},
        }


def main(words: Sequence[str] | None = None) -> int:
    """Run the pipeline and return the exit status."""
    return run_experiment(words, CellExperiment, __doc__, "cell_tracking", "mean")


if __name__ == "__main__":
    sys.exit(main())
