"""Colours that OME-Zarr declares for numbers of labels: what of them contradicts the numbers is said."""

import logging

import numpy as np
import pytest
import zarr

from tests.images.test_zarr import make
from tests.training.checks.test_palettes import BLUE, CLASSES, GREEN, RED, drawn
from unet2015.images.reader import open_image
from unet2015.metrics.pixel_folders import evaluate_pixels
from unet2015.settings import TrainingSettings
from unet2015.training.checks.training_set import inspect_set

OPAQUE, BLACK = 255, (0, 0, 0)


def coloured(path, page, colours, version="0.4"):
    """Write labels whose numbers from 1 on have these colours, or that have the colours of a mapping."""
    make(path, page, version=version)
    numbered = colours if isinstance(colours, dict) else dict(enumerate(colours, 1))
    declared = [{"label-value": n, "rgba": [*rgb, OPAQUE][:4]} for n, rgb in numbered.items()]
    group = zarr.open_group(path, mode="r+")
    label = {"image-label": {"colors": declared}}
    group.attrs.update(label if version == "0.4" else {"ome": group.attrs["ome"] | label})
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ({1: RED, 2: BLUE}, [BLACK, RED, BLUE]),
        ({2: BLUE, 0: GREEN, 1: RED}, [GREEN, RED, BLUE]),
        ({0: (*BLACK, 0), 1: (*RED, 90)}, [BLACK, RED]),
        ({1: RED, 2: BLACK}, None),  # is 0 black as well?
        ({1: RED, 3: BLUE}, None),
        ({0: (*BLACK, 0)}, None),
        ({1: (9, 9, 9), 2: (20, 20, 20)}, None),
        ({1: (300, 0, 0)}, None),
        ({-1: RED, 1: BLUE}, None),
        ({}, None),
    ],
)
def test_the_colours_of_numbers_are_read(tmp_path, version, declared, found):
    path = coloured(tmp_path / "a.zarr", drawn(0, 1, 2), declared, version)
    with open_image(path, labels=True) as image:
        colours = image.label_colours(0)
    assert (None if colours is None else colours.tolist()) == (found and [list(one) for one in found])
    with open_image(path) as image:
        assert image.label_colours(0) is None


@pytest.mark.parametrize(
    "damaged",
    [
        7,
        {"colors": 7},
        {"colors": [7]},
        {"colors": [{"label-value": "1", "rgba": [1, 2, 3]}]},
        {"colors": [{}]},
    ],
)
def test_damaged_colours_are_none(tmp_path, damaged):
    path = make(tmp_path / "a.zarr", drawn(0, 1))
    zarr.open_group(path, mode="r+").attrs["image-label"] = damaged
    with open_image(path, labels=True) as image:
        assert image.label_colours(0) is None


def pairs_of(tmp_path, *colours):
    found = []
    for number, one in enumerate(colours):
        noise = np.random.default_rng(number).integers(0, 256, (20, 40), np.uint8)
        image = make(tmp_path / f"i{number}.zarr", noise)
        found.append((image, coloured(tmp_path / f"l{number}.zarr", drawn(0, 1, 2), one)))
    return found


@pytest.mark.parametrize(
    ("colours", "said"),
    [
        ([(RED, BLUE), (BLUE, RED)], True),
        ([(RED, BLUE), (RED, BLUE)], False),
        ([(RED, BLUE), (GREEN, (9, 9, 99))], False),  # viewers show a class in any colour
    ],
)
def test_a_colour_of_two_classes_is_said_and_does_not_stop_a_training(tmp_path, colours, said):
    pairs = pairs_of(tmp_path, *colours)
    for settings, expected in ((CLASSES, said), ({}, False)):
        problems = inspect_set(pairs, TrainingSettings.model_validate(settings)).problems
        found = [(one.severity, one.message) for one in problems if "palette" in one.message]
        assert bool(found) == expected
        for severity, message in found:
            assert severity == "warning"
            first, second = (str(labels) for _, labels in pairs)
            assert message.startswith(
                f"the colour #0000ff is 2 in {first}, but 1 in {second} (and 1 more such)"
            )


@pytest.mark.parametrize("swapped", [False, True])
def test_colours_of_truth_and_result_are_compared(tmp_path, caplog, swapped):
    truth = coloured(tmp_path / "t.zarr", drawn(0, 1, 2), (RED, BLUE))
    result = coloured(tmp_path / "r.zarr", drawn(0, 1, 2), (BLUE, RED) if swapped else (GREEN, (9, 9, 99)))
    evaluate_pixels(truth, result)
    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert any("the colour #0000ff is 2 in" in one for one in warned) == swapped
    assert any("is #" in one for one in warned) is False
