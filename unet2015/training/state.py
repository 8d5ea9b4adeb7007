"""The state of a training: what a checkpoint holds, so that a resumed training ends the same."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unet2015.checkpoint import check_weights, load_tensors, save_tensors
from unet2015.errors import DataSetError, ModelError, SettingsError
from unet2015.files import make_folder
from unet2015.networks import Network
from unet2015.training.sampling import page_order as page_order

KEPT = 2
"""Checkpoints that stay: should the newest be damaged, the one before is good."""

_log = logging.getLogger("unet2015")


@dataclass
class State:
    """Where a training stands, beside weights and momenta.

    Every random draw follows from (seed, step): augmentation, drop-out, and the order of each
    round through the pages. These are the random states.

    Attributes
    ----------
    seed : int
        From which all randomness follows.
    processes : int
        How many train together, of which each shows a tile a step: a resumed training must have as
        many.
    step : int
        Steps done.
    order : list of int
        The pages of the present round, in the order in which they are shown.
    best : dict
        The best validation so far; empty before the first.
    seconds : float
        Time spent training, over all runs.
    settings, hashes : dict
        The settings, and the SHA-256 of each file trained on: a resumed training must have the same.
    """

    seed: int
    step: int = 0
    order: list[int] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    processes: int = 1

    def page(self, draw: int, pages: int) -> int:
        """Return the page of a draw: every page once a round, each round in a new order.

        Draws are counted over all steps and processes.
        """
        turn, position = divmod(draw, pages)
        # One of several processes may never see the first draw of a round.
        if position == 0 or len(self.order) != pages or self.processes > 1:
            self.order = page_order(self.seed, turn, pages)
        return self.order[position]


def save_state(folder: Path, network: Network, optimizer: torch.optim.SGD, state: State) -> Path:
    """Write a checkpoint and remove all but the last two."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        tensors[f"network.{name}"] = parameter.detach().cpu()
        tensors[f"momentum.{name}"] = optimizer.state[parameter]["momentum_buffer"].cpu()
    path = make_folder(folder) / f"step-{state.step:08d}.safetensors"
    description = asdict(state)
    if state.processes == 1:  # so that versions which know of one process only read it
        del description["processes"]
    save_tensors(path, tensors, json.dumps(description))
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def load_state(folder: Path, network: Network, optimizer: torch.optim.SGD, expected: State) -> State | None:
    """Restore the newest good checkpoint of a folder; None where there is none.

    Raises
    ------
    SettingsError, DataSetError
        It belongs to a training with other settings or files than `expected`.
    """
    for path in reversed(checkpoints(folder)):
        try:
            tensors, text, _ = load_tensors(path)
        except ModelError as error:
            _log.warning("%s; taking the checkpoint before it", error)
            continue
        state = State(**json.loads(text))
        _check_same(state, expected, folder.parent)
        weights, momenta = _part(tensors, "network."), _part(tensors, "momentum.")
        check_weights(network, weights, str(path))
        check_weights(network, momenta, str(path))
        network.load_state_dict(weights)
        for name, parameter in network.named_parameters():
            optimizer.state[parameter]["momentum_buffer"] = momenta[name].to(parameter.device)
        return state
    return None


def _check_same(state: State, expected: State, folder: Path) -> None:
    if state.settings != expected.settings:
        changed = ", ".join(_differences(state.settings, expected.settings))
        raise SettingsError(
            f"{folder}: the training was begun with other settings ({changed}); "
            "resume with the same, or choose another folder"
        )
    if state.processes != expected.processes:
        raise SettingsError(
            f"{folder}: the training was begun with {_counted(state.processes)}; with "
            f"{_counted(expected.processes)} the tiles would be others; resume with as many, "
            "or choose another folder"
        )
    if sorted(state.hashes.values()) != sorted(expected.hashes.values()):
        raise DataSetError(
            f"{folder}: the training was begun with other images or labels; resume with the same, "
            "or choose another folder"
        )


def _counted(processes: int) -> str:
    return "1 process" if processes == 1 else f"{processes} processes"


def _differences(one: dict[str, Any], other: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}: {a!r} then, {b!r} now"


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
