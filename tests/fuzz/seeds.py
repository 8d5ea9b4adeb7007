"""Whole files of many kinds, which the fuzzer then damages."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import torch

from unet2015.models.model_file import ModelInfo, build_network, save_model
from unet2015.settings import Mapping, NetworkSettings

OME = {"axes": "TZYX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm"}


def images() -> dict[str, bytes]:
    """Return an image file of each kind, by name; small, so that most damage hits what matters."""
    random = np.random.default_rng(0)
    stack = random.integers(0, 4000, (4, 24, 20), np.uint16)
    bytes_ = (stack >> 4).astype(np.uint8)
    smooth = np.repeat(np.repeat(stack, 4, 1), 4, 2)  # so that compression shortens it
    colour = random.integers(0, 255, (24, 20, 3), np.uint8)
    gray = {"photometric": "minisblack"}
    bare = {"metadata": None, **gray}
    files = {
        "plain": _tiff(bytes_[0], **bare),
        "plain-pages": _tiff(stack, **bare),
        "strips": _tiff(stack, rowsperstrip=5, **bare),
        "big-endian": _tiff(stack, byteorder=">", **bare),
        "shaped": _tiff(stack, metadata={"axes": "ZYX"}, **gray),
        "shaped-truncated": _tiff(stack, metadata={"axes": "ZYX"}, truncate=True, **gray),
        "tiled": _tiff(smooth[:2], tile=(16, 32), **bare),
        "float": _tiff(stack.astype(np.float32) / 7, compression="zlib", predictor=True, **bare),
        "signed": _tiff(stack.astype(np.int32) - 2000, **bare),
        "imagej": _tiff(stack, imagej=True, resolution=(4, 4), metadata={"axes": "ZYX", "unit": "um"}),
        "imagej-truncated": _tiff(stack, imagej=True, truncate=True, metadata={"axes": "TYX"}),
        "imagej-hyperstack": _tiff(
            bytes_.reshape(2, 2, 24, 20), imagej=True, metadata={"axes": "TZYX"}, compression="zlib"
        ),
        "ome": _tiff(stack.reshape(2, 2, 24, 20), ome=True, metadata=OME, **gray),
        "ome-deflate": _tiff(stack.reshape(2, 2, 24, 20), ome=True, metadata=OME, compression="zlib", **gray),
        "big": _tiff(stack, bigtiff=True, **bare),
        "big-tiled": _tiff(smooth[:2], bigtiff=True, tile=(32, 32), compression="zlib", **bare),
        "rgb": _tiff(colour, photometric="rgb", metadata=None),
        "rgb-planar": _tiff(np.moveaxis(colour, -1, 0), photometric="rgb", planarconfig="separate"),
        "png-gray": bytes(imagecodecs.png_encode(stack[0])),
        "png-rgb": bytes(imagecodecs.png_encode(colour)),
    }
    for name in ("lzw", "zlib", "zstd", "packbits", "lzma"):
        files[name] = _tiff(smooth[:2], compression=name, rowsperstrip=32, **bare)
        options = {} if name == "packbits" else {"predictor": True}
        files[f"{name}-tiled"] = _tiff(smooth[:1], compression=name, tile=(32, 32), **options, **bare)
    files["jpeg"] = _tiff(bytes_[0], compression="jpeg", **bare)
    return files


def _tiff(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def models(folder: Path) -> dict[str, bytes]:
    """Return a model file of each kind, by name."""
    kinds = {
        "gray": (ModelInfo(mapping=Mapping(method="integer-range"), class_names=("a", "b"), threshold=0.4,
                           network=NetworkSettings(width=1, depth=1)), torch.float32),
        "release": (ModelInfo(mapping=Mapping(method="image-percentiles", low=(1,), high=(99,)),
                              class_names=("a", "b", "c"), classes=3,
                              network=NetworkSettings(width=2, depth=2, variant="release")), torch.float16),
        "colour": (ModelInfo(mapping=Mapping(method="fixed", low=(0, 1, 2), high=(5, 6, 7)), in_channels=3,
                             axes="CYX", class_names=("a", "b"), network=NetworkSettings(width=1, depth=0)),
                   torch.bfloat16),
    }  # fmt: skip
    files = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, (info, dtype) in kinds.items():
            network = build_network(info)
            save_model(folder / "seed.safetensors", network, info, dtype)
            files[name] = (folder / "seed.safetensors").read_bytes()
    (folder / "seed.safetensors").unlink()
    return files
