"""What every layer reads: the same layers joined otherwise, or with others between, are another network."""

from collections.abc import Sequence

from unet2015.exchange.caffe.net import Layer
from unet2015.exchange.caffe.wiring import Named

_SAME = ("Dropout", "Split")
"""Layers that give back what they read, when a network is used."""
_ENDS = ("Softmax", "Accuracy", "ArgMax", "Silence", "HDF5Output")
"""Layers after the last one that change none of its scores, beside those of a loss."""
_RELU = "ReLU of "


def other_flow(layers: Sequence[Layer], expected: Sequence[Named]) -> str:
    """Say which layer first reads something else than in the release; nothing if none does.

    Every map gets a description of how it came to be, and each layer with weights must read the one that
    is expected. What no such layer reads, as that which prepares labels, is not looked at.
    """
    learned = [layer for layer in layers if layer.blobs]
    names = {wanted.ours: layer.name for layer, wanted in zip(learned, expected, strict=True)}
    modules = {id(layer): wanted.ours for layer, wanted in zip(learned, expected, strict=True)}
    maps: dict[str, str] = {}
    others: dict[str, str] = {}
    for layer in layers:
        reads = [maps.get(name, f"the input {name!r}") for name in layer.bottoms]
        if id(layer) in modules:
            wanted = _expected(modules[id(layer)], names)
            found = " and ".join(reads)
            is_input = wanted == "the input" and len(reads) == 1 and found.startswith("the input ")
            if found != wanted and not is_input:
                first = next((said for made, said in others.items() if made in found), "")
                return first or f"the layer {layer.name} reads {found or 'nothing'}, expected {wanted}"
            made = layer.name
        else:
            made = _made(layer, reads)
            others.setdefault(f"<{layer.name}>", f"the layer {layer.name} is a {layer.type}, expected none")
            if made.startswith("<") and names["head"] in reads and not _is_end(layer):
                return others[made]
        maps |= dict.fromkeys(layer.tops, made)
    return ""


def _made(layer: Layer, reads: Sequence[str]) -> str:
    """Describe what a layer without weights makes; in angle brackets if the release has none like it."""
    if not reads:
        return f"the input {layer.name!r}"
    if len(reads) == 1 and layer.type in _SAME:
        return reads[0]
    if len(reads) == 1 and layer.type == "ReLU":
        return _RELU + reads[0].removeprefix(_RELU)
    if len(reads) == 1 and layer.type == "Pooling":
        return f"the pooling of {reads[0]}"
    if len(reads) == 2 and _is_crop(layer):
        return f"({reads[0]}, cropped to {reads[1].removeprefix(_RELU)})"
    if len(reads) == 2 and layer.type == "Concat":
        return f"{reads[0]} beside {reads[1]}"
    return f"<{layer.name}>"


def _expected(module: str, names: dict[str, str]) -> str:
    """Describe what the layer of a module reads in the release."""
    part, *numbers = module.split(".")
    level = int(numbers[0]) if numbers else 0
    if part == "head":
        return f"{_RELU}{names['expand.0.2']}"
    if part == "upsample":
        below = f"expand.{level + 1}.2"
        return _RELU + names[below if below in names else f"contract.{level + 1}.2"]
    if numbers[1] == "2":
        return _RELU + names[f"{part}.{level}.0"]
    if part == "expand":
        raised, skip = names[f"upsample.{level}"], names[f"contract.{level}.2"]
        return f"{_RELU}{raised} beside ({_RELU}{skip}, cropped to {raised})"
    return "the input" if level == 0 else f"the pooling of {_RELU}{names[f'contract.{level - 1}.2']}"


def _is_crop(layer: Layer) -> bool:
    """Return whether a layer crops; the older form has no number for it, and forks chose one above 39."""
    number = layer.type.removeprefix("type ")
    return layer.type == "Crop" or (number != layer.type and int(number) > 39)


def _is_end(layer: Layer) -> bool:
    return layer.type in _ENDS or layer.type.endswith("Loss")
