"""Writes drawn images of gray channels, in every flavour that can tell axes and calibration."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr

from tests.combinations.drawn import NAMES, Drawn


def tiff(image: Drawn, path: Path, pixels: np.ndarray, **options: Any) -> None:
    """Write pixels as TIFF, with the size of a pixel in the tags unless OME-XML or `options` tell it."""
    if "Y" in image.sizes and "resolution" not in options and not options.get("ome"):
        options |= {"resolution": (1e4 / image.sizes["X"], 1e4 / image.sizes["Y"]), "resolutionunit": 3}
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack"} | image.storage | options)


def imagej(image: Drawn, path: Path, axes: str = "", **more: Any) -> None:
    """Write ImageJ TIFF; `axes` are those that tifffile is told."""
    metadata: dict[str, Any] = {"axes": axes or image.axes}
    options: dict[str, Any] = {}
    if image.sizes:
        metadata["unit"] = image.unit.replace("µ", "\\u00B5")  # as ImageJ writes it
        options["resolution"] = (1 / image.sizes["X"], 1 / image.sizes["Y"])
        options["resolutionunit"] = 1
    if "Z" in image.sizes:
        metadata["spacing"] = image.sizes["Z"]
    if "T" in image.sizes:
        metadata["finterval"] = image.sizes["T"]
    tiff(image, path, image.pixels, imagej=True, metadata=metadata, **options, **more)


def ome(image: Drawn, path: Path, axes: str = "", **more: Any) -> None:
    """Write OME-TIFF; `axes` are those that tifffile is told."""
    metadata: dict[str, Any] = {"axes": axes or image.axes}
    for letter in "ZYX":
        if letter in image.sizes:
            metadata[f"PhysicalSize{letter}"] = image.sizes[letter]
            metadata[f"PhysicalSize{letter}Unit"] = image.unit
    if "T" in image.sizes:
        metadata |= {"TimeIncrement": image.sizes["T"], "TimeIncrementUnit": image.time_unit}
    if image.channels:
        metadata["Channel"] = {"Name": list(image.channels)}
    tiff(image, path, image.pixels, ome=True, metadata=metadata, **more)


def _shaped(image: Drawn, path: Path) -> None:
    metadata: dict[str, Any] = {"axes": image.axes}
    if "Z" in image.sizes:
        metadata |= {"spacing": image.sizes["Z"], "unit": image.unit}
    if "T" in image.sizes:
        metadata["finterval"] = image.sizes["T"]
    tiff(image, path, image.pixels, metadata=metadata)


def _plain(image: Drawn, path: Path) -> None:
    tiff(image, path, image.pixels, metadata=None)


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


FLAVOURS = {
    "imagej": (".tif", imagej),
    "ome": (".ome.tif", ome),
    "shaped": (".tif", _shaped),
    "plain": (".tif", _plain),
    "png": (".png", _png),
    "zarr 4": (".zarr", _zarr),
    "zarr 5": (".zarr", _zarr),
}
"""The ending of its files, and what writes one."""
