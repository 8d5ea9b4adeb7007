"""The stages that experiments share: fetch, draw, weigh, train, segment, and find what a JSON file holds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipelines.base.stage import Stage
from pipelines.base.trainings import SEEDS, train_run
from pipelines.fetch import fetch
from unet2015.images.axes import Calibration
from unet2015.images.reader import read_pages
from unet2015.images.writer import write_image
from unet2015.safe_files import make_folder, write_json
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import TrainingSettings, WeightMapSettings

Pages = tuple[Path, NDArray[Any]]
"""A file and the pages that belong in it, (pages, height, width)."""


def fetch_stage(
    name: str, does: str, url: str, unpack: Callable[[Path], object], outputs: Sequence[Path]
) -> Stage:
    """Return the stage that downloads an archive beside its `outputs` and unpacks it into them."""

    def act() -> None:
        unpack(fetch(url, outputs[0].parent))

    return Stage(name, does, act, [], outputs, {"url": url})


def stacks_stage(
    name: str,
    does: str,
    make: Callable[[], Iterable[Pages]],
    calibration: Calibration,
    inputs: Sequence[Path],
    outputs: Sequence[Path],
    settings: dict[str, Any],
) -> Stage:
    """Return a stage that writes stacks of pages: what `make` gives, which are the `outputs`."""

    def act() -> None:
        for path, pages in make():
            make_folder(path.parent)
            write_image(path, pages, "IYX", calibration)

    return Stage(name, does, act, inputs, outputs, settings)


def weights_stage(
    does: str,
    labels: Path,
    target: Path,
    rule: WeightMapSettings,
    calibration: Calibration,
    after: Sequence[Path] = (),
) -> Stage:
    """Return the stage that writes the weight maps (Eq. 2) of membrane labels; nothing reads them but you.

    Files that are to be there before, such as what verified the labels, stand in `after`.
    """

    def act() -> None:
        from unet2015 import weight_map

        maps = weight_map(
            read_pages(labels),
            w0=rule.w0,
            sigma=rule.sigma,
            gaps=rule.gaps,
            class_weights=rule.class_weights,
            kind="membrane",
        )
        write_image(target, maps, "IYX", calibration)

    return Stage("weights", does, act, [labels, *after], [target], rule.model_dump())


def train_stage(
    name: str,
    does: str,
    pages: Sequence[Path],
    run: Path,
    settings: TrainingSettings,
    device: str,
    seeds: int = SEEDS,
) -> Stage:
    """Return a stage that trains on `pages`, images and their labels, into the folder `run`."""
    images, labels = pages

    def act() -> None:
        train_run(images, labels, run, settings, device, seeds)

    made = [run / "model.safetensors", run / "log.jsonl"]
    return Stage(name, does, act, [images, labels], made, settings.model_dump(mode="json"))


def segment_stage(
    name: str,
    does: str,
    images: Sequence[Path],
    model: Path,
    ways: Mapping[Path, SegmentOptions],
    ends: Sequence[str] = ("probability.tif",),
    settings: dict[str, Any] | None = None,
) -> Stage:
    """Return a stage that segments `images` with a model, once for each of some `ways`.

    Parameters
    ----------
    name, does, images, model, settings
        As of a stage: the model is an input as well.
    ways : mapping of Path to SegmentOptions
        By the folder of the results, how they are made.
    ends : sequence of str
        Which results of an image the stage answers for, by the end of their names.
    """

    def act() -> None:
        for folder, options in ways.items():
            wanted = replace(options, products=("classes", "probability"))
            for result in segment_files(images, make_folder(folder), model, wanted):
                if result.error is not None:
                    raise result.error

    made = [folder / f"{image.stem}.{end}" for folder in ways for image in images for end in ends]
    return Stage(name, does, act, [model, *images], made, settings or {})


def find_stage(
    name: str,
    does: str,
    find: Callable[[], object],
    inputs: Sequence[Path],
    target: Path,
    settings: dict[str, Any] | None = None,
) -> Stage:
    """Return a stage whose one output is JSON: what `find` verified, measured or collected."""

    def act() -> None:
        make_folder(target.parent)
        write_json(target, find())

    return Stage(name, does, act, inputs, [target], settings or {})
