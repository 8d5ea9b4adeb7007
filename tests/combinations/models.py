"""Drawn models: a network of the table with drawn weights, and how it reads intensities."""

from random import Random
from typing import Any

import numpy as np
import torch

from tests.networks.others import trained
from unet2015 import networks
from unet2015.models.model_file import Model, ModelInfo, build_network
from unet2015.settings import AnyNetworkSettings, Mapping, NetworkSettings

CLASSES = ("background", "cell", "border")


def draw(random: Random, pixels: np.ndarray, channels: int) -> Model:
    """Draw an untrained model that can read an image of these pixels with so many channels."""
    settings = _network(random, channels)
    classes = random.choice([2, 2, 2, 3])
    info = ModelInfo(
        in_channels=channels,
        axes="CYX" if channels > 1 else "YX",
        classes=classes,
        class_names=CLASSES[:classes],
        mapping=_mapping(random, pixels, channels, settings.needs_unit_range),
        network=settings,
    )
    seed = random.getrandbits(30)
    if not isinstance(settings, NetworkSettings):
        return Model(trained(networks.architecture(settings), settings, channels, classes, seed), info)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(info).eval()
    return Model(network, info)


def _network(random: Random, channels: int) -> AnyNetworkSettings:
    """Draw a network, in two rounds of three the paper's; none whose tiles differ from the whole."""
    if random.random() < 2 / 3:
        variant = random.choice(["paper", "release"])
        return NetworkSettings(width=4, depth=random.choice([1, 2]), variant=variant)
    return random.choice(
        [
            settings
            for entry in networks.NETWORKS.values()
            for settings in entry.examples
            if entry.geometry(settings).exact and channels in (entry.channels(settings) or (channels,))
        ]
    )


def _mapping(random: Random, pixels: np.ndarray, channels: int, unit_range: bool) -> Mapping:
    """Draw how intensities are read."""
    methods = ["image-percentiles", "fixed"]
    if not unit_range:
        methods.append("standardise")
    if pixels.dtype in (np.uint8, np.uint16):
        methods.append("integer-range")
    method = random.choice(methods)
    ends: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    if method == "image-percentiles":
        ends = (random.choice([0.0, 1.0, 5.0]),), (random.choice([95.0, 99.8, 100.0]),)
    elif method == "fixed":
        middle, spread = float(pixels.mean()), float(pixels.std()) or 1.0
        ends = (middle - spread,) * channels, (middle + spread,) * channels
    more: dict[str, Any] = {}
    if method in ("standardise", "image-percentiles"):
        more["each"] = random.choice(["file", "file", "file", "page"])
        if random.random() < 0.1:
            more["fill_value"] = float(pixels.flat[0])
    return Mapping(method=method, low=ends[0], high=ends[1], **more)


LEAST = 20
"""Pixels of a side of a tile's output at least, as thousands of tiles take long."""


def tiles(model: Model, most: int = 124) -> list[int]:
    """Return sides of tiles that its network can read, up to about `most`, at least two."""
    geometry = model.network.geometry
    outputs = range(LEAST, max(LEAST, most - 2 * geometry.margin) + 1)
    sides = sorted({geometry.input_for(side) for side in outputs})
    return sides if len(sides) > 1 else [*sides, sides[0] + geometry.factor]
