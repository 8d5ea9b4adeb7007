"""What colours and names label files give to their numbers, and where files contradict each other.

Labels are read by their numbers. But where a program numbers the colours of each file by itself, a number is
another class in each file.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Colours, Image
from unet2015.images.label_names import contradicting_names
from unet2015.wording import listed

_NOT_ANNOTATED = -1
_ALIKE = 8
"""Most by which red, green and blue of two colours differ that are the same: quantising changes them."""
_SAVE = "save the files with one palette, in which each class has one number"
_NAMES = (
    "labels are read by their numbers, whatever their names; see that a number is the same class in all "
    "files, else save them with one list of classes"
)
_READ = "labels are read by their numbers, whatever the colours of their palettes"


@dataclass(frozen=True, eq=False)
class UsedColours:
    """The palette of labels, and the numbers that occur in them.

    Attributes
    ----------
    place : str
        The file, with the page where its pages have palettes of their own.
    palette : ndarray of uint8, shape (N, 3)
        The colour of each number.
    numbers : frozenset of int
        Those that a pixel has, and that have a colour.
    shown : bool
        The colours are those of viewers alone (OME-Zarr): each program may show a class in its own.
    names : mapping of int to str
        What the file calls numbers that a pixel has; others may have colours.
    """

    place: str
    palette: Colours
    numbers: frozenset[int]
    shown: bool = False
    names: Mapping[int, str] = field(default_factory=dict)

    @cached_property
    def rises(self) -> bool:
        """Whether the numbers are grays, the brighter the higher: perhaps just a way of display."""
        used = self.palette[sorted(self.numbers)].astype(int)
        return bool((used == used[:, :1]).all() and (np.diff(used[:, 0]) > 0).all())

    def agrees(self, other: "UsedColours") -> bool:
        """Whether two palettes give the same colours to all numbers that either uses, as far as they go."""
        both = [n for n in self.numbers | other.numbers if n < min(len(self.palette), len(other.palette))]
        return _alike(self.palette[both], other.palette[both])


@dataclass(frozen=True)
class Meaning:
    """What the numbers of labels stand for.

    Attributes
    ----------
    ignore : int, optional
        Marks what is not annotated.
    least : int, optional
        In a mask, the numbers from this one on are one class, those below the other. Default: each number
        is a class.
    full : int, optional
        Stands for 1, as 255 in masks of 0 and 255.
    """

    ignore: int | None = None
    least: int | None = None
    full: int | None = None

    def of(self, number: int) -> int:
        """Return the class that a number stands for."""
        if number == self.ignore:
            return _NOT_ANNOTATED
        if self.least is not None:
            return int(number >= self.least)
        return 1 if number == self.full else number

    def is_single(self, number: int) -> bool:
        """Whether a number is a whole class, which has one colour."""
        return number != self.ignore and (self.least is None or number == 0)


@dataclass(frozen=True)
class Contradiction:
    """What palettes say that the numbers do not; `certain` where classes would surely be mixed."""

    certain: bool
    message: str


def page_colours(image: Image, number: int, page: npt.NDArray[np.generic]) -> UsedColours | None:
    """Return what the palette of one page of labels says, and its names, given its pixels; None for none."""
    palette = image.label_colours(number)
    if palette is None and not image.label_names:
        return None
    palette = np.zeros((0, 3), np.uint8) if palette is None else palette
    found = np.unique(page).astype(int).tolist()
    place = f"{image.name}, page {number}" if image.pages > 1 else image.name
    numbers = frozenset(one for one in found if 0 <= one < len(palette))
    names = {one: image.label_names[one] for one in found if one in image.label_names}
    return UsedColours(place, palette, numbers, image.colours_are_shown, names)


def used_colours(image: Image, pages: Iterable[npt.NDArray[np.generic]]) -> list[UsedColours]:
    """Return what the palettes of a file of labels say, one for each palette; empty where there is none.

    Parameters
    ----------
    image : Image
        The labels, opened as such.
    pages : iterable of ndarray
        The pixels of its pages. They are looked at only where a page has a palette.
    """
    found: dict[bytes, UsedColours] = {}
    for number, page in enumerate(pages):
        if (one := page_colours(image, number, page)) is not None:
            key = one.palette.tobytes()
            first = found.get(key, one)
            found[key] = replace(
                first, numbers=first.numbers | one.numbers, names={**first.names, **one.names}
            )
    every = list(found.values())
    return [replace(one, place=image.name) for one in every] if len(every) == 1 else every


def contradictions(labels: Iterable[tuple[UsedColours, Meaning]]) -> Iterator[Contradiction]:
    """Say where palettes of labels contradict each other: a colour of two classes, or a class of two colours.

    The first is said, with the number of others. So it is of names, where numbers are classes.
    """
    labels = list(labels)
    said = [*contradicting_names([used for used, meaning in labels if meaning.least is None])]
    if said:
        yield Contradiction(False, f"{said[0]}{_more(len(said) - 1)}: {_NAMES}")
    of_colour: dict[bytes, dict[frozenset[int], UsedColours]] = {}
    of_class: dict[int, tuple[int, UsedColours]] = {}
    crossed: list[Contradiction] = []
    recoloured: list[str] = []
    for used, meaning in labels:
        for colour, numbers in _numbers_of(used).items():
            classes = frozenset(map(meaning.of, numbers))
            known = of_colour.setdefault(colour, {})
            for others, other in known.items():
                if not classes & others and not used.agrees(other):
                    crossed.append(_crossed(colour, other, used))
                    break
            known.setdefault(classes, used)
        for number in sorted(filter(meaning.is_single, used.numbers)):
            first, other = of_class.setdefault(meaning.of(number), (number, used))
            if not (other.shown or used.shown) and (text := _recoloured((first, other), (number, used))):
                recoloured.append(text)
    if crossed:
        worst = next((one for one in crossed if one.certain), crossed[0])
        yield Contradiction(worst.certain, _advised(worst.message, len(crossed) - 1, worst.certain))
    elif recoloured:
        yield Contradiction(False, _advised(recoloured[0], len(recoloured) - 1, False))


def _numbers_of(used: UsedColours) -> dict[bytes, list[int]]:
    """Return the numbers that occur, by their colour."""
    found: dict[bytes, list[int]] = {}
    for number in sorted(used.numbers):
        found.setdefault(used.palette[number].tobytes(), []).append(number)
    return found


def _crossed(colour: bytes, first: UsedColours, second: UsedColours) -> Contradiction:
    there, here = (listed(_numbers_of(used)[colour]) for used in (first, second))
    text = f"the colour #{colour.hex()} is {there} in {first.place}, but {here} in {second.place}"
    doubtful = (first.rises and second.rises) or first.shown or second.shown
    return Contradiction(not doubtful, text)


def _recoloured(first: tuple[int, UsedColours], second: tuple[int, UsedColours]) -> str | None:
    """Say that one class has two colours; None where they are the same. Each file with its number of it."""
    (other, there), (number, here) = first, second
    if _alike(there.palette[other], here.palette[number]):
        return None
    colours = (f"#{used.palette[n].tobytes().hex()}" for n, used in (first, second))
    what = f"{number} is " * (number != other)
    return "the number {other} is {} in {there}, but {what}{} in {here}".format(
        *colours, other=other, there=there.place, what=what, here=here.place
    )


def _alike(one: Colours, other: Colours) -> bool:
    return bool((np.abs(one.astype(int) - other.astype(int)) <= _ALIKE).all())


def _advised(text: str, others: int, certain: bool) -> str:
    more = _more(others)
    if certain:
        return (
            f"{text}{more}: {_READ}, so classes would be mixed; {_SAVE}; or, if the numbers are right, "
            "without palettes"
        )
    return f"{text}{more}: {_READ}; see that a number is the same class in all files, else {_SAVE}"


def _more(others: int) -> str:
    return f" (and {others} more such)" * bool(others)
