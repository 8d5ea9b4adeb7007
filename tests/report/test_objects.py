import numpy as np
import pytest

from unet2015.errors import DataSetError
from unet2015.report.objects import fates_of_objects


def row(text):
    """Label images of 10 equal pixels a character, '.' is background."""
    return np.array([[0 if c == "." else int(c) for c in text for _ in range(10)]], np.uint16)


@pytest.mark.parametrize(
    ("truth", "result", "expected", "unlabelled"),
    [
        ("1111.222", "1111.333", {1: "matched", 2: "matched"}, ()),
        ("1111.222", "1111....", {1: "matched", 2: "missed"}, ()),
        ("1111.222", "77......", {1: "missed", 2: "missed"}, ()),  # exactly half is no match
        ("11111.222", "77.88.333", {1: "split", 2: "matched"}, ()),
        ("1111.222", "77777777", {1: "merged", 2: "merged"}, ()),
        ("1111.222.", "1111.2229", {1: "matched", 2: "matched"}, (9,)),
        ("....", "5.66", {}, (5, 6)),
        ("1111", "....", {1: "missed"}, ()),
    ],
)
def test_fates(truth, result, expected, unlabelled):
    found = fates_of_objects(row(truth), row(result))
    assert found.truth == expected
    assert found.unlabelled == unlabelled


def test_a_speck_is_no_part():
    truth = np.ones((1, 100), np.uint8)
    result = truth.copy()
    result[0, :9] = 2
    assert fates_of_objects(truth, result).truth == {1: "matched"}
    result[0, :10] = 2
    assert fates_of_objects(truth, result).truth == {1: "split"}


def test_shapes_must_agree():
    with pytest.raises(DataSetError, match="shape"):
        fates_of_objects(row("11"), row("1"))
