"""Images and masks of a folder: paired by name, read, brought to one size, divided by a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from pipelines.photographs.settings import PhotographSettings
from unet2015.errors import DataSetError, ImageReadError
from unet2015.images.reader import open_image
from unet2015.training.pairing import find_pairs

Pair = tuple[Path, Path]


@dataclass(frozen=True)
class Prepared:
    """All images of a folder, those to train on first.

    Attributes
    ----------
    images : ndarray of uint8, shape (images, channels, side, side)
        Resized by bilinear interpolation, blurred before where they shrink.
    masks : ndarray of uint8, shape (images, side, side)
        0 and 255.
    true : list of ndarray of bool
        The masks at their own size.
    names : list of str
        Of the image files.
    notes : dict
        What was seen: sizes, gray images, blurred masks, empty masks, masks whose values stay below half of
        the highest of all masks and so are read as empty, files left out.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    true: list[NDArray[np.bool_]]
    names: list[str]
    notes: dict[str, Any]


def pairs_of(data: Path, chosen: PhotographSettings) -> tuple[list[Pair], tuple[str, ...]]:
    """Return images with their masks, and what is left out.

    Raises
    ------
    DataSetError
        A folder is not there, or nothing goes together.
    """
    folders = [data / chosen.images, data / chosen.masks]
    for folder in folders:
        if not folder.is_dir():
            raise DataSetError(
                f"{data}: expected the folders {chosen.images} and {chosen.masks}, but there is no "
                f"{folder.relative_to(data)}"
            )
    found = find_pairs(folders[:1], folders[1:])
    return found.pairs, found.left_out


def divided(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], int]:
    """Return the pairs in an order drawn by the seed, and how many of them are to train on."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    count = min(len(pairs) - 1, max(1, round(share * len(pairs))))
    return [pairs[k] for k in order], count


def prepare(pairs: Sequence[Pair], chosen: PhotographSettings) -> Prepared:
    """Read images and masks and bring them to one size."""
    images, masks, true = [], [], []
    gray, blurred, sizes = 0, 0, set()
    faint = faint_masks([mask for _, mask in pairs])
    for (image, mask), is_faint in zip(pairs, faint, strict=True):
        pixels, was_gray = read_image(image, chosen.channels)
        whole, between = read_mask(mask)
        if is_faint:  # noise of a camera or of JPEG, and no mask
            whole = np.zeros_like(whole)
        if whole.shape != pixels.shape[1:]:
            raise DataSetError(
                f"{mask}: the mask has {whole.shape[0]} x {whole.shape[1]} px, but {image} has "
                f"{pixels.shape[1]} x {pixels.shape[2]} px (height x width)"
            )
        gray, blurred = gray + was_gray, blurred + (between > 0)
        sizes.add(whole.shape)
        images.append(resized(pixels.astype(np.float32), chosen.side).round().astype(np.uint8))
        masks.append(np.where(resized(whole[None].astype(np.float32), chosen.side)[0] >= 0.5, 255, 0))
        true.append(whole)
    notes = {
        "images": len(pairs),
        "sizes": sorted([list(size) for size in sizes])[:10],
        "gray_images": gray,
        "masks_with_values_between_0_and_the_highest": blurred,
        "empty_masks": sum(not mask.any() for mask in true),
        "masks_read_as_empty": sum(faint),
    }
    names = [image.name for image, _ in pairs]
    return Prepared(np.stack(images), np.stack(masks).astype(np.uint8), true, names, notes)


def read_image(path: Path, channels: int) -> tuple[NDArray[np.uint8], bool]:
    """Return (channels, height, width) of 8 bits, and whether a gray image became colours."""
    with open_image(path) as image:
        pixels = image.read(0, 0, image.height, 0, image.width)[:3]
    if pixels.dtype != np.uint8:
        if not np.issubdtype(pixels.dtype, np.unsignedinteger):
            raise DataSetError(f"{path}: expected whole numbers of 8 or 16 bits, got {pixels.dtype}")
        pixels = (pixels / (np.iinfo(pixels.dtype).max / 255)).round().astype(np.uint8)
    if channels == 1:
        return pixels.mean(axis=0, keepdims=True).round().astype(np.uint8), False
    if len(pixels) == channels:
        return pixels, False
    return np.repeat(pixels[:1], channels, axis=0), True


def faint_masks(masks: Sequence[Path]) -> list[bool]:
    """Return of each mask whether it holds noise alone, and so nothing.

    None of its values is half of the highest that masks of its type have, and it is not one of 0 and 1.
    """
    highest = [mask_values(path).max() for path in masks]
    of_type: dict[Any, int] = {}
    for value in highest:
        of_type[value.dtype] = max(of_type.get(value.dtype, 0), int(value))
    return [1 < int(value) < of_type[value.dtype] / 2 for value in highest]


def read_mask(path: Path) -> tuple[NDArray[np.bool_], int]:
    """Return a mask, above half of its highest value, and how many pixels are between that and 0.

    JPEG blurs the edges of a mask; half is where an edge was.
    """
    pixels = mask_values(path)
    highest = pixels.max()
    return pixels > highest / 2, int(np.count_nonzero((pixels > 0) & (pixels < highest)))


def mask_values(path: Path) -> NDArray[Any]:
    """Return the values of a mask, (height, width); of colours the highest, of one bit 0 and 1."""
    try:
        image = open_image(path)
    except ImageReadError as error:
        image = open_image(path, labels=True)
        if image.dtype != np.bool_:
            image.close()
            raise DataSetError(f"{path}: expected a mask in gray; save it so: {error}") from error
    with image:
        pixels: NDArray[Any] = image.read(0, 0, image.height, 0, image.width)[:3].max(axis=0)
    return pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels


def resized(planes: NDArray[np.float32], *shape: int) -> NDArray[np.float32]:
    """Return planes (channels, height, width) at another size: a side, or height and width."""
    height, width = shape if len(shape) == 2 else (shape[0], shape[0])
    if planes.shape[1:] == (height, width):
        return planes
    smaller = height < planes.shape[1] or width < planes.shape[2]
    made: NDArray[np.float32] = np.stack(
        [
            resize(plane, (height, width), order=1, anti_aliasing=smaller, preserve_range=True)  # type: ignore[no-untyped-call]
            for plane in planes
        ]
    )
    return made.astype(np.float32)
