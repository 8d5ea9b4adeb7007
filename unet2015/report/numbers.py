"""Numbers of a table's column as text, with their decimal points aligned."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

Cell = str | float | None
DIGITS = 4
"""Most significant digits of a number with a fraction."""

_POINT, _DIGIT = "\u2008", "\u2007"  # spaces as wide as a point and as a digit
_THIN = "\u202f"


@dataclass(frozen=True)
class Shown:
    """A cell's text, and the spaces after it that align the decimal points."""

    text: str
    pad: str = ""


@dataclass(frozen=True)
class Column:
    """A column's cells; `number` says whether it holds numbers, which are aligned to the right."""

    cells: tuple[Shown, ...]
    number: bool


def shown_columns(columns: Sequence[Sequence[Cell]]) -> list[Column]:
    """Return columns of cells as text."""
    return [_column(cells) for cells in columns]


def format_number(value: float) -> str:
    """Return a number with a fraction only up to four significant digits.

    Whole numbers keep all digits, with narrow spaces between thousands. A number that was given with
    fewer digits, such as 0.0611 from a paper, gets no extra zeros.
    """
    if isinstance(value, bool):
        return str(value)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", _THIN)
    size = math.floor(math.log10(abs(value)))
    if not -7 <= size < 15:
        return f"{value:.{DIGITS - 1}e}"
    own = -int(Decimal(repr(float(value))).as_tuple().exponent)
    return f"{value:,.{max(0, min(own, DIGITS - 1 - size))}f}".replace(",", _THIN)


def _column(cells: Sequence[Cell]) -> Column:
    number = any(_is_number(cell) for cell in cells)
    texts = [
        "–" if cell is None else cell if isinstance(cell, str) else format_number(cell) for cell in cells
    ]
    if not number:
        return Column(tuple(map(Shown, texts)), number)
    fractions = [
        len(text.partition(".")[2]) if _is_number(cell) and "e" not in text else 0
        for cell, text in zip(cells, texts, strict=True)
    ]
    longest = max(fractions)
    return Column(
        tuple(
            Shown(text, _pad(fraction, longest) if _is_number(cell) else "")
            for cell, text, fraction in zip(cells, texts, fractions, strict=True)
        ),
        number,
    )


def _is_number(cell: Cell) -> bool:
    return cell is not None and not isinstance(cell, str)  # NumPy's scalars too


def _pad(fraction: int, longest: int) -> str:
    return (_POINT if longest and not fraction else "") + _DIGIT * (longest - fraction)
