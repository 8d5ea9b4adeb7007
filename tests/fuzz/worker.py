"""Reads damaged files in a process of its own, whose memory and open files are limited.

Jobs come on standard input, one JSON object a line; so do the answers on standard output.
"""

import json
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unet2015.errors import UNet2015Error
from unet2015.images.image import ArrayImage
from unet2015.images.reader import open_image
from unet2015.models.model_file import Model, ModelInfo, read_model_file
from unet2015.networks.unet2015 import UNet
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.segmenter import Segmenter
from unet2015.settings import Mapping, NetworkSettings

MEMORY = 2**30
"""Address space that a file may take beyond what the process has at its start."""

MANY_PIXELS = 2**19
"""Of a larger image only a corner is read: the network is not what is tested."""


def models() -> dict[int, Model]:
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


def read_image(path: Path, out: Path, known: dict[int, Model]) -> str:
    """Segment an image of a few pixels; of a larger one read a corner of the first and last page."""
    with open_image(path) as image:
        if image.pages * image.channels * image.height * image.width > MANY_PIXELS:
            for page in (0, image.pages - 1):
                image.read(page, 0, min(image.height, 64), 0, min(image.width, 64))
            return "result (corner)"
        channels = image.channels
    (result,) = segment_files([path], out, known.get(channels, known[1]), SegmentOptions(device="cpu"))
    if result.error is not None:
        if left := [path for path in out.iterdir() if path.name != "failures.csv"]:
            raise AssertionError(f"left by a file that failed: {left}")
        (out / "failures.csv").unlink()
        raise result.error
    if sorted(out.iterdir()) != sorted([*result.outputs, out / f"{path.stem}.record.json"]):
        raise AssertionError(f"other files than expected: {list(out.iterdir())}")
    return "result"


def read_model(path: Path) -> str:
    """Load a model and use it."""
    model = read_model_file(path)
    pixels = np.arange(model.info.in_channels * 30 * 30, dtype=np.uint16).reshape(-1, 30, 30)
    if model.network.width * 2**model.network.depth > 64:
        return "result (not used)"
    segmenter = Segmenter(model, SegmentOptions(device="cpu"))
    image = ArrayImage(pixels, "CYX")
    segmenter.to_array(image, "probability")
    return "result"


def peak(reset: bool = False) -> int:
    """Return the most memory that was resident since the last reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def answer(job: dict[str, str], known: dict[int, Model]) -> dict[str, Any]:
    """Do a job; say how it ended, and what it took."""
    path, out = Path(job["path"]), Path(job["out"])
    before, started, trace = peak(reset=True), time.perf_counter(), ""
    try:
        kind = read_model(path) if path.suffix == ".safetensors" else read_image(path, out, known)
        message = ""
    except UNet2015Error as error:
        kind, message = type(error).__name__, str(error)
        if "\n" in message or len(message) > 1000 or str(path) not in message:
            kind, trace = "unclear error", traceback.format_exc()
    except BaseException as error:
        kind, message, trace = "finding", f"{type(error).__name__}: {error}", traceback.format_exc()
    seconds = time.perf_counter() - started
    took = {"seconds": seconds, "memory": peak() - before}
    return {"kind": kind, "message": message[:2000], "trace": trace[-4000:], **took}


def main() -> None:
    """Answer jobs until there are no more."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    known = models()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY, MEMORY))
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), known)), flush=True)


if __name__ == "__main__":
    main()
