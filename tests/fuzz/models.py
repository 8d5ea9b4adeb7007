"""Whole model files of each kind."""

from pathlib import Path

import torch

from unet2015.models.model_file import ModelInfo, build_network, save_model
from unet2015.settings import Mapping, NetworkSettings


def models(folder: Path) -> dict[str, bytes]:
    """Return a model file of each kind, by name."""
    kinds = {
        "gray": (ModelInfo(mapping=Mapping(method="integer-range"), class_names=("a", "b"), threshold=0.4,
                           network=NetworkSettings(width=1, depth=1)), torch.float32),
        "release": (ModelInfo(mapping=Mapping(method="image-percentiles", low=(1,), high=(99,)),
                              class_names=("a", "b", "c"), classes=3,
                              network=NetworkSettings(width=2, depth=2, variant="release")), torch.float16),
        "colour": (ModelInfo(mapping=Mapping(method="fixed", low=(0, 1, 2), high=(5, 6, 7)), in_channels=3,
                             axes="CYX", class_names=("a", "b"), network=NetworkSettings(width=1, depth=0)),
                   torch.bfloat16),
    }  # fmt: skip
    files = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, (info, dtype) in kinds.items():
            network = build_network(info)
            save_model(folder / "seed.safetensors", network, info, dtype)
            files[name] = (folder / "seed.safetensors").read_bytes()
    (folder / "seed.safetensors").unlink()
    return files


def save_small_model(path: Path) -> None:
    """Write a model whose class map of noise holds both classes."""
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="image-percentiles", low=(1.0,), high=(99.0,)),
        class_names=("membrane", "cell"),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(path, build_network(info), info)
