"""Why a model does not take an image, or no plan fits into the memory; and what can be done."""

import numpy as np

from unet2015.errors import ImageValueError, MemoryLimitError, UsageError
from unet2015.images.image import Image
from unet2015.memory import system_total
from unet2015.models.model_file import ModelInfo
from unet2015.models.unlike import channel_advice
from unet2015.settings import Mapping
from unet2015.settings.choices import MapEach
from unet2015.tiling.memory import PlanMemoryError, mib

_BESIDES = "parts of the file that must be decoded whole and lists of pages"
_SMALLER = "save the image in smaller tiles or chunks, or split it"


def mapping_with(info: ModelInfo, fill_value: float | None, map_each: MapEach | None) -> Mapping:
    """Return a model's mapping with what is given: another fill value, and what is mapped by itself.

    Raises
    ------
    UsageError
        The mapping measures nothing of an image.
    """
    mapping = info.mapping
    given = {"fill_value": fill_value, "each": map_each}
    changed = {name: value for name, value in given.items() if value is not None}
    if changed and not mapping.of_each_image:
        alike = f"this model maps all images alike ({mapping.in_words()}), whatever"
        if fill_value is not None:
            raise UsageError(f"fill_value: {alike} lies in their areas without image; leave it out")
        raise UsageError(f"map_each: {alike} is on their pages; leave it out")
    return mapping.model_copy(update=changed)


def check_image(image: Image, info: ModelInfo) -> None:
    """Raise `ImageValueError` if channels or type of an image do not fit a model."""
    if image.channels != info.in_channels:
        raise ImageValueError(
            f"{image.name}: the model takes {info.in_channels} channel(s), the image has {image.channels} "
            f"(axes {image.axes}, from {image.axes_source}); {_about_channels(image, info)}"
        )
    if info.mapping.method != "integer-range" or info.dtype == image.dtype.name:
        return
    wide = image.dtype.kind in "iu" and image.dtype.itemsize > 2
    if info.dtype is not None:
        advice = "converting the image would change its intensities"
        if wide and np.dtype(info.dtype).kind in "iu":
            limits = np.iinfo(info.dtype)
            advice = (
                f"only if all pixels are whole numbers from {limits.min} to {limits.max} on the scale of "
                f"{info.dtype}, give the same values, not scaled, as {info.dtype}"
            )
        raise ImageValueError(
            f"{image.name}: the model was trained on {info.dtype} pixels, mapped by the range of that type, "
            f"but the image has {image.dtype}; take a model that was trained on {image.dtype}, or with the "
            f"mapping standardise ({advice})"
        )
    if wide:  # no microscope fills such a range: the network would see nothing but black
        raise ImageValueError(
            f"{image.name}: the model maps pixels by the range of their type, which for {image.dtype} goes "
            f"to {np.iinfo(image.dtype).max}; give the same values, not scaled, in the type that the camera "
            "or the training images have, such as uint8 for 0 to 255 or uint16 for 0 to 65535, or take a "
            "model with the mapping standardise"
        )


def _about_channels(image: Image, info: ModelInfo) -> str:
    """Return what can be done about the number of channels; other axes help only where one is as long."""
    axes, chosen = image.axes, channel_advice(image, info)
    wanted = info.in_channels
    if image.channels == 1:
        for letter in axes:
            if letter not in "YXC" and image.size(letter) == wanted:
                meant = axes.replace("C", "").replace(letter, "C")
                return f"if {letter} are the channels, give --axes {meant}"
    elif axes.endswith("YXC") and image.channels - 1 == wanted:
        what = f"array[..., :{wanted}]" if image.path is None else "a copy without it"
        return f"{chosen}if the last one is alpha, give {what}"
    elif wanted == 1 and axes.endswith("CYX"):
        free = next(letter for letter in "ZTI" if letter not in axes)
        return f"{chosen}if C are no channels but pages, give --axes {axes.replace('C', free)}"
    return f"{chosen}take a model for such images, or images with the channels that this model was trained on"


def too_little(image: Image, besides: int, free: int, cap: int | None) -> MemoryLimitError:
    """Return the error where not even what must be in memory besides the tiles fits."""
    if cap is None:
        what, advice = f"only {mib(free)} can be taken", f"{_SMALLER}, or free memory"
    else:
        what, advice = f"the memory cap is {mib(cap)}", f"{_SMALLER}, or give a larger --max-memory"
    return MemoryLimitError(f"{image.name}: needs {mib(besides)} for {_BESIDES}, but {what}; {advice}")


def cap_too_small_for_objects(image: Image, cap: int, needed: int) -> MemoryLimitError:
    """Return the error where tiles fit, but not the smallest strips in which objects are found."""
    return MemoryLimitError(
        f"{image.name}: a memory cap of {mib(cap)} is too small: finding and measuring objects needs "
        f"{mib(needed)}; give --max-memory {mib(needed, '')}M or more, or leave out --objects"
    )


def cap_too_small(
    image: Image, besides: int, cap: int, error: PlanMemoryError, objects: int = 0
) -> MemoryLimitError:
    """Return the error where no tiles fit beside that; more memory is named only where the machine has it.

    `objects` are the bytes that finding objects needs.
    """
    more = f", and {mib(besides)} are needed besides for {_BESIDES}" if besides >= 2**20 else ""
    needed = max(error.needed + besides, objects)
    possible = needed <= system_total()
    advice = (
        f"give --max-memory {mib(needed, '')}M or more"
        if possible
        else f"give a smaller {error.smaller}"
        if error.smaller
        else "split the image, or copy it again if it is not so large"
    )
    return MemoryLimitError(
        f"{image.name}: a memory cap of {mib(cap)} is too small: {error.what}{more}; {advice}"
    )
