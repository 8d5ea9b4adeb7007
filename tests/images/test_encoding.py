"""Numbers of a TIFF's tags."""

import pytest

from unet2015.images import encoding


@pytest.mark.parametrize("value", [1e-9, 1e-3, 0.19, 1 / 3, 1.0, 52631.578, 2.5e6, 4e9, 1e12, 1e-12])
def test_rationals(value):
    numerator, denominator = encoding._rational(value)
    assert 0 < numerator < 2**32
    assert 0 < denominator < 2**32
    if 1e-6 < value < 4e9:
        assert numerator / denominator == pytest.approx(value, rel=1e-6)
    if 1e-3 < value < 1e6:
        assert numerator / denominator == pytest.approx(value, rel=1e-9)
