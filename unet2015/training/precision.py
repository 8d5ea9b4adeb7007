"""What a device can do, found out by trying: the faster precision, and the batch or tile that fits."""

import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch

from unet2015.device import drawing, has_bfloat16, is_out_of_memory, release_cached_memory, synchronize
from unet2015.geometry import Geometry
from unet2015.networks import Network
from unet2015.settings import OptimisationSettings
from unet2015.wording import first_line

GAIN = 1.1
"""How many times as fast bfloat16 must be to be chosen."""
_TILE = 252
"""Side of the tiles that are timed, or the legal one below: a tile of 572 px takes seconds on a CPU."""
_REPEATS = 3

Shape = tuple[int, int, int, int]
"""Tiles, channels, height, width."""


def autocast(device: torch.device, precision: str) -> Any:
    """Return the context in which a network runs forward in a precision.

    Autocast does not cache casts, because each weight is used only once.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False)


def choose_precision(network: Network, rule: OptimisationSettings, device: torch.device) -> tuple[str, str]:
    """Find out in which precision this device trains this network faster.

    Returns
    -------
    precision : str
        ``bfloat16`` where steps forward and backward are at least `GAIN` times as fast as in
        ``float32``, else ``float32``; on a GPU that only imitates bfloat16, ``float32``.
    why : str
        The same in words.
    """
    if not has_bfloat16(device):
        return "float32", "this GPU has no bfloat16"
    trial = deepcopy(network)
    tile = network.training_geometry.nearest_legal(min(rule.tile, _TILE))[0]
    shape = (rule.batch, network.in_channels, tile, tile)
    try:
        single, half = (
            step_seconds(trial, shape, device, precision) for precision in ("float32", "bfloat16")
        )
    except RuntimeError as error:  # no room, or an operation that this device lacks
        return "float32", f"bfloat16 could not be tried ({first_line(error)})"
    times = f"bfloat16 takes {half / single:.2f} times the time of float32 here"
    return ("bfloat16" if single >= GAIN * half else "float32"), times


def step_seconds(network: Network, shape: Shape, device: torch.device, precision: str) -> float:
    """Return the seconds of a step forward and backward, the best of three."""
    times = []
    for _ in range(_REPEATS + 1):
        started = time.perf_counter()
        try_step(network, shape, device, precision)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def try_step(network: Network, shape: Shape, device: torch.device, precision: str) -> None:
    """Run a step forward and backward on empty tiles, and wait for its end."""
    network.train()
    tiles = torch.zeros(shape, device=device).contiguous(memory_format=torch.channels_last)
    with drawing(), autocast(device, precision):
        maps = network.training_scores(tiles)
    torch.stack([scores.float().sum() for scores in maps]).sum().backward()  # type: ignore[no-untyped-call]
    network.zero_grad(set_to_none=True)
    synchronize(device)


def what_fits(network: Network, rule: OptimisationSettings, device: torch.device, precision: str) -> str:
    """Say which smaller batch (or, for a batch of 1, smaller tile) fits on the device; found by trying."""
    for count, side in _smaller(network.training_geometry, rule):
        try:
            try_step(network, (count, network.in_channels, side, side), device, precision)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            return f"batch = {count} fits" if side == rule.tile else f"tile = {side} fits, with batch = 1"
        finally:
            network.zero_grad(set_to_none=True)
            release_cached_memory(device)
    return "not even the smallest tile fits; give a narrower network, or close other programs"


def _smaller(geometry: Geometry, rule: OptimisationSettings) -> Iterator[tuple[int, int]]:
    count, side = rule.batch, rule.tile
    while count > 1:
        count //= 2
        yield count, side
    while side > geometry.smallest:
        side = geometry.nearest_legal(min(side - geometry.factor, side * 3 // 4))[0]
        yield 1, side
