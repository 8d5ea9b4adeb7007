"""The description of a model for bioimage.io (``rdf.yaml``, format 0.5), as text.

Source: https://bioimage-io.github.io/spec-bioimage-io, model 0.5.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from unet2015.errors import ModelError
from unet2015.exchange.card import PAPER
from unet2015.exchange.channels import unique_names
from unet2015.exchange.graph import INPUT, OPSET, OUTPUT, Halo
from unet2015.exchange.intensities import Intensities
from unet2015.file_names import shown
from unet2015.geometry import Geometry
from unet2015.models.model_file import Model, ModelInfo
from unet2015.models.trained_scale import trained_sides

VERSION, WITH_PAD = "0.5.0", "0.5.12"
"""Of the format: the first that has all that is declared. The way in which blocks are padded came late."""
_EPSILON = 1e-12
"""What the consumer adds to a deviation, where this package adds nothing; the format asks for more than 0."""
_LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause", "CC0-1.0", "CC-BY-4.0", "GPL-3.0")
_LONGEST_NAME, _LONGEST_DESCRIPTION = 64, 1000


def describe_model(
    model: Model, intensities: Intensities, digests: Mapping[str, str], halo: Halo | None
) -> dict[str, Any]:
    """Return the description of a package, for YAML.

    Parameters
    ----------
    model : Model
    intensities : Intensities
        What the graph takes; what it does not do itself is declared as pre-processing of the whole image.
    digests : mapping
        The SHA-256 of each file by its name: graphs, test tile, answer, cover and card.
    halo : Halo, optional
        If given, for a graph whose output is as large as its input.

    Raises
    ------
    ModelError
        The format has no such pre-processing.
    """
    info = model.info
    title = info.name or (model.path.stem if model.path else "")
    licence = next((one for one in _LICENCES if re.search(rf"\b{re.escape(one)}\b", info.terms)), None)
    said: dict[str, Any] = {
        "format_version": VERSION if halo is None else WITH_PAD,
        "type": "model",
        "name": _name(title),
        "description": (shown(info.summary) or "A U-Net of unet2015")[:_LONGEST_DESCRIPTION],
        "covers": [_file("cover.png", halo)],
        "authors": [],
        "cite": list(_cited(info)),
        "documentation": _file("README.md", halo),
        "tags": ["segmentation", "semantic-segmentation", "2d", "unet", "unet2015"],
    }
    if licence is not None:
        said["license"] = licence
    said["inputs"] = [_input(info, intensities, digests, halo, model.network.geometry)]
    said["outputs"] = [_output(info, digests, halo, model.network.geometry)]
    script = {"source": "model.torchscript.pt", "sha256": digests["model.torchscript.pt"]}
    graph = {"source": "model.onnx", "sha256": digests["model.onnx"]}
    said["weights"] = {
        "torchscript": script | {"pytorch_version": torch.__version__.partition("+")[0]},
        "onnx": graph | {"opset_version": OPSET, "parent": "torchscript"},
    }
    said["config"] = {"unet2015": {"model_sha256": model.sha256, "takes": intensities.takes}}
    return said


def _file(name: str, halo: Halo | None) -> str | dict[str, str]:
    """Return how a file is named: as in the version of the format that is declared."""
    return name if halo is None else {"source": name}


def _name(title: str) -> str:
    """Return a name of the letters that the format allows, and as long."""
    plain = re.sub(r"[^A-Za-z0-9_+\- ()]", "-", shown(title))
    return (plain if len(plain) >= 5 else f"unet2015 {plain or 'model'}")[:_LONGEST_NAME]


def _cited(info: ModelInfo) -> Iterator[dict[str, str]]:
    for text in (info.citation or PAPER).split("; "):
        found = re.search(r"10\.\d{4,}/[^\s,;]+", text)
        if found:
            yield {"text": shown(text), "doi": found[0].rstrip(").")}


def _space(axis: str, size: dict[str, Any], info: ModelInfo, **more: Any) -> dict[str, Any]:
    sides = trained_sides(info)
    pixel = {} if sides is None else {"unit": "nanometer", "scale": sides["yx".index(axis)]}
    return {"type": "space", "id": axis, "size": size} | pixel | more


def _input(
    info: ModelInfo,
    intensities: Intensities,
    digests: Mapping[str, str],
    halo: Halo | None,
    sides: Geometry,
) -> dict[str, Any]:
    smallest = sides.smallest if halo is None else halo.smallest
    size = {"min": smallest, "step": sides.factor}
    axes = [
        {"type": "batch"},
        {"type": "channel", "channel_names": unique_names(info)},
        *(_space(axis, size, info) for axis in "yx"),
    ]
    pad = {} if halo is None else {"pad": {"mode": "reflect"}}  # mirrored, as in this package
    return pad | {
        "id": INPUT,
        "description": f"{info.modality or 'An image'}"[:100],
        "axes": axes,
        "test_tensor": {"source": "test-input.npy", "sha256": digests["test-input.npy"]},
        "data": {"type": "float32"},
        "preprocessing": [
            {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
            *whole_image_steps(info, intensities),
        ],
    }


def whole_image_steps(info: ModelInfo, intensities: Intensities) -> list[dict[str, Any]]:
    """Return the pre-processing of whole images that is not in the graph."""
    if intensities.scale is not None:
        return []
    kwargs: dict[str, Any] = {"axes": ["y", "x"], "eps": _EPSILON}
    method = info.mapping.method if info.mapping.fill_value is None else None  # the format leaves nothing out
    if method == "standardise":
        return [{"id": "zero_mean_unit_variance", "kwargs": kwargs}]
    if method == "image-percentiles":
        low, high = info.mapping.low[0], info.mapping.high[0]
        if high > 1:  # the format's own bound, against fractions
            return [{"id": "scale_range", "kwargs": kwargs | {"min_percentile": low, "max_percentile": high}}]
    if info.mapping.method == "fixed":
        advice = "and float32 does not tell its raw pixels apart; the other formats take mapped images"
    else:
        advice = "--image FILE puts the mapping of an image into the graph, for every image like it"
    raise ModelError(
        f"bioimage.io has no pre-processing for the model's mapping ({info.mapping.in_words()}); {advice}"
    )


def _output(
    info: ModelInfo, digests: Mapping[str, str], halo: Halo | None, sides: Geometry
) -> dict[str, Any]:
    more = {} if halo is None or not halo.halo else {"halo": halo.halo}
    lost = -2 * sides.margin if halo is None else 0

    def size(axis: str) -> dict[str, Any]:
        return {"tensor_id": INPUT, "axis_id": axis, "offset": lost}

    names = [re.sub(r"\s+", " ", shown(name)) for name in info.class_names]
    axes = [
        {"type": "batch"},
        {"type": "channel", "channel_names": names},
        *(_space(axis, size(axis), info, **more) for axis in "yx"),
    ]
    return {
        "id": OUTPUT,
        "description": "Probability of each class",
        "axes": axes,
        "test_tensor": {"source": "test-output.npy", "sha256": digests["test-output.npy"]},
        "data": {"type": "float32"},
    }


def to_yaml(value: Mapping[str, Any] | Sequence[Any], indent: int = 0) -> str:
    """Return mappings, sequences and scalars as YAML; scalars are those of JSON, which YAML reads alike.

    Empty mappings and sequences are as in JSON, too.
    """
    space = "  " * indent
    lines = []
    if isinstance(value, Mapping):
        for key, inner in value.items():
            lines.append(f"{space}{key}:{_after(inner, indent)}")
    else:
        for inner in value:
            lines.append(f"{space}-{_after(inner, indent)}")
    return "\n".join(lines) + ("\n" if indent == 0 else "")


def _after(value: Any, indent: int) -> str:
    if isinstance(value, Mapping | list | tuple) and value:
        return "\n" + to_yaml(value, indent + 1)
    if isinstance(value, float) and "." not in repr(value):
        return " {}.0e{}".format(*repr(value).split("e"))  # YAML 1.1 reads 1e-12 as text
    return f" {_quoted(value) if isinstance(value, str) else json.dumps(value)}"


def _quoted(text: str) -> str:
    """Return a text in double quotes; all but printable ASCII is escaped."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if " " <= one <= "~" else f"\\U{ord(one):08x}" for one in plain) + '"'
