"""Whether an exported model gives the same answer in other programs.

The programs live in an environment of their own, which ``make exchange`` makes from
``benchmarks/exchange.txt``.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.command import options
from benchmarks.conformance_table import write_page
from benchmarks.machine import RESULTS, keep_result
from benchmarks.opencv_in_java import is_here, opencv_in_java
from unet2015 import segment
from unet2015.errors import UNet2015Error
from unet2015.exchange import ExportOptions, export_model
from unet2015.exchange.samples import tile_sides
from unet2015.models.model_file import Model, ModelInfo
from unet2015.models.shipped import load_model
from unet2015.networks import NETWORKS, build, describe
from unet2015.settings import Mapping
from unet2015.synthetic import em_page

Array = npt.NDArray[Any]
CASES = {"on-grid": (272, 304), "off-grid": (270, 300)}
"""Height and width of whole images: multiples of the network's step of 16, and not."""
BORDER = 96
"""Pixels from the border of an image that mirroring reaches, at most."""
THERE = Path(".venv-exchange/bin/python")
FORMATS = ("onnx", "opencv", "pt2", "torchscript", "bioimageio")


def lacking() -> str:
    """Return what this needs that is not here; nothing where it can run."""
    if THERE.exists():
        return ""
    return f"it needs an environment of other programs, {THERE.parent.parent}; `make exchange` makes it"


def prepare(folder: Path, model: Model) -> tuple[dict[str, Array], dict[str, float]]:
    """Write exports and images; return this package's answers, and each format's difference at export."""
    pages = {name: em_page(*sides, 5)[0] for name, sides in CASES.items()}
    mean, deviation = float(pages["on-grid"].mean()), float(pages["on-grid"].std())
    fixed = Mapping(method="fixed", low=(mean,), high=(mean + deviation,))
    here = Model(model.network, model.info.model_copy(update={"mapping": fixed}), model.sha256)
    options = ExportOptions(formats=FORMATS, mean=(mean,), deviation=(deviation,))
    report = export_model(model, folder / "export", options)
    standardised = export_model(model, folder / "standardised", ExportOptions(formats=("bioimageio",)))
    for path in (folder / "export").iterdir():
        shutil.copy(path, folder / path.name)
    shutil.copy(
        standardised.folder / "model-halo.bioimageio.zip", folder / "standardised-halo.bioimageio.zip"
    )
    answers = {name: segment(page, here, probabilities=True, device="cpu") for name, page in pages.items()}
    answers["standardised"] = segment(pages["on-grid"], model, probabilities=True, device="cpu")
    for name, page in pages.items():
        np.save(folder / f"{name}.npy", page[None, None].astype(np.float32))
    sides = model.network.geometry
    high, wide = (sides.input_for(side) - side - sides.margin for side in CASES["on-grid"])
    around = ((sides.margin, high), (sides.margin, wide))
    tile = np.pad(pages["on-grid"], around, mode="reflect")
    np.save(folder / "tile.npy", tile[None, None].astype(np.float32))
    return answers, report.differences


def own_formats(folder: Path) -> dict[str, Any]:
    """Run the image as one tile by ONNX Runtime and PyTorch of this environment."""
    from unet2015.exchange.formats import run_onnx, run_pt2, run_torchscript

    image = [np.load(folder / "tile.npy")]
    found = {
        "onnxruntime": run_onnx(folder / "model.onnx", image)[0],
        "torch.export": run_pt2(folder / "model.pt2", image)[0],
        "torch.jit": run_torchscript(folder / "model.torchscript.pt", image)[0],
    }
    for name, answer in found.items():
        np.save(folder / f"{name}.answer.npy", answer)
    return {name: {"answer": f"{name}.answer.npy"} for name in found}


def compared(folder: Path, name: str, answer: dict[str, Any], ours: dict[str, Array]) -> dict[str, Any]:
    """Return how far an answer is from ours: everywhere, and further than `BORDER` from the border."""
    if "answer" not in answer:
        return answer
    came = np.load(folder / answer["answer"])[0].astype(np.float64)
    case = "standardised" if "standardised" in name else "off-grid" if "off the grid" in name else "on-grid"
    expected = ours[case]
    height, width = expected.shape[-2:]
    if came.shape[-2] < height or came.shape[-1] < width:
        return {"error": f"gives {came.shape}"}
    differences = np.abs(came[1, :height, :width] - expected)  # of class 1, which `segment` gives
    inside = differences[BORDER:-BORDER, BORDER:-BORDER]
    return {
        "largest": float(differences.max()),
        "inside": float(inside.max()),
        "pixels": float((differences > 1e-4).mean()),
    }


def elsewhere(python: str, tool: str, folder: Path) -> dict[str, Any]:
    """Run a tool in its environment; return its versions and answers."""
    command = [python, str(Path(__file__).with_name("conformance_tools.py")), tool, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{tool}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def each_network() -> dict[str, Any]:
    """Export the first example of each network as ONNX and as an exported program; return the differences."""
    found = {}
    for kind, entry in NETWORKS.items():
        chosen = entry.examples[0]
        channels = (entry.channels(chosen) or (1,))[0]
        low, high = (0.0,) * channels, (255.0,) * channels
        mapping = Mapping(method="fixed", low=low, high=high)
        info = ModelInfo(network=chosen, in_channels=channels, mapping=mapping, class_names=("a", "b"))
        model = Model(build(chosen, channels, 2).eval(), info, "0" * 64)
        said: dict[str, Any] = {"network": describe(chosen)}
        for name in ("onnx", "pt2", "torchscript"):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    report = export_model(model, folder, ExportOptions(formats=(name,)))
                    said[name] = report.differences[name]
                except UNet2015Error as error:
                    said[name] = str(error)[:300]
        found[kind] = said
    return found


def measure(bioimageio: str, openvino: str) -> dict[str, Any]:
    """Run everything, and return the results."""
    model = load_model("em-membrane")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, exported = prepare(folder, model)
        rows = {key: compared(folder, key, value, ours) for key, value in own_formats(folder).items()}
        versions: dict[str, str] = {}
        for tool, python in (("openvino", openvino), ("opencv", openvino), ("bioimageio", bioimageio)):
            said = elsewhere(python, tool, folder)
            versions |= {
                key: value for key, value in said["versions"].items() if key not in ("torch", "onnxruntime")
            }
            rows |= _rows(folder, tool, said, ours)
        if is_here():
            said = opencv_in_java(folder)
            versions |= said["versions"]
            rows |= _rows(folder, "java", said, ours)
    return {
        "model": "em-membrane",
        "images": CASES,
        "test_tiles": tile_sides(model.network.geometry),
        "at_export": exported,
        "programs": versions | {"onnxruntime": version("onnxruntime")},
        "rows": rows,
        "networks": each_network(),
    }


def _rows(folder: Path, tool: str, said: dict[str, Any], ours: dict[str, Array]) -> dict[str, Any]:
    answers = said["answers"].items()
    return {f"{tool}: {key}": compared(folder, key, answer, ours) for key, answer in answers}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the result file."""
    parser = options("conformance", __doc__, "the same")
    there = str(THERE)
    parser.add_argument("--bioimageio", default=there, help=f"Python with bioimageio.core (default: {there})")
    parser.add_argument(
        "--openvino", default=there, help=f"Python with openvino and OpenCV (default: {there})"
    )
    given = parser.parse_args(arguments)
    found = measure(given.bioimageio, given.openvino)
    print(json.dumps(found, indent=2))
    keep_result(given, "conformance", __doc__, found)
    if not given.quick and given.out is None:
        write_page(json.loads((RESULTS / "conformance.json").read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
