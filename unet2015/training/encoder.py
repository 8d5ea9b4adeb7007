"""What of a network keeps its weights, or learns at a lower rate: its contracting path, or named modules."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import accumulate, groupby
from typing import Any

from torch import Tensor, nn

from unet2015.errors import SettingsError
from unet2015.networks import Network, architecture_of
from unet2015.settings import FineTuningSettings, PhaseSettings
from unet2015.settings.names import nearest

RATE_FACTOR = "rate_factor"
"""Key in a group of an optimizer: its learning rate is that of the step times this."""


def freeze(network: Network, rule: FineTuningSettings) -> list[nn.Module]:
    """Freeze what the settings say, and return its modules.

    They take no gradient. In a training they must also be in evaluation mode, so that running means of
    normalisation layers stay.
    """
    if rule.freeze == "none":
        return []
    frozen = _encoder(network)
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def freeze_named(network: Network, phase: PhaseSettings, number: int) -> list[nn.Module]:
    """Freeze the modules that `named_frozen` returns; return those that lie wholly among them."""
    named = named_frozen(network, phase, number)
    frozen = []
    for name, module in network.named_modules():
        if name not in named:
            continue
        for weight in module.parameters(recurse=False):
            weight.requires_grad_(False)
        # Evaluation mode goes to all that lies below a module, so not to one above a released module.
        if all(f"{name}.{below}" in named for below, _ in module.named_modules() if below):
            frozen.append(module)
    return frozen


def named_frozen(network: Network, phase: PhaseSettings, number: int) -> set[str]:
    """Return the names of the modules that a phase freezes, but not those that it releases.

    Raises
    ------
    SettingsError
        A name fits no module, or nothing is left that learns. `number` is that of the phase, from 1.
    """
    modules = {name: module for name, module in network.named_modules() if name}
    for pattern in (*phase.freeze, *phase.release):
        if not any(_fits(name, [pattern]) for name in modules):
            raise SettingsError(
                f"phase {number}: {pattern!r} names no module of the network; {nearest(pattern, modules)}"
            )
    named = {name for name in modules if _fits(name, phase.freeze) and not _fits(name, phase.release)}
    learning = (name.rpartition(".")[0] for name, weight in network.named_parameters())
    if named.issuperset(learning):
        raise SettingsError(f"phase {number} freezes every weight; name fewer modules, or release some")
    return named


def _fits(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern fits a module's dotted name, or that of a module which it lies in."""
    above = accumulate(name.split("."), lambda path, part: f"{path}.{part}")
    return any(fnmatchcase(path, pattern) for path in above for pattern in patterns)


def weight_groups(network: Network, rule: FineTuningSettings) -> list[Tensor] | list[dict[str, Any]]:
    """Return the weights for an optimizer: in the network's order, in groups where their rates differ."""
    weights: list[Tensor] = list(network.parameters())
    if rule.encoder_rate == 1:
        return weights
    slow = {id(weight) for module in _encoder(network) for weight in module.parameters()}
    # Runs and not two groups, so that the numbers of the weights stay those of the network's order.
    runs = groupby(weights, key=lambda weight: id(weight) in slow)
    return [
        {"params": list(run), RATE_FACTOR: rule.encoder_rate if is_slow else 1.0} for is_slow, run in runs
    ]


def _encoder(network: Network) -> list[nn.Module]:
    return [network.get_submodule(name) for name in architecture_of(network).encoder]
