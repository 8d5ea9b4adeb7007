"""Hints for an unknown name: the most similar known name."""

import difflib
from collections.abc import Iterable


def nearest(name: object, known: Iterable[str]) -> str:
    """Return a text that lists the known names, for an unknown one; the most similar name first."""
    names = list(known)
    close = _close(name, names)
    return "".join(f"did you mean {match!r}? " for match in close) + f"known here: {', '.join(names)}"


def closest(name: object, known: Iterable[str]) -> str:
    """Return a text with the name that was probably meant; empty if no known name is similar."""
    return "".join(f"; did you mean {match!r}?" for match in _close(name, list(known)))


def _close(name: object, known: list[str]) -> list[str]:
    """Return the name that was probably meant, if there is one; one that begins like it goes first."""
    close = difflib.get_close_matches(_short(name), known, 3)
    return sorted(close, key=lambda match: not match.startswith(_short(name)))[:1]


def _short(name: object) -> str:
    """Return what is compared with names; nothing is similar to a value of another type."""
    return name[:100] if isinstance(name, str) else ""
