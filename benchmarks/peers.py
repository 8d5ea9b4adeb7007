"""The tools that this project is measured next to; they live in an environment of their own.

``make bench`` makes it from ``benchmarks/peers.txt`` and runs everything there, this project included,
since elasticdeform needs NumPy below 2. Elsewhere a benchmark leaves out the peers that are missing.
"""

import importlib
import importlib.metadata
import sys
from types import ModuleType

PEERS = (
    *("monai.inferers", "monai.transforms", "elasticdeform", "albumentations", "cv2"),
    *("cc3d", "dask_image.ndmeasure", "onnxruntime", "openvino"),
)


def peer(module: str) -> ModuleType | None:
    """Return an installed peer; None, and a line that says so, where there is none."""
    try:
        return importlib.import_module(module)
    except ImportError:
        print(f"{module} is not installed here and is left out; `make bench` compares with it")
        return None


def peer_versions(*distributions: str) -> dict[str, str]:
    """Return the versions of those `distributions` that are installed, for a result."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    missing = [module for module in PEERS if peer(module) is None]  # each that fails is named
    sys.exit(bool(missing))
