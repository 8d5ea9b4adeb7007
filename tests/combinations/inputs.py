"""Drawn images: pixels with axes and calibration, and files of every flavour that can tell them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tifffile
import zarr
from scipy import ndimage

LENGTHS = {"nm": 1e-3, "µm": 1.0, "mm": 1e3}
"""Micrometres of each unit."""
NAMES = {"nm": "nanometer", "µm": "micrometer", "mm": "millimeter", "ms": "millisecond", "s": "second"}
"""What OME-Zarr calls them."""
TIMES = {"ms": 1e-3, "s": 1.0, "min": 60.0}
"""Seconds of each unit."""
ORDERS = ("TZCYX", "TCZYX", "ZTCYX", "ZCTYX", "CTZYX", "CZTYX")
"""In which OME-TIFF can have its planes, slowest first."""


@dataclass(frozen=True)
class Drawn:
    """An image, and how its file is written.

    Attributes
    ----------
    axes : str
        Slowest first; as in the file.
    pixels : numpy.ndarray
        Along `axes`.
    flavour : str
        A name of `FLAVOURS`.
    unit, time_unit : str
        Of lengths and of the interval, from `LENGTHS` and `TIMES`.
    sizes : dict
        The length of a step along each letter for which the file tells it, in these units.
    channels : tuple of str
        Names; empty where the file does not tell them.
    storage : dict
        How tifffile stores it: byte order, tiles or strips, compression.
    """

    axes: str
    pixels: np.ndarray
    flavour: str
    unit: str
    time_unit: str
    sizes: dict[str, float]
    channels: tuple[str, ...]
    storage: dict[str, Any]

    @property
    def calibration(self) -> dict[str, float]:
        """The lengths of steps in micrometres and seconds."""
        factor = dict.fromkeys("ZYX", LENGTHS[self.unit]) | {"T": TIMES[self.time_unit]}
        return {letter: size * factor[letter] for letter, size in self.sizes.items()}

    def in_order(self, axes: str) -> np.ndarray:
        """Return the pixels along `axes`, which may have more letters: of length 1."""
        return along(self.pixels, self.axes, axes)


def along(pixels: np.ndarray, has: str, wanted: str) -> np.ndarray:
    """Return pixels along other axes: axes of length 1 may come and go."""
    gone = tuple(at for at, letter in enumerate(has) if letter not in wanted)
    pixels, has = np.squeeze(pixels, gone), "".join(letter for letter in has if letter in wanted)
    pixels = np.transpose(pixels, [has.index(letter) for letter in wanted if letter in has])
    return np.expand_dims(pixels, tuple(at for at, letter in enumerate(wanted) if letter not in has))


def draw(random: Random) -> Drawn:
    """Draw an image."""
    flavour = random.choice(list(FLAVOURS))
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
        pixels=_blobs(np.random.default_rng(random.getrandbits(32)), shape, np.dtype(dtype)),
        flavour=flavour,
        unit=random.choice(list(LENGTHS)) if flavour not in ("plain", "shaped") else "µm",
        time_unit=random.choice(list(TIMES)) if flavour == "ome" else "s",
        sizes=sizes,
        channels=tuple(random.sample(["DAPI", "GFP", "1", "phase"], count)) if named else (),
        storage=_storage(random, flavour),
    )


def _letters(random: Random, flavour: str) -> str:
    """Draw the axes that a flavour can tell."""
    if flavour == "png":
        return "YX"
    if flavour == "plain":
        return random.choice(["YX", "IYX"])
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
        chosen["bigtiff"] = random.random() < 0.3
        if random.random() < 0.4:
            chosen["tile"] = random.choice([(16, 16), (32, 48)])
    if "tile" not in chosen and random.random() < 0.5:
        chosen["rowsperstrip"] = random.randint(1, 40)
    return chosen


def _blobs(generator: np.random.Generator, shape: list[int], dtype: np.dtype) -> np.ndarray:
    """Return soft blobs with noise, of a range that the type holds."""
    field = generator.standard_normal(shape)
    blur = [0.0] * (len(shape) - 2) + [3.0, 3.0]
    smooth = ndimage.gaussian_filter(field, blur)
    field = smooth / (smooth.std() or 1) + 0.2 * field
    if dtype.kind == "f":
        return (field * generator.uniform(0.5, 500)).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    low, high = max(low, -3000), min(high, 4000)
    return np.clip((field + 3) / 6 * (high - low) + low, low, high).astype(dtype)


def _tiff(image: Drawn, path: Path, pixels: np.ndarray, **options: Any) -> None:
    if "Y" in image.sizes and "resolution" not in options and not options.get("ome"):
        options |= {"resolution": (1e4 / image.sizes["X"], 1e4 / image.sizes["Y"]), "resolutionunit": 3}
    tifffile.imwrite(path, pixels, photometric="minisblack", **image.storage, **options)


def _imagej(image: Drawn, path: Path) -> None:
    metadata: dict[str, Any] = {"axes": image.axes}
    options: dict[str, Any] = {}
    if image.sizes:
        metadata["unit"] = image.unit.replace("µ", "\\u00B5")  # as ImageJ writes it
        options["resolution"] = (1 / image.sizes["X"], 1 / image.sizes["Y"])
        options["resolutionunit"] = 1
    if "Z" in image.sizes:
        metadata["spacing"] = image.sizes["Z"]
    if "T" in image.sizes:
        metadata["finterval"] = image.sizes["T"]
    _tiff(image, path, image.pixels, imagej=True, metadata=metadata, **options)


def _ome(image: Drawn, path: Path) -> None:
    metadata: dict[str, Any] = {"axes": image.axes}
    for letter in "ZYX":
        if letter in image.sizes:
            metadata[f"PhysicalSize{letter}"] = image.sizes[letter]
            metadata[f"PhysicalSize{letter}Unit"] = image.unit
    if "T" in image.sizes:
        metadata |= {"TimeIncrement": image.sizes["T"], "TimeIncrementUnit": image.time_unit}
    if image.channels:
        metadata["Channel"] = {"Name": list(image.channels)}
    _tiff(image, path, image.pixels, ome=True, metadata=metadata)


def _shaped(image: Drawn, path: Path) -> None:
    metadata: dict[str, Any] = {"axes": image.axes}
    if "Z" in image.sizes:
        metadata |= {"spacing": image.sizes["Z"], "unit": image.unit}
    if "T" in image.sizes:
        metadata["finterval"] = image.sizes["T"]
    _tiff(image, path, image.pixels, metadata=metadata)


def _plain(image: Drawn, path: Path) -> None:
    _tiff(image, path, image.pixels, metadata=None)


def _png(image: Drawn, path: Path) -> None:
    from PIL import Image as Pillow

    Pillow.fromarray(image.pixels).save(path)


def _zarr(image: Drawn, path: Path) -> None:
    version = image.flavour.removeprefix("zarr ")
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "4" else 3)
    chunks = tuple(1 if letter not in "YX" else 32 for letter in image.axes)
    more = (
        {} if version == "4" else {"shards": tuple(1 if letter not in "YX" else 64 for letter in image.axes)}
    )
    written = group.create_array(
        "0", shape=image.pixels.shape, dtype=image.pixels.dtype, chunks=chunks, **more
    )
    # Chunks of zeros, too, so that none seems lost.
    written.with_config({"write_empty_chunks": True})[...] = image.pixels
    axes, scale = [], []
    for letter in image.axes:
        kind = {"T": "time", "C": "channel"}.get(letter, "space")
        axis = {"name": letter.lower(), "type": kind}
        if letter in image.sizes:
            axis["unit"] = NAMES[image.time_unit if letter == "T" else image.unit]
        axes.append(axis)
        scale.append(image.sizes.get(letter, 1.0))
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}]
    multiscales = {"axes": axes, "datasets": datasets, "name": "image"}
    ome: dict[str, Any] = {"multiscales": [multiscales | ({"version": "0.4"} if version == "4" else {})]}
    if image.channels:
        ome["omero"] = {"channels": [{"label": name} for name in image.channels]}
    group.attrs.update(ome if version == "4" else {"ome": {"version": "0.5", **ome}})


FLAVOURS: dict[str, tuple[str, Callable[[Drawn, Path], None]]] = {
    "imagej": (".tif", _imagej),
    "ome": (".ome.tif", _ome),
    "shaped": (".tif", _shaped),
    "plain": (".tif", _plain),
    "png": (".png", _png),
    "zarr 4": (".zarr", _zarr),
    "zarr 5": (".zarr", _zarr),
}
"""The ending of its files, and what writes one."""
_ANY = ("uint8", "uint16", "int16", "float32", "int8", "uint32")
TYPES = {"imagej": ("uint8", "uint16", "float32"), "png": ("uint8", "uint16")} | dict.fromkeys(
    ("ome", "shaped", "plain", "zarr 4", "zarr 5"), _ANY
)


def write(image: Drawn, folder: Path, stem: str = "a") -> Path:
    """Write an image under a name of its flavour, and return the path."""
    suffix, writer = FLAVOURS[image.flavour]
    path = folder / f"{stem}{suffix}"
    writer(image, path)
    return path


def name_of(image: Drawn, channel: int) -> str:
    """Return what the command may be told for a channel: a name may be the number of another one."""
    return f"{channel}:{image.channels[channel]}" if image.channels else str(channel)


def one_channel(image: Drawn, number: int) -> Drawn:
    """Return one channel of an image as an image without this axis."""
    at = image.axes.index("C")
    pixels = np.take(image.pixels, number, axis=at)
    return replace(image, axes=image.axes.replace("C", ""), pixels=pixels, channels=())
