"""Colours and names that OME-Zarr declares for numbers of labels: what of them contradicts them is said."""

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


def named(path, page, names, key="class", version="0.4"):
    """Write labels whose numbers have these names."""
    make(path, page, version=version)
    group = zarr.open_group(path, mode="r+")
    properties = [{"label-value": number, "area": 9, key: name} for number, name in names]
    label = {"image-label": {"properties": properties}}
    group.attrs.update(label if version == "0.4" else {"ome": group.attrs["ome"] | label})
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("names", "key", "found"),
    [
        ([(1, "nucleus"), (2, " dead ")], "class", {1: "nucleus", 2: "dead"}),
        ([(1, "nucleus")], "Name", {1: "nucleus"}),
        ([(1, "nucleus")], "comment", {}),
        ([(1, "nucleus"), (1, "dead"), (2, "dead")], "class", {2: "dead"}),
        ([(1, 7), (-1, "x"), ("2", "x"), (True, "x"), (3, " ")], "class", {}),
    ],
)
def test_the_names_of_numbers_are_read(tmp_path, version, names, key, found):
    path = named(tmp_path / "a.zarr", drawn(0, 1, 2), names, key, version)
    with open_image(path, labels=True) as image:
        assert image.label_names == found
    with open_image(path) as image:
        assert image.label_names == {}


@pytest.mark.parametrize("damaged", [7, {"properties": 7}, {"properties": [7, {}]}])
def test_damaged_names_are_none(tmp_path, damaged):
    path = make(tmp_path / "a.zarr", drawn(0, 1))
    zarr.open_group(path, mode="r+").attrs["image-label"] = damaged
    with open_image(path, labels=True) as image:
        assert image.label_names == {}


NAMES = [(0, "background"), (1, "nucleus"), (2, "dead")]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (
            [(1, "dead"), (2, "nucleus")],
            'the number 1 is "nucleus" in {}, but "dead" in {} (and 1 more such)',
        ),
        ([(1, "nucleus"), (2, "alive")], 'the number 2 is "dead" in {}, but "alive" in {}'),
        ([(2, "Dead"), (1, "NUCLEUS")], None),
        ([(1, "class 1"), (2, "class 2")], None),
        ([(0, "empty"), (1, "nucleus"), (9, "other")], None),
        ([], None),
    ],
)
def test_a_number_of_two_names_is_said_where_numbers_are_classes(tmp_path, caplog, others, said):
    pairs = []
    for number, names in enumerate((NAMES, others)):
        noise = np.random.default_rng(number).integers(0, 256, (20, 40), np.uint8)
        image = make(tmp_path / f"i{number}.zarr", noise)
        pairs.append((image, named(tmp_path / f"l{number}.zarr", drawn(0, 1, 2), names)))
    labels = [str(label) for _, label in pairs]
    for kind in ("classes", "instances"):
        settings = TrainingSettings(labels={"kind": kind, "classes": 3 if kind == "classes" else 2})
        found = [
            one.message
            for one in inspect_set(pairs, settings).problems
            if "whatever their names" in one.message
        ]
        assert len(found) == bool(said and kind == "classes"), kind
        if found:
            assert said.format(*labels) in found[0]
    with caplog.at_level(logging.WARNING, "unet2015"):
        assert evaluate_pixels(*labels).comparison.complete
        assert sum("whatever their names" in one for one in caplog.messages) == bool(said)
        caplog.clear()
        evaluate_pixels(*labels, foreground=True)
        assert not [one for one in caplog.messages if "whatever their names" in one]


def test_a_name_of_two_numbers_is_said_but_not_that_of_many_objects(tmp_path, caplog):
    one = named(tmp_path / "t.zarr", drawn(0, 1, 2), [(1, "nucleus")])
    other = named(tmp_path / "r.zarr", drawn(0, 1, 2), [(2, "nucleus")])
    many = named(tmp_path / "m.zarr", drawn(0, 1, 2), [(1, "nucleus"), (2, "nucleus")])
    with caplog.at_level(logging.WARNING, "unet2015"):
        evaluate_pixels(one, other)
        assert f'"nucleus" is the number 1 in {one}, but 2 in {other}: labels are read' in caplog.text
        caplog.clear()
        evaluate_pixels(one, many)
        assert "whatever their names" not in caplog.text
