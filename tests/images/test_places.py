"""What is said where two images that are put together declare other places: they may be of two fields."""

import logging

import numpy as np
import pytest
import tifffile

from tests.images.test_zarr import make
from unet2015.images.pixel_size import GivenSize
from unet2015.images.places import other_place
from unet2015.images.reader import open_image
from unet2015.metrics.object_folders import evaluate_objects
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.settings import TrainingSettings
from unet2015.training.checks.training_set import inspect_set

CELLS = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((9, 9), np.uint8))
IMAGE = np.random.default_rng(0).integers(1, 200, CELLS.shape).astype(np.uint8)
STAGE_UNITS = ("PositionYUnit", "PositionXUnit")
SAID = "declares to lie 80 px along X from "


def placed(path, pixels, *place, unit="micrometer", scale=None):
    """Write an image of pixels of half a micrometre whose first one lies at a place."""
    axes = "zyx"[-pixels.ndim :]
    options = {"scale": scale or [0.5] * pixels.ndim, "translation": list(place), "unit": unit}
    return make(path, pixels, axes, **options)


def difference(tmp_path, one, other):
    """Return what is said of two images, each a place and options."""
    paths = []
    for name, (place, options) in (("one", one), ("other", other)):
        pixels = np.ones((4,) * len(place), np.uint8)
        paths.append(placed(tmp_path / f"{name}.zarr", pixels, *place, **options))
    with open_image(paths[0]) as first, open_image(paths[1]) as second:
        return other_place(first, second, "its image")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ((100.0, 50.0), (100.0, 90.0), "80 px along X"),
        ((100.0, 50.0), (98.0, 50.5), "4 px along Y, 1 px along X"),
        ((100.0, 0.0), (100.0, 40.0), "80 px along X"),  # in the first column of a well, X is 0
        ((9.0, 100.0, 50.0), (12.0, 100.0, 50.0), "6 slices along Z"),
        ((100.0, 50.0), (100.2, 49.8), None),
        ((100.0, 50.0), (100.000001, 50.0), None),
        ((100.0, 50.0), (0.0, 0.0), None),  # programs write 0 for a place that they do not know
        ((0.0, 0.0), (100.0, 50.0), None),
        ((9.0, 100.0, 50.0), (0.0, 100.0, 50.0), None),
    ],
)
def test_places_that_differ_by_a_pixel(tmp_path, one, other, said):
    found = difference(tmp_path, (one, {}), (other, {}))
    assert found == (said and f"declares to lie {said} from its image; see that they belong together")


@pytest.mark.parametrize("other", [{"unit": "nanometer", "scale": [500.0, 500.0]}, {}])
def test_places_in_other_units_are_compared(tmp_path, other):
    factor = 1000 if other else 1
    for shift, said in ((0, False), (7, True)):
        place = (100.0 * factor, (50.0 + shift) * factor)
        assert bool(difference(tmp_path / str(shift), ((100.0, 50.0), {}), (place, other))) == said


@pytest.mark.parametrize("unit", [None, "furlong"])
def test_places_in_no_known_unit_say_nothing(tmp_path, unit):
    assert difference(tmp_path, ((100.0, 50.0), {"unit": unit}), ((7.0, 3.0), {"unit": unit})) is None


def test_a_given_pixel_size_does_not_move_an_image(tmp_path):
    path = placed(tmp_path / "a.zarr", IMAGE, 100.0, 50.0)
    with open_image(path) as one, GivenSize.of(0.25, True).applied(open_image(path)) as other:
        assert other_place(one, other) is None


@pytest.fixture
def fields(tmp_path):
    """The labels of a field, their image, and the image of the field beside it."""
    return (
        placed(tmp_path / "labels.zarr", CELLS, 100.0, 90.0),
        placed(tmp_path / "right.zarr", IMAGE, 100.0, 90.0),
        placed(tmp_path / "left.zarr", IMAGE, 100.0, 50.0),
    )


def on_stage(path, pixels, y, x, unit="µm"):
    """Write an OME-TIFF whose stage stood somewhere; other planes than the first lie elsewhere."""
    plane = {"PositionY": [y, 7777.0], "PositionX": [x, 7777.0]}
    plane |= {} if unit is None else {name: [unit, unit] for name in STAGE_UNITS}
    sizes = dict.fromkeys(("PhysicalSizeX", "PhysicalSizeY"), 0.5)
    metadata = {"axes": "TYX", "Plane": plane} | sizes
    tifffile.imwrite(path, np.stack([pixels, pixels]), metadata=metadata, photometric="minisblack")
    return path


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"y": 100.0, "x": 50.0}, {"y": 100.0, "x": 90.0}, "80 px along X"),
        ({"y": -100.0, "x": -50.0}, {"y": -102.0, "x": -50.0}, "4 px along Y"),
        ({"y": 100.0, "x": 50.0}, {"y": 0.1, "x": 0.09, "unit": "mm"}, "80 px along X"),
        ({"y": 100.0, "x": 50.0}, {"y": 100.2, "x": 49.8}, None),
        ({"y": 100.0, "x": 50.0}, {"y": 0.0, "x": 0.0}, None),
        ({"y": 100.0, "x": 50.0, "unit": None}, {"y": 1.0, "x": 2.0, "unit": None}, None),
        ({"y": 100.0, "x": 50.0}, {"y": 1.0, "x": 2.0, "unit": "reference frame"}, None),
        ({"y": 100.0, "x": 50.0}, {"y": 1.0, "x": 2.0, "unit": "pixel"}, None),
        ({"y": 100.0, "x": 50.0}, {"y": 1.0, "x": float("nan")}, None),
    ],
)
def test_stage_positions_of_ome_tiff_that_differ_by_a_pixel(tmp_path, one, other, said):
    paths = [on_stage(tmp_path / f"{i}.ome.tif", IMAGE, **each) for i, each in enumerate((one, other))]
    with open_image(paths[0]) as first, open_image(paths[1]) as second:
        found = other_place(first, second, "its image")
    assert found == (said and f"declares to lie {said} from its image; see that they belong together")


def test_a_stage_position_does_not_compare_with_a_place_in_ome_zarr(tmp_path):
    zarr = placed(tmp_path / "a.zarr", np.stack([IMAGE, IMAGE]), 1.0, 100.0, 50.0)
    with open_image(on_stage(tmp_path / "a.ome.tif", IMAGE, 7.0, 3.0)) as one, open_image(zarr) as other:
        assert other_place(one, other) is None


def test_labels_measured_on_an_ome_tiff_of_another_stage_position(tmp_path):
    labels = on_stage(tmp_path / "labels.ome.tif", CELLS, 100.0, 90.0)
    for name, x in (("right", 90.0), ("left", 50.0)):
        image = on_stage(tmp_path / f"{name}.ome.tif", IMAGE, 100.0, x)
        (result,) = measure_files(labels, tmp_path / name, images=image)
        assert result.error is None
        assert any(f"{SAID}its image;" in note for note in result.notes) == (name == "left")


def noted(caplog):
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


@pytest.mark.parametrize("command", [measure_files, label_files])
def test_labels_and_maps_measured_on_another_field(fields, tmp_path, command, caplog):
    labels, right, left = fields
    if command is label_files:
        labels = placed(tmp_path / "map.zarr", (CELLS % 2).astype(np.uint8), 100.0, 90.0)
    for image, said in ((right, False), (left, True)):
        caplog.clear()
        (result,) = command(labels, tmp_path / image.stem, images=image)
        assert result.error is None
        assert any(f"{SAID}its image;" in note for note in result.notes) == said
        assert any(note.startswith(f"{labels}: {SAID}") for note in noted(caplog)) == said


def test_results_of_another_field_than_the_truth(fields, tmp_path, caplog):
    labels, *_ = fields
    other = placed(tmp_path / "other.zarr", CELLS, 100.0, 50.0)
    evaluate_objects(labels, labels)
    assert SAID not in caplog.text
    evaluate_objects(labels, other)
    assert f"{other}: {SAID}its truth; see that they belong together" in noted(caplog)


def test_training_on_labels_of_another_field(fields):
    labels, right, left = fields
    for image, said in ((right, []), (left, [f"{SAID}{left}; see that they belong together"])):
        found = inspect_set([(image, labels)], TrainingSettings())
        assert [one.message for one in found.problems if SAID in one.message] == said
