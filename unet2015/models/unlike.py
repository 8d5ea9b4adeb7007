"""In what an image is unlike those that a model was trained on, as far as both say it."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from unet2015.images.channel import describe_channels, is_unnamed, tell_nothing
from unet2015.images.image import Image
from unet2015.images.notes import tell_once
from unet2015.images.pixel_size import pixel_size
from unet2015.images.result_records import describe_result
from unet2015.models.model_file import ModelInfo
from unet2015.models.trained_scale import sides_in_words, trained_scale, trained_sides

_COLOURS = 3
_ALIKE = 1.5
"""How many times as large as those of a model, or as small, pixels may be without a word: 10x is no 20x."""
_ROUNDED = 1.001
"""By how much that may be exceeded: files round the size of a pixel."""


def notes_on_image(image: Image, info: ModelInfo, file: Path | None = None) -> tuple[str, ...]:
    """Return the notes on an image, and in what it is unlike those that a model was trained on.

    Where its file is given, that comes first if it is a result of this program, and no image.
    """
    result = None if file is None else describe_result(file)
    unlike = _other_channels(image, info) + _other_bits(image, info) + _other_type(image, info)
    return (() if result is None else (result,)) + image.notes + unlike + _other_scale(image, info)


def notes_on_start(image: Image, info: ModelInfo) -> tuple[str, ...]:
    """Return in what an image of a training is unlike those of the model that the training starts from.

    The mapping is chosen again, but for that of the whole range of a type.
    """
    return _other_channels(image, info) + _other_range(image, info) + _other_scale(image, info)


def _other_scale(image: Image, info: ModelInfo) -> tuple[str, ...]:
    size = pixel_size(image.calibration)
    if size is None or (trained := trained_sides(info)) is None:
        return ()
    sides = 1000 * size[0], 1000 * size[1]
    ratios = [side / known for side, known in zip(sides, trained, strict=True)]
    if all(max(ratio, 1 / ratio) <= _ALIKE * _ROUNDED for ratio in ratios):
        return ()
    return (
        f"the model was trained on pixels of {trained_scale(info)}, but these are of "
        f"{sides_in_words(*sides)}; what it has learned may be of another size here: scale the image, or see "
        "that its pixel size is so",
    )


def unchecked_scale(image: Image, info: ModelInfo) -> tuple[str, ...]:
    """Return, for a record, that the scale was not compared, as only the image or only the model knows it."""
    size = pixel_size(image.calibration)
    if size is None:
        return tuple(filter(None, [_scale_not_said(info)]))
    if info.pixel_size_nm is not None:
        return ()
    return (
        f"this image has pixels of {sides_in_words(1000 * size[0], 1000 * size[1])}, but the model does not "
        "know those that it was trained on, so whether both are of the same scale was not checked",
    )


def tell_scale_not_said(files: Iterable[tuple[Path, Sequence[str]]], info: ModelInfo) -> None:
    """Say once that images do not say their scale, for a model that knows its own.

    Of each file come the notes of `unchecked_scale`, among others or not. It is no warning: most of such
    images are right.
    """
    if note := _scale_not_said(info):
        tell_once([file for file, notes in files if note in notes], note)


def _scale_not_said(info: ModelInfo) -> str:
    """Return what is said of an image that does not say its scale; empty for a model without one."""
    if info.pixel_size_nm is None:
        return ""
    return (
        f"the model was trained on pixels of {trained_scale(info)}; this image does not say its pixel "
        "size, so whether what it shows is of the same scale was not checked (--pixel-size gives it)"
    )


def _other_bits(image: Image, info: ModelInfo) -> tuple[str, ...]:
    if info.mapping.method != "integer-range" or info.dtype != image.dtype.name:
        return ()
    trained = info.training.get("bits", [8 * image.dtype.itemsize])
    if not isinstance(trained, list) or image.bits in trained:
        return _other_significant_bits(image, info)
    said = " and ".join(str(bits)[:9] for bits in trained)
    return (
        f"the model was trained on pixels of {said} bits, but these have {image.bits} bits and are divided "
        f"by {2**image.bits - 1}; see that the same intensity is the same part of the range",
    )


def _other_significant_bits(image: Image, info: ModelInfo) -> tuple[str, ...]:
    """Say where a camera uses other bits of a pixel than that of the training, and both files tell."""
    trained, now = info.training.get("significant_bits"), image.significant_bits
    if now is None or not isinstance(trained, list) or not trained or now in trained:
        return ()
    said = " and ".join(str(bits)[:9] for bits in trained)
    return (
        f"by its metadata {now} of the {image.bits} bits of a pixel are used, but {said} of those that the "
        f"model was trained on, and all are divided by {2**image.bits - 1}; see that the same intensity is "
        "the same number",
    )


def _other_range(image: Image, info: ModelInfo) -> tuple[str, ...]:
    """Say where the whole range of another type of pixel becomes 0 to 1; a training may choose that."""
    if info.mapping.method != "integer-range" or info.dtype in (None, image.dtype.name):
        return _other_bits(image, info)
    return (
        f"the model was trained on {info.dtype}, but these pixels are {image.dtype}, and it takes the whole "
        "range of a type as 0 to 1; see that the same intensity is the same part of the range",
    )


def _other_type(image: Image, info: ModelInfo) -> tuple[str, ...]:
    """Say where fixed intensities are those of another type of pixel."""
    if info.mapping.method != "fixed" or info.dtype in (None, image.dtype.name):
        return ()
    low, high = (np.array(ends) for ends in (info.mapping.low, info.mapping.high))
    return (
        f"the model takes the intensities {low.min():.4g} to {high.max():.4g} of {info.dtype} as they are, "
        f"but these pixels are {image.dtype}; see that the same intensity is the same number, else the "
        "result means nothing",
    )


def _other_channels(image: Image, info: ModelInfo) -> tuple[str, ...]:
    """Say where an image is of another channel, or where its channels have other names or none."""
    trained = info.training.get("channel_names")
    if (found := _other_channel(image, info)) or not isinstance(trained, list):
        return found
    names = list(image.channel_names)
    if image.channels != len(trained) or names == trained:
        return ()
    said = [", ".join(str(name)[:99] or "(no name)" for name in each) for each in (trained, names)]
    if any(names):
        return (
            f"the model was trained on channels named {said[0]}, but this image has {said[1]}; see that each "
            "is what it was trained on",
        )
    if not is_unnamed(image) or _is_in_colours(image) or tell_nothing([str(name)[:99] for name in trained]):
        return ()
    if len(trained) == 1:
        number = getattr(image, "channel", None)
        return (
            f"the model was trained on the channel {said[0]}, but whether channel {number} of this image is "
            "the same is not known; see that it is",
        )
    return (
        f"the model was trained on channels named {said[0]}, in this order, but which channels this image "
        "has, in which order, is not known; see that they are the same",
    )


def _is_in_colours(image: Image) -> bool:
    """Whether each pixel has red, green and blue, as far as the file shows: the order is always this."""
    return image.channels == _COLOURS and (image.axes.endswith("C") or image.stack_channels == 1)


def _other_channel(image: Image, info: ModelInfo) -> tuple[str, ...]:
    trained = info.training.get("channel")
    if trained is None:
        return ()
    trained = str(trained)
    chosen = getattr(image, "channel", None)  # of one channel of several
    number = None if chosen is None else str(chosen)
    name = next(iter(image.channel_names), "")
    both = re.fullmatch("([0-9]+):(.+)", trained)
    known = {trained} if both is None else {trained, both[2] if name else both[1]}
    if known & {number, name or None, f"{number}:{name}"}:
        return ()
    came = "which of its channels this image is, is not known" if number is None else f"this is {number}"
    if name:
        came = f"this is {name if number is None else f'{number}:{name}'}"
    return (f"the model was trained on channel {trained[:99]} of its images, but {came}; see that it fits",)


def channel_advice(image: Image, info: ModelInfo) -> str:
    """Return, for a message, which channels there are for a model of one, and which it was trained on."""
    if info.in_channels != 1 or image.channels == 1:
        return ""
    trained = info.training.get("channel")
    said = f" (it was trained on {str(trained)[:99]})" if trained is not None else ""
    return f"choose a channel with --channel{said}: {describe_channels(image)}; or "
