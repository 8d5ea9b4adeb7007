"""The EM experiment of the paper's Table 1, from the challenge's files to a table and a report.

Five-fold cross-validation over the 30 labelled slices, in folds of 6 consecutive slices (neighbouring
slices look alike, so they stay together); a model of all 30; and what the choices cost that the paper
leaves open. The labels of the challenge's test volume are secret: what is measured here is measured on
held-out training slices, other images than those of the published table.

--data is a folder with train-volume.tif, train-labels.tif and test-volume.tif, or one above it named
isbi2012; without it they are downloaded. (Cardona et al. 2010, doi:10.1371/journal.pbio.1000502: free
for making and testing non-commercial segmentation software, with citation.)
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from pipelines import em
from pipelines.experiment import EMExperiment, load_experiment, training_settings
from pipelines.fetch import fetch, unpack
from pipelines.runs import SEEDS, not_learned, run_experiment, segment_into, train_run, training_summary
from pipelines.stages import Stage
from unet2015.errors import DataSetError
from unet2015.images.axes import Calibration
from unet2015.images.reader import read_pages
from unet2015.images.writer import write_image
from unet2015.metrics import evaluate_em
from unet2015.models import ModelDescription, ship_model
from unet2015.models.model_file import read_model_file
from unet2015.safe_files import make_folder, write_json
from unet2015.settings import TrainingSettings

HERE = Path(__file__).parent
URL = "https://downloads.imagej.net/ISBI-2012-challenge.zip"
PIXEL = Calibration(pixel_size_x=4.0, pixel_size_y=4.0, unit="nm")
PIXELS = {
    "train-volume": "200da3d452d726e6c9ca1ce04b869d4edb727320d23b516d01cce707dc8c4760",
    "train-labels": "a7cb64000a1a7e542682927e19c91339f58f9f178e0bcce4e207371116f0ca36",
    "test-volume": "1b58fa7ec1d0ff9d39a855622db3ff66a97863036339b0d04be51b2f5a99b0e9",
}
"""SHA-256 of the raw pixels, uint8 in C order; headers differ between copies."""


class Experiment:
    """The stages, and the files that join them.

    Parameters
    ----------
    data : Path or None
        Folder of the challenge's files; None downloads them into the results.
    out : Path
        Folder of the results.
    settings : Path
        TOML file of an `EMExperiment`.
    device : str
        As in :func:`unet2015.train`.
    """

    def __init__(self, data: Path | None, out: Path, settings: Path, device: str = "auto") -> None:
        self.out, self.settings, self.device, self.download = out, settings, device, data is None
        self.data = (
            out / "data" if data is None else data / "isbi2012" if (data / "isbi2012").is_dir() else data
        )
        self.experiment = load_experiment(EMExperiment, settings)
        self.volume, self.labels, self.test = (self.data / f"{name}.tif" for name in PIXELS)
        if missing := [
            path.name for path in (self.volume, self.labels, self.test) if data and not path.exists()
        ]:
            raise DataSetError(
                f"{self.data}: expected train-volume.tif, train-labels.tif and test-volume.tif, but there is "
                f"no {' and no '.join(missing)}; without --data they are downloaded"
            )

    def stages(self) -> list[Stage]:
        """Return the stages in their order."""
        first = [self._fetch_stage()] if self.download else []
        first += [self._verify_stage(), *self._split_stages(), self._weights_stage()]
        folds = [stage for fold in self.experiment.folds for stage in self._fold_stages(fold)]
        return [
            *first,
            *folds,
            *self._final_stages(),
            *self._ship_stages(),
            *self._ablation_stages(),
            *self._last_stages(),
        ]

    # The files.

    def part(self, name: str) -> Path:
        """Return the folder of one training and what is measured with it: ``fold-4``, ``all``."""
        return self.out / name

    def model(self, name: str) -> Path:
        """Return the model of one training."""
        return self.part(name) / "run" / "model.safetensors"

    def probability(self, name: str, average: str, which: str) -> Path:
        """Return the probability map of ``held-out`` or ``train`` slices."""
        return self.part(name) / average / f"{which}.probability.tif"

    def ablations(self) -> dict[str, str]:
        """Return the folder's name of each row of the ablation, by its title."""
        rows = self.experiment.ablation.rows if self.experiment.ablation else {}
        return {title: f"ablation-{number}" for number, title in enumerate(rows)}

    # The stages.

    def _settings(self, *changes: dict[str, Any]) -> TrainingSettings:
        labels = {"labels": {"kind": "membrane"}}
        return training_settings(self.experiment.training, self.settings, *changes, labels)

    def _fetch_stage(self) -> Stage:
        def act() -> None:
            archive = fetch(URL, self.data)
            unpack(archive, [path.name for path in (self.volume, self.labels, self.test)], self.data)

        files = [self.volume, self.labels, self.test]
        return Stage("fetch", "download the challenge's archive", act, [], files, {"url": URL})

    def _verify_stage(self) -> Stage:
        def act() -> None:
            found = {}
            for name, expected in PIXELS.items():
                path = self.data / f"{name}.tif"
                found[name] = hashlib.sha256(read_pages(path).tobytes()).hexdigest()
                if found[name] != expected:
                    raise DataSetError(
                        f"{path}: its pixels are not those of the challenge's file (SHA-256 {found[name]}, "
                        f"expected {expected}); fetch the file again"
                    )
            write_json(self.out / "data.json", found)

        files = [self.volume, self.labels, self.test]
        return Stage(
            "verify", "see that the pixels are the challenge's", act, files, [self.out / "data.json"]
        )

    def _split_stages(self) -> list[Stage]:
        folds = set(self.experiment.folds)
        if self.experiment.ablation:
            folds.add(self.experiment.ablation.fold)
        parts = {f"fold-{fold}": (em.trained_on(fold), em.held_out(fold)) for fold in sorted(folds)}
        parts["all"] = (list(range(em.SLICES)), [])

        def act() -> None:
            images, labels = read_pages(self.volume), read_pages(self.labels)
            for name, pages in parts.items():
                make_folder(self.part(name))
                for which, chosen in zip(("train", "held-out"), pages, strict=True):
                    if chosen:
                        write_image(self.part(name) / f"{which}.tif", images[chosen], "IYX", PIXEL)
                        write_image(self.part(name) / f"{which}-labels.tif", labels[chosen], "IYX", PIXEL)

        outputs = [path for name, pages in parts.items() for path in self.stacks(name, bool(pages[1]))]
        given = [self.volume, self.labels, self.out / "data.json"]
        return [Stage("split", "part the slices into folds", act, given, outputs, {"parts": parts})]

    def stacks(self, name: str, held_out: bool = True) -> list[Path]:
        """Return images and labels of one training's slices and, where there are, of those held out."""
        ends = ("train", "train-labels", *(("held-out", "held-out-labels") if held_out else ()))
        return [self.part(name) / f"{end}.tif" for end in ends]

    def _weights_stage(self) -> Stage:
        rule = self._settings().weight_map
        target = self.out / "weights.tif"

        def act() -> None:
            from unet2015 import weight_map

            maps = weight_map(
                read_pages(self.labels),
                w0=rule.w0,
                sigma=rule.sigma,
                gaps=rule.gaps,
                class_weights=rule.class_weights,
                kind="membrane",
            )
            write_image(target, maps, "IYX", PIXEL)

        given = [self.labels, self.out / "data.json"]
        return Stage("weights", "weight maps to look at (Eq. 2)", act, given, [target], rule.model_dump())

    def _training(self, stage: str, name: str, part: str, does: str, *changes: dict[str, Any]) -> Stage:
        settings = self._settings(*changes)
        images, labels = self.stacks(part, False)
        run = self.part(name) / "run"

        def act() -> None:
            # A row of the ablation keeps its seed: that it learns nothing is a result.
            train_run(images, labels, run, settings, self.device, 1 if changes else SEEDS)

        made = [run / "model.safetensors", run / "log.jsonl"]
        return Stage(stage, does, act, [images, labels], made, settings.model_dump(mode="json"))

    def _fold_stages(self, fold: int) -> list[Stage]:
        name = f"fold-{fold}"
        held_out = em.held_out(fold)
        images = {which: self.part(name) / f"{which}.tif" for which in ("train", "held-out")}
        averages = self.experiment.averages
        maps = [self.probability(name, average, which) for average in averages for which in images]
        target = self.part(name) / "measures.json"

        def segment() -> None:
            for average in averages:
                segment_into(
                    self.part(name) / average, list(images.values()), self.model(name), average, self.device
                )

        def measure() -> None:
            stacks = self.stacks(name)
            measures = {
                average: em.measure_fold(
                    read_pages(stacks[3]),
                    read_pages(self.probability(name, average, "held-out")),
                    read_pages(stacks[1]),
                    read_pages(self.probability(name, average, "train")),
                )
                for average in averages
            }
            write_json(
                target, {"slices": held_out, "training": training_summary(self.model(name).parent)} | measures
            )

        slices = f"slices {held_out[0]}-{held_out[-1]}"
        return [
            self._training(f"train-{fold}", name, name, f"train with {slices} held out"),
            Stage(
                f"segment-{fold}",
                f"segment {slices}, and those trained on",
                segment,
                [self.model(name), *images.values()],
                maps,
                {"averages": averages},
            ),
            Stage(
                f"measure-{fold}",
                f"the challenge's measures of {slices}",
                measure,
                [*maps, *self.stacks(name), self.model(name).with_name("log.jsonl")],
                [target],
            ),
        ]

    def _final_stages(self) -> list[Stage]:
        average = self.experiment.averages[-1]
        target = self.out / "test" / "test-volume.probability.tif"

        def segment() -> None:
            segment_into(target.parent, [self.test], self.model("all"), average, self.device)

        return [
            self._training("train-all", "all", "all", "train on all 30 slices: the model to use"),
            Stage(
                "segment-test",
                "segment the challenge's test volume",
                segment,
                [self.model("all"), self.test],
                [target],
                {"average": average},
            ),
        ]

    def _ship_stages(self) -> list[Stage]:
        name, twin = self.experiment.ship, f"fold-{self.experiment.folds[-1]}"
        if name is None:
            return []
        measures = self.part(twin) / "measures.json"

        def act() -> None:
            ship_model(
                self.model("all"),
                ModelDescription(name=name, **em.DESCRIPTION),
                self.out / "models",
                training={"twin": em.twin(json.loads(measures.read_text(encoding="utf-8")))},
            )

        target = self.out / "models" / f"{name}.safetensors"
        does = "the model of all slices as one to ship: half precision, described"
        return [Stage("ship", does, act, [self.model("all"), measures], [target], {"words": em.DESCRIPTION})]

    def _ablation_stages(self) -> list[Stage]:
        ablation = self.experiment.ablation
        if ablation is None:
            return []
        part, rows = f"fold-{ablation.fold}", self.ablations()
        images, labels = self.stacks(part)[2:]
        target = self.out / "ablation.json"

        def measure() -> None:
            from pipelines.ablation import measure_run, measure_tilings, training_rows

            found = {
                title: measure_run(self.model(name), images, labels, self.device)
                | {"learned": read_model_file(self.model(name)).info.learned}
                for title, name in rows.items()
            }
            tilings = {}
            if ablation.tiling:
                tilings = measure_tilings(self.model(rows_first(rows)), images, labels, self.device)
            write_json(target, {"fold": ablation.fold, "training": training_rows(found), "tiling": tilings})

        trainings = [
            self._training(
                f"train-{name}", name, part, f"ablation: {title}", ablation.base, ablation.rows[title]
            )
            for title, name in rows.items()
        ]
        models = [self.model(name) for name in rows.values()]
        return [
            *trainings,
            Stage(
                "ablation",
                "measure what the open choices cost",
                measure,
                [*models, images, labels],
                [target],
                {"rows": rows, "tiling": ablation.tiling},
            ),
        ]

    def _last_stages(self) -> list[Stage]:
        folds = [f"fold-{fold}" for fold in self.experiment.folds]
        measures = [self.part(name) / "measures.json" for name in folds]
        averages = self.experiment.averages
        maps = [self.probability(name, average, "held-out") for name in folds for average in averages]
        stacks = [path for name in folds for path in self.stacks(name)[2:]]
        ablation = [self.out / "ablation.json"] if self.experiment.ablation else []
        result, page = self.out / "result.json", self.out / "report.html"

        def collect() -> None:
            write_json(result, self._result(measures, maps))

        def report() -> None:
            from pipelines.em_report import write_em_report

            write_em_report(self, page)

        given = [*measures, *ablation, self.model("all").with_name("log.jsonl")]
        return [
            Stage(
                "collect", "the table's rows", collect, [*given, *maps, *stacks], [result], self._described()
            ),
            Stage(
                "report", "one HTML page with tables, curves and pictures", report, [result, *maps], [page]
            ),
        ]

    def _described(self) -> dict[str, Any]:
        return self.experiment.model_dump(mode="json")

    def _result(self, measures: Sequence[Path], maps: Sequence[Path]) -> dict[str, Any]:
        folds = [json.loads(path.read_text(encoding="utf-8")) for path in measures]
        rows = {}
        for average in self.experiment.averages:
            truth = np.concatenate(
                [read_pages(self.part(f"fold-{k}") / "held-out-labels.tif") for k in self.experiment.folds]
            )
            found = np.concatenate(
                [
                    read_pages(self.probability(f"fold-{k}", average, "held-out"))
                    for k in self.experiment.folds
                ]
            )
            rows[average] = {
                "at_training_threshold": em.mean([fold[average]["at_training_threshold"] for fold in folds]),
                "best_over_thresholds": em.values(evaluate_em(truth, found)),
                "on_training_slices": em.mean([fold[average]["training"] for fold in folds]),
            }
        ablation = self.out / "ablation.json"
        parts = dict(zip((f"fold-{k}" for k in self.experiment.folds), folds, strict=True))
        final = training_summary(self.model("all").parent)
        trainings = {name: part["training"] for name, part in parts.items()} | {"all": final}
        return {
            "data": "ISBI 2012 training slices, held out in folds of 6 consecutive slices",
            "note": "held-out training slices; the published rows are on the hidden test set",
            "folds_held_out": list(self.experiment.folds),
            "rows": rows,
            "not_learned": not_learned(trainings),
            "folds": parts,
            "model_of_all_slices": final,
            "ablation": json.loads(ablation.read_text(encoding="utf-8"))
            if self.experiment.ablation
            else None,
            "settings": self._described() | {"training": self._settings().model_dump(mode="json")},
            "machine": machine(),
            "date": datetime.now(UTC).date().isoformat(),
        }


def rows_first(rows: dict[str, str]) -> str:
    """Return the folder of the ablation's base, its first row."""
    return next(iter(rows.values()))


def main(words: Sequence[str] | None = None) -> int:
    """Run the pipeline and return the exit status."""
    return run_experiment(words, Experiment, __doc__ or "", "isbi2012", "rows")


if __name__ == "__main__":
    sys.exit(main())
