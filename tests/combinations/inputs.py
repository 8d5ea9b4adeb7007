"""Draws images, and writes them in every flavour that can tell what was drawn."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.combinations import colours, makers, writers
from tests.combinations.drawn import LENGTHS, TIMES, Drawn, blobs

ORDERS = ("TZCYX", "TCZYX", "ZTCYX", "ZCTYX", "CTZYX", "CZTYX")
"""In which OME-TIFF can have its planes, slowest first."""


def draw(random: Random) -> Drawn:
    """Draw an image."""
    kind = random.choice([gray, gray, gray, colours.draw, makers.draw])
    return kind(random)


def gray(random: Random) -> Drawn:
    """Draw an image whose channels are each a page of its file, of a flavour of `TYPES`."""
    flavour = random.choice(list(TYPES))
    letters = _letters(random, flavour)
    shape = [random.randint(1, 3) if letter in "TZCI" else random.randint(18, 90) for letter in letters]
    dtype = random.choice(TYPES[flavour])
    sizes = _sizes(random, flavour, letters)
    if not flavour.startswith("zarr"):  # TIFF does not tell the step along an axis of length 1
        sizes = {letter: size for letter, size in sizes.items() if shape[letters.index(letter)] > 1}
    count = shape[letters.index("C")] if "C" in letters else 0
    named = count > 1 and flavour in ("ome", "zarr 4", "zarr 5") and random.random() < 0.5
    return Drawn(
        axes=letters,
        pixels=blobs(np.random.default_rng(random.getrandbits(32)), shape, np.dtype(dtype)),
        flavour=flavour,
        unit=random.choice(list(LENGTHS)) if flavour not in ("plain", "shaped") else "µm",
        time_unit=random.choice(list(TIMES)) if flavour == "ome" else "s",
        sizes=sizes,
        channels=tuple(random.sample(["DAPI", "GFP", "1", "phase"], count)) if named else (),
        storage=_storage(random, flavour),
    )


_ANY = ("uint8", "uint16", "int16", "float32", "int8", "uint32")
TYPES = {"imagej": ("uint8", "uint16", "float32"), "png": ("uint8", "uint16")} | dict.fromkeys(
    ("ome", "shaped", "plain", "zarr 4", "zarr 5"), _ANY
)
"""Types of pixels of each flavour."""
FLAVOURS: dict[str, tuple[str, Callable[[Drawn, Path], None]]] = {
    **writers.FLAVOURS,
    **colours.FLAVOURS,
    **makers.FLAVOURS,
}
"""The ending of its files, and what writes one."""


def untold(image: Drawn) -> bool:
    """Return whether the file does not tell the axes of its pages, which ``--axes`` must."""
    return image.flavour == "plain" and image.axes not in ("YX", "IYX")


def _letters(random: Random, flavour: str) -> str:
    """Draw the axes that a flavour can tell."""
    if flavour == "png":
        return "YX"
    if flavour == "plain":
        return random.choice(["YX", "IYX", "ZYX", "TYX", "CYX"])
    order = random.choice(ORDERS) if flavour == "ome" else "TZCYX"
    if flavour.startswith("zarr"):
        order = "TCZYX"
    left_out = [letter for letter in "TZC" if random.random() < 0.5]
    return "".join(letter for letter in order if letter not in left_out)


def _sizes(random: Random, flavour: str, letters: str) -> dict[str, float]:
    if flavour == "png" or random.random() < 0.25:
        return {}
    y = round(random.uniform(0.05, 3), 3)
    sizes = {"Y": y, "X": y if random.random() < 0.5 else round(random.uniform(0.05, 3), 3)}
    if "Z" in letters and flavour != "plain":
        sizes["Z"] = round(random.uniform(0.1, 5), 2)
    if "T" in letters and flavour != "plain":
        sizes["T"] = round(random.uniform(0.5, 90), 2)
    return sizes


def _storage(random: Random, flavour: str) -> dict[str, Any]:
    if flavour == "png" or flavour.startswith("zarr"):
        return {}
    chosen: dict[str, Any] = {"byteorder": ">" if flavour == "imagej" else random.choice("<>")}
    if flavour != "imagej":
        chosen["compression"] = random.choice([None, "zlib", "lzw", "zstd"])
        chosen["predictor"] = chosen["compression"] is not None and random.random() < 0.5
        chosen["bigtiff"] = random.random() < 0.3
        if random.random() < 0.4:
            chosen["tile"] = random.choice([(16, 16), (32, 48)])
    if "tile" not in chosen and random.random() < 0.5:
        chosen["rowsperstrip"] = random.randint(1, 40)
    return chosen


def write(image: Drawn, folder: Path, stem: str = "a") -> Path:
    """Write an image under a name of its flavour, and return the path."""
    suffix, writer = FLAVOURS[image.flavour]
    path = folder / f"{stem}{suffix}"
    writer(image, path)
    return path
