"""Draws and writes files of microscopes' makers, which may hold several images: scenes, positions, series."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from tests.combinations.drawn import Drawn, blobs
from tests.images.microscope_files import NAMES, SCALE, write_czi, write_lif, write_nd2

AXES = "TZCYX"
INTERVAL = 3.0
"""Seconds between times."""


def draw(random: Random) -> Drawn:
    """Draw an image of a flavour of `FLAVOURS`, alone or one of several in its file."""
    flavour = random.choice(list(FLAVOURS))
    shape = [random.randint(1, 2) for _ in "TZC"] + [random.randint(18, 90) for _ in "YX"]
    if flavour == "czi":  # which tells the spacing of one plane, too, where some results cannot
        shape[1] = 2
    pixels = blobs(
        np.random.default_rng(random.getrandbits(32)), shape, np.dtype(random.choice(["uint8", "uint16"]))
    )
    sizes = dict(zip("YXZ", SCALE, strict=True)) | ({} if flavour == "czi" else {"T": INTERVAL})
    if flavour == "nd2":  # which has one size for both sides
        sizes["Y"] = sizes["X"]
    count = random.choice([1, 2, 3])
    names = [f"well {number}" if flavour == "nd2" else f"A{number + 1}" for number in range(count)]
    return Drawn(
        axes=AXES,
        pixels=pixels,
        flavour=flavour,
        unit="µm",
        time_unit="s",
        sizes={letter: size for letter, size in sizes.items() if shape[AXES.index(letter)] > 1},
        channels=NAMES[: shape[2]] if shape[2] > 1 else (),
        storage={},
        scenes=tuple(names) if count > 1 else (),
        scene=random.randrange(count),
    )


def _scenes(image: Drawn) -> list[np.ndarray]:
    """Return the pixels of all images of the file; the others are like this one, turned."""
    others = np.ascontiguousarray(image.pixels[..., ::-1, ::-1])
    return [image.pixels if number == image.scene else others for number in range(len(image.scenes) or 1)]


def _lif(image: Drawn, path: Path) -> None:
    write_lif(path, list(zip(image.scenes or ("A1",), _scenes(image), strict=True)))


def _nd2(image: Drawn, path: Path) -> None:
    write_nd2(path, _scenes(image))


def _czi(image: Drawn, path: Path) -> None:
    write_czi(path, [scene[..., None] for scene in _scenes(image)], names=image.scenes)


FLAVOURS: dict[str, tuple[str, Callable[[Drawn, Path], None]]] = {
    "lif": (".lif", _lif),
    "nd2": (".nd2", _nd2),
    "czi": (".czi", _czi),
}
"""The ending of its files, and what writes one."""
