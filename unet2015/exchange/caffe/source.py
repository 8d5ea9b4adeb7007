"""How a Caffe network gets its images: the layers of data scale them and subtract a mean, before any weight.

Input = (pixel - mean) * scale (``TransformationParameter`` of ``caffe.proto``). The release reads HDF5 files,
whose intensities are 0 to 1 and are not transformed.
"""

import math
from collections.abc import Sequence

from unet2015.exchange.caffe.net import Layer, Transform
from unet2015.settings import Mapping

_PASSED = ("Dropout", "Split")
_BYTES = ("Data", "ImageData", "WindowData")
"""Layers that give pixels of 8 bits as they are, but for their transform."""
_COLOURS = ("ImageData", "WindowData")
"""Those that read pictures by OpenCV, which has the channels of a colour as blue, green, red."""
_UNTOUCHED = "HDF5Data"
_RELEASE = Mapping(method="integer-range")


def mapping_of(layers: Sequence[Layer], first: Layer) -> tuple[Mapping, str]:
    """Return how intensities become the input of the first layer with weights.

    Parameters
    ----------
    layers : sequence of Layer
        Of the whole network.
    first : Layer
        The first one with weights.

    Returns
    -------
    Mapping
        That of the release where no layer says otherwise; else ``fixed``, in the pixels' own numbers.
    str
        Why images cannot be prepared in that way; empty if they can.
    """
    channels = first.blobs[0].shape[1] if first.blobs[0].ndim == 4 else 1
    found: dict[Mapping, str] = {}
    for layer in _sources(layers, first):
        mapping, problem = _of_layer(layer, channels)
        if problem:
            return _RELEASE, problem
        found.setdefault(mapping, layer.name)
    if len(found) > 1:
        return _RELEASE, f"the layers {' and '.join([*found.values()][:2])} prepare images differently"
    return next(iter(found), _RELEASE), ""


def colours_of(layers: Sequence[Layer], first: Layer) -> tuple[bool, str]:
    """Return whether the network takes three channels as blue, green, red, and what is to be said of them."""
    if first.blobs[0].shape[1] != 3:
        return False, ""
    for layer in _sources(layers, first):
        if layer.type in _COLOURS:
            return True, (
                f"the layer {layer.name} ({layer.type}) of the file gives blue, green and red; the model "
                "takes red, green and blue, as images have them"
            )
        if layer.type in _BYTES:
            return False, (
                f"the layer {layer.name} ({layer.type}) of the file reads a database; if Caffe's "
                "convert_imageset made it, the three channels are blue, green and red, and images for the "
                "model must have them in that order"
            )
    return False, ""


def _sources(layers: Sequence[Layer], first: Layer) -> list[Layer]:
    """Return the layers that read nothing and make what the first layer with weights reads."""
    names = set(first.bottoms)
    for layer in reversed(layers):
        if layer.type in _PASSED and names & set(layer.tops):
            names |= set(layer.bottoms)
    return [layer for layer in layers if not layer.bottoms and names & set(layer.tops)]


def _of_layer(layer: Layer, channels: int) -> tuple[Mapping, str]:
    how = layer.transform
    if how.mean_file:
        return _RELEASE, (
            f"the layer {layer.name} subtracts the mean image {how.mean_file!r}, which is not in the model, "
            "expected none"
        )
    if how == Transform() and layer.type not in _BYTES:
        return _RELEASE, ""
    means = how.means or [0.0]
    said = f"the layer {layer.name} ({layer.type}) has the scale {how.scale:g} and the mean {means}"
    if layer.type == _UNTOUCHED or len(means) not in (1, channels):
        return (
            _RELEASE,
            f"{said}, expected none" if layer.type == _UNTOUCHED else f"{said}, of other channels",
        )
    if not all(map(math.isfinite, (how.scale, *means))) or how.scale <= 0:
        return _RELEASE, f"{said}, which are impossible"
    if math.isclose(how.scale * 255, 1, rel_tol=1e-6) and not any(means):
        return _RELEASE, ""
    low = tuple(means * (channels if len(means) == 1 else 1))
    return Mapping(method="fixed", low=low, high=tuple(mean + 1 / how.scale for mean in low)), ""
