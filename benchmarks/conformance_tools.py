"""Other programs that run an exported model; each in the Python of its own environment.

Run by `benchmarks.conformance`: ``PYTHON benchmarks/conformance_tools.py TOOL FOLDER``. The folder has the
export and
``CASE.npy``, images as the graph takes them; answers are written beside, and standard output is JSON. This
file imports nothing of this project.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Answer = dict[str, Any]
"""What a case gave: its file, or why there is none."""


def tried(folder: Path, name: str, run: Callable[[], Any]) -> Answer:
    """Run a case and keep its array; an error becomes its first line."""
    try:
        found = np.asarray(run(), np.float32)
    except Exception as error:  # whatever a program raises is its answer
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return {"error": words[:300]}
    np.save(folder / f"{name}.answer.npy", found)
    return {"answer": f"{name}.answer.npy"}


def openvino(folder: Path) -> dict[str, Answer]:
    """OpenVINO on a processor: in single precision, and as it comes."""
    import openvino  # type: ignore[import-not-found, unused-ignore]

    core = openvino.Core()
    image = np.load(folder / "tile.npy")

    def run(**chosen: str) -> Any:
        return core.compile_model(folder / "model.onnx", "CPU", chosen)([image])[0]

    return {
        "float32": tried(folder, "openvino-float32", lambda: run(INFERENCE_PRECISION_HINT="f32")),
        "as it comes": tried(folder, "openvino", run),
    }


def opencv(folder: Path) -> dict[str, Answer]:
    """The network module of OpenCV."""
    import cv2  # type: ignore[import-not-found, unused-ignore]

    image = np.load(folder / "tile.npy")

    def run() -> Any:
        network = cv2.dnn.readNetFromONNX(str(folder / "model.onnx"))
        network.setInput(image)
        return network.forward()

    return {"one tile": tried(folder, "opencv", run)}


def bioimageio(folder: Path) -> dict[str, Answer]:
    """The reference library of bioimage.io: validation, its own test, one tile, and blocks."""
    from bioimageio.core import (  # type: ignore[import-not-found, unused-ignore]
        Tensor,
        create_prediction_pipeline,
        load_description,
        predict,
        test_model,
    )

    def run(file: str, case: str, blocks: int | None, kind: str = "onnx") -> Any:
        model = create_prediction_pipeline(load_description(folder / file), weight_format=kind)
        image = Tensor.from_numpy(np.load(folder / f"{case}.npy"), dims=("batch", "channel", "y", "x"))
        found = predict(model=model, inputs={"image": image}, blocksize_parameter=blocks)
        return next(iter(found.members.values())).data.values

    found: dict[str, Answer] = {}
    for file in sorted(path.name for path in folder.glob("*.zip")):
        described = load_description(folder / file)
        issues = [error.msg for detail in described.validation_summary.details for error in detail.errors]
        for kind in ("onnx", "torchscript"):
            tested = test_model(
                folder / file, weight_format=kind, absolute_tolerance=1e-5, relative_tolerance=0
            )
            found[f"test {file} {kind}"] = {"valid": not issues, "passed": tested.status == "passed"}
    valid, halo = "model.bioimageio.zip", "model-halo.bioimageio.zip"
    cases: dict[str, tuple[Any, ...]] = {
        "valid, one tile": (valid, "tile", None),
        "valid, one tile, TorchScript": (valid, "tile", None, "torchscript"),
        "valid, blocks": (valid, "tile", 2),
        "valid, another size": (valid, "on-grid", None),
        "halo, one block": (halo, "on-grid", None),
        "halo, blocks": (halo, "on-grid", 2),
        "halo, blocks, off the grid": (halo, "off-grid", 2),
        "halo, blocks, whole image standardised": ("standardised-halo.bioimageio.zip", "on-grid", 2),
    }
    for name, case in cases.items():
        found[name] = tried(folder, f"bioimageio-{len(found)}", partial(run, *case))
    return found


TOOLS: dict[str, tuple[Callable[[Path], dict[str, Answer]], tuple[str, ...]]] = {
    "openvino": (openvino, ("openvino",)),
    "opencv": (opencv, ("opencv-python-headless",)),
    "bioimageio": (bioimageio, ("bioimageio.core", "bioimageio.spec", "onnxruntime", "torch")),
}
"""The tools, and the distributions whose versions count."""

if __name__ == "__main__":
    run_tool, distributions = TOOLS[sys.argv[1]]
    answers = run_tool(Path(sys.argv[2]))
    print(json.dumps({"versions": {name: version(name) for name in distributions}, "answers": answers}))
