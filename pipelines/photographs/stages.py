"""The stages of an experiment on a folder of images and masks."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.base.json_files import Files, read_json
from pipelines.base.stage import Stage
from pipelines.base.stages import find_stage, segment_stage
from pipelines.base.trainings import not_learned, train_run, training_summary
from pipelines.photographs.data import divided, pairs_of, prepare, resized
from pipelines.photographs.measures import Map, Mask, overlaps
from pipelines.photographs.report import write_photograph_report
from pipelines.photographs.settings import PhotographSettings, Recipe, settings_of
from unet2015.device import accelerator_names
from unet2015.images.reader import read_pages
from unet2015.images.writer import write_image
from unet2015.models.model_file import read_model_file
from unet2015.provenance import machine
from unet2015.safe_files import atomic_path, make_folder, write_json
from unet2015.segmentation.options import SegmentOptions

MoreMeasures = Callable[[Sequence[Mask], Sequence[Map]], dict[str, Any]]
"""True masks and maps, at the size of the files, to measures of an experiment's own."""


@dataclass(frozen=True)
class Photographs:
    """An experiment.

    Attributes
    ----------
    data, out : Path
        Folder of the data, and of the results.
    chosen : PhotographSettings
        What is done.
    device : str
        As in :func:`unet2015.train`.
    encoder_weights : Path or None
        For the trainings whose network takes some.
    more : callable
        Measures of the experiment's own.
    """

    data: Path
    out: Path
    chosen: PhotographSettings
    device: str
    encoder_weights: Path | None
    more: MoreMeasures

    @property
    def files(self) -> Files:
        """Where the results lie."""
        return Files(self.out)

    def stages(self) -> list[Stage]:
        """Return the stages in their order."""
        pairs, left_out = pairs_of(self.data, self.chosen)
        ordered, count = divided(pairs, self.chosen.share, self.chosen.seed)
        held_out = range(count, len(ordered))
        return [
            self._prepare(ordered, count, left_out),
            *(
                stage
                for name, recipe in self.chosen.trainings.items()
                for stage in self._training(name, recipe, held_out)
            ),
            *self._last(),
        ]

    def _at(self, name: str) -> Path:
        return self.out / "data" / name

    def _prepare(self, pairs: Sequence[tuple[Path, Path]], count: int, left_out: Sequence[str]) -> Stage:
        made = [
            self._at(name) for name in ("images.tif", "masks.tif", "held-out.tif", "true.npz", "data.json")
        ]

        def act() -> None:
            found = prepare(pairs, self.chosen)
            make_folder(made[0].parent)
            for path, images in ((made[0], found.images), (made[2], found.images[count:])):
                write_image(path, images if images.shape[1] > 1 else images[:, 0], self._axes)
            write_image(made[1], found.masks, "IYX")
            with atomic_path(made[3]) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, *found.true[count:])
            about = {"trained_on": found.names[:count], "held_out": found.names[count:]}
            write_json(made[4], found.notes | {"left_out": list(left_out)} | about)

        files = [path for pair in pairs for path in pair]
        rule = self.chosen.model_dump(mode="json", exclude={"trainings"})
        return Stage("prepare", "read, resize, divide", act, files, made, rule)

    @property
    def _axes(self) -> str:
        return "IYX" if self.chosen.channels == 1 else "ICYX"

    def _training(self, name: str, recipe: Recipe, held_out: range) -> list[Stage]:
        settings = settings_of(recipe, held_out)
        files, run = self.files, self.files.run(name)
        images, masks = self._at("images.tif"), self._at("masks.tif")
        weights = self.encoder_weights if settings.network.kind == "vgg19" else None

        def act() -> None:
            train_run(images, masks, run, settings, self.device, 1, weights)

        given = [images, masks, *([] if weights is None else [weights])]
        rule = settings.model_dump(mode="json")
        made = [files.model(name), files.log(name)]
        probability = files.part(name) / "held-out.probability.tif"
        measured = [probability, self._at("true.npz"), self._at("data.json"), files.model(name)]
        way = {files.part(name): SegmentOptions(device=self.device)}
        return [
            Stage(f"train-{name}", f"train {name}", act, given, made, rule),
            segment_stage(f"segment-{name}", "segment", [self._at("held-out.tif")], files.model(name), way),
            find_stage(
                f"measure-{name}",
                "measure what was held out",
                lambda: self._measure(name),
                measured,
                files.part(name) / "measures.json",
            ),
        ]

    def _measure(self, name: str) -> dict[str, Any]:
        files = self.files
        with np.load(self._at("true.npz")) as stored:
            truth = [stored[key] for key in stored.files]
        pages = read_pages(files.part(name) / "held-out.probability.tif")
        # Masks are measured at the size of the files.
        maps = [resized(page[None], *true.shape)[0] for page, true in zip(pages, truth, strict=True)]
        info = read_model_file(files.model(name)).info
        best = 0.5 if info.threshold is None else info.threshold
        return {
            "at_0.5": overlaps(truth, maps, 0.5),
            "at_the_model_s_threshold": {"threshold": best, **overlaps(truth, maps, best)},
            "more": self.more(truth, maps),
            "encoder_weights": info.training.get("encoder_weights"),
            "training": training_summary(files.run(name)),
        }

    def _last(self) -> list[Stage]:
        files, names = self.files, list(self.chosen.trainings)
        described = self.chosen.model_dump(mode="json")

        def collect() -> dict[str, Any]:
            rows = {name: read_json(files.part(name) / "measures.json") for name in names}
            return {
                "note": "the images that are measured have chosen the epoch and the model's threshold",
                "rows": rows,
                "not_learned": not_learned({name: row["training"] for name, row in rows.items()}),
                "data": read_json(self._at("data.json")),
                "settings": described,
                "machine": machine(accelerator_names()),
                "date": datetime.now(UTC).date().isoformat(),
            }

        given = [self._at("data.json"), *(files.part(name) / "measures.json" for name in names)]
        shown = [files.result, *(files.log(name) for name in names)]
        return [
            find_stage("collect", "the rows in one file", collect, given, files.result, described),
            Stage(
                "report",
                "one HTML page",
                lambda: write_photograph_report(files, names),
                shown,
                [files.page],
            ),
        ]


def say(files: Files) -> None:
    """Print what was found."""
    result = read_json(files.result)
    print(
        json.dumps(
            {name: {k: row[k] for k in ("at_0.5", "more")} for name, row in result["rows"].items()}, indent=2
        )
    )
    print(f"look at {files.page}")
