import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet2015.report.numbers import format_number, shown_columns


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0611, "0.0611"),  # a paper's digits stay as they are
        (0.058412345, "0.05841"),
        (0.9203, "0.9203"),
        (0.000353, "0.000353"),
        (0.00035351234, "0.0003535"),
        (1.53e-6, "0.00000153"),
        (1 / 3, "0.3333"),
        (-12.3456, "-12.35"),
        (12345.678, "12\u202f346"),
        (0, "0"),
        (7.0, "7"),
        (31030658, "31\u202f030\u202f658"),
        (3.123456e-12, "3.123e-12"),
        (math.nan, "not a number"),
        (-math.inf, "-∞"),
    ],
)
def test_numbers_are_as_a_reader_wants_them(value, text):
    assert format_number(value) == text


@given(st.floats(-1e300, 1e300))
def test_a_number_keeps_its_value_to_half_of_the_last_digit(value):
    shown = float(format_number(value).replace("\u202f", ""))
    assert shown == pytest.approx(value, rel=5.001e-4)


@given(st.lists(st.floats(-1e5, 1e5), min_size=1))
def test_decimal_points_of_a_column_stand_in_one_line(values):
    (column,) = shown_columns([values])
    after = {
        len((cell.text + cell.pad).partition(".")[2]) or len(cell.pad) - 1
        for cell in column.cells
        if "e" not in cell.text
    }
    assert column.number
    if any("." in cell.text for cell in column.cells):
        assert len(after) <= 1


def test_words_stay_words_and_gaps_are_shown():
    words, numbers, mixed = shown_columns([["a", "1.5"], [None, 2.5], ["best", 0.25]])
    assert [words.number, numbers.number, mixed.number] == [False, True, True]
    assert [cell.text for cell in numbers.cells] == ["–", "2.5"]
    assert mixed.cells[0].pad == ""
