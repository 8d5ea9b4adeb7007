"""The layers of a Caffe network, in either of its two forms (``caffe.proto`` of BVLC/caffe)."""

import math
import struct
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from unet2015.exchange.caffe.wire import EIGHT_BYTES, FOUR_BYTES, LENGTH, VARINT, WireError, fields, varints

Field = tuple[int, int, int | memoryview]

MOST_LAYERS = 10_000
MOST_BLOBS = 16
"""Of one layer."""
_MOST_AXES = 32  # as in Caffe
_VALUES = {5: (4, FOUR_BYTES), 8: (8, EIGHT_BYTES)}
"""By the field of a blob that has its numbers: the bytes of one, and how one is coded that is not packed."""
_MOST_MEANS = 1000
_LONGEST_NAME = 1000

_V1_TYPES = {
    1: "Accuracy",
    2: "BNLL",
    3: "Concat",
    4: "Convolution",
    5: "Data",
    6: "Dropout",
    7: "EuclideanLoss",
    8: "Flatten",
    9: "HDF5Data",
    10: "HDF5Output",
    12: "ImageData",
    13: "InfogainLoss",
    15: "LRN",
    16: "MultinomialLogisticLoss",
    17: "Pooling",
    18: "ReLU",
    19: "Sigmoid",
    20: "Softmax",
    21: "SoftmaxWithLoss",
    22: "Split",
    23: "TanH",
    24: "WindowData",
    25: "Eltwise",
    26: "Power",
    27: "SigmoidCrossEntropyLoss",
    28: "HingeLoss",
    29: "MemoryData",
    30: "ArgMax",
    31: "Threshold",
    32: "DummyData",
    33: "Slice",
    34: "MVN",
    35: "AbsVal",
    36: "Silence",
    38: "Exp",
    39: "Deconvolution",
}
"""Names of the numbered types of the older form."""


@dataclass(frozen=True)
class _Form:
    """The numbers of a layer's fields."""

    name: int
    type: int
    bottom: int
    top: int
    blobs: int
    convolution: int
    pooling: int
    relu: int
    concat: int
    transform: int
    data: tuple[int, ...]
    """Parameters of layers of data, which had the scale and the mean at first."""
    crop: int = 0


_FORMS = {
    2: _Form(4, 5, 2, 3, 6, 10, 19, 30, 9, 36, (11, 15, 20)),
    100: _Form(1, 2, 3, 4, 7, 106, 121, 123, 104, 100, (107, 115, 129), 144),
}
"""By the field of the network that holds such a layer: the older form, and today's."""


@dataclass
class Transform:
    """What a layer of data does to pixels: (pixel - mean) * scale; one mean, or one for each channel."""

    scale: float = 1.0
    means: list[float] = field(default_factory=list)
    mean_file: str = ""


@dataclass
class Layer:
    """A layer.

    Attributes
    ----------
    name, type : str
        Its type as Caffe writes it today, such as ``Convolution``.
    bottoms, tops : list of str
        What it reads and makes.
    blobs : list of ndarray of float32
        Weights and bias.
    settings : dict
        Whole numbers of its parameters by the number of their field, each as a list; of a ReLU the slope.
    transform : Transform
        Of a layer of data.
    crop : dict or None
        The parameters of a crop as those in `settings`; None where it has none.
    """

    name: str = ""
    type: str = ""
    bottoms: list[str] = field(default_factory=list)
    tops: list[str] = field(default_factory=list)
    blobs: list[npt.NDArray[np.float32]] = field(default_factory=list)
    settings: dict[int, list[float]] = field(default_factory=dict)
    transform: Transform = field(default_factory=Transform)
    crop: dict[int, list[float]] | None = None


def read_net(data: memoryview) -> tuple[str, list[Layer]]:
    """Return the name of a network and its layers, in the order of the file.

    Raises
    ------
    WireError
        The bytes are no network.
    """
    name, layers = "", list[Layer]()
    for number, coding, value in fields(data):
        if number == 1 and isinstance(value, memoryview):
            name = _text(value)
        elif number in _FORMS:
            if coding != LENGTH or not isinstance(value, memoryview):
                raise WireError("a layer is not a message")
            if len(layers) == MOST_LAYERS:
                raise WireError(f"it has more than {MOST_LAYERS} layers")
            layers.append(_layer(value, _FORMS[number]))
    return name, layers


def _layer(message: memoryview, form: _Form) -> Layer:
    layer = Layer()
    for number, _, value in fields(message):
        if number == form.type and isinstance(value, int):
            layer.type = _V1_TYPES.get(value, f"type {value}")
        if not isinstance(value, memoryview):
            continue
        if number == form.name:
            layer.name = _text(value)
        elif number == form.type:
            layer.type = _text(value)
        elif number == form.bottom:
            layer.bottoms.append(_text(value))
        elif number == form.top:
            layer.tops.append(_text(value))
        elif number == form.blobs:
            if len(layer.blobs) == MOST_BLOBS:
                raise WireError(f"layer {layer.name!r} has more than {MOST_BLOBS} blobs")
            layer.blobs.append(_blob(value, layer.name))
        elif number in (form.convolution, form.pooling, form.relu, form.concat):
            layer.settings = _numbers(value)
        elif number == form.crop:
            layer.crop = _numbers(value)
        elif number == form.transform:
            _read_transform(value, layer.transform, scale=1, mean_file=4, mean=5)
        elif number in form.data:
            _read_transform(value, layer.transform, scale=2, mean_file=3)
    return layer


def _read_transform(message: memoryview, into: Transform, scale: int, mean_file: int, mean: int = 0) -> None:
    """Take scale and mean out of a message, by the numbers of their fields."""
    for number, coding, value in fields(message):
        if not isinstance(value, memoryview):
            continue
        if number == scale and coding == FOUR_BYTES:
            into.scale = struct.unpack("<f", value)[0]
        elif number == mean_file and coding == LENGTH:
            into.mean_file = _text(value)
        elif number == mean and coding in (FOUR_BYTES, LENGTH):  # single numbers, or packed ones
            if len(value) % 4 or len(into.means) + len(value) // 4 > _MOST_MEANS:
                raise WireError("the mean of a layer of data is cut off")
            into.means += np.frombuffer(value, "<f4").tolist()


def _numbers(message: memoryview) -> dict[int, list[float]]:
    """Return the whole numbers and the single floats of a message by their field; packed ones too.

    Messages in it, such as those of the fillers, cannot be told from packed numbers. They have fields of
    their own, which nobody asks for.
    """
    found: dict[int, list[float]] = {}
    for number, coding, value in fields(message):
        if isinstance(value, int):
            found.setdefault(number, []).append(value)
        elif coding == FOUR_BYTES:
            found.setdefault(number, []).append(struct.unpack("<f", value)[0])
        elif coding == LENGTH and len(value) <= 10 * _MOST_AXES:
            try:
                found.setdefault(number, []).extend(varints(value))
            except WireError:
                continue
    return found


def _blob(message: memoryview, layer: str) -> npt.NDArray[np.float32]:
    """Return an array: its shape by axes, or by the four lengths that Caffe had first."""
    shape: list[int] | None = None
    legacy = dict.fromkeys((1, 2, 3, 4), 0)
    values: list[npt.NDArray[np.floating]] = []
    for number, coding, value in fields(message):
        if number in legacy and isinstance(value, int):
            legacy[number] = value
        elif number == 7 and isinstance(value, memoryview):
            shape = _shape(value)
        elif number in _VALUES and isinstance(value, memoryview):
            size, alone = _VALUES[number]
            if coding not in (LENGTH, alone) or len(value) % size:
                raise WireError(f"the numbers of a blob of layer {layer!r} are cut off")
            values.append(np.frombuffer(value, f"<f{size}"))
    lengths = shape if shape is not None else list(legacy.values())
    count = sum(len(one) for one in values)
    if len(lengths) > _MOST_AXES:
        raise WireError(f"a blob of layer {layer!r} has {len(lengths)} axes")
    if math.prod(lengths) != count:
        raise WireError(
            f"a blob of layer {layer!r} says that its shape is {lengths}, but has {count} numbers"
        )
    whole = np.concatenate(values) if values else np.zeros(0)
    return whole.astype(np.float32).reshape(lengths)


def _shape(message: memoryview) -> list[int]:
    found: list[int] = []
    for number, coding, value in fields(message):
        if number != 1:
            continue
        if coding == VARINT and isinstance(value, int):
            found.append(value)
        elif coding == LENGTH and isinstance(value, memoryview):
            found.extend(varints(value))
    return found


def _text(value: memoryview) -> str:
    return bytes(value[:_LONGEST_NAME]).decode("utf-8", "replace")
