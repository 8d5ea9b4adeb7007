"""Plays runs over a folder of images: into one table, again after something has changed, and after kills."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np

from tests.combinations import combination, expected, inputs, models, play, views
from tests.combinations.bench import Bench
from tests.combinations.combination import Combination
from tests.combinations.drawn import Drawn
from unet2015.models.model_file import Model, save_model

NAMES = ("a", "b7", "b07c", "x y", "Zellen Ü", "2024.01.05", "t10", "t9")
TYPES = "uint8", "uint16", "float32"


@dataclass
class Folder:
    """A folder of images, and how it is segmented.

    Attributes
    ----------
    bench : Bench
        Where it lies: the images in ``in``, their results in ``out``.
    images : dict of Drawn
        By name without ending.
    paths : dict of Path
        Their files.
    model : Model
        In the file ``m.safetensors``, or another that `model_name` says.
    settings
        What of the combination is the same for all images.
    """

    bench: Bench
    images: dict[str, Drawn]
    paths: dict[str, Path]
    model: Model
    settings: Combination
    model_name: str = "m.safetensors"
    given: str = "in"

    def one(self, name: str) -> Combination:
        """Return the combination of one image."""
        return replace(self.settings, image=self.images[name], model=self.model)

    def words(self) -> list[str]:
        """Return the command."""
        some = combination.words_of(self.one(next(iter(self.images))))
        return ["segment", self.given, "-o", "out", "--model", self.model_name, *some]

    def run(self, status: int = 0, *more: str) -> str:
        """Segment; return what is said."""
        ended = self.bench.run(*self.words(), *more, status=status)
        return ended.out + ended.err

    def results(self, name: str) -> dict[str, Path]:
        """Return the results of an image by kind."""
        files = [path for path in (self.bench.folder / "out").iterdir() if path.name.startswith(name + ".")]
        found = {}
        for path in files:
            kinds = [kind for kind, ending in play.ENDINGS.items() if re.search(ending, path.name)]
            found[kinds[0] if kinds else "classes"] = path
        if found and found["classes"].suffix == ".zarr":  # which has all maps
            found["probability"] = found["classes"]
            found |= {"labels": found["classes"]} if "objects" in found else {}
        return found

    def look(self) -> None:
        """Compare the results of all images, and the table of all, with what must come."""
        tables = {}
        for name in self.images:
            one, found = self.one(name), self.results(name)
            made = expected.maps(one.used, one.model, one.average)
            play.look(self.bench, one, made, found, self.paths[name])
            if "objects" in found:
                tables[name] = rows(found["objects"])
        if self.settings.settings is not None:
            of_all = self.bench.folder / "out" / "objects.csv"
            joined(self.bench, of_all, tables)
            if "parquet" in self.settings.views:
                views.same_table(self.bench, of_all.with_suffix(".parquet"), rows(of_all))

    def state(self, *but: str) -> dict[str, tuple[str, int]]:
        """Return digests and times of all results, but those of some images and the tables of all."""
        begins = *(f"{name}." for name in but), "objects."
        out = self.bench.folder / "out"
        return {
            str(path.relative_to(out)): (play.digest(path), path.stat().st_mtime_ns)
            for path in out.rglob("*")
            if path.is_file() and not str(path.relative_to(out)).startswith(begins)
        }

    def bytes(self) -> dict[str, str]:
        """Return digests of all results but records, which have dates."""
        state = self.state().items()
        return {name: digest for name, (digest, _) in state if not name.endswith(".record.json")}

    def files(self) -> list[str]:
        """Return the names of all results that are files of their own, but records."""
        return sorted(name for name in self.bytes() if "/" not in name)


def rows(path: Path) -> views.Rows:
    """Return the rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def joined(bench: Bench, path: Path, tables: dict[str, views.Rows]) -> None:
    """Compare the table of all images with those of each: all rows, and nothing else."""
    came: dict[str, views.Rows] = {name: [] for name in tables}
    for row in rows(path):
        (name,) = (name for name in tables if row["image"] in (name, *_files(name)))
        came[name].append({key: value for key, value in row.items() if value != ""})
    for name, table in tables.items():
        wanted = [{key: value for key, value in row.items() if value != ""} for row in table]
        bench.same(f"rows of {name} in the table of all", came[name], wanted)


def _files(name: str) -> list[str]:
    return [name + suffix for suffix, _ in inputs.FLAVOURS.values()]


def draw(random: Random, bench: Bench) -> Folder:
    """Draw a folder of images and write it, and a model that is not dead on any of them."""
    dtype = random.choice(TYPES)
    images = {name: _image(random, dtype) for name in random.sample(NAMES, random.randint(2, 3))}
    model, values = _model(random, images)
    model, of_class, threshold, settings = combination.decide(random, model, values)
    first = next(iter(images.values()))
    options = {"products": ("classes", "probability")} | random.choice([{}, {"tile": models.tiles(model)[0]}])
    shared = Combination(
        first,
        None,
        model,
        "none",
        threshold,
        of_class,
        settings,
        "folder",
        options,
        None,
        combination.draw_views(random, settings),
    )
    (bench.folder / "in").mkdir()
    paths = {name: inputs.write(one, bench.folder / "in", name) for name, one in images.items()}
    save_model(bench.folder / "m.safetensors", model.network, model.info)
    return Folder(bench, images, paths, model, shared, given=random.choice(["in", "in", "in/*"]))


def _model(random: Random, images: Mapping[str, Drawn]) -> tuple[Model, np.ndarray]:
    """Draw a model that is not dead on any image; also return its probabilities (pixels, classes)."""
    while True:
        model = models.draw(random, next(iter(images.values())).pixels, 1)
        made = [expected.maps(one, model, "none") for one in images.values()]
        if not any(expected.dead(one, model) for one in made):
            of_all = [one.probabilities for one in made]
            return model, np.concatenate(
                [one.transpose(0, 2, 3, 1).reshape(-1, one.shape[1]) for one in of_all]
            )


def another_model(random: Random, batch: Folder) -> None:
    """Draw another model with as many classes, and let it be used from now on, with its own threshold.

    It gives the same kinds of results, as those that another run does not write stay.
    """
    kinds = batch.model.info.classes, batch.settings.settings is None
    while True:
        model, values = _model(random, batch.images)
        model, of_class, threshold, settings = combination.decide(random, model, values)
        if (model.info.classes, settings is None) == kinds:
            break
    options = {"products": batch.settings.options["products"]}  # without a tile, which it may not read
    batch.settings = replace(
        batch.settings, threshold=threshold, of_class=of_class, settings=settings, options=options
    )
    batch.model, batch.model_name = model, "m2.safetensors"
    save_model(batch.bench.folder / batch.model_name, model.network, model.info)


def _image(random: Random, dtype: str) -> Drawn:
    """Draw an image of one channel and few pages, in one file."""
    while True:
        image = inputs.gray(random)
        there = image.flavour in inputs.TYPES and dtype in inputs.TYPES[image.flavour]
        if there and "C" not in image.axes and not inputs.untold(image):
            return replace(image, pixels=retyped(image.pixels, dtype))


def retyped(pixels: np.ndarray, dtype: str) -> np.ndarray:
    """Return pixels of another type, which it holds."""
    wanted = np.dtype(dtype)
    if wanted.kind == "f":
        return pixels.astype(wanted)
    low, span = float(pixels.min()), float(np.ptp(pixels)) or 1.0
    most = min(np.iinfo(wanted).max, 4000)
    return ((pixels.astype(float) - low) / span * most).astype(wanted)
