"""Tables in CSV that a spreadsheet shows as they are: no cell becomes a formula, none falls apart."""

import re
from collections.abc import Iterable, Sequence

FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # wide forms too, which Japanese keyboards write
"""What makes a spreadsheet compute a cell rather than show it."""


def csv_table(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV (RFC 4180).

    Numbers stay numbers. A text that a spreadsheet would take for a formula gets an apostrophe before it, as
    OWASP advises ("CSV Injection"): a file may have any name. So does one with apostrophes there already, so
    that two names stay two. A text with a comma, or with what separates cells in other countries, is quoted.
    """
    return csv_lines(map(csv_cell, row) for row in rows)


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    """Return rows of cells, as of `csv_cell`, as lines of CSV."""
    return "".join(",".join(row) + "\r\n" for row in rows)


def csv_cell(value: object) -> str:
    """Return a value as it stands in CSV."""
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, int | float):  # also by subclasses of NumPy
        return text
    if isinstance(value, str) and text.lstrip("'").startswith(FORMULA):
        text = f"'{text}"
    return quoted(text)


def quoted(text: str) -> str:
    """Return a text in quotes where it would fall apart without; what was read from a cell is one again."""
    return '"' + text.replace('"', '""') + '"' if re.search('[,;\t\r\n"]', text) else text
