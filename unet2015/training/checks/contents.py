"""What a training set holds: cells and their sizes, and the share of each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.objects.table import in_digits
from unet2015.settings import LabelSettings

_ZERO = {"instances": "background", "mask": "background", "membrane": "membrane"}
"""What class 0 is."""


@dataclass(frozen=True)
class SetContents:
    """What is in the labels of a set.

    Attributes
    ----------
    areas : ndarray of int64
        Of each cell, in pixels, as it is labelled.
    areas_um2 : ndarray of float64 or None
        The same in square micrometres; None if an image with cells does not tell the size of its pixels.
    pixels : ndarray of int64, shape (classes,)
        Annotated pixels of each class, as the training sees them: with the separation border as background.
    ignored : int
        Pixels that are not annotated.
    border : int
        Pixels of cells that the separation border makes background.
    """

    areas: npt.NDArray[np.int64]
    areas_um2: npt.NDArray[np.float64] | None
    pixels: npt.NDArray[np.int64]
    ignored: int
    border: int = 0

    def as_dict(self, settings: LabelSettings) -> dict[str, Any]:
        """Return the same for JSON, with all digits.

        Areas have ``minimum``, ``median``, ``maximum``, and ``diameter`` of a disk of the median area; they
        are None where there are no cells or, in micrometres, where the size of pixels is not known.
        """
        total = max(1, int(self.pixels.sum()))
        classes = zip(self._names(settings), self.pixels.tolist(), strict=True)
        return {
            "cells": int(self.areas.size),
            "area_px": _sizes(self.areas),
            "area_um2": None if self.areas_um2 is None else _sizes(self.areas_um2),
            "classes": [
                {"name": name, "pixels": count, "share": count / total if count else 0.0}
                for name, count in classes
            ],
            "not_annotated_pixels": self.ignored,
            "separation_border_pixels": self.border,
        }

    def _names(self, settings: LabelSettings) -> list[str]:
        if settings.kind in _ZERO:
            return [_ZERO[settings.kind], "cell"]
        return [f"class {number}" for number in range(len(self.pixels))]

    def describe(self, settings: LabelSettings) -> list[str]:
        """Return it in lines: cells, and classes."""
        lines = ["cells: none"]
        if self.areas.size:
            sizes = _described(self.areas, "px", "px")
            if self.areas_um2 is not None:
                sizes += "; " + _described(self.areas_um2, "µm²", "µm")
            lines = [f"cells: {self.areas.size}, {sizes}"]
        total = max(1, int(self.pixels.sum()))
        classes = zip(self._names(settings), self.pixels.tolist(), strict=True)
        shares = ", ".join(f"{name} {count / total:.1%}" for name, count in classes)
        share = self.ignored / (total + self.ignored)
        left = f"; {share:.1%} of all pixels not annotated" if self.ignored else ""
        border = ""
        if self.border:
            of_cells = self.border / int(self.areas.sum())
            border = f"; with the separation border as background ({of_cells:.1%} of the cells' pixels)"
        return [*lines, f"classes: {shares}{border}{left}"]


def contents_of(
    areas: Sequence[npt.NDArray[np.int64]],
    scales: Sequence[tuple[float, float] | None],
    frequencies: Sequence[npt.NDArray[np.int64]],
    pixels: int,
    *,
    border: int = 0,
) -> SetContents:
    """Return what a set holds.

    Parameters
    ----------
    areas : sequence of ndarray
        Areas of the cells of each file, in pixels.
    scales : sequence of tuple or None
        Height and width of a pixel of each file, in micrometres, if they are known.
    frequencies : sequence of ndarray, shape (pages, classes)
        Pixels of each class, of each file.
    pixels : int
        Of all pages of all files.
    border : int
        Of the pixels of cells, those that the separation border makes background.
    """
    of_class = np.concatenate([*frequencies]).sum(axis=0)
    pairs = [(file, scale) for file, scale in zip(areas, scales, strict=True) if file.size]
    known = [file * (scale[0] * scale[1]) for file, scale in pairs if scale is not None]
    whole = bool(known) and len(known) == len(pairs)
    return SetContents(
        areas=np.concatenate([np.empty(0, np.int64), *areas]),
        areas_um2=np.concatenate(known) if whole else None,
        pixels=of_class,
        ignored=pixels - int(of_class.sum()),
        border=border,
    )


def _sizes(areas: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> dict[str, float] | None:
    """Return the range of areas, their median, and the diameter of a disk of that area; None for no areas."""
    if not areas.size:
        return None
    low, middle, high = (float(np.percentile(areas, q)) for q in (0, 50, 100))
    diameter = float(2 * (middle / np.pi) ** 0.5)
    return {"minimum": low, "median": middle, "maximum": high, "diameter": diameter}


def _described(areas: npt.NDArray[np.int64] | npt.NDArray[np.float64], square: str, length: str) -> str:
    """Return the same in words; there are areas."""
    sizes = _sizes(areas)
    assert sizes is not None
    low, middle, high = (in_digits(sizes[name]) for name in ("minimum", "median", "maximum"))
    across = f"{sizes['diameter']:.3g} {length} across"
    return f"areas {low} to {high} {square}, median {middle} {square} ({across})"
