"""The images, labels and settings of the golden test, written to a folder: numpy and the file formats alone.

Nothing here comes from the package, whose parts may move. The numbers are numpy's legacy generator's, which
numpy promises to keep.
"""

from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import zarr

MEMBRANE = """
checkpoint_interval = 6
[labels]
kind = "membrane"
[network]
width = 4
depth = 2
dropout = 0.0
[augmentation]
interpolation = "bicubic"
elastic_std = 2.0
[optimisation]
steps = 12
optimizer = "adam"
learning_rate = 2e-3
warmup = 3
clip = 0.3
tile = 60
[validation]
fraction = 0.3
interval = 6
attempts = 1
"""

# What is not named is as in ronneberger2015: SGD, bilinear, dropout, separation borders, weight map.
INSTANCES = """
checkpoint_interval = 6
[network]
width = 2
depth = 2
[augmentation]
elastic_std = 3.0
[optimisation]
steps = 12
warmup = 3
momentum_ramp = 6
tile = 60
[validation]
fraction = 0.3
interval = 6
attempts = 1
"""

CLASSES = """
checkpoint_interval = 6
[mapping]
method = "training-percentiles"
[labels]
kind = "classes"
classes = 3
[network]
width = 2
depth = 2
[augmentation]
scale = 0.2
blur = 1.0
elastic_std = 3.0
[optimisation]
steps = 6
optimizer = "adam"
learning_rate = 1e-3
warmup = 2
tile = 60
batch = 2
average = 0.5
precision = "bfloat16"
[validation]
fraction = 0.3
interval = 6
attempts = 1
"""


def write_inputs(folder: Path) -> None:
    """Write all inputs into a folder that is there."""
    images, cells = tissue(3, 96, 80, 0)
    gray = images[0, :70, :66]
    deep = (images[:, :72, :64].astype(np.uint16) * 190 + 800).astype(np.uint16)
    plain = {"photometric": "minisblack"}
    tifffile.imwrite(folder / "images.tif", images, **plain)
    tifffile.imwrite(folder / "membranes.tif", np.where(cells > 0, 255, 0).astype(np.uint8), **plain)
    tifffile.imwrite(folder / "cells.tif", cells, **plain)
    tifffile.imwrite(folder / "classes.tif", ((cells % 3 > 0) + (cells > 0)).astype(np.uint8), **plain)
    tifffile.imwrite(folder / "gray.tif", gray, **plain)
    tifffile.imwrite(
        folder / "deep.tif",
        deep,
        imagej=True,
        resolution=(4.0, 5.0),
        metadata={"axes": "ZYX", "unit": "micron", "spacing": 0.5},
    )
    tifffile.imwrite(
        folder / "ome.ome.tif",
        images[:2, :60, :76],
        metadata={
            "axes": "TYX",
            "PhysicalSizeX": 0.25,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": 0.5,
            "PhysicalSizeYUnit": "µm",
            "TimeIncrement": 3.0,
            "TimeIncrementUnit": "s",
        },
        **plain,
    )
    (folder / "gray.png").write_bytes(imagecodecs.png_encode(gray))
    half = images[1].copy()
    half[:, 30:] = 77
    tifffile.imwrite(folder / "half.tif", half, **plain)
    _write_zarr(folder / "volume.zarr", deep)
    _write_measured(folder, images, cells)
    for name, text in (("membrane", MEMBRANE), ("instances", INSTANCES), ("classes", CLASSES)):
        (folder / f"{name}.toml").write_text(text)


def tissue(pages: int, height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy pages of bright cells between dark membranes, and the cells' numbers (0 is membrane)."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width]
    cells = np.zeros((pages, height, width), np.uint16)
    for page in cells:
        seeds = random.randint(0, (height, width), (height * width // 250, 2))
        far = np.hypot(y - seeds[:, :1, None], x - seeds[:, 1:, None])
        first, second = np.sort(far, axis=0)[:2]
        page[...] = np.where(second - first > 2.5, far.argmin(axis=0) + 1, 0)
    images = np.where(cells > 0, 165, 70) + 12 * np.sin(x / 17) + random.normal(0, 14, cells.shape)
    return images.clip(0, 255).astype(np.uint8), cells


def _write_zarr(folder: Path, volume: np.ndarray) -> None:
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    level = group.create_array(
        "0", shape=volume.shape, dtype=volume.dtype, chunks=(1, 32, 32), dimension_names=list("zyx")
    )
    level[...] = volume
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [0.5, 0.25, 0.2]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}


def _write_measured(folder: Path, images: np.ndarray, cells: np.ndarray) -> None:
    """Write what the measures compare: a guess at the membranes, and frames of numbered cells."""
    guess = (images.astype(np.float32) - 40) / 160
    tifffile.imwrite(folder / "guess.tif", guess.clip(0, 1), photometric="minisblack")
    truth, result = folder / "01_GT" / "SEG", folder / "01_RES"
    truth.mkdir(parents=True)
    result.mkdir()
    for number, page in enumerate(cells):
        tifffile.imwrite(truth / f"man_seg{number:03}.tif", page)
        found = np.where(images[number] > 90 + 20 * number, page, 0).astype(np.uint16)
        found[:, :20] = np.minimum(found[:, :20], 1)
        tifffile.imwrite(result / f"mask{number:03}.tif", found)
