"""Whether truth or prediction of the EM measures may be coded the other way round, and what says nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unet2015.metrics.thresholds import Measure
from unet2015.wording import listed

_MOST = 2 / 3
"""Membranes of a single slice are rarely more of it than this; those of a stack are less than half."""
_ALIKE = 1e-6
"""Means that are nearer than this are equal, up to rounding."""


@dataclass(frozen=True)
class EMNote:
    """What makes the measures of a stack doubtful.

    Attributes
    ----------
    about : {"labels", "proposal"}
        What it is about.
    text : str
        A sentence.
    """

    about: Literal["labels", "proposal"]
    text: str


def coding_notes(
    labels: NDArray[Any], proposal: NDArray[Any], measures: Mapping[str, Measure[Any]]
) -> tuple[EMNote, ...]:
    """Return what is doubtful in truth, proposal (both checked by the measures) and the best thresholds.

    Cells that are coded as membrane form one connected net: whatever joins everything agrees with it, and the
    Rand and the warping error are perfect.
    """
    interior, values = labels > 0, proposal.astype(np.float64)
    if interior.ndim == 2:
        interior, values = interior[None], values[None]
    notes = [EMNote("labels", text) for text in _of_truth(interior)]
    if interior.any() and not interior.all():  # else one value everywhere may be right
        notes += [EMNote("proposal", text) for text in _of_proposal(interior, values, measures)]
    return tuple(notes)


def _of_truth(interior: NDArray[np.bool_]) -> Iterator[str]:
    if interior.all():
        yield (
            "no pixel is 0, which means membrane, so that each slice is one cell, and a prediction without "
            "any membrane is perfect; are classes counted from 1? Draw the membrane as 0"
        )
    if not interior.any(axis=(1, 2)).all():
        yield (
            "a slice has no cell interior; by the challenge's rules the Rand error of the stack is then 1, "
            "and the slice adds 0 to V_rand and V_info"
        )
    membrane = 1 - interior.mean(axis=(1, 2))
    if 0.5 < membrane.mean() < 1:
        share, where = membrane.mean(), "it"
    elif len(doubtful := np.flatnonzero((membrane > _MOST) & (membrane < 1))):
        share = membrane[doubtful].mean()
        where = f"slice{'s' * (len(doubtful) > 1)} {listed(doubtful.tolist())} (from 0)"
    else:
        return
    yield (
        f"{share:.0%} of {where} is 0, which means membrane; is the coding inverted? The "
        "Rand and the warping error of an inverted truth are perfect where nothing was found. Cells on "
        "background are measured by `unet2015 evaluate objects` or `pixels`"
    )


def _of_proposal(
    interior: NDArray[np.bool_], values: NDArray[np.float64], measures: Mapping[str, Measure[Any]]
) -> Iterator[str]:
    inside, membrane = float(values[interior].mean()), float(values[~interior].mean())
    if inside < membrane - _ALIKE:
        yield (
            f"its mean is {inside:.3g} inside the cells of the truth, and {membrane:.3g} on its membranes, "
            "but high means inside; is the coding of one of them inverted?"
        )
    low, high = float(values.min()), float(values.max())
    chosen_by = {name: one.threshold for name, one in measures.items() if one.threshold is not None}
    for called, these in (
        ("the inside of cells", {name: t for name, t in chosen_by.items() if low > t}),
        ("membrane", {name: t for name, t in chosen_by.items() if high <= t}),
    ):
        chosen = [f"{name} (threshold {threshold:.1f})" for name, threshold in these.items()]
        if chosen:
            yield (
                f"the best threshold of {listed(chosen)} calls every pixel {called}: a prediction that found "
                "nothing would get the same"
            )
    pixel = measures.get("pixel_error")
    share = float(interior.mean())
    everything = (1 - share) / (1 + share)  # 1 - F where all is called interior
    if pixel and pixel.value >= everything and (pixel.threshold is None or low <= pixel.threshold):
        yield (
            f"no threshold has a lower pixel error than {everything:.3g}, that of calling every pixel "
            "the inside of cells"
        )
