import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet2015.arguments import parse_size
from unet2015.cli.sizes import parse_pixel_size
from unet2015.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4G", 4 * 2**30),
        ("512M", 512 * 2**20),
        ("1GiB", 2**30),
        ("1.5g", 3 * 2**29),
        (" 2 GiB ", 2**31),
        ("4GB", 4 * 10**9),
        ("3kb", 3000),
        ("1T", 2**40),
        ("100", 100),
        ("100B", 100),
    ],
)
def test_what_people_write(text, size):
    assert parse_size(text) == size


@given(st.integers(1, 10**6), st.sampled_from(["K", "M", "G", "T"]))
def test_a_unit_alone_is_binary(number, unit):
    assert parse_size(f"{number}{unit}") == parse_size(f"{number}{unit}iB") == number * parse_size(f"1{unit}")


@pytest.mark.parametrize(
    "text", ["", "G", "4X", "-4G", "4 G G", "1e9", "0", "0.1", "nan", "4iB", "4Gi", "٤G"]
)
def test_the_rest_is_refused(text):
    with pytest.raises(UsageError):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0.65", (0.65, 0.65)),
        ("0.65,0.5", (0.65, 0.5)),
        ("1.0, 3.0", (1, 3)),
        ("1.3,2", (1.3, 2)),
        ("2", (2, 2)),
    ],
)
def test_pixel_sizes_that_people_write(text, size):
    assert parse_pixel_size(text) == size


@pytest.mark.parametrize("text", ["1,3", "0,65", "1, 3", "2,2"])
def test_a_decimal_comma_is_not_taken_for_height_and_width(text):
    one, other = re.findall(r"\d+", text)
    with pytest.raises(UsageError, match=rf"decimal comma.* {one}\.{other} for .* {one}\.0,{other}\.0 for"):
        parse_pixel_size(text)
