"""Where the files of an experiment lie: one folder a training, the result and the page beside them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Files:
    """The files that join the stages of an experiment, and that its report reads.

    Attributes
    ----------
    out : Path
        Folder of the results.
    """

    out: Path

    @property
    def result(self) -> Path:
        """What was found, as JSON."""
        return self.out / "result.json"

    @property
    def page(self) -> Path:
        """The report."""
        return self.out / "report.html"

    def part(self, name: str) -> Path:
        """Return the folder of one training and what is measured with it: ``fold-4``, ``all``."""
        return self.out / name

    def run(self, name: str) -> Path:
        """Return the folder that a training writes."""
        return self.part(name) / "run"

    def model(self, name: str) -> Path:
        """Return the model of one training."""
        return self.run(name) / "model.safetensors"

    def log(self, name: str) -> Path:
        """Return the log of one training."""
        return self.run(name) / "log.jsonl"


def read_json(path: Path) -> dict[str, Any]:
    """Return what a stage found and wrote as JSON."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
