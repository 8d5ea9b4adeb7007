"""What a graph takes: raw intensities, where the mapping is the same for every image, else mapped ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import UsageError
from unet2015.images.array_image import ArrayImage
from unet2015.images.mapped_image import MappedImage
from unet2015.images.mapping import Scale, intensity_scale
from unet2015.images.notes import say
from unet2015.images.reader import open_image
from unet2015.models.appearance import notes_on_appearance
from unet2015.models.model_file import ModelInfo
from unet2015.models.unlike import notes_on_image
from unet2015.safe_files import sha256
from unet2015.settings import Mapping
from unet2015.wording import counted

_ADVICE = (
    "an image (--image) without them",
    "no graph with fixed numbers follows that; unet2015 segment --map-each page",
)
"""What leaves areas without image out, and what maps each page by itself."""
_MOST_LOST = 1e-3
"""Of the network's input, where a graph takes raw pixels: of a deviation, or of the range."""


@dataclass(frozen=True)
class Intensities:
    """What a graph takes.

    Attributes
    ----------
    scale : tuple of ndarray or None
        Offset and gain of each channel that the graph applies; None if it takes mapped images.
    takes : str
        What to give it, in words.
    source : str
        Where offset and gain come from: the model, an option, or an image.
    image_sha256 : str
        Of the image from which they come, if they do.
    notes : tuple of str
        What is to be known of that image, and in what it is unlike those that the model was trained on.
    dtype : str, optional
        Type of the pixels that offset and gain are of; None where it is not known.
    """

    scale: Scale | None
    takes: str
    source: str = "model"
    image_sha256: str = ""
    notes: tuple[str, ...] = ()
    dtype: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        found: dict[str, Any] = {"takes": self.takes, "from": self.source}
        if self.scale is not None:
            found |= {"offset": self.scale[0].tolist(), "gain": self.scale[1].tolist()}
        found |= {"image_sha256": self.image_sha256} if self.image_sha256 else {}
        return found | ({"notes": list(self.notes)} if self.notes else {})

    def of_model(self, info: ModelInfo) -> ModelInfo:
        """Return what a model file says that maps as the graphs do: the same numbers for every image."""
        if self.scale is None or self.source == "model":
            return info
        offset, gain = self.scale
        fixed = Mapping(method="fixed", low=tuple(offset.tolist()), high=tuple((offset + 1 / gain).tolist()))
        return info.model_copy(update={"mapping": fixed, "dtype": self.dtype})


def choose_intensities(
    info: ModelInfo,
    mean: Sequence[float] = (),
    deviation: Sequence[float] = (),
    image: Path | None = None,
    axes: str | None = None,
) -> Intensities:
    """Return what a graph of a model takes.

    Parameters
    ----------
    info : ModelInfo
        Its mapping decides: ``fixed``, and ``integer-range`` of a known type and number of bits, are
        applied in the graph. The others need the whole image before its first pixel, which
        no graph of tiles has.
    mean, deviation : sequence of float
        For ``standardise``: take these for every image, one for each channel.
    image : path, optional
        Take the mapping of this image for every image.
    axes : str, optional
        Axes of that image, where the file does not say.

    Raises
    ------
    UsageError
        The options do not go with the mapping, or with each other; or the image's pixels are so large beside
        their spread that the graph's float32 does not tell them apart.
    ImageReadError, ImageValueError
        The image cannot be read, or the mapping does not fit it.
    """
    method = info.mapping.method
    if mean or deviation:
        return _given(info, mean, deviation, image)
    if image is not None:
        return _measured(info, image, axes)
    if method == "fixed":
        probe = ArrayImage(np.zeros((info.in_channels, 1, 1), np.float32), "CYX")
        scale = intensity_scale(info.mapping, probe)
        if _coarse(scale, info.dtype):
            return Intensities(None, f"mapped intensities: {info.mapping.in_words()}")
        return Intensities(scale, f"raw intensities; {info.mapping.in_words()}")
    if method == "integer-range" and info.dtype is not None and (bits := _bits(info)):
        image_of_type = ArrayImage(np.zeros((info.in_channels, 1, 1), info.dtype), "CYX")
        image_of_type.bits = bits
        offset, gain = intensity_scale(info.mapping, image_of_type)
        least, most = offset[0], offset[0] + 1 / gain[0]
        words = f"{info.dtype}; {least:.0f} and {most:.0f} become 0 and 1"
        return Intensities((offset, gain), f"raw intensities of {words}")
    over = "all its pixels" if info.mapping.of_each_page else "all pixels of all its pages"
    return Intensities(None, f"mapped intensities: {info.mapping.in_words()}, over {over}")


def _bits(info: ModelInfo) -> int:
    """Return how many bits the pixels of the training had, such as 12 of 16; 0 where they differ."""
    whole = 8 * np.dtype(info.dtype).itemsize
    trained = info.training.get("bits", [whole])
    if not isinstance(trained, list) or len(trained) != 1 or type(trained[0]) is not int:
        return 0
    return trained[0] if 0 < trained[0] <= whole else 0


def _coarse(scale: Scale, dtype: npt.DTypeLike | None) -> bool:
    """Return whether raw pixels, made float32 as the graph takes them, lose what the network would see.

    So it is with 32-bit pixels about 4e9, of which float32 knows every 256th, and a deviation of 500.
    """
    kind = np.dtype(np.float64 if dtype is None else dtype)
    if kind.kind == "f" and kind.itemsize <= 4:
        return False
    offset, gain = scale
    used = gain != 0
    with np.errstate(all="ignore"):  # what is too large for float32 has no step, and is coarse
        step = np.spacing((np.abs(offset[used]) + 1 / gain[used]).astype(np.float32))
    exact = (step <= 1) & (kind.kind in "iu")  # whole numbers up to 2**24
    return bool((~exact & ~(step / 2 * gain[used] <= _MOST_LOST)).any())


def _check_not_coarse(scale: Scale, dtype: npt.DTypeLike | None, option: str) -> None:
    if _coarse(scale, dtype):
        raise UsageError(
            f"{option}: the graph takes float32, which does not tell pixels so large, with so little spread, "
            f"apart; export without {option}: the graph then takes mapped intensities"
        )


def _given(
    info: ModelInfo, mean: Sequence[float], deviation: Sequence[float], image: Path | None
) -> Intensities:
    if info.mapping.method != "standardise":
        raise UsageError(
            f"--mean and --deviation are for models that standardise; in this one {info.mapping.in_words()}"
        )
    if image is not None:
        raise UsageError("give either --image, or --mean and --deviation, not both")
    wanted = info.in_channels
    if not len(mean) == len(deviation) == wanted:
        raise UsageError(
            f"--mean and --deviation need {counted(wanted, 'number')} each, one for each channel "
            f"of the model; got {len(mean)} and {len(deviation)}"
        )
    if not all(np.isfinite(mean)) or not all(0 < one < np.inf for one in deviation):
        raise UsageError(f"--mean must be finite and --deviation above 0, not {mean} and {deviation}")
    scale = np.array(mean, np.float64), 1 / np.array(deviation, np.float64)
    _check_not_coarse(scale, info.dtype, "--mean and --deviation")
    return Intensities(
        scale, _standard(mean, deviation), "--mean and --deviation", dtype=_if_it_holds(info.dtype, scale)
    )


def _if_it_holds(dtype: str | None, scale: Scale) -> str | None:
    """Return the type of the training's pixels; None where numbers that were given cannot be of it."""
    if dtype is None or np.dtype(dtype).kind not in "iu":
        return dtype
    ends, (offset, gain) = np.iinfo(dtype), scale
    held = (offset >= ends.min) & (offset <= ends.max) & (1 / gain <= float(ends.max) - ends.min)
    return dtype if held.all() else None


def _measured(info: ModelInfo, path: Path, axes: str | None) -> Intensities:
    if info.mapping.method == "fixed":
        raise UsageError(f"--image is not needed: in this model {info.mapping.in_words()}, for every image")
    with open_image(path, axes) as image:
        if image.channels != info.in_channels:
            raise UsageError(f"{path}: has {image.channels} channels, but the model takes {info.in_channels}")
        if info.mapping.of_each_page and image.pages > 1:
            raise UsageError(
                f"{path}: has {image.pages} pages, each of which this model maps by itself; give an image of "
                "one page"
            )
        judge = partial(notes_on_appearance, info=info)
        mapped = MappedImage(image, info.mapping, judge=judge, advice=_ADVICE)
        offset, gain = mapped.offset.reshape(-1), mapped.gain.reshape(-1)
        dtype, notes = image.dtype, (*notes_on_image(image, info), *mapped.notes)
    if not gain.all():
        raise UsageError(f"{path}: all of its pixels are the same; give an image with something on it")
    _check_not_coarse((offset, gain), dtype, "--image")
    for note in notes:
        say(path, note)
    if info.mapping.method == "standardise":
        takes = _standard(offset.tolist(), (1 / gain).tolist())
    else:
        ends = [", ".join(f"{value:.9g}" for value in end) for end in (offset, offset + 1 / gain)]
        takes = f"raw intensities; {ends[0]} and {ends[1]} become 0 and 1"
    return Intensities((offset, gain), takes, f"--image {path.name}", sha256(path), notes, dtype.name)


def _standard(mean: Sequence[float], deviation: Sequence[float]) -> str:
    minus, over = (", ".join(f"{value:.9g}" for value in one) for one in (mean, deviation))
    return f"raw intensities, from which {minus} is taken, and which are divided by {over}, for every image"
