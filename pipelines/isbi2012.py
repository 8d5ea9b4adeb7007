"""The EM experiment of the paper's Table 1, from the challenge's files to a table and a report.

Five-fold cross-validation over the 30 labelled slices, in folds of 6 consecutive slices (neighbouring
slices look alike, so they stay together); a model of all 30; and what the choices cost that the paper
leaves open. The labels of the challenge's test volume are secret: what is measured here is measured on
held-out training slices, other images than those of the published table.

--data is a folder with train-volume.tif, train-labels.tif and test-volume.tif, or one above it named
isbi2012; without it they are downloaded. (Cardona et al. 2010, doi:10.1371/journal.pbio.1000502: free
for making and testing non-commercial segmentation software, with citation.)
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.ablation import ablation_stages
from pipelines.base.experiment import Experiment, run_experiment
from pipelines.base.json_files import read_json
from pipelines.base.stage import Stage
from pipelines.base.stages import find_stage, segment_stage, train_stage, weights_stage
from pipelines.base.trainings import not_learned, training_summary
from pipelines.em.data import PIXEL, EMData
from pipelines.em.em_files import EMFiles
from pipelines.em.measures import DESCRIPTION, measure_files, table_row, twin
from pipelines.em.report import write_em_report
from pipelines.em.settings import EMSettings
from pipelines.em.slices import held_out
from unet2015.models import ModelDescription, ship_model
from unet2015.segmentation.options import SegmentOptions


class EMExperiment(Experiment[EMSettings]):
    """The EM experiment; see `Experiment`."""

    kind, folder, labels = EMSettings, "isbi2012", {"kind": "membrane"}
    files: EMFiles

    def __init__(self, data: Path | None, out: Path, settings_file: Path, device: str = "auto") -> None:
        super().__init__(data, out, settings_file, device)
        self.files, self.given = EMFiles(out), EMData(self.data)
        if not self.download:
            self.given.check()

    def stages(self) -> list[Stage]:
        """Return the stages in their order."""
        ablation = self.settings.ablation
        folds = {*self.settings.folds, *([ablation.fold] if ablation else [])}
        return [
            *([self.given.fetch_stage()] if self.download else []),
            self.given.verify_stage(self.files),
            self.given.split_stage(self.files, folds),
            self._weigh(),
            *(stage for fold in self.settings.folds for stage in self._fold(fold)),
            *self._final(),
            *self._ship(),
            *self._ablation(),
            *self._last(),
        ]

    def _weigh(self) -> Stage:
        rule, does = self.training().weight_map, "weight maps to look at (Eq. 2)"
        return weights_stage(
            does, self.given.labels, self.out / "weights.tif", rule, PIXEL, [self.files.verified]
        )

    def _train(self, end: str, name: str, does: str) -> Stage:
        pages, settings = self.files.stacks(name, False), self.training()
        return train_stage(f"train-{end}", does, pages, self.files.run(name), settings, self.device)

    def _segment(self, average: Any) -> SegmentOptions:
        return SegmentOptions(device=self.device, average=average)

    def _fold(self, fold: int) -> list[Stage]:
        files, name, averages = self.files, f"fold-{fold}", self.settings.averages
        stacks, pages = files.stacks(name), held_out(fold)
        ways = {files.part(name) / average: self._segment(average) for average in averages}
        maps = [files.probability(name, average, w) for average in averages for w in ("train", "held-out")]
        slices = f"slices {pages[0]}-{pages[-1]}"

        def measure() -> dict[str, Any]:
            found = {str(average): measure_files(files, name, average) for average in averages}
            return {"slices": pages, "training": training_summary(files.run(name)), **found}

        return [
            self._train(f"{fold}", name, f"train with {slices} held out"),
            segment_stage(
                f"segment-{fold}",
                f"segment {slices}, and those trained on",
                [stacks[0], stacks[2]],
                files.model(name),
                ways,
                settings={"averages": averages},
            ),
            find_stage(
                f"measure-{fold}",
                f"the challenge's measures of {slices}",
                measure,
                [*maps, *stacks, files.log(name)],
                files.measures(fold),
            ),
        ]

    def _final(self) -> list[Stage]:
        average = self.settings.averages[-1]
        return [
            self._train("all", "all", "train on all 30 slices: the model to use"),
            segment_stage(
                "segment-test",
                "segment the challenge's test volume",
                [self.given.test],
                self.files.model("all"),
                {self.out / "test": self._segment(average)},
                settings={"average": average},
            ),
        ]

    def _ship(self) -> list[Stage]:
        name, model = self.settings.ship, self.files.model("all")
        if name is None:
            return []
        measures, models = self.files.measures(self.settings.folds[-1]), self.out / "models"

        def act() -> None:
            training = {"twin": twin(read_json(measures))}
            ship_model(model, ModelDescription(name=name, **DESCRIPTION), models, training=training)

        does, target = (
            "the model of all slices as one to ship: half precision, described",
            f"{name}.safetensors",
        )
        return [Stage("ship", does, act, [model, measures], [models / target], {"words": DESCRIPTION})]

    def _ablation(self) -> list[Stage]:
        rows = self.settings.ablation
        return ablation_stages(rows, self.files, self.training, self.device) if rows else []

    def _last(self) -> list[Stage]:
        files, names = self.files, [f"fold-{fold}" for fold in self.settings.folds]
        averages = self.settings.averages
        measures = [files.measures(fold) for fold in self.settings.folds]
        maps = [files.probability(name, average, "held-out") for name in names for average in averages]
        stacks = [path for name in names for path in files.stacks(name)[2:]]
        ablation = [files.ablation] if self.settings.ablation else []
        measured = [*measures, *ablation, files.log("all"), *maps, *stacks]
        return self.last_stages(self._result, measured, lambda: write_em_report(files), maps)

    def _result(self) -> dict[str, Any]:
        files, numbers = self.files, self.settings.folds
        folds = {f"fold-{fold}": read_json(files.measures(fold)) for fold in numbers}
        final = training_summary(files.run("all"))
        trainings = {name: fold["training"] for name, fold in folds.items()} | {"all": final}
        return {
            "data": "ISBI 2012 training slices, held out in folds of 6 consecutive slices",
            "note": "held-out training slices; the published rows are on the hidden test set",
            "folds_held_out": list(numbers),
            "rows": {average: table_row(files, folds, average) for average in self.settings.averages},
            "not_learned": not_learned(trainings),
            "folds": folds,
            "model_of_all_slices": final,
            "ablation": read_json(files.ablation) if self.settings.ablation else None,
        }


def main(words: Sequence[str] | None = None) -> int:
    """Run the pipeline and return the exit status."""
    return run_experiment(words, EMExperiment, __doc__, "isbi2012", "rows")


if __name__ == "__main__":
    sys.exit(main())
