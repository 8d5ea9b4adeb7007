import pytest

from unet2015.wording import counted, cut, first_line, listed, reason


@pytest.mark.parametrize(
    ("items", "most", "expected"),
    [
        ([], 3, ""),
        ([1], 3, "1"),
        (["a", 2, 0.25], 3, "a, 2, 0.25"),
        ([1, 2, 3, 4], 3, "1, 2, 3 and 1 more"),
        (list(range(10)), 8, "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"),
    ],
)
def test_a_list_says_how_many_more_there_are(items, most, expected):
    assert listed(items, most) == expected


def test_what_is_counted_is_of_one_or_several():
    assert [counted(number, "more page") for number in (0, 1, 2)] == [
        "0 more pages",
        "1 more page",
        "2 more pages",
    ]
    assert counted(2, "process", "processes") == "2 processes"


def test_a_text_is_cut_where_it_is_too_long():
    assert [cut("abcd", most) for most in (3, 4, 5)] == ["abc...", "abcd", "abcd"]


def test_what_a_library_says_is_one_short_line():
    assert reason(MemoryError()) == "MemoryError"
    assert reason(ValueError("a\n  b")) == "a b"
    assert len(reason(ValueError("x" * 5000))) < 400


def test_the_first_line_of_an_error_without_a_message_is_its_type():
    assert first_line(RuntimeError("no room\nCUDA kernel errors might")) == "no room"
    assert first_line(MemoryError()) == "MemoryError"
