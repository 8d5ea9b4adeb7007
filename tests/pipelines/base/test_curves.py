"""Curves are kept as means."""

import numpy as np

from pipelines.base.curves import means


def test_the_means_of_a_curve_are_those_of_its_equal_parts():
    assert means(np.arange(100.0), 4) == [12.0, 37.0, 62.0, 87.0]
    assert means(np.zeros(0)) == []


def test_a_curve_of_few_points_is_kept_whole_and_rounded():
    assert means([0.123456, 0.5]) == [0.1235, 0.5]
    assert means(np.array([0.123456], np.float32), digits=5) == [0.12346]
