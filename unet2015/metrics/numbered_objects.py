"""Class maps that look like instance labels: the values of one side lie on other values of the other."""

from collections.abc import Iterable

import numpy as np

from unet2015.metrics.contingency import Contingency

FEW = 4
"""So many values may well be classes."""


def describe_numbered_objects(tables: Iterable[Contingency]) -> str | None:
    """Return a note where most values of the truth lie mostly on another value of the result, else None.

    So it is where objects have numbers, which two programs give in different order. Of classes most lie on
    themselves.

    Parameters
    ----------
    tables : iterable of Contingency
        Of each page: pixels by their value in the truth and in the result.
    """
    values: set[int] = set()
    found = other = 0
    for table in tables:
        for value in np.unique(table.truth[table.truth != 0]).tolist():
            here = table.truth == value
            best = int(np.argmax(np.where(here & (table.prediction != 0), table.pixels, 0)))
            if here[best] and 2 * table.pixels[best] > table.pixels[here].sum() and table.prediction[best]:
                values.add(value)
                found, other = found + 1, other + int(table.prediction[best] != value)
    if len(values) <= FEW or 2 * other <= found:
        return None
    return (
        f"{other} of {found} values of the truth on a page lie mostly on another value of the result, and "
        "each value is compared as a class; if these are instance labels, give --foreground "
        "(foreground=True) to compare what is not 0, or use evaluate objects"
    )
