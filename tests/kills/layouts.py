"""What is killed: segmentations in all layouts, and a training; small, so that a whole run takes a moment."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch

from unet2015.images import zarr_layout
from unet2015.models.model_file import ModelInfo, read_model_file, save_model
from unet2015.models.tensors import load_tensors
from unet2015.networks.unet2015 import UNet
from unet2015.safe_files import sha256
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.jobs import Outputs, find_inputs, plan_jobs
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import Mapping, NetworkSettings, load_settings
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.tiling import plan
from unet2015.training.log import read_log
from unet2015.training.loop import train

SIDE, KEPT = 44, 28
"""Side of the tiles, and of what is kept of each, in pixels."""
BOTH = ("classes", "probability")
PAGE, PAGES, SMALL = (8 * KEPT - 3, 4 * KEPT - 3), (8, 2 * KEPT - 3, 2 * KEPT - 3), (20, 40)
FEW = (3, *PAGES[1:])
"""Pages of channels and of objects in OME-Zarr, of which each takes as long as a whole other layout."""


@dataclass
class Segmentation:
    """Files that are segmented.

    Attributes
    ----------
    inputs : list of Path
        The images, all of one size.
    out : str
        The output in the folder of a round: a file, or empty for the folder itself.
    options : SegmentOptions
        How they are segmented.
    model : Path
        With what.
    earlier : SegmentOptions, optional
        With these an earlier result was made, which lies there and is replaced.
    """

    inputs: list[Path]
    out: str
    options: SegmentOptions
    model: Path
    earlier: SegmentOptions | None = None
    whole: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    tiles: int = 0
    place: Path = Path()
    unit = "tiles"
    seldom = 1

    def work(self, folder: Path) -> Callable[[], str]:
        """Return a run of the command into a folder; it returns the errors."""
        return lambda: self._segment(folder, self.options)

    def _segment(self, folder: Path, options: SegmentOptions) -> str:
        results = segment_files(self.inputs, folder / self.out, read_model_file(self.model), options)
        return "; ".join(str(result.error) for result in results if result.error)

    def prepare(self, place: Path, run: Callable[[Callable[[], str]], Any]) -> Any:
        """Make the whole result, and the earlier one, in `place`; return how the whole run ended."""
        self.place = place
        if self.earlier is not None:
            earlier = self.earlier
            (place / "earlier").mkdir(parents=True)
            run(lambda: self._segment(place / "earlier", earlier))
            self.before = self._results(place / "earlier")
        (place / "whole").mkdir(parents=True)
        ended = run(self.work(place / "whole"))
        self.whole, self.tiles = self._results(place / "whole"), ended.units[self.unit]
        return ended

    def begin(self, folder: Path) -> None:
        """Fill the folder of a round with what is there before the first run."""
        if self.earlier is None:
            folder.mkdir(parents=True)
        else:
            shutil.copytree(self.place / "earlier", folder)

    def outputs(self, folder: Path) -> list[Outputs]:
        """Return the outputs of each input."""
        jobs = plan_jobs(find_inputs(self.inputs), folder / self.out, self.options)
        return [job.outputs for job in jobs]

    def _results(self, folder: Path) -> dict[str, Any]:
        found = {}
        for outputs in self.outputs(folder):
            for path in outputs.paths:
                found[path.name] = sha256(path) if path.exists() else None
            found[outputs.record.name] = _record(outputs.record)
        return found

    def half_written(self, folder: Path) -> Iterator[tuple[Path, str]]:
        """Yield what lies at a final path and is neither the whole result nor the earlier one."""
        for name, found in self._results(folder).items():
            if found not in (None, self.whole[name], self.before.get(name)):
                yield folder / name, f"{name} is half written"

    def damaged(self, folder: Path) -> list[Path]:
        """Return the files in work folders, which may be damaged between two runs."""
        return [
            file for work in folder.glob(".*.parts") for file in sorted(work.rglob("*")) if file.is_file()
        ]

    def unfinished(self, folder: Path) -> int:
        """Return the tiles that the next run has to compute, if nothing is damaged."""
        each, now = self.tiles // len(self.inputs), self._results(folder)
        total = 0
        for outputs in self.outputs(folder):
            works = list(folder.glob(f".{outputs.main.name}.*.parts"))
            name = outputs.record.name
            announced = any((work / "record.json").exists() for work in works)
            if now[name] != self.whole[name] and not announced:
                total += each - sum(_stored(work) for work in works)
        return total

    def refused(self, folder: Path, error: str) -> bool:
        """Do as told where an image is refused because damage has removed all that says whose it is."""
        for outputs in self.outputs(folder):
            if self._results(folder)[outputs.record.name] == self.whole[outputs.record.name]:
                continue
            for path in outputs.paths:
                if path.exists() and f"{path}: exists" in error and "move it away" in error:
                    (shutil.rmtree if path.is_dir() else Path.unlink)(path)
                    return True
        return False

    def differences(self, folder: Path) -> Iterator[str]:
        """Yield how the end differs from a run that was never killed."""
        for name, found in self._results(folder).items():
            if found != self.whole[name]:
                yield f"{name} differs: {found} for {self.whole[name]}"
        here, there = (
            {path.relative_to(place).as_posix() for path in place.rglob("*")}
            for place in (folder, self.place / "whole")
        )
        if here != there:
            yield f"other files: {sorted(here ^ there)}"


def _record(path: Path) -> dict[str, Any] | str | None:
    """Return what a record says, without times and places."""
    try:
        said = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return "half written"
    return {key: value for key, value in said.items() if key not in ("seconds", "date", "record_sha256")}


def _stored(work: Path) -> int:
    """Return the tiles in the finished parts of a work folder."""
    try:
        job = json.loads((work / "job.json").read_text())
    except (OSError, ValueError):
        return 0
    assert job["tiles"] % job["parts"] == 0, "the search needs parts of one size"
    return len(list(work.glob("?????.part"))) * job["tiles"] // job["parts"]


@dataclass
class Training:
    """A training that is resumed until it is done."""

    images: Path
    labels: Path
    settings: Any
    whole: Any = None
    place: Path = Path()
    unit = "steps"
    seldom = 3
    """A round of it takes as long as several others, so it is played in every third cycle."""

    def work(self, folder: Path) -> Callable[[], str]:
        """Return a run of the training into a folder."""

        def resume() -> str:
            train(self.images, self.labels, folder, settings=self.settings, device="cpu", resume=True)
            return ""

        return resume

    def prepare(self, place: Path, run: Callable[[Callable[[], str]], Any]) -> Any:
        """Train without a kill."""
        self.place = place
        ended = run(self.work(place / "whole"))
        self.whole = self._end(place / "whole")
        return ended

    def begin(self, folder: Path) -> None:
        """Make the folder of a round."""
        folder.mkdir(parents=True)

    def _end(self, folder: Path) -> dict[str, Any]:
        files = [folder / "model.safetensors", *sorted((folder / "checkpoints").glob("*"))]
        return {
            **{
                path.name: {k: v.numpy().tobytes() for k, v in load_tensors(path)[0].items()}
                for path in files
            },
            "log.jsonl": read_log(folder / "log.jsonl"),
        }

    def half_written(self, folder: Path) -> Iterator[tuple[Path, str]]:
        """Yield what lies at a final path and cannot be read."""
        for path in [*folder.glob("*.safetensors"), *(folder / "checkpoints").glob("step-*")]:
            try:
                load_tensors(path)
            except Exception as error:
                yield path, f"{path.name} is half written: {error}"

    def damaged(self, folder: Path) -> list[Path]:
        """Return the newest checkpoint if there is one before it."""
        found = sorted((folder / "checkpoints").glob("step-*"))
        return found[-1:] if len(found) > 1 else []

    def unfinished(self, folder: Path) -> int:
        """Return the steps after the newest checkpoint."""
        found = [int(path.stem.removeprefix("step-")) for path in (folder / "checkpoints").glob("step-*")]
        return int(self.settings.optimisation.steps) - max(found, default=0)

    def refused(self, folder: Path, error: str) -> bool:
        """No file of a training is ever refused."""
        return False

    def differences(self, folder: Path) -> Iterator[str]:
        """Yield how the end differs from a training that was never killed."""
        end = self._end(folder)
        for name in sorted({*end, *self.whole}):
            if end.get(name) != self.whole.get(name):
                yield f"{name} differs"
        here, there = (
            {path.relative_to(place).as_posix() for path in place.rglob("*") if "events" not in path.name}
            for place in (folder, self.place / "whole")
        )
        if here != there:
            yield f"other files: {sorted(here ^ there)}"


def make(folder: Path) -> dict[str, Segmentation | Training]:
    """Return all layouts by name; images and models are written to `folder`."""
    plan.PART_PIXELS = 4 * SIDE * SIDE
    zarr_layout.SMALLEST_LEVEL, zarr_layout._CHUNK, zarr_layout._SHARD = 32, 16, 32
    folder.mkdir(parents=True)
    shapes = {"page": PAGE, "pages": PAGES, "small": SMALL, "few": FEW}
    page, pages, small, few = (_image(folder / f"{name}.tif", shape) for name, shape in shapes.items())
    three = [_image(folder / f"{name}.tif", (2 * KEPT - 3, 4 * KEPT - 3)) for name in "abc"]
    two, many = (_model(folder / f"{classes}.safetensors", classes) for classes in (2, 3))
    one, both = SegmentOptions(tile=SIDE), SegmentOptions(tile=SIDE, products=BOTH)
    other = SegmentOptions(tile=SIDE, products=BOTH, threshold=0.3)
    with_objects = replace(one, objects=ObjectSettings(smallest=2, markers=MarkerSettings(level=0.6, blur=1)))
    return {
        "strips": Segmentation([page], "", both, two),
        "pages": Segmentation([pages], "", both, two),
        "tiled": Segmentation([page], "", SegmentOptions(tile=SIDE, products=BOTH, tiled=True), two),
        "pyramid": Segmentation([page], "", SegmentOptions(tile=SIDE, products=BOTH, pyramid=True), two),
        "one part": Segmentation([small], "", both, two),
        "strips over earlier": Segmentation([page], "", both, two, other),
        "several files": Segmentation(three, "", both, two),
        "zarr": Segmentation([page], "out.zarr", one, two),
        "zarr of both": Segmentation([page], "out.zarr", both, two),
        "zarr with channels": Segmentation([few], "out.zarr", replace(both, axes="ZYX"), many),
        "zarr over earlier": Segmentation([page], "out.zarr", both, two, other),
        "objects": Segmentation([page], "", with_objects, two),
        "zarr with objects": Segmentation([few], "out.zarr", replace(with_objects, axes="ZYX"), two),
        "training": Training(*_training_set(folder), _training_settings()),
    }


def _image(path: Path, shape: tuple[int, ...]) -> Path:
    pixels = np.random.default_rng(len(path.stem)).integers(0, 60_000, shape).astype(np.uint16)
    tifffile.imwrite(path, pixels, photometric="minisblack")
    return path


def _model(path: Path, classes: int) -> Path:
    torch.manual_seed(0)
    network = UNet(1, classes, 2, 1)
    with torch.no_grad():
        network.head.weight.mul_(3)  # so that classes differ over the image
    info = ModelInfo(
        classes=classes,
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="image-percentiles", low=(1.0,), high=(99.0,)),
        class_names=("background", "cell", "border")[:classes],
    )
    save_model(path, network, info)
    return path


def _training_set(folder: Path) -> tuple[Path, Path]:
    labels = np.full((4, 50, 56), 255, np.uint8)
    labels[:, ::12] = labels[:, :, ::14] = 0
    images = np.where(labels, 170, 60) + np.random.default_rng(0).normal(0, 15, labels.shape)
    paths = folder / "images.tif", folder / "labels.tif"
    for path, pixels in zip(paths, (images.clip(0, 255).astype(np.uint8), labels), strict=True):
        tifffile.imwrite(path, pixels, photometric="minisblack")
    return paths


def _training_settings() -> Any:
    return load_settings(
        None,
        {
            "checkpoint_interval": 2,
            "labels": {"kind": "membrane"},
            "network": {"width": 2, "depth": 1},
            "augmentation": {"elastic_std": 2.0},
            "optimisation": {"steps": 8, "warmup": 2, "tile": 44, "learning_rate": 1e-3},
            "validation": {"fraction": 0.25, "interval": 4, "attempts": 1},
        },
    )
