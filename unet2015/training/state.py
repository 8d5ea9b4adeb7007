"""The state of a training: what a checkpoint holds, so that a resumed training ends the same."""

import hashlib
import json
import logging
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unet2015.device import thread_count
from unet2015.errors import ModelError, OtherDataError, OtherSettingsError
from unet2015.models.model_file import check_weights
from unet2015.models.tensors import load_tensors, save_tensors
from unet2015.networks import Network
from unet2015.safe_files import UNSIGNED, make_folder
from unet2015.settings.lengths import that_count
from unet2015.training.identity import identity_difference, other_files
from unet2015.training.learner import Learner
from unet2015.training.run_folder import checkpoints, remove_checkpoint
from unet2015.wording import counted

KEPT = 2
"""Checkpoints that are kept: if the newest is damaged, the one before can be used."""

_log = logging.getLogger("unet2015")


@dataclass
class State:
    """Where a training stands, beside weights and the optimizer's memory.

    There is no other random state: every random draw follows from (seed, step), for augmentation, drop-out,
    and the order of each round through the pages.

    Attributes
    ----------
    seed : int
        Determines all random draws: the seed of the settings, or a later one if the training began again.
    processes : int
        How many processes train together, each with one batch a step; the same in a resumed training.
    step : int
        Steps done.
    best : dict
        The best validation so far; empty before the first.
    waited : int
        Validations since the best.
    seconds : float
        Time spent training, over all runs.
    precision : str
        Precision in which the network runs, once it is chosen.
    settings, identity : dict
        The settings, and what identifies the images, the labels and their order: the same in a resumed
        training.
    hashes : dict
        The SHA-256 of each file trained on, by its path.
    start : dict
        The model that the training started from, its SHA-256 and its validation; empty for drawn weights.
    encoder : dict
        The file with the encoder's first weights, and its SHA-256; empty for drawn ones.
    phase, begun : int
        Which phase, from 0, and the step after which it began.
    plateau : dict
        Where the schedule ``plateau`` stands (:class:`unet2015.training.schedules.Plateau`); else empty.
    machine : dict
        What else the last bits depend on: threads, device, version of torch.
    """

    seed: int
    step: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    waited: int = 0
    seconds: float = 0.0
    precision: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    processes: int = 1
    start: dict[str, Any] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)
    phase: int = 0
    begun: int = 0
    plateau: dict[str, Any] = field(default_factory=dict)


def torch_seed(seed: int) -> int:
    """Return a seed that torch takes: `seed` below 2**63, else 63 bits of its digest."""
    if seed < 1 << 63:
        return seed
    return int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:8], "big") >> 1


def machine_of(device: torch.device) -> dict[str, Any]:
    """Return what the last bits of a training depend on, apart from settings and data."""
    return {
        "threads": thread_count(),
        "device": device.type,
        "torch": str(torch.__version__),
        "processor": platform.machine(),
    }


def save_state(folder: Path, learner: Learner, state: State) -> Path:
    """Write a checkpoint and remove all but the last two.

    Checkpoints of later steps are removed, too: they are damaged, or belong to an attempt that was given up.
    """
    tensors = _named("network.", learner.network.state_dict())
    if learner.average is not None:
        tensors |= _named("average.", learner.average.network.state_dict())
    for name, parameter in learner.network.named_parameters():
        for key, value in learner.optimizer.state.get(parameter, {}).items():
            if value is not None:  # torch's own word for a momentum of zero
                tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value).detach().cpu()
    path = make_folder(folder) / _name(state.step)
    description = asdict(state)
    if state.processes == 1:
        del description["processes"]
    for name in ("start", "encoder", "phase", "begun", "plateau"):
        if not description[name]:
            del description[name]
    save_tensors(path, tensors, json.dumps(description))
    kept = [one for one in checkpoints(folder) if one.name <= path.name][-KEPT:]
    for old in checkpoints(folder):
        if old not in kept:
            remove_checkpoint(old)
    return path


def remove_older(folder: Path, step: int) -> None:
    """Remove all checkpoints up to a step but the last two: a run killed before it did so left more."""
    older = [one for one in checkpoints(folder) if one.name <= _name(step)]
    for old in older[:-KEPT]:
        remove_checkpoint(old)


def _name(step: int) -> str:
    return f"step-{step:08d}.safetensors"


def load_state(
    folder: Path, learner: Learner, expected: State, of_phase: Callable[[int], Learner]
) -> State | None:
    """Restore the newest good checkpoint of a folder; None where there is none.

    `learner` is that of the first phase; `of_phase` makes that of a later one, which is restored then.

    Raises
    ------
    OtherSettingsError, OtherDataError
        It belongs to a training with other settings or files than `expected`.
    """
    for path in reversed(checkpoints(folder)):
        try:
            tensors, text, _, checked = load_tensors(path)
            state = _parse(text, path)
            _check_same(state, expected, folder.parent)
            _restore(tensors, of_phase(state.phase) if state.phase else learner, path)
        except ModelError as error:
            _log.warning("%s; taking the checkpoint before it", error)
            continue
        if not checked:
            _log.warning("%s: the checkpoint %s", path, UNSIGNED)
        changed = ", ".join(_differences(state.machine, expected.machine))
        if changed:
            _log.warning(
                "%s: the training goes on under other conditions (%s); the last bits may differ from those "
                "of an uninterrupted training",
                folder.parent,
                changed,
            )
        # Renamed files are the same files; the identity may come from before the axes belonged to it.
        state.hashes, state.machine = expected.hashes, expected.machine
        state.identity = expected.identity
        state.start = expected.start | state.start  # one of an earlier version says less of it
        return state
    return None


def _parse(text: str, path: Path) -> State:
    try:
        values = json.loads(text)
        # Extra values from another version are not needed; missing ones will differ from the expected ones.
        state = State(**{name: values[name] for name in _FIELDS if name in values})
        wrong = [name for name, kinds in _FIELDS.items() if not isinstance(getattr(state, name), kinds)]
        if wrong or min(state.step, state.phase, state.begun, state.step - state.begun) < 0:
            raise ValueError(f"{wrong[0] if wrong else 'step'} has a value that is not possible")
        state.settings = that_count(state.settings)
        return state
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: the description in the checkpoint cannot be read: {error}") from error


_KINDS: dict[str, Any] = {
    "seed": int,
    "step": int,
    "waited": int,
    "processes": int,
    "phase": int,
    "begun": int,
    "seconds": (int, float),
    "precision": str,
}
_FIELDS = {one.name: _KINDS.get(one.name, dict) for one in fields(State)}


def _restore(tensors: dict[str, Tensor], learner: Learner, path: Path) -> None:
    """Check all tensors, then copy them into their places."""
    found = [(learner.network, _part(tensors, "network."))]
    if learner.average is not None:
        found.append((learner.average.network, _part(tensors, "average.")))
    for network, weights in found:
        check_weights(network, weights, str(path))
    memory = _memory(_part(tensors, "optimizer."), learner.network, path)
    for network, weights in found:
        network.load_state_dict(weights)
    groups = learner.optimizer.state_dict()["param_groups"]
    learner.optimizer.load_state_dict({"state": memory, "param_groups": groups})


def _memory(tensors: dict[str, Tensor], network: Network, path: Path) -> dict[int, dict[str, Tensor]]:
    """Return the optimizer's state by the number of the weight, with the memory layout of the weight."""
    places = {name: (k, weight) for k, (name, weight) in enumerate(network.named_parameters())}
    memory: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        what, _, name = key.partition(".")
        if name not in places:
            raise ModelError(f"{path}: tensor optimizer.{key} does not belong to the network")
        if not bool(torch.isfinite(value).all()):
            raise ModelError(f"{path}: tensor optimizer.{key} holds values that are not finite numbers")
        number, weight = places[name]
        if value.shape == weight.shape:
            value = torch.empty_like(weight, dtype=value.dtype).copy_(value)
        elif value.dim():
            raise ModelError(
                f"{path}: tensor optimizer.{key} has shape {tuple(value.shape)}, its weight "
                f"{tuple(weight.shape)}"
            )
        memory.setdefault(number, {})[what] = value
    return memory


def _check_same(state: State, expected: State, folder: Path) -> None:
    if state.start.get("sha256") != expected.start.get("sha256"):
        then, now = (
            f"the model {one.start.get('model')} (SHA-256 {str(one.start.get('sha256'))[:12]}...)"
            if one.start
            else "drawn weights"
            for one in (state, expected)
        )
        raise OtherSettingsError(
            f"{folder}: the training was begun from {then}, and would go on from {now}; resume with the same "
            f"{'--from' if state.start else 'and without --from'}, or choose another folder"
        )
    if state.encoder.get("sha256") != expected.encoder.get("sha256"):
        raise OtherSettingsError(
            f"{folder}: the training was begun with other weights of the encoder "
            f"({state.encoder.get('file', 'drawn ones')}); resume with those, or choose another folder"
        )
    if state.settings != expected.settings:
        changed = ", ".join(_differences(state.settings, expected.settings))
        raise OtherSettingsError(
            f"{folder}: the training was begun with other settings ({changed}); "
            "resume with the same, or choose another folder"
        )
    if state.processes != expected.processes:
        then, now = (counted(one.processes, "process", "processes") for one in (state, expected))
        raise OtherSettingsError(
            f"{folder}: the training was begun with {then}; with {now} the tiles would be others; resume "
            "with as many, or choose another folder"
        )
    if difference := identity_difference(state.identity, expected.identity):
        if files := other_files(state.hashes, expected.hashes):
            difference += f" ({files})"
        raise OtherDataError(
            f"{folder}: the training was begun with {difference}; resume with the same, or choose another "
            "folder"
        )


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}: {a!r} then, {b!r} now"


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor.detach().cpu() for name, tensor in tensors.items()}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
