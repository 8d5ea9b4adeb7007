"""What files of labels call their numbers, and where one calls a number otherwise than another."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

_PLAIN = re.compile(r"(class|label|object|cell)?[ _-]*\d+", re.IGNORECASE)
"""A name that says no more than a number: of another file it may be of another class."""


class Named(Protocol):
    """Labels of which some numbers may have names."""

    @property
    def place(self) -> str:
        """The file."""

    @property
    def names(self) -> Mapping[int, str]:
        """What it calls its numbers."""


def contradicting_names(files: Sequence[Named]) -> Iterator[str]:
    """Yield where a number other than 0 has two names, and where a name is of two numbers, in words.

    A file may give one name to many numbers, as where each object is named by its class; of such a name
    it is not said.
    """
    of_number: dict[int, tuple[str, str]] = {}
    of_name: dict[str, tuple[int, str]] = {}
    for file in files:
        names = {number: name for number, name in file.names.items() if number and not _PLAIN.fullmatch(name)}
        plain = [name.casefold() for name in names.values()]
        for number, name in sorted(names.items()):
            first, place = of_number.setdefault(number, (name, file.place))
            if first.casefold() != name.casefold():
                yield f'the number {number} is "{first[:99]}" in {place}, but "{name[:99]}" in {file.place}'
            elif plain.count(name.casefold()) == 1:
                other, place = of_name.setdefault(name.casefold(), (number, file.place))
                if other != number:
                    yield f'"{name[:99]}" is the number {other} in {place}, but {number} in {file.place}'
