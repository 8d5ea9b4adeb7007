"""The table of measures: what there is, which direction is better, and where it is computed.

Another measure is one file and one line here: the functions of the package, ``unet2015 evaluate`` and the
reports follow the table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal


@dataclass(frozen=True)
class MeasureEntry:
    """A line of the table.

    Attributes
    ----------
    name : str
        Name of the measure in results, and of the function ``unet2015.metrics.NAME``.
    symbol : str
        The name that readers know.
    file : str
        Where the function is.
    better : {"lower", "higher"}
        An error is better when lower, a score when higher.
    compares : {"stacks", "masks", "sequences", "objects"}
        ``stacks``: labels with probabilities, of the EM challenge. ``masks``: two masks or class maps.
        ``sequences``: instance labels frame by frame, of the Cell Tracking Challenge. ``objects``: instance
        labels, object by object.
    meaning : str
        A definition in one line.
    together : str
        A function that computes this measure and its neighbours in the table together. Default: none.
    format : str
        How its value is printed.
    """

    name: str
    symbol: str
    file: str
    better: Literal["lower", "higher"]
    compares: Literal["stacks", "masks", "sequences", "objects"]
    meaning: str
    together: str = ""
    format: str = ".9f"

    @property
    def computed_by(self) -> Callable[..., Any]:
        """The function that computes it, perhaps together with others."""
        found: Callable[..., Any] = getattr(import_module("unet2015.metrics"), self.together or self.name)
        return found

    def show(self, value: float) -> str:
        """Return a value as text."""
        return format(value, self.format)


MEASURES: dict[str, MeasureEntry] = {
    entry.name: entry
    for entry in (
        MeasureEntry(
            "pixel_error", "pixel error", "pixel", "lower", "stacks", "1 - F of the interior pixels"
        ),
        MeasureEntry(
            "rand_error",
            "Rand error",
            "rand",
            "lower",
            "stacks",
            "1 - F of pairs of interior pixels (Rand, foreground-restricted)",
        ),
        MeasureEntry(
            "warping_error",
            "warping error",
            "warping",
            "lower",
            "stacks",
            "pixels that split or merge cells / all pixels",
        ),
        MeasureEntry(
            "v_rand",
            "V_rand",
            "thinned_rand",
            "higher",
            "stacks",
            "F of pairs after thinning (Rand), mean of slices",
            together="thinned_scores",
        ),
        MeasureEntry(
            "v_info",
            "V_info",
            "information",
            "higher",
            "stacks",
            "F of information after thinning, mean of slices",
            together="thinned_scores",
        ),
        MeasureEntry(
            "seg_score",
            "SEG",
            "seg",
            "higher",
            "sequences",
            "mean IoU, 0 where unmatched",
        ),
        MeasureEntry("object_f1", "F1 of objects", "objects", "higher", "objects", "2 TP / (2 TP + FP + FN)"),
        MeasureEntry("average_precision", "AP", "objects", "higher", "objects", "TP / (TP + FP + FN)"),
        MeasureEntry(
            "mean_average_precision",
            "mean AP",
            "objects",
            "higher",
            "objects",
            "mean of AP at the IoU 0.5, 0.55, ... 0.95",
            together="object_scores",
        ),
        MeasureEntry(
            "panoptic_quality",
            "PQ",
            "objects",
            "higher",
            "objects",
            "mean IoU of the matches * F1 of objects",
        ),
        MeasureEntry("iou", "IoU", "overlap", "higher", "masks", "pixels in both / pixels in either"),
        MeasureEntry("dice", "Dice", "overlap", "higher", "masks", "2 * pixels in both / pixels of each"),
        MeasureEntry("f1", "F1", "overlap", "higher", "masks", "harmonic mean of precision and recall"),
    )
}
"""All measures, by name."""


def measures_of(compares: str) -> list[MeasureEntry]:
    """Return the measures that compare the same things, in the order of the table."""
    return [entry for entry in MEASURES.values() if entry.compares == compares]
