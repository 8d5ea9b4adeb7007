"""What the values of masks and class maps say of how they are coded, on both sides of a comparison."""

from collections.abc import Iterable, Iterator

import numpy as np

from unet2015.errors import DataSetError
from unet2015.metrics.contingency import Contingency
from unet2015.metrics.masks import FULL_VALUES
from unet2015.wording import listed

_FEW = 2


def checked_masks(*sides: tuple[object, set[int]]) -> list[int | None]:
    """Return the value of each side's masks, if it has such; refuse sides that are coded otherwise.

    Each side is its name and its values.
    """
    masks = [_mask_value(*side) for side in sides]
    for side, mask, other, its_mask in zip(sides, masks, sides[::-1], masks[::-1], strict=True):
        _check_coding(side[0], mask, other[0], other[1] if its_mask is None else set())
        _check_counted_from_one(*side, *other)
    return masks


def _mask_value(place: object, values: set[int]) -> int | None:
    """Return the value of a mask's foreground, where it is not 1; refuse masks of two kinds."""
    if any(values - {0} == {1, value} for value in FULL_VALUES):
        raise DataSetError(
            f"{place} holds {said_values(values)}: masks of 0 and 1 beside masks of 0 and {max(values)}, or "
            "classes? If no page of the truth has a value that marks what nobody annotated (--ignore), give "
            "--foreground (foreground=True) to compare what is not 0, or masks of one kind"
        )
    return next((value for value in FULL_VALUES if values - {0} == {value}), None)


def _check_coding(masks: object, mask: int | None, other: object, values: set[int]) -> None:
    """Refuse a folder of masks against one of several classes."""
    if mask is not None and values - {0, 1}:
        raise DataSetError(
            f"{masks} holds masks of 0 and {mask}, but {other} holds {said_values(values)}; give masks on "
            "both sides, class maps on both, or --foreground (foreground=True) to compare what is not 0"
        )


def _check_counted_from_one(place: object, values: set[int], other: object, others: set[int]) -> None:
    """Refuse classes that are counted from 1 on one side, and from 0 on the other."""
    if 0 not in values and 0 in others and len(values) > 1 and max(values) > max(others):
        raise DataSetError(
            f"{place} holds {said_values(values)} and no 0, but {other} {said_values(others)}: one counts "
            "classes from 1, the other from 0? Give both in one way: subtract 1 where background is 1"
        )


def describe_instances(*sides: tuple[object, set[int]]) -> Iterator[str]:
    """Say where one side has many values and the other one class: perhaps the first has instance labels."""
    for (several, values), (other, others) in zip(sides, sides[::-1], strict=True):
        if _like_instances(values, others):
            yield (
                f"{several} holds {said_values(values)}, but {other} only 0 and 1: each value is compared as "
                "a class; if these are instance labels, give --foreground (foreground=True) to compare what "
                "is not 0, or use evaluate objects"
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
        f"holds {said_values(found)}, but {truth} {said_values(true)}: they have no class in common, so that "
        f"each is missing on one side; {advice}"
    )


def said_values(values: set[int]) -> str:
    """Name values in a message."""
    return listed(sorted(values)) + (" values" if len(values) > 8 else "")


def recoded(table: Contingency, true_mask: int | None, found_mask: int | None) -> Contingency:
    """Return a table in which 1 is the class of a mask."""
    true = np.where(table.truth == true_mask, 1, table.truth) if true_mask else table.truth
    found = np.where(table.prediction == found_mask, 1, table.prediction) if found_mask else table.prediction
    return Contingency(true, found, table.pixels)
