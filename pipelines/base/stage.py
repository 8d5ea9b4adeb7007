"""A stage: a step of a pipeline with declared inputs and outputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline.

    Attributes
    ----------
    name, does : str
        What it is called, and what it does, in a line.
    action : callable
        Does it; reads `inputs`, writes all of `outputs`, each whole or not at all.
    inputs, outputs : sequence of Path
        Files. It runs again when an input or the settings differ from the last time it ended well,
        or an output is missing.
    settings : dict
        Whatever else the outputs depend on.
    """

    name: str
    does: str
    action: Callable[[], object]
    inputs: Sequence[Path]
    outputs: Sequence[Path]
    settings: dict[str, Any] = field(default_factory=dict)


def listing(stages: Sequence[Stage]) -> str:
    """Return the stages, a line each, for ``--help``."""
    wide = max(len(stage.name) for stage in stages)
    return "stages:\n" + "\n".join(f"  {stage.name:<{wide}}  {stage.does}" for stage in stages)
