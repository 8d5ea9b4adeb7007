"""The model file: weights, and the description of the model."""

import json
import math
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from pydantic_core import PydanticSerializationError
from torch import Tensor

from unet2015 import networks
from unet2015.device import usual_torch
from unet2015.errors import ModelError, SettingsError, UNet2015Error
from unet2015.file_names import on_one_line
from unet2015.models.doubts import doubts_of_measures
from unet2015.models.tensors import load_tensors, save_tensors
from unet2015.safe_files import UNSIGNED
from unet2015.settings import (
    NETWORK_KINDS,
    Frozen,
    Mapping,
    Network,
    NetworkSettings,
    kind_of_network,
    parse_settings,
)
from unet2015.settings.choices import ThresholdName
from unet2015.settings.objects import ObjectSettings
from unet2015.wording import counted, reason

OF_A_TRAINING = "model.safetensors"
"""The model file in the folder of a training."""


class ModelInfo(Frozen):
    """The description of a model in its file, besides the weights."""

    format: Literal["unet2015 model 1"] = "unet2015 model 1"
    in_channels: int = Field(1, ge=1)
    """Channels of the images."""
    classes: int = Field(2, ge=2, le=255)
    """Channels of the scores."""
    network: Network = NetworkSettings()
    mapping: Mapping
    """How raw intensities become network input."""
    dtype: str | None = None
    """Type of the pixels of the training images, such as ``uint8``; None if they differed."""
    class_names: tuple[str, ...]
    """One name for each class, in the order of the class map's values."""
    axes: Literal["YX", "CYX"] = "YX"
    """Axes of the part of a page that the network reads."""
    threshold: float | None = Field(None, ge=0, le=1)
    """Two classes: a pixel with a higher probability of class 1 is of class 1. The default for every use."""
    thresholds: dict[ThresholdName, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Thresholds by name: ``f1`` has the best F1 of pixels on the held-out pages; ``rand``, for membranes,
    the best Rand score on training pages. One of them is `threshold`."""
    objects: ObjectSettings | None = None
    """What counts as an object: the default for every use. None: the defaults of the settings."""
    learned: bool | None = None
    """Whether the network has learned, by its validation; None if that is not known."""
    ended: bool | None = None
    """Whether its training has come to its end; None if that is not known."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Record of the training: settings, data, steps, measures, versions."""
    name: str = ""
    """Name of a shipped model. This and the fields below, but the pixel size, are empty in a model that a
    training writes."""
    summary: str = ""
    """What it segments, in one line."""
    modality: str = ""
    """Kind of the images, such as ``serial section TEM``."""
    pixel_size_nm: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Width of the training images' pixels, in nanometres; None where they differ or do not say it."""
    citation: str = ""
    """What to cite when it is used."""
    terms: str = ""
    """What its use is bound to."""

    @model_validator(mode="after")
    def _consistent(self) -> "ModelInfo":
        if len(self.class_names) != self.classes:
            raise ValueError(f"{self.classes} classes, but {len(self.class_names)} class_names")
        low, high = self.mapping.low, self.mapping.high
        expected = {
            "standardise": 0,
            "integer-range": len(low),
            "image-percentiles": 1,
            "fixed": self.in_channels,
        }
        if not len(low) == len(high) == expected[self.mapping.method]:
            raise ValueError(
                f"{expected[self.mapping.method]} values of low and high are needed for the mapping "
                f"{self.mapping.method}, but there are {len(low)} and {len(high)}"
            )
        if not all(map(math.isfinite, (*low, *high))):
            raise ValueError(f"the mapping from {low} to {high} is not finite")
        if self.mapping.method == "image-percentiles" and not 0 <= low[0] < high[0] <= 100:
            raise ValueError(f"the percentiles of the mapping are {low[0]} and {high[0]}")
        return self

    @property
    def why_not_learned(self) -> tuple[str, ...]:
        """Why the network has not learned, from the record of its validation; empty if it has."""
        said = self.training.get("validation")
        reasons = said.get("why") if isinstance(said, dict) else None
        return tuple(map(str, reasons)) if self.learned is False and isinstance(reasons, list) else ()

    @property
    def doubts(self) -> tuple[str, ...]:
        """What must be known at each use: not learned, not ended, or measured on pages of a training."""
        found = []
        if self.learned is False:
            reasons = "; ".join(self.why_not_learned) or "its record does not say why"
            found.append(f"this model has not learned, and its results mean little: {reasons}")
        if self.ended is False:
            found.append(
                "the training of this model has not ended: it is the best one so far, and neither its "
                "threshold nor what counts as an object is chosen as at the end; train --resume ends it"
            )
        return (*found, *doubts_of_measures(self.training))

    @property
    def threshold_name(self) -> ThresholdName | None:
        """What the threshold was chosen for, if that is known."""
        return next((name for name, value in self.thresholds.items() if value == self.threshold), None)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network and what it needs to be used.

    Attributes
    ----------
    network : Network
        In evaluation mode, float32, on the CPU.
    info : ModelInfo
        Mapping, classes, threshold and training record.
    sha256 : str
        SHA-256 of the model file; empty for a model without a file.
    path : Path or None
        The model file.
    checked : bool
        Whether a digest in the file says that nobody changed weights or description.
    """

    network: networks.Network
    info: ModelInfo
    sha256: str = ""
    path: Path | None = None
    checked: bool = True

    @property
    def doubts(self) -> tuple[str, ...]:
        """What must be known at each use: those of `info`, and that the file may have been changed."""
        return self.info.doubts if self.checked else (*self.info.doubts, f"the model file {UNSIGNED}")

    def __repr__(self) -> str:
        """Say what the model is, in one line."""
        info = self.info
        what = info.name or (str(self.path) if self.path else "not in a file")
        channels = counted(info.in_channels, "channel")
        unsure = ", has not learned" if info.learned is False else ""
        unsure += ", training not ended" if info.ended is False else ""
        unsure += ", see its doubts" if doubts_of_measures(info.training) else ""
        digest = f", SHA-256 {self.sha256[:12]}" if self.sha256 else ""
        return on_one_line(
            f"<Model {what}: {networks.describe(info.network)}, {channels}, classes "
            f"{', '.join(info.class_names)}{unsure}{digest}>"
        )


def build_network(info: ModelInfo) -> networks.Network:
    """Return a network of the architecture that `info` declares, with fresh weights."""
    return networks.build(info.network, info.in_channels, info.classes)


def save_model(
    path: str | Path, network: networks.Network, info: ModelInfo, dtype: torch.dtype = torch.float32
) -> None:
    """Write a model file, whole or not at all; `dtype` is that of the weights in the file.

    Buffers, such as running means, are few, and stay float32; counters stay what they are.
    """
    trained = {name for name, _ in network.named_parameters()}
    weights = {
        name: _as(tensor.detach().cpu(), dtype if name in trained else torch.float32)
        for name, tensor in network.state_dict().items()
    }
    save_tensors(path, weights, text_of(info))


@usual_torch()
def read_model_file(path: str | Path) -> Model:
    """Read a model file.

    Raises
    ------
    ModelError
        The file cannot be read, is no model file, or its tensors do not fit the architecture it
        declares; the message names tensor and shapes.
    """
    weights, text, digest, checked = load_tensors(path)
    try:
        described = _json(text)
        _check_kind(described, str(path))
        info = parse_settings(ModelInfo, described, str(path))
    except ModelError:
        raise
    except (SettingsError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path}: the description in the model file does not fit this version: {reason(error)}"
        ) from error
    try:
        with torch.device("meta"):  # no memory is taken until the shapes are checked
            network = build_network(info)
    except (
        RuntimeError,
        OverflowError,
        TypeError,
        UNet2015Error,
    ) as error:  # more weights than can be counted
        raise ModelError(f"{path}: the model file describes no possible network: {reason(error)}") from error
    check_weights(network, weights, str(path))
    network.load_state_dict({key: _as(tensor, torch.float32) for key, tensor in weights.items()}, assign=True)
    return Model(network.eval(), info, digest, Path(path), checked)


def check_weights(network: networks.Network, weights: Dictionary[str, Tensor], name: str) -> None:
    """Raise a `ModelError` that names `name`, tensor and shapes unless `weights` fit `network`."""
    expected = network.state_dict()
    for key, tensor in expected.items():
        if key not in weights:
            raise ModelError(f"{name}: tensor {key} of shape {tuple(tensor.shape)} is missing")
        came = weights[key]
        if came.shape != tensor.shape:
            raise ModelError(
                f"{name}: tensor {key} has shape {tuple(came.shape)}, the network needs {tuple(tensor.shape)}"
            )
        if not tensor.is_floating_point():
            if came.dtype != tensor.dtype:
                raise ModelError(
                    f"{name}: tensor {key} has type {_type(came)}, the network needs {_type(tensor)}"
                )
        elif not came.is_floating_point() or not _all_finite(came):
            raise ModelError(f"{name}: tensor {key} holds values that are not finite numbers")
    for key in weights:
        if key not in expected:
            raise ModelError(f"{name}: tensor {key} does not belong to the network")


def _all_finite(tensor: Tensor) -> bool:
    """Whether all values are finite, by the least and the largest: NaN makes both NaN."""
    if tensor.element_size() == 1:  # torch computes nothing with most of these types
        tensor = tensor.float()
    return not tensor.numel() or bool(torch.isfinite(torch.stack(torch.aminmax(tensor))).all())


def _check_kind(described: dict[str, Any], name: str) -> None:
    """Refuse a checkpoint, and an architecture that is not known."""
    if "network" not in described and {"settings", "identity", "step"} <= described.keys():
        raise ModelError(
            f"{name}: a checkpoint of a training, which --resume goes on from; its best model is "
            "model.safetensors in the folder of the run"
        )
    kind = kind_of_network(described.get("network"))
    if isinstance(kind, str) and kind not in NETWORK_KINDS:
        raise ModelError(
            f"{name}: this version of unet2015 does not know the architecture {kind[:60]!r}; it knows "
            f"{', '.join(NETWORK_KINDS)}. A newer version may know it"
        )


def _as(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor of numbers in another type, and one of counters as it is."""
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def text_of(info: ModelInfo) -> str:
    """Return the description as JSON; file names in it that are not UTF-8 are escaped."""
    try:
        return info.model_dump_json()
    except PydanticSerializationError:
        return json.dumps(info.model_dump())


def _json(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value
