"""How the trainings of a result were made and measured, in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.base.words import AVERAGES


def measured_on_a_gpu(result: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return where and how the trainings called `names` were measured, in a sentence."""
    base, training = result["settings"]["base"], result["training"]
    lost = result.get("cut_short") or {}
    steps = [result["steps"][name] - lost.get(name, 0) for name in names]
    counts = " to ".join(f"{count:,}" for count in dict.fromkeys((min(steps), max(steps))))
    fewer = max(lost.get(name, 0) for name in names)
    cut = f" (up to {fewer:,} fewer than planned)" if fewer else ""
    seeds = {result["settings"]["trainings"][name].get("settings", {}).get("seed") for name in names}
    recipes = " and ".join(dict.fromkeys(result["chosen"][name] for name in names))
    return (
        f"{result['device']}, {result['date']}: width {base['network']['width']}, {counts} "
        f"steps{cut} of one tile of {base['optimisation']['tile']} px each, {recipes}, "
        f"{base['optimisation']['precision']}; {len(result['steps'])} trainings side by side took "
        f"{training['steps']:,} steps in {training['seconds']:.1f} s, the whole run "
        f"{result['seconds']:.0f} s. {'One seed' if len(seeds) == 1 else f'{len(seeds)} seeds'}."
    )


def measured_on_two_cores(result: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """Return how the trainings were made, in a sentence."""
    training, seeds = result["settings"]["training"], {part["training"]["seed"] for part in parts.values()}
    rule, machine = training["optimisation"], result["machine"]
    return (
        f"{machine['processor']}, {result['date']}: width {training['network']['width']}, {rule['steps']:,} "
        f"steps of one tile of {rule['tile']} px each, {rule['optimizer']} {rule['learning_rate']:g}, "
        f"one thread, {AVERAGES.get(result['settings'].get('average', ''), 'as each row says')}. "
        f"Seed {', '.join(map(str, sorted(seeds)))}."
    )
