"""Whether the colours of class maps that are compared go together with their numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from unet2015.errors import DataSetError
from unet2015.images.label_colours import Meaning, UsedColours, contradictions
from unet2015.metrics.folders import PageResult


def check_palettes(
    pages: Iterable[PageResult[Any]],
    ignored: Sequence[int | None],
    masks: Sequence[int | None],
    least: int | None,
) -> list[str]:
    """Refuse palettes that give a colour two classes; return what is to be said of others.

    That is where a class has two colours.

    Parameters
    ----------
    pages : iterable of PageResult
        What was compared.
    ignored, masks : sequence of int or None
        Of truth and results the number of what is not annotated, and that of a mask's foreground if not 1.
    least : int or None
        The lowest number that is foreground, where all but the background is compared as one class.

    Raises
    ------
    DataSetError
        A colour stands for two classes.
    """
    sides = list(zip(*(page.colours for page in pages), strict=True))
    meanings = [Meaning(ignore, least, mask) for ignore, mask in zip(ignored, masks, strict=True)]
    return check_sides([[one for one in side if one is not None] for side in sides], meanings)


def check_sides(sides: Sequence[Sequence[UsedColours]], meanings: Sequence[Meaning]) -> list[str]:
    """Do what `check_palettes` does, for all palettes of the truth and all of the results."""
    meant = [[(one, meaning) for one in side] for side, meaning in zip(sides, meanings, strict=False)]
    found = [one for side in meant for one in contradictions(side)]
    if not found and all(meant):
        both = [one for side in meant for one in side]
        if all(meaning.of(number) <= 1 for used, meaning in both for number in {*used.numbers, *used.names}):
            # Two programs may show the one class of a mask in two colours.
            both = [(used, replace(meaning, least=1)) for used, meaning in both]
        found = [*contradictions(both)]
    for one in found:
        if one.certain:
            raise DataSetError(one.message)
    return [one.message for one in found]
