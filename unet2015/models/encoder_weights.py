"""Weights of a pretrained encoder, from a file that the user has: nothing is ever downloaded."""

import hashlib
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import torch
from safetensors.torch import load
from torch import Tensor

from unet2015.errors import ModelError, UsageError
from unet2015.networks import NETWORKS, Network, architecture_of
from unet2015.safe_files import open_regular
from unet2015.wording import listed, reason

_PICKLES = (b"PK\x03\x04", b"\x80")
"""Beginnings of torch's files: a ZIP archive, or before torch 1.6 a pickle."""


def load_encoder_weights(network: Network, file: str | Path) -> str:
    """Copy the weights of an encoder from a file into a network; its other weights stay.

    Parameters
    ----------
    network : Network
        Of a kind whose encoder has published weights: ``vgg19``.
    file : str or Path
        Tensors by the names that torchvision gives them, such as ``features.0.weight``: a ``.pth`` file of
        torch, of which nothing is executed (``weights_only``), or safetensors. Other tensors in it, such as
        those of a classifier, are left alone.

    Returns
    -------
    str
        SHA-256 of the file, for a record.

    Raises
    ------
    UsageError
        No file holds weights for the encoder of this network.
    ModelError
        The file cannot be read or does not fit; the message names the first tensor that differs, and both
        shapes. The network is then as it was.
    """
    entry, path = architecture_of(network), Path(file)
    if not entry.encoder_weights:
        known = ", ".join(kind for kind, other in NETWORKS.items() if other.encoder_weights)
        raise UsageError(
            f"{path}: the network {entry.kind} takes no weights of an encoder; those that do: {known}"
        )
    tensors, digest = _read(path)
    begin = f"{entry.encoder_weights}."
    encoder = {name: own for name, own in network.state_dict().items() if name.startswith(begin)}
    for name, own in encoder.items():
        came, needs = tensors.get(name), f"the encoder of {entry.kind} needs shape {tuple(own.shape)}"
        if not isinstance(came, Tensor):
            holds = f"{_names(tensors)}{_other(tensors, begin)}"
            raise ModelError(f"{path}: tensor {name} is missing; {needs}. It holds {holds}")
        if came.shape != own.shape:
            raise ModelError(f"{path}: tensor {name} has shape {tuple(came.shape)}, but {needs}")
        if not came.is_floating_point() or came.layout != torch.strided or came.is_meta:
            kind = f"{str(came.dtype).removeprefix('torch.')} values, {_layout(came)}"
            raise ModelError(f"{path}: tensor {name} has {kind}, but {needs} of dense floating-point numbers")
        if not bool(torch.isfinite(came.to(own.dtype)).all()):
            raise ModelError(f"{path}: tensor {name} holds values that are not finite numbers of float32")
    with torch.no_grad():
        for name, own in encoder.items():
            own.copy_(tensors[name])
    return digest


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """Return what a file holds by name, and its SHA-256."""
    try:
        with open_regular(path) as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            opened.seek(0)
            begin = opened.read(4)
            opened.seek(0)
            found = _unpickled(opened, path) if begin.startswith(_PICKLES) else load(opened.read())
    except OSError as error:
        raise ModelError(f"{path}: cannot read the weights: {error.strerror or error}") from error
    except (MemoryError, ModelError):
        raise
    except Exception as error:  # of a damaged file the readers raise nearly anything
        raise ModelError(
            f"{path}: expected weights (.pth of torch, or safetensors), but it cannot be read: "
            f"{reason(error)}"
        ) from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: expected tensors by name, but it holds a {type(found).__name__}")
    return found, digest


def _unpickled(opened: BinaryIO, path: Path) -> Any:
    """Return what a file of torch holds; none of its code is executed."""
    try:
        return torch.load(opened, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # Torch's own words advise to load it all the same.
        raise ModelError(
            f"{path}: expected weights (.pth of torch, or safetensors), but it is damaged, or holds more "
            "than tensors by name, such as a whole module, whose loading could execute code. Nothing was "
            "loaded. Take the weights alone (a state_dict) from where it comes from, or safetensors"
        ) from error


def _layout(tensor: Tensor) -> str:
    """Return in a word how a tensor stores its values."""
    return "none stored" if tensor.is_meta else "dense" if tensor.layout == torch.strided else "sparse"


def _other(tensors: dict[str, Any], begin: str) -> str:
    """Return what a file without the encoder's names probably is, in words; empty where that is unknown."""
    names = [name for name in tensors if isinstance(name, str)]
    if any(name.startswith(begin) and name.endswith(".running_mean") for name in names):
        return ". It has batch normalisation: this is another network (vgg19_bn); take the file of vgg19"
    if any(isinstance(value, dict) for value in tensors.values()):
        return ". It is a checkpoint, whose weights are within: save these alone, by their names"
    if any(f".{begin}" in name for name in names):
        return f". Its names begin otherwise: save them with what stands before {begin!r} taken away"
    if "0.weight" in tensors:
        return f". It seems to be the encoder alone: save its tensors with {begin!r} before their names"
    return ""


def _names(tensors: dict[str, Any]) -> str:
    """Return the first names in a file, in words."""
    return f"{len(tensors)} entries: {listed([reason(name) for name in tensors], 3)}"
