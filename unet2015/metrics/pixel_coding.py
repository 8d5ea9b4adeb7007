"""What the values of masks and class maps say of how they are coded, on both sides of a comparison."""

import logging
from collections.abc import Iterable

import numpy as np

from unet2015.errors import DataSetError
from unet2015.metrics.contingency import Contingency
from unet2015.metrics.masks import FULL_VALUES
from unet2015.metrics.unannotated import ignore_advice, unannotated_mark
from unet2015.wording import listed

_FEW = 2
_log = logging.getLogger("unet2015")


def check_marks(truth: object, pages: Iterable[set[int]], found: set[int]) -> None:
    """Refuse masks with 255 beside 1, and say where it is beside several classes: perhaps not annotated.

    `found` are the values of the result: what a network has found is a class.
    """
    for values in pages:
        if (mark := unannotated_mark(values)) is None or mark in found:
            continue
        if values - {0} == {1, mark}:
            raise DataSetError(
                f"{truth} holds {_said(values)} on one page: {ignore_advice(mark)}; if it is foreground, as "
                "1 is, give --foreground (foreground=True) to compare what is not 0"
            )
        _log.warning("%s: %s, else it is compared as a class", truth, ignore_advice(mark))
        return


def checked_masks(*sides: tuple[object, set[int]]) -> list[int | None]:
    """Return the value of each side's masks, if it has such; refuse sides that are coded otherwise.

    Each side is its name and its values.
    """
    masks = [_mask_value(*side) for side in sides]
    for side, mask, other, its_mask in zip(sides, masks, sides[::-1], masks[::-1], strict=True):
        _check_coding(side[0], mask, other[0], other[1] if its_mask is None else set())
        _check_counted_from_one(*side, *other)
        _say_instances(*side, *other)
    return masks


def _mask_value(place: object, values: set[int]) -> int | None:
    """Return the value of a mask's foreground, where it is not 1; refuse masks of two kinds."""
    if any(values - {0} == {1, value} for value in FULL_VALUES):
        raise DataSetError(
            f"{place} holds {_said(values)}: masks of 0 and 1 beside masks of 0 and {max(values)}, or "
            "classes? If no page of the truth has a value that marks what nobody annotated (--ignore), give "
            "--foreground (foreground=True) to compare what is not 0, or masks of one kind"
        )
    return next((value for value in FULL_VALUES if values - {0} == {value}), None)


def _check_coding(masks: object, mask: int | None, other: object, values: set[int]) -> None:
    """Refuse a folder of masks against one of several classes."""
    if mask is not None and values - {0, 1}:
        raise DataSetError(
            f"{masks} holds masks of 0 and {mask}, but {other} holds {_said(values)}; give masks on both "
            "sides, class maps on both, or --foreground (foreground=True) to compare what is not 0"
        )


def _check_counted_from_one(place: object, values: set[int], other: object, others: set[int]) -> None:
    """Refuse classes that are counted from 1 on one side, and from 0 on the other."""
    if 0 not in values and 0 in others and len(values) > 1 and max(values) > max(others):
        raise DataSetError(
            f"{place} holds {_said(values)} and no 0, but {other} {_said(others)}: one counts classes from "
            "1, the other from 0? Give both in one way: subtract 1 where background is 1"
        )


def _say_instances(several: object, values: set[int], other: object, others: set[int]) -> None:
    """Say where one side has many values and the other one class: perhaps the first has instance labels."""
    if _like_instances(values, others):
        _log.warning(
            "%s holds %s, but %s only 0 and 1: each value is compared as a class; if these are instance "
            "labels, give --foreground (foreground=True) to compare what is not 0, or use evaluate objects",
            several,
            _said(values),
            other,
        )


def _like_instances(values: set[int], others: set[int]) -> bool:
    return others - {0} == {1} and len(values - {0}) > _FEW


def describe_nothing_common(
    found: set[int], truth: object, true: set[int], masks: Iterable[int | None]
) -> str | None:
    """Return a note where result and truth have classes but not one in common, else None.

    Parameters
    ----------
    found, true : set of int
        The values of the result, and those of the truth.
    truth : object
        The name of the truth.
    masks : iterable of int or None
        Of truth and result the value of masks, if they are such: it is class 1.
    """
    theirs, ours = (
        {1 if value == mask else value for value in values - {0}}
        for values, mask in zip((true, found), masks, strict=True)
    )
    if (
        not ours
        or not theirs
        or ours & theirs
        or _like_instances(found, true)
        or _like_instances(true, found)
    ):
        return None
    advice = "see that both number their classes alike"
    if len(ours) == len(theirs) == 1:
        advice += ", or give --foreground (foreground=True) to compare what is not 0"
    return (
        f"holds {_said(found)}, but {truth} {_said(true)}: they have no class in common, so that each is "
        f"missing on one side; {advice}"
    )


def say_no_background(place: object, values: set[int], several: bool) -> None:
    """Say where every pixel of files of several values counts as foreground."""
    if values == {1} and several:
        _log.warning(
            "%s has no 0 on any page, so that every pixel counts as foreground; where 1 is the background, "
            "as ilastik saves it, subtract 1",
            place,
        )


def _said(values: set[int]) -> str:
    return listed(sorted(values)) + (" values" if len(values) > 8 else "")


def recoded(table: Contingency, true_mask: int | None, found_mask: int | None) -> Contingency:
    """Return a table in which 1 is the class of a mask."""
    true = np.where(table.truth == true_mask, 1, table.truth) if true_mask else table.truth
    found = np.where(table.prediction == found_mask, 1, table.prediction) if found_mask else table.prediction
    return Contingency(true, found, table.pixels)
