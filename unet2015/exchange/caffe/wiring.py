"""What lies between the layers with weights: the same weights can belong to another network.

Padding, a leaky ReLU, another pooling or another order of the maps that are put side by side change what a
network computes, but no shape.
"""

from collections.abc import Sequence
from typing import Protocol

from unet2015.exchange.caffe.net import Layer

_PAD, _GROUP, _STRIDE, _PAD_H, _PAD_W, _STRIDE_H, _STRIDE_W, _DILATION = 3, 5, 6, 9, 10, 13, 14, 18
"""Fields of a convolution's parameters."""
_POOL, _POOL_SIZE, _POOL_STRIDE, _POOL_PAD, _POOL_H, _POOL_W, _POOL_STRIDE_H, _POOL_STRIDE_W = range(1, 9)
"""Fields of a pooling's parameters."""
_CROP_AXIS, _CROP_OFFSET = 1, 2
"""Fields of a crop's parameters."""


class Named(Protocol):
    """A layer that is expected, by its name in Caffe."""

    @property
    def caffe(self) -> str:
        """Its name."""
        ...

    @property
    def ours(self) -> str:
        """The name of its module here."""
        ...


def difference(layers: Sequence[Layer], expected: Sequence[Named]) -> str:
    """Say what first differs from the release between the layers with weights; nothing if nothing does."""
    learned = [layer for layer in layers if layer.blobs]
    by_module = {wanted.ours: layer for layer, wanted in zip(learned, expected, strict=True)}
    for layer, wanted in zip(learned, expected, strict=True):
        said = _steps(layer) or _activation(layer, layers, last=wanted.ours == "head")
        if not said and wanted.ours.startswith("expand") and wanted.ours.endswith(".0"):
            level = wanted.ours.split(".")[1]
            depth = sum(name.startswith("upsample") for name in by_module)
            said = _joined(layer, by_module[f"upsample.{level}"], layers)
            said = said or _off_centre(layer, layers, _margin(depth - 1 - int(level)))
        if said:
            return said
    return _poolings(layers, sum(wanted.ours.startswith("upsample") for wanted in expected))


def _steps(layer: Layer) -> str:
    """Check padding, stride, dilation and groups of a convolution."""
    step = 2 if layer.type == "Deconvolution" else 1
    rules = (
        ("padding", (_PAD, _PAD_H, _PAD_W), 0, 0),
        ("stride", (_STRIDE, _STRIDE_H, _STRIDE_W), 1, step),
        ("dilation", (_DILATION,), 1, 1),
        ("groups", (_GROUP,), 1, 1),
    )
    for what, numbers, default, wanted in rules:
        given = [value for number in numbers for value in layer.settings.get(number, [])] or [default]
        if set(given) != {wanted}:
            return f"the layer {layer.name} has {what} {given[0]:g}, expected {wanted}"
    return ""


def _activation(layer: Layer, layers: Sequence[Layer], last: bool) -> str:
    after = [one for one in layers if one.type == "ReLU" and set(one.bottoms) & set(layer.tops)]
    if last:
        return f"a ReLU follows the last layer, {layer.name}" if after else ""
    if not after:
        return f"no ReLU follows the layer {layer.name}"
    slope = next((value for one in after for value in one.settings.get(1, []) if value), 0)
    return f"the ReLU after the layer {layer.name} has the slope {slope:g}, expected 0" if slope else ""


def _joined(layer: Layer, raised: Layer, layers: Sequence[Layer]) -> str:
    """Check that a convolution reads the raised map first, and then the cropped one."""
    concat = next(
        (one for one in layers if one.type == "Concat" and set(one.tops) & set(layer.bottoms)), None
    )
    if concat is None or len(concat.bottoms) != 2:
        return f"the layer {layer.name} does not read two maps side by side"
    tops = set(raised.tops)
    tops |= {top for one in layers if one.type == "ReLU" and set(one.bottoms) & tops for top in one.tops}
    if concat.bottoms[0] not in tops:
        return f"the layer {concat.name} has {concat.bottoms[0]!r} first, expected what {raised.name} makes"
    return ""


def _margin(level: int) -> int:
    """Return how many pixels a skip is cropped on each side, `level` counted from the deepest."""
    return 4 if level == 0 else 2 * _margin(level - 1) + 8


def _off_centre(layer: Layer, layers: Sequence[Layer], margin: int) -> str:
    """Check that what a convolution reads beside the raised map is cropped to its middle.

    Today's Caffe crops by a stated offset, 0 where none is stated. The release's own layer, which has no
    parameters, takes the middle.
    """
    read = {name for one in layers if set(one.tops) & set(layer.bottoms) for name in one.bottoms}
    for crop in layers:
        if crop.crop is None or not read & set(crop.tops):
            continue
        axes, offsets = crop.crop.get(_CROP_AXIS, [2]), crop.crop.get(_CROP_OFFSET, [0])
        if set(axes) != {2}:
            return f"the layer {crop.name} crops from axis {axes[0]:g} on, expected 2"
        if set(offsets) != {margin}:
            came = ", ".join(f"{offset:g}" for offset in offsets)
            return f"the layer {crop.name} crops at the offset {came}, expected the middle, {margin}"
    return ""


def _poolings(layers: Sequence[Layer], depth: int) -> str:
    found = [layer for layer in layers if layer.type == "Pooling"]
    if len(found) != depth:
        return f"it has {len(found)} poolings, expected {depth}"
    for layer in found:
        pool = layer.settings.get(_POOL, [0])
        size = [
            value for number in (_POOL_SIZE, _POOL_H, _POOL_W) for value in layer.settings.get(number, [])
        ]
        strides = (_POOL_STRIDE, _POOL_STRIDE_H, _POOL_STRIDE_W)
        step = [value for number in strides for value in layer.settings.get(number, [])]
        pad = layer.settings.get(_POOL_PAD, [0])
        if set(pool) != {0} or set(size) != {2} or set(step) != {2} or set(pad) != {0}:
            return f"the layer {layer.name} is another pooling than the largest of 2 x 2"
    return ""
