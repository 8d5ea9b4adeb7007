"""What to say of a name that is not known: which known one looks most like it."""

import difflib
from collections.abc import Iterable


def nearest(name: object, known: Iterable[str]) -> str:
    """Return words on what is known, for a name that is not; the one that looks most like it first."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, 1)
    return "".join(f"did you mean {match!r}? " for match in close) + f"known here: {', '.join(names)}"


def closest(name: object, known: Iterable[str]) -> str:
    """Return words on what was probably meant; none where nothing known looks like it."""
    return "".join(f"; did you mean {match!r}?" for match in difflib.get_close_matches(str(name), known, 1))
