"""Maps the other way round, and 3-D labels: what is counted then is said to be doubtful."""

import numpy as np
import pytest
import tifffile

from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

CELLS = np.zeros((60, 60), np.uint8)
for _number in range(9):
    _y, _x = 20 * (_number // 3) + 4, 20 * (_number % 3) + 4
    CELLS[_y : _y + 10, _x : _x + 10] = 1
LARGE = np.zeros((60, 60), np.uint8)
LARGE[1:, :] = 1  # most of the page, but a border is free
COVERS = "is it the background"


@pytest.fixture
def said(tmp_path, caplog):
    """What is said of a file that is labelled or measured."""

    def call(command, page, **metadata):
        caplog.clear()
        tifffile.imwrite(tmp_path / "a.tif", page, photometric="minisblack", **metadata)
        if command == "label":
            (result,) = label_files([tmp_path / "a.tif"], tmp_path / "l")
        else:
            (result,) = measure_files(tmp_path / "a.tif", tmp_path / "m")
        assert result.error is None
        return caplog.text

    return call


@pytest.mark.parametrize("command", ["label", "measure"])
def test_a_mask_the_other_way_round_is_asked_about(said, command):
    for inverted in (255 - 255 * CELLS, 1 - CELLS):
        assert f"one object reaches all borders and covers {100 if command == 'label' else 75}%" in said(
            command, inverted
        )
    pages = np.stack([CELLS, 1 - CELLS, 1 - CELLS])
    assert "page 1: one object reaches all borders" in said(command, pages)
    assert "(as on 1 more page)" in said(command, pages)
    for right in (CELLS, 255 * CELLS, LARGE, CELLS * 0, np.stack([CELLS, LARGE])):
        assert COVERS not in said(command, right)


def test_a_probability_map_the_other_way_round_too_and_a_numbered_background_is_said_once(said):
    assert COVERS in said("label", (1 - CELLS).astype(np.float32))
    assert COVERS not in said("label", CELLS.astype(np.float32))
    text = said("measure", 2 - CELLS)
    assert "no pixel is 0" in text
    assert COVERS not in text


def spheres(thick=5, copies=1):
    z, y, x = np.ogrid[:12, :60, :60]
    labels = np.zeros((12, 60, 60), np.uint16)
    for number in range(4):
        centre = (y - 15 - 28 * (number // 2)) ** 2 + (x - 15 - 28 * (number % 2)) ** 2
        labels[((z - 6) / thick) ** 2 + centre / 100 <= 1] = number + 1
    return np.stack([labels] * copies) if copies > 1 else labels


def by_slice(labels):
    """The same with numbers anew on each page, from another end."""
    turned = np.stack([np.where(page > 0, 5 - page if k % 2 else page, 0) for k, page in enumerate(labels)])
    return turned.astype(np.uint16)


def imagej(axes):
    return {"imagej": True, "metadata": {"axes": axes}}


@pytest.mark.parametrize(
    ("labels", "metadata", "numbers", "objects"),
    [
        (spheres(), imagej("ZYX"), 4, 44),
        (spheres(), {"metadata": None}, 4, 44),  # plain pages, as Cellpose writes them
        (spheres(copies=2), imagej("TZYX"), 8, 88),
        (spheres(thick=1), imagej("ZYX"), 4, 12),
    ],
    ids=["ZYX", "plain", "TZYX", "thin"],
)
def test_three_dimensional_labels_that_count_once_a_slice_are_said(said, labels, metadata, numbers, objects):
    text = said("measure", labels, **metadata)
    assert f"if these are 3-D objects, there are {numbers}; each page" in text
    assert f"they count as {objects}, with" in text


@pytest.mark.parametrize(
    ("labels", "metadata"),
    [
        (spheres(), imagej("TYX")),  # tracks
        (by_slice(spheres()), imagej("ZYX")),
        (spheres()[:1], imagej("ZYX")),
        (spheres() * 0, imagej("ZYX")),
        (np.stack([spheres()[6], spheres()[6] + 4 * (spheres()[6] > 0)]).astype(np.uint16), imagej("ZYX")),
    ],
    ids=["tracks", "by slice", "one slice", "nothing", "other numbers"],
)
def test_labels_of_pages_by_themselves_are_not_asked_about(said, labels, metadata):
    assert "3-D" not in said("measure", labels, **metadata)


def test_what_this_program_made_is_not_asked_about(tmp_path, model, stack_file, caplog):
    options = SegmentOptions(objects=ObjectSettings(threshold=0), products=("probability",))
    segment_files([stack_file], tmp_path / "o", model, options)
    (made,) = label_files([tmp_path / "o"], tmp_path / "l", ObjectSettings(threshold=0))
    (measured,) = measure_files(tmp_path / "l", tmp_path / "m")
    assert (made.error, measured.error) == (None, None)
    assert made.objects["objects"] == 3  # each covers its page
    assert COVERS not in caplog.text
    assert "3-D" not in caplog.text
