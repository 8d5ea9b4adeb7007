"""What is done with a damaged image or model, and what must come of it."""

import re
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from tests.fuzz.second import difference
from unet2015.errors import UNet2015Error
from unet2015.images.array_image import ArrayImage
from unet2015.images.reader import open_image
from unet2015.models.model_file import Model, ModelInfo, read_model_file
from unet2015.networks.unet2015 import UNet
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.in_memory import to_arrays
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.segmenter import Segmenter
from unet2015.settings import Mapping, NetworkSettings

FAILURES = ("failures.csv", "failures.log")
MANY_PIXELS = 2**19
"""Of a larger image only a corner is read: the network is not what is tested."""


class FindingError(Exception):
    """Something came of a damaged file that must not; the first word says of which kind."""


def networks() -> dict[int, Model]:
    """Return a network for each number of channels that the seeds have."""
    out = {}
    for channels in (1, 3):
        info = ModelInfo(
            in_channels=channels,
            mapping=Mapping(method="image-percentiles", low=(1,), high=(99,)),
            class_names=("a", "b"),
            axes="YX" if channels == 1 else "CYX",
            network=NetworkSettings(width=1, depth=1),
        )
        out[channels] = Model(UNet(channels, 2, width=1, depth=1).eval(), info, "0" * 64)
    return out


PART = re.compile(r"only they are read|(page|pages|directories)\b.* left out")
"""What a note says where only a part of the file is read."""

KNOWN: dict[int, Model] = {}


def look_at_image(path: Path, out: Path) -> str:
    """Segment a small image and compare its pixels with other readers; of a larger one read a corner."""
    if not KNOWN:
        KNOWN.update(networks())
    with open_image(path) as image:
        if image.pages * image.channels * image.height * image.width > MANY_PIXELS:
            for page in (0, image.pages - 1):
                image.read(page, 0, min(image.height, 64), 0, min(image.width, 64))
            return "result (corner)"
        channels = image.channels
    (result,) = segment_files([path], out, KNOWN.get(channels, KNOWN[1]), SegmentOptions(device="cpu"))
    if result.error is not None:
        if left := [one for one in out.iterdir() if one.name not in FAILURES]:
            raise FindingError(f"left: by a file that failed ({result.error}): {left}")
        raise result.error
    (record,) = out.glob("*.record.json")
    if sorted(out.iterdir()) != sorted([*result.outputs, record]):
        raise FindingError(f"left: other files than expected: {list(out.iterdir())}")
    with open_image(path) as image:
        differs = difference(path, image)
        notes = getattr(image, "notes", ())
    if "shape" in differs and any(map(PART.search, notes)):
        return "result (a part, and a note says so)"
    if differs:
        raise FindingError(f"differs: {differs}; notes: {notes}")
    return "result"


def look_at_folder(folder: Path, out: Path) -> str:
    """As `look_at_image`, of the folder's image."""
    found = sorted(folder.glob("image.*"))
    if not found:
        return "result (no image is left)"
    return look_at_image(found[0], out)


def look_at_model(path: Path, out: Path) -> str:
    """Load a model, compare its weights with those in the file, and use it."""
    model = read_model_file(path)
    weights = safetensors.torch.load(path.read_bytes())
    for name, tensor in model.network.state_dict().items():
        if not torch.equal(tensor, weights[name].to(tensor.dtype)):
            raise FindingError(f"differs: {name} is not what the file holds")
    pixels = np.arange(model.info.in_channels * 30 * 30, dtype=np.uint16).reshape(-1, 30, 30)
    if model.network.width * 2**model.network.depth > 64:
        return "result (not used)"
    segmenter = Segmenter(model, SegmentOptions(device="cpu"))
    try:
        result = to_arrays(segmenter, ArrayImage(pixels, "CYX"), ["probability"])["probability"]
    except UNet2015Error as error:  # about an array, whose name is "array"
        return f"result ({type(error).__name__})"
    if not np.isfinite(result).all() or result.min() < 0 or result.max() > 1:
        raise FindingError(f"differs: probabilities from {result.min()} to {result.max()}")
    return "result"
