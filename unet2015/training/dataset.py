"""The pages of a set: the labels of an image, and which pages are held out."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy.typing as npt

from unet2015.errors import LossyLabelsError, SettingsError
from unet2015.images.image import Image
from unet2015.images.notes import say_notes
from unet2015.images.page_order import other_order
from unet2015.images.reader import open_image, pages_of
from unet2015.safe_files import Unchanged
from unet2015.settings import ValidationSettings
from unet2015.wording import counted, listed

Labels = npt.NDArray[Any]
Files = Sequence[tuple[Path, int]]
"""The image files of a set in order, each with the number of its pages."""
_NAMED = 8  # names or values that a message lists before it says how many more


def read_labels(path: str | Path, axes: str | None = None, *, cut: bool = False) -> Labels:
    """Read the labels of an image, (pages, height, width), and say the notes on the file.

    Parameters
    ----------
    path : str or Path
        The label file.
    axes : str, optional
        Axes of the *image*, if the files do not say; its labels have the same axes without C.
    cut : bool
        They are a mask that is cut at a threshold, so that a compression may have changed its values.

    Raises
    ------
    ImageError
        As `unet2015.images.reader.read_pages`.
    """
    watch = Unchanged(Path(path))
    with open_labels(path, axes, cut=cut) as labels:
        say_notes(labels)
        pages = pages_of(labels)
    watch.check()
    return pages


def open_labels(path: str | Path, axes: str | None, *, cut: bool) -> Image:
    """Open a label file; `axes` are those of the image, as all parameters are for `read_labels`."""
    try:
        return open_image(path, _label_axes(axes), labels=True)
    except LossyLabelsError:
        if not cut:
            raise
        return open_image(path, _label_axes(axes))


def _label_axes(axes: str | None) -> str | None:
    return None if axes is None else axes.upper().replace("C", "").replace("S", "")


def order_difference(image: Image, labels: Image) -> str | None:
    """Say how the pages of labels are ordered otherwise than those of their image; None for no."""
    order = other_order(image, labels)
    return None if order is None else f"{order}; save both with their axes in the same order"


def size_difference(image: Image, labels: Labels) -> str | None:
    """Say how labels differ in size from their image; None where they do not."""
    expected = (image.pages, image.height, image.width)
    if labels.shape == expected:
        return None
    pages, height, width = labels.shape
    return (
        f"the labels are {counted(pages, 'page')} of {height} x {width} px, but {image.name} is "
        f"{counted(expected[0], 'page')} of {expected[1]} x {expected[2]} px (height x width)"
    )


def select_pages(spec: str, total: int, files: Files = ()) -> list[int]:
    """Return the pages, in order, that a text like ``"24-29"`` or ``"3,7,t9.tif"`` names.

    Parameters
    ----------
    spec : str
        Page numbers from 0, ranges that include both ends, and image files by name (with or without
        folder and suffix; ``page N`` after it for one page of a stack), separated by commas. A number or
        a range is never taken for a name.
    total : int
        Pages of the whole set, the files one after the other.
    files : sequence of (path, pages), optional
        The image files, in the order in which their pages are counted.

    Raises
    ------
    SettingsError
        It is not such a text, a range runs backwards, or a page or a file is not there.
    """
    pages: set[int] = set()
    for part in spec.split(","):
        match = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        pages.update(_by_name(spec, part.strip(), files) if match is None else _by_number(spec, match, total))
    return sorted(pages)


def _by_number(spec: str, match: re.Match[str], total: int) -> range:
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise SettingsError(
            f"validation pages {spec!r}: the range {match[0].strip()} runs backwards; write {last}-{first}"
        )
    if last >= total:
        raise SettingsError(
            f"validation pages {spec!r}: there is no page {last}; the set has "
            f"{counted(total, 'page')}, counted from 0 over all files, so the last is {total - 1}"
        )
    return range(first, last + 1)


def _by_name(spec: str, part: str, files: Files) -> range:
    """Return the pages of a file, or the one page of it, that a part of `spec` names."""
    named = re.fullmatch(r"(.+?)(?: page ([0-9]+))?", part)
    name, number = (named[1], named[2]) if named else (part, None)
    if (place := _place_of(spec, name, files)) is not None:
        start, count = sum(pages for _, pages in files[:place]), files[place][1]
        if number is None:
            return range(start, start + count)
        if int(number) < count:
            return range(start + int(number), start + int(number) + 1)
        raise SettingsError(
            f"validation pages {spec!r}: {name} has no page {number}; its last, counted from 0, is "
            f"{count - 1}"
        )
    message = (
        f"validation pages {spec!r}: expected page numbers and ranges such as '24-29' or '3,7,20-22', "
        f"or names of images, not {part!r}"
    )
    if part and files:
        message += f"; the nearest name is {_nearest(name, files)}"
    raise SettingsError(message)


def _place_of(spec: str, name: str, files: Files) -> int | None:
    """Return which file has a name: its path, the last parts of it, or without suffix; None for no file."""
    ways: tuple[Callable[[Path], bool], ...] = (
        lambda path: name == str(path),
        lambda path: f"/{path.as_posix()}".endswith(f"/{name}"),
        lambda path: f"/{path.with_suffix('').as_posix()}".endswith(f"/{name}"),
    )
    for way in ways:
        found = [place for place, (path, _) in enumerate(files) if way(path)]
        if len(found) > 1:
            several = listed([str(files[place][0]) for place in found])
            raise SettingsError(
                f"validation pages {spec!r}: {len(found)} images have the name {name}: {several}; give more "
                "of the path of the one that is meant"
            )
        if found:
            return found[0]
    return None


def _nearest(name: str, files: Files) -> str:
    def likeness(path: Path) -> float:
        return max(SequenceMatcher(None, name, known).ratio() for known in (path.name, path.stem))

    return max((path for path, _ in files), key=likeness).name


def split_pages(validation: ValidationSettings, total: int, files: Files = ()) -> tuple[list[int], list[int]]:
    """Return the pages for training and those held out; the last pages are held out if none are named.

    A share above zero holds out at least one page, and leaves at least one; a set with a single page
    is used for training only. `files` are needed where `validation.pages` names some (see `select_pages`).

    Raises
    ------
    SettingsError
        `validation.pages` is not right (see `select_pages`) or leaves nothing for training.
    """
    if validation.pages is not None:
        held_out = select_pages(validation.pages, total, files)
    else:
        count = max(round(validation.fraction * total), int(validation.fraction > 0))
        held_out = list(range(total - min(count, total - 1), total))
    training = sorted(set(range(total)) - set(held_out))
    if not training:
        raise SettingsError(
            f"validation pages {validation.pages!r} hold out all {total} pages; leave some for training"
        )
    return training, held_out


def pages_of_each(files: Files, chosen: Sequence[int]) -> list[list[int]]:
    """Return, for each file, which of its own pages are among `chosen`, counted over the whole set."""
    pages, wanted, start = [], set(chosen), 0
    for _, count in files:
        pages.append([page for page in range(count) if start + page in wanted])
        start += count
    return pages


def page_names(files: Files) -> list[str]:
    """Return a name for every page of a set: ``t24.tif``, or ``stack.tif page 24`` in a stack.

    Where several files have a name, each is named with as many of its folders as tell it apart.
    """
    names = short_names([path for path, _ in files])
    return [
        name if pages == 1 else f"{name} page {number}"
        for name, (_, pages) in zip(names, files, strict=True)
        for number in range(pages)
    ]


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return the name of every file, with as many of its folders as tell it apart from the others."""
    names, parts = [path.name for path in paths], 1
    while parts < max((len(path.parts) for path in paths), default=0) and len(set(names)) < len(names):
        parts += 1
        known = Counter(names)
        names = [
            str(Path(*path.parts[-parts:])) if known[name] > 1 else name
            for name, path in zip(names, paths, strict=True)
        ]
    return names


def describe_held_out(names: Sequence[str]) -> str:
    """Return a short text for a message: ``held out: t8.tif, stack.tif pages 24-29 (7 pages)``.

    Parameters
    ----------
    names : sequence of str
        The names of the held-out pages, as `page_names` returns them.
    """
    if not names:
        return "held out: no page"
    return f"held out: {shortened_pages(names)} ({counted(len(names), 'page')})"


def shortened_pages(names: Sequence[str]) -> str:
    """List the first of the pages that `page_names` names, and say how many more there are."""
    shown = list(_joined(names))
    listed, more = shown[:_NAMED], shown[_NAMED:]
    hidden = sum(count for _, count in more)
    return ", ".join(text for text, _ in listed) + (f" and {hidden} more" if hidden else "")


def _joined(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Join neighbouring pages of one stack; yield texts and how many pages each stands for."""
    places = [re.fullmatch("(.*) page ([0-9]+)", name) for name in names]

    def run(item: tuple[int, str]) -> tuple[str, int]:
        place = places[item[0]]
        return (place[1], int(place[2]) - item[0]) if place else (item[1], -1 - item[0])

    for _, group in groupby(enumerate(names), key=run):
        members = [index for index, _ in group]
        first, last = places[members[0]], places[members[-1]]
        if first is None or last is None or len(members) == 1:
            yield names[members[0]], 1
        else:
            yield f"{first[1]} pages {first[2]}-{last[2]}", len(members)
