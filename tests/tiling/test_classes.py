"""Probabilities to classes: above the threshold, or the most probable."""

import numpy as np
import pytest

from unet2015.tiling.classes import class_map, probability_map

TWO = np.array([[[0.6, 0.5, 0.2, 0.1]], [[0.4, 0.5, 0.8, 0.9]]], np.float32)
THREE = np.array([[[0.2, 0.4]], [[0.5, 0.4]], [[0.3, 0.2]]], np.float32)


@pytest.mark.parametrize(
    ("probabilities", "threshold", "expected"),
    [
        (TWO, 0.5, [[0, 0, 1, 1]]),  # not where it is equal
        (TWO, 0.0, [[1, 1, 1, 1]]),
        (TWO, 1.0, [[0, 0, 0, 0]]),
        (TWO, None, [[0, 0, 1, 1]]),  # of equals the first
        (THREE, None, [[1, 0]]),
    ],
)
def test_classes(probabilities, threshold, expected):
    found = class_map(probabilities, threshold)
    assert found.dtype == np.uint8
    assert found.tolist() == expected


def test_a_threshold_is_rounded_as_the_probabilities_are():
    third = np.array([[[2 / 3]], [[1 / 3]]], np.float32)
    assert float(third[1, 0, 0]) > 1 / 3  # float32 rounds a third up
    assert class_map(third, 1 / 3).tolist() == [[0]]


def test_a_probability_map_holds_class_1_of_two_and_all_of_more():
    assert np.array_equal(probability_map(TWO), TWO[1])
    assert np.array_equal(probability_map(THREE), THREE)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_most_probable_class_is_that_of_argmax(classes):
    random = np.random.default_rng(0)
    probabilities = random.integers(0, 3, (classes, 700, 401)).astype(np.float32)  # many are equal
    probabilities[random.random(probabilities.shape) < 0.1] = np.nan
    found = class_map(probabilities)
    assert found.dtype == np.uint8
    assert np.array_equal(found, probabilities.argmax(axis=0))
