"""Draws and writes images in colour: red, green and blue together in each pixel, or indices of a palette."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.combinations import writers
from tests.combinations.drawn import Drawn, blobs

AXES = {
    "rgb": ("YXC", "IYXC"),
    "rgb planar": ("CYX", "ICYX"),
    "rgba": ("YXC", "IYXC"),
    "rgb ome": ("YXC", "ZYXC", "TYXC", "TZYXC"),
    "rgb imagej": ("YXC", "ZYXC", "TYXC", "TZYXC"),
    "palette": ("YXC", "IYXC", "YX"),
    "png rgb": ("YXC",),
    "png rgba": ("YXC",),
    "png palette": ("YXC",),
}
"""What the axes of each flavour may be; without C the palette is gray."""
BYTES = "rgb imagej", "palette", "png palette"
"""Flavours of 8 bits alone."""


def draw(random: Random) -> Drawn:
    """Draw an image of a flavour of `AXES`."""
    flavour = random.choice(list(AXES))
    axes = random.choice(AXES[flavour])
    order = "".join(letter for letter in axes if letter not in "CYX") + "C" * ("C" in axes) + "YX"
    lengths = {"C": 3} | {letter: random.randint(1, 3) for letter in "TZI"}
    shape = [lengths.get(letter) or random.randint(18, 90) for letter in order]
    dtype = np.dtype("uint8" if flavour in BYTES else random.choice(["uint8", "uint16"]))
    generator = np.random.default_rng(random.getrandbits(32))
    pixels = blobs(generator, shape, dtype)
    if "palette" in flavour:
        pixels = _few_colours(generator, pixels, order)
    sizes = {} if flavour.startswith("png") else _sizes(random, axes, flavour)
    return Drawn(
        axes=axes,
        pixels=np.moveaxis(pixels, -3, -1) if axes.endswith("XC") else pixels,
        flavour=flavour,
        unit=random.choice(["nm", "µm"]) if flavour in ("rgb ome", "rgb imagej") else "µm",
        time_unit="s",
        sizes={letter: size for letter, size in sizes.items() if shape[order.index(letter)] > 1},
        channels=(),
        storage={} if flavour.startswith("png") else _storage(random, flavour),
    )


def _few_colours(generator: np.random.Generator, pixels: np.ndarray, axes: str) -> np.ndarray:
    """Return pixels of which each has one of few colours, red, green and blue or gray."""
    table = generator.integers(0, 256, (200, 3), dtype=np.uint8)
    indices = (pixels if "C" not in axes else pixels.take(0, axis=-3)) % 200
    return table[indices, 0] if "C" not in axes else np.moveaxis(table[indices], -1, -3)


def _sizes(random: Random, axes: str, flavour: str) -> dict[str, float]:
    if random.random() < 0.25:
        return {}
    sizes = {"Y": round(random.uniform(0.05, 3), 3), "X": round(random.uniform(0.05, 3), 3)}
    return sizes | {letter: round(random.uniform(0.5, 9), 2) for letter in "TZ" if letter in axes}


def _storage(random: Random, flavour: str) -> dict[str, Any]:
    if flavour == "rgb imagej":
        return {"byteorder": ">"}
    chosen: dict[str, Any] = {
        "byteorder": random.choice("<>"),
        "compression": random.choice([None, "lzw", "zlib"]),
    }
    chosen["predictor"] = chosen["compression"] is not None and flavour != "palette" and random.random() < 0.5
    return chosen | random.choice([{}, {"tile": (32, 48)}, {"rowsperstrip": random.randint(1, 40)}])


def _rgb(image: Drawn, path: Path) -> None:
    writers.tiff(image, path, image.pixels, photometric="rgb", metadata=None)


def _planar(image: Drawn, path: Path) -> None:
    writers.tiff(image, path, image.pixels, photometric="rgb", planarconfig="separate", metadata=None)


def _rgba(image: Drawn, path: Path) -> None:
    writers.tiff(
        image, path, _opaque(image.pixels), photometric="rgb", extrasamples=["unassalpha"], metadata=None
    )


def _opaque(pixels: np.ndarray) -> np.ndarray:
    """Return pixels with an alpha channel that hides nothing."""
    return np.concatenate([pixels, np.full_like(pixels[..., :1], np.iinfo(pixels.dtype).max)], -1)


def _described(write: Callable[..., None]) -> Callable[[Drawn, Path], None]:
    """Return what writes OME-TIFF or ImageJ TIFF of red, green and blue, which tifffile calls samples."""
    return lambda image, path: write(image, path, image.axes.replace("C", "S"), photometric="rgb")


def _palette(image: Drawn, path: Path) -> None:
    table, indices = _indices(image)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, : len(table)] = table.T.astype(np.uint16) * 257
    writers.tiff(image, path, indices, photometric="palette", colormap=colours, metadata=None)


def _indices(image: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours of an image (colours, 3), and their indices along its axes without C."""
    pixels = image.pixels if "C" in image.axes else np.repeat(image.pixels[..., None], 3, -1)
    table, indices = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    return table, indices.reshape(pixels.shape[:-1]).astype(np.uint8)


def _png(image: Drawn, path: Path) -> None:
    import imagecodecs

    pixels = _opaque(image.pixels) if image.flavour == "png rgba" else image.pixels
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def _png_palette(image: Drawn, path: Path) -> None:
    from PIL import Image as Pillow

    table, indices = _indices(image)
    picture = Pillow.fromarray(indices)
    picture.putpalette(table.tobytes())
    picture.save(path)


FLAVOURS: dict[str, tuple[str, Callable[[Drawn, Path], None]]] = {
    "rgb": (".tif", _rgb),
    "rgb planar": (".tif", _planar),
    "rgba": (".tif", _rgba),
    "rgb ome": (".ome.tif", _described(writers.ome)),
    "rgb imagej": (".tif", _described(writers.imagej)),
    "palette": (".tif", _palette),
    "png rgb": (".png", _png),
    "png rgba": (".png", _png),
    "png palette": (".png", _png_palette),
}
"""The ending of its files, and what writes one."""
