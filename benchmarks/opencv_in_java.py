"""Exported models in the Java binding of OpenCV, as QuPath reads them; Debian: ``libopencv-java``."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np

JAR, NATIVE = Path("/usr/share/java/opencv.jar"), Path("/usr/lib/jni")
SOURCE = Path(__file__).with_name("OpenCvReader.java")


def is_here() -> bool:
    """Whether the binding is installed."""
    return JAR.exists()


def opencv_in_java(folder: Path) -> dict[str, Any]:
    """Run the graph whose sides vary and the one whose sides are stated; return version and answers.

    Parameters
    ----------
    folder : Path
        Has the files of the export, and ``tile.npy``; the answers are written beside.
    """
    subprocess.run(["javac", "-nowarn", "-cp", str(JAR), "-d", str(folder), str(SOURCE)], check=True)
    tile = np.load(folder / "tile.npy").astype("<f4")
    tile.tofile(folder / "tile.raw")
    found: dict[str, Any] = {"versions": {}, "answers": {}}
    for name in ("model", "model-opencv"):
        found["answers"][name], version = _run(folder, name, tile.shape)
        found["versions"] |= {"opencv in java": version} if version else {}
    return found


def _run(folder: Path, name: str, shape: tuple[int, ...]) -> tuple[dict[str, Any], str]:
    """Return the answer of a graph, or why there is none, and the version of OpenCV where it says that."""
    raw = folder / f"{name}.raw"
    words = [f"{name}.onnx", "tile.raw", *map(str, shape[-2:]), raw.name]
    command = ["java", f"-Djava.library.path={NATIVE}", "-cp", f"{JAR}:.", "OpenCvReader", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line.lower()), done.stderr)
        return {"error": " ".join(said.split())[:300]}, ""
    version, *sizes = done.stdout.split()
    answer = np.fromfile(raw, "<f4").reshape([int(size) for size in sizes])
    np.save(folder / f"java-{name}.answer.npy", answer)
    return {"answer": f"java-{name}.answer.npy"}, version
