"""The oracles: what the organisers' own code printed for inputs that are here or beside the data."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

HERE = Path(__file__).parent / "oracles"


@dataclass(frozen=True, eq=False)
class Oracles:
    """One folder of oracles."""

    folder: Path
    data: Path | None
    expected: dict[str, Any]

    def path(self, file: str, sha256: str) -> Path:
        """A file of the oracles or of the data sets, checked."""
        path = self.folder / file
        if file.startswith("source:") and self.data is not None:
            path = self.data / "ctc" / file.removeprefix("source:")
            if not path.exists():
                pytest.skip(f"this case needs {path}, which is not here")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256, (
            f"{path} is not the file the oracles used"
        )
        return path

    def pages(self, entry: dict[str, Any]) -> np.ndarray:
        """A stack of the oracles: (slices, height, width)."""
        pages = tifffile.imread(self.path(entry["file"], entry["sha256"]))
        return pages[None] if pages.ndim == 2 else pages

    def stack(self, case: str) -> tuple[np.ndarray, np.ndarray]:
        """Labels and proposal of an EM case."""
        inputs = self.expected["cases"][case]["inputs"]
        return self.pages(inputs["labels"]), self.pages(inputs["proposal"])


@cache
def _load(folder: Path, data: Path | None = None) -> Oracles:
    return Oracles(folder, data, json.loads((folder / "expected.json").read_text()))


@pytest.fixture(scope="session")
def oracles() -> Oracles:
    """The synthetic cases, carried by the project."""
    return _load(HERE)


@pytest.fixture(scope="session")
def data_oracles(data: Path) -> Oracles:
    """All cases, where the data sets are."""
    folder = data.parent / "oracles"
    if not (folder / "expected.json").exists():
        pytest.skip(f"no oracles at {folder}, beside the data sets")
    return _load(folder, data)
