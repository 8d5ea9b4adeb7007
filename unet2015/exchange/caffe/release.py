"""The network of the authors' release (u-net-release-2015-10-02, ``phseg_v5``), layer by layer.

Caffe's convolution is the same as torch's. The weights of its deconvolution are (input, output, height,
width), as are those of torch's transposed convolution. Names of layers as in the release's
``phseg_v5-train.prototxt``: d is a level on the way down, u on the way up, and letters are the maps within a
level.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unet2015.errors import ModelError
from unet2015.exchange.caffe.flow import other_flow
from unet2015.exchange.caffe.net import Layer, read_net
from unet2015.exchange.caffe.source import colours_of, mapping_of
from unet2015.exchange.caffe.wire import WireError
from unet2015.exchange.caffe.wiring import difference
from unet2015.models.model_file import Model, ModelInfo, build_network, check_weights
from unet2015.safe_files import open_regular
from unet2015.settings import Mapping, NetworkSettings
from unet2015.wording import reason

_log = logging.getLogger("unet2015")
LARGEST = 2**31
"""Protobuf has no larger messages."""
_FIRST = "contract.0.0.weight"
_CITATION = "Ronneberger, Fischer, Brox 2015, doi:10.1007/978-3-319-24574-4_28"
_TERMS = (
    "those of the file's authors; the release of 2015 came without a licence for its weights, so ask its "
    "authors before you pass them on"
)


@dataclass(frozen=True)
class Learned:
    """A layer with weights.

    Attributes
    ----------
    caffe : str
        Its name in the release.
    ours : str
        The name of its module in the network of kind ``unet2015``.
    type : str
        ``Convolution`` or ``Deconvolution``.
    """

    caffe: str
    ours: str
    type: str = "Convolution"


def release_layers(depth: int) -> Iterator[Learned]:
    """Yield the layers with weights, in the order in which the release has them."""
    for level in range(depth + 1):
        yield Learned(f"conv_d{level}a-b", f"contract.{level}.0")
        yield Learned(f"conv_d{level}b-c", f"contract.{level}.2")
    for level in reversed(range(depth)):
        below = f"d{depth}c" if level == depth - 1 else f"u{level + 1}d"
        yield Learned(f"upconv_{below}_u{level}a", f"upsample.{level}", "Deconvolution")
        yield Learned(f"conv_u{level}b-c", f"expand.{level}.0")
        yield Learned(f"conv_u{level}c-d", f"expand.{level}.2")
    yield Learned("conv_u0d-score", "head")


def import_caffe(path: str | Path) -> Model:
    """Read the authors' release weights, or others of the same network, as a model.

    Nothing in the file is executed. The mapping is that of the release, the range of the pixels' type
    becomes 0 to 1; or what the network's layer of data does to pixels of 8 bits, its scale and mean.

    Parameters
    ----------
    path : path
        A ``.caffemodel`` with the network and its weights.

    Returns
    -------
    Model
        Variant ``release``; whether it has learned is not known. It is not in a file yet.

    Raises
    ------
    ModelError
        The file cannot be read, is damaged, or holds another network; the message names the first layer that
        differs.
    """
    path = Path(path)
    data = _read(path)
    try:
        name, layers = read_net(memoryview(data))
    except WireError as error:
        raise ModelError(
            f"{path}: not a readable Caffe model: {error}; expected a .caffemodel with weights, so take "
            "a copy of it"
        ) from error
    learned = [layer for layer in layers if layer.blobs]
    if not learned:
        raise ModelError(
            f"{path}: not a Caffe model with weights: {len(layers)} layers, none of them with weights"
        )
    depth = sum(layer.name.startswith("upconv_") for layer in learned)
    expected = list(release_layers(depth or 4))
    said = _first_difference(learned, expected)
    said = said or difference(layers, expected) or other_flow(layers, expected)
    mapping, unprepared = mapping_of(layers, learned[0])
    if said or unprepared:
        raise ModelError(f"{path}: not the network of the authors' release (phseg_v5): {said or unprepared}")
    came = {"sha256": hashlib.sha256(data).hexdigest(), "net": name}
    info = _describe(path, learned, depth, came).model_copy(
        update={"mapping": mapping, "dtype": "uint8" if mapping.method == "fixed" else None}
    )
    with torch.device("meta"):  # no memory is taken until the shapes are checked
        network = build_network(info)
    weights = _weights(learned, expected)
    check_weights(network, weights, str(path))
    reversed_, said = colours_of(layers, learned[0])
    if said:
        _log.warning("%s: %s", path, said)
        info = info.model_copy(update={"summary": f"{info.summary}; {said}"})
    if reversed_:
        weights[_FIRST] = weights[_FIRST].flip(1)
        ends = {"low": mapping.low[::-1], "high": mapping.high[::-1]}
        info = info.model_copy(update={"mapping": mapping.model_copy(update=ends)})
    network.load_state_dict(weights, assign=True)
    return Model(network.eval(), info)


def _describe(path: Path, learned: list[Layer], depth: int, came: dict[str, str]) -> ModelInfo:
    first, head = learned[0].blobs[0].shape, learned[-1].blobs[0].shape
    classes = head[0]
    names = ("background", "cell") if classes == 2 else tuple(f"class {value}" for value in range(classes))
    try:
        return ModelInfo(
            network=NetworkSettings(width=first[0], depth=depth, variant="release", dropout=0.5),
            in_channels=first[1],
            classes=classes,
            mapping=Mapping(method="integer-range"),
            class_names=names,
            axes="YX" if first[1] == 1 else "CYX",
            threshold=0.5 if classes == 2 else None,
            summary="imported from Caffe; that its classes are the release's is an assumption",
            citation=_CITATION,
            terms=_TERMS,
            training={"imported_from": {"file": path.name} | came},
        )
    except ValueError as error:
        raise ModelError(
            f"{path}: {depth} poolings, {first[0]} channels and {classes} classes are no possible network: "
            f"{reason(error)}"
        ) from error


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size >= LARGEST:
                raise ModelError(f"{path}: has {size} bytes, more than a Caffe model can have")
            return file.read()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the Caffe model: {error.strerror or error}") from error


def _first_difference(learned: list[Layer], expected: list[Learned]) -> str:
    """Say which layer with weights differs first in name, type or shape; nothing if none does."""
    shapes = dict(_shapes(learned, expected))
    for number, wanted in enumerate(expected):
        if number == len(learned):
            return f"the layer {wanted.caffe} is missing"
        came = learned[number]
        if _plain(came.name) != _plain(wanted.caffe):
            return f"layer {number + 1} with weights is {came.name!r}, expected {wanted.caffe}"
        if came.type != wanted.type:
            return (
                f"the layer {came.name} is a {came.type or 'layer without a type'}, expected a {wanted.type}"
            )
        weight, bias = shapes[wanted.caffe]
        found = [blob.shape for blob in came.blobs]
        # A bias was a blob of four axes first.
        if len(found) != 2 or found[0] != weight or found[1] not in ((bias,), (1, 1, 1, bias)):
            return f"the layer {came.name} has weights of the shapes {found}, expected {weight} and ({bias},)"
    if len(learned) > len(expected):
        return f"the layer {learned[len(expected)].name!r} comes after the last one, {expected[-1].caffe}"
    return ""


def _shapes(
    learned: list[Layer], expected: list[Learned]
) -> Iterator[tuple[str, tuple[tuple[int, ...], int]]]:
    """Yield for each layer the shape of its weights and the length of its bias.

    Width, channels and classes are what the first and the last layer have.
    """
    first, last = (layer.blobs[0].shape for layer in (learned[0], learned[-1]))
    width, channels = first[:2] if len(first) == 4 else (64, 1)
    classes = last[0] if last else 2
    for layer in expected:
        part, *numbers = layer.ours.split(".")
        if part == "head":
            yield layer.caffe, ((classes, width, 1, 1), classes)
            continue
        level = int(numbers[0])
        here = width << level
        if part == "upsample":
            raised = 2 * here if level == 0 else here  # the last up-convolution keeps its channels
            yield layer.caffe, ((2 * here, raised, 2, 2), raised)
            continue
        before = here
        if numbers[1] == "0":
            above = channels if level == 0 else here // 2
            before = above if part == "contract" else here + (2 * here if level == 0 else here)
        yield layer.caffe, ((here, before, 3, 3), here)


def _weights(learned: list[Layer], expected: list[Learned]) -> dict[str, Tensor]:
    found = {}
    for layer, wanted in zip(learned, expected, strict=True):
        weight, bias = layer.blobs
        found[f"{wanted.ours}.weight"] = torch.from_numpy(np.ascontiguousarray(weight))
        found[f"{wanted.ours}.bias"] = torch.from_numpy(bias.reshape(-1).copy())
    return found


def _plain(name: str) -> str:
    """Return a name with one kind of separator: copies of the release differ in theirs."""
    return name.replace("-", "_")
