"""Names of pages: which ones a text means, and how messages call them; each is read as it is written."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path

from unet2015.errors import SettingsError
from unet2015.wording import counted, listed

Files = Sequence[tuple[Path, int]]
"""The image files of a set in order, each with the number of its pages."""
_NAMED = 8  # names or values that a message lists before it says how many more
_NUMBERS = re.compile(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?")
_PAGES = re.compile(r"(.+?)(?: pages? ([0-9]+)(?:-([0-9]+))?)?")
_AROUND = re.compile(r"(?:held out:\s*)?(.*?)(?:\s*\([0-9]+ pages?\))?")
_MORE = re.compile(r".* and [0-9]+ more(?: \([0-9]+ pages?\))?")


def select_pages(spec: str, total: int, files: Files = ()) -> list[int]:
    """Return the pages, in order, that a text like ``"24-29"`` or ``"3,7,t9.tif"`` names.

    Parameters
    ----------
    spec : str
        Page numbers from 0, ranges that include both ends, and image files by name (with or without
        folder and suffix; ``page N`` or ``pages N-M`` after it for some of a stack), separated by commas,
        which may be in the name of a file, too. So what `describe_held_out` returns is such a text. A number
        or a range is never taken for a name.
    total : int
        Pages of the whole set, the files one after the other.
    files : sequence of (path, pages), optional
        The image files, in the order in which their pages are counted.

    Raises
    ------
    SettingsError
        It is not such a text, or may mean two things; a range runs backwards; a page or a file is not there.
    """
    pages: set[int] = set()
    for part in _parts(spec, files):
        match = _NUMBERS.fullmatch(part)
        pages.update(_by_name(spec, part, files) if match is None else _by_number(spec, match, total))
    return sorted(pages)


def _parts(spec: str, files: Files) -> Iterator[str]:
    """Divide a text at its commas, but for those within the name of a file."""
    pieces, place = spec.split(","), 0
    most = max((str(path).count(",") for path, _ in files), default=0)
    while place < len(pieces):
        stop = place + 1
        for further in range(min(len(pieces), place + 1 + most), place + 1, -1):
            some = pieces[place:further]
            text = ",".join(some).strip()
            if all(map(_NUMBERS.fullmatch, some)) or _named(spec, text, files) is None:
                continue
            if all(_NUMBERS.fullmatch(piece) or _is_known(piece.strip(), files) for piece in some):
                raise SettingsError(
                    f"validation pages {spec!r}: {text} may be one image, or several with commas between; "
                    "give more of the path of the one, or the several in another order"
                )
            stop = further
            break
        yield ",".join(pieces[place:stop]).strip()
        place = stop


def _is_known(text: str, files: Files) -> bool:
    try:
        return _named(text, text, files) is not None
    except SettingsError:  # of several images
        return True


def _by_number(spec: str, match: re.Match[str], total: int) -> range:
    first, last = int(match[1]), int(match[2] or match[1])
    _check_order(spec, first, last, match[0])
    if last >= total:
        raise SettingsError(
            f"validation pages {spec!r}: there is no page {last}; the set has "
            f"{counted(total, 'page')}, counted from 0 over all files, so the last is {total - 1}"
        )
    return range(first, last + 1)


def _check_order(spec: str, first: int, last: int, written: str) -> None:
    if last < first:
        raise SettingsError(
            f"validation pages {spec!r}: the range {written.strip()} runs backwards; write {last}-{first}"
        )


def _by_name(spec: str, part: str, files: Files) -> range:
    """Return the pages of a file, or those of it, that a part of `spec` names."""
    if (found := _named(spec, part, files)) is not None:
        return found
    if _MORE.fullmatch(part):
        raise SettingsError(
            f"validation pages {spec!r}: {part!r} does not say which the others are; unet2015 check --json "
            "names all pages that are held out"
        )
    message = (
        f"validation pages {spec!r}: expected page numbers and ranges such as '24-29' or '3,7,20-22', "
        f"or names of images, not {part!r}"
    )
    if part and files:
        message += f"; the nearest name is {_nearest(part, files)}"
    raise SettingsError(message)


def _named(spec: str, part: str, files: Files) -> range | None:
    """Return the pages that a part of `spec` names, perhaps with the words that messages have around them."""
    around = _AROUND.fullmatch(part)
    for text in dict.fromkeys((part, around[1] if around else part)):
        readings: list[tuple[str, str | None, str | None]] = [(text, None, None)]
        if pages := _PAGES.fullmatch(text):
            readings.insert(0, (pages[1], pages[2], pages[3]))
        for name, first, last in readings:
            if (place := _place_of(spec, name, files)) is not None:
                return _of_file(spec, files, place, first, last)
    return None


def _of_file(spec: str, files: Files, place: int, first: str | None, last: str | None) -> range:
    """Return pages of a file, counted over the whole set: all, one, or those from `first` to `last`."""
    start, count = sum(pages for _, pages in files[:place]), files[place][1]
    if first is None:
        return range(start, start + count)
    low, high = int(first), int(last or first)
    _check_order(spec, low, high, f"{low}-{high}")
    if high >= count:
        raise SettingsError(
            f"validation pages {spec!r}: {files[place][0].name} has no page {high}; its last, counted "
            f"from 0, is {count - 1}"
        )
    return range(start + low, start + high + 1)


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


def _nearest(part: str, files: Files) -> str:
    pages = _PAGES.fullmatch(part)
    name = part if pages is None else pages[1]

    def likeness(path: Path) -> float:
        return max(SequenceMatcher(None, name, known).ratio() for known in (path.name, path.stem))

    return max((path for path, _ in files), key=likeness).name


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
