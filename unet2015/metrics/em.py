"""The five EM measures of a stack at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.errors import ImageValueError
from unet2015.metrics.information import InformationScore, thinned_scores
from unet2015.metrics.pixel import PixelScore, pixel_error
from unet2015.metrics.rand import RandScore, rand_error
from unet2015.metrics.thresholds import Measure, Progress, threshold_steps
from unet2015.metrics.warping import TEN, WarpingScore, warping_error

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EMScores:
    """The measures of the ISBI 2012 challenge for one stack: errors as 1 - F, scores as they are."""

    pixel_error: Measure[PixelScore]
    rand_error: Measure[RandScore]
    warping_error: Measure[WarpingScore]
    v_rand: Measure[RandScore]
    v_info: Measure[InformationScore]

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Plain values for JSON."""
        return {field.name: getattr(self, field.name).as_dict() for field in fields(self)}

    def per_slice(self) -> list[dict[str, float | int]]:
        """Each slice's own values (slices from 0), at the thresholds chosen for the stack."""
        pixels, rand = self.pixel_error.best.slices, self.rand_error.best.slices
        warped, v_rand, v_info = (
            self.warping_error.best.slices,
            self.v_rand.best.slices,
            self.v_info.best.slices,
        )
        return [
            {
                "slice": k,
                "pixel_error": pixels[k],
                "rand_error": rand[k],
                "warping_error": warped[k].error,
                "splits": warped[k].splits,
                "mergers": warped[k].mergers,
                "v_rand": v_rand[k],
                "v_info": v_info[k],
            }
            for k in range(len(pixels))
        ]


def evaluate_em(
    labels: ArrayLike, proposal: ArrayLike, *, script_2016: bool = False, progress: Progress | None = None
) -> EMScores:
    """All five measures of the ISBI 2012 challenge.

    Parameters
    ----------
    labels : (slices, height, width) or (height, width) array of whole numbers
        Above 0 is cell interior.
    proposal : float array of the same shape, in [0, 1]
        Probability of cell interior.
    script_2016 : bool
        The warping error of the organisers' script of 2016 (radius 10, thresholds from 0.1) in place
        of the leaderboard's (radius 20, from 0.0).
    progress : callable, optional
        Called with (slices done, slices), four times over all slices.

    Returns
    -------
    EMScores

    Raises
    ------
    DataSetError, ImageValueError, LabelError
        See `unet2015.metrics.thresholds.read_stack`.
    """

    def part(k: int) -> Progress | None:
        return None if progress is None else lambda done, count: progress(k * count + done, 4 * count)

    steps, radius = (threshold_steps(0.1, 0.9), 10) if script_2016 else (TEN, 20)
    return EMScores(
        pixel_error(labels, proposal, progress=part(0)),
        rand_error(labels, proposal, progress=part(1)),
        warping_error(labels, proposal, thresholds=steps, radius=radius, progress=part(2)),
        *thinned_scores(labels, proposal, progress=part(3)),
    )


def read_proposal(values: NDArray[Any], name: str = "prediction") -> NDArray[np.float32]:
    """Interior probabilities from the pixels of a prediction file.

    Parameters
    ----------
    values : array
        Float probabilities, or a class map of 0 and 1 (1 = interior), or probabilities stored as
        8- or 16-bit integers.
    name : str
        Named in errors.

    Returns
    -------
    float32 array
        Floats as they are; integers above 1 divided by the largest value of their type. (The
        organisers' script stretches from lowest to highest instead, which depends on the image.)

    Raises
    ------
    ImageValueError
        When integers are neither 0 and 1 nor spread over their type's range.
    """
    if values.dtype.kind not in "iu":
        return values.astype(np.float32)
    low, high, full = int(values.min()), int(values.max()), int(np.iinfo(values.dtype).max)
    if low >= 0 and high <= 1:
        return values.astype(np.float32)
    if values.dtype not in (np.uint8, np.uint16) or high / full <= 0.1:
        raise ImageValueError(
            f"{name}: expected probabilities of cell interior (float in [0, 1], or 8- or 16-bit over their "
            f"range) or a class map of 0 and 1, got {values.dtype} from {low} to {high}"
        )
    log.info("%s: read as probabilities, %d is 1", name, full)
    return (values / full).astype(np.float32)
