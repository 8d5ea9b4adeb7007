"""A place where a case makes its files, runs commands, and says what was expected and what came."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from tests.fuzz.commands import Ended, command, inside
from tests.fuzz.models import save_small_model

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


@dataclass(frozen=True)
class Case:
    """A small case after public reports.

    Attributes
    ----------
    name : str
        What it is about, in a few words.
    reports : str
        The public reports: ``owner/repository#number``.
    run : callable
        Makes the input on a `Bench`, and looks at what comes.
    """

    name: str
    reports: str
    run: Callable[["Bench"], None]


CASES: list[Case] = []


def case(name: str, reports: str = "") -> Callable[[Callable[["Bench"], None]], Callable[["Bench"], None]]:
    """Add a function to the table of cases."""

    def add(function: Callable[["Bench"], None]) -> Callable[["Bench"], None]:
        CASES.append(Case(name, reports, function))
        return function

    return add


@dataclass
class Bench:
    """A folder, and what a case found there.

    Attributes
    ----------
    folder : Path
        Commands run in it.
    short : list of str
        Where the project fell short: what was expected, and what came.
    """

    folder: Path
    short: list[str] = field(default_factory=list)
    checks: int = 0

    def check(self, good: object, expected: str, came: object) -> None:
        """Note whether what came is what was expected."""
        self.checks += 1
        if not good:
            self.short.append(f"expected {expected}; came {came}")

    def run(self, *words: object) -> Ended:
        """Run the command in the folder."""
        with inside(self.folder):
            return command(*map(str, words))

    def tiff(self, name: str, pixels: np.ndarray, **options: Any) -> Path:
        """Write a TIFF; gray, without tifffile's own description if nothing else is said."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "imagej" not in options and "ome" not in options:
            options = {"metadata": None} | options
        tifffile.imwrite(path, pixels, **({"photometric": "minisblack"} | options))
        return path

    def facts(self, name: str, *more: str) -> dict[str, Any]:
        """Return what ``inspect`` says of one file."""
        ended = self.run("inspect", name, "--json", *more)
        return dict(json.loads(ended.out)[0]) if ended.out else {"refused": ended.err}

    def pixels(self, name: str, axes: str | None = None) -> np.ndarray:
        """Return the pixels as this project reads them, (pages, channels, height, width)."""
        from unet2015.images.reader import open_image

        with open_image(self.folder / name, axes) as image:
            return np.stack([image.read(i, 0, image.height, 0, image.width) for i in range(image.pages)])

    def model(self) -> None:
        """Make the small model ``m.safetensors``, if it is not there."""
        if not (self.folder / "m.safetensors").exists():
            save_small_model(self.folder / "m.safetensors")

    def segment(self, *words: object) -> Ended:
        """Segment into ``out`` with a small model, which is made if need be."""
        self.model()
        return self.run("segment", *words, "-o", "out", "--model", "m.safetensors", "--device", "cpu")

    def classes(self, name: str) -> np.ndarray | None:
        """Return a class map in ``out``, if it is there."""
        paths = [self.folder / "out" / f"{name}.classes.{ending}" for ending in ("tif", "ome.tif")]
        return next((tifffile.imread(path) for path in paths if path.exists()), None)

    def refused_or(self, good: object, words: tuple[str, ...], expected: str, found: dict[str, Any]) -> None:
        """Note whether a file is read right, or one of the words is said about it."""
        said = " ".join([found.get("refused") or "", *(found.get("notes") or [])])
        right = good and not found.get("refused")
        named = any(word in said for word in words)
        less = {key: found.get(key) for key in ("axes", "shape", "calibration", "notes", "refused")}
        self.check(right or named, f"{expected}, or a word about {' or '.join(words)}", less)


def ome(inside_pixels: str = "<TiffData/>", order: str = "XYZTC", head: str = "", **sizes: object) -> str:
    """Return OME-XML of one image of 48 x 64 pixels of 8 bits; `sizes` are further attributes."""
    given = {"SizeX": 64, "SizeY": 48, "SizeZ": 1, "SizeT": 1, "SizeC": 1, "Type": "uint8"} | sizes
    text = " ".join(f'{key}="{value}"' for key, value in given.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{SCHEMA}"{head}><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="{order}" {text}>{inside_pixels}</Pixels></Image></OME>'
    )


def noise(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    """Return random pixels over the whole range of a type of integers."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
