"""Progress while objects are found, measured and drawn, and while a training set is checked."""

import logging
from itertools import pairwise

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from unet2015.cli.app import app
from unet2015.objects import strips
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import OBJECT_VIEWS
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.tiling import progress
from unet2015.training.weight_map import weight_map

DIVIDED = ObjectSettings(markers=MarkerSettings(level=0.5, blur=1), threshold=0.3)
PAGES, HEIGHT = 2, 50


@pytest.fixture
def map_file(tmp_path):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).random((PAGES, HEIGHT, 64)), (0, 2, 2))
    values = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    place = tmp_path / "maps" / "a.probability.tif"
    place.parent.mkdir()
    tifffile.imwrite(place, values, metadata={"axes": "TYX"}, photometric="minisblack")
    return place


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    monkeypatch.setattr(strips, "STRIP_PIXELS", 64 * 8)


class Heard(list):
    """What a function of the caller's was told."""

    def __call__(self, name, done, total):
        self.append((name, done, total))

    def check(self, name, least_steps):
        """The work was told of in many steps, which rise to the total and end there."""
        told = [(done, total) for said, done, total in self if said == str(name)]
        assert len(told) >= least_steps
        assert all(one < two for (one, _), (two, _) in pairwise(told))
        assert {total for _, total in told} == {told[-1][0]}


@pytest.mark.parametrize("settings", [None, DIVIDED])
@pytest.mark.parametrize("views", [(), OBJECT_VIEWS])
def test_label_and_measure_tell_of_the_rows_of_each_pass(map_file, tmp_path, settings, views):
    heard = Heard()
    (found,) = label_files([map_file], tmp_path / "out", settings, views=views, progress=heard)
    assert found.error is None
    strips = PAGES * -(-HEIGHT // 8)
    heard.check(map_file, 3 * strips)
    passes = 4 + (settings is not None) + bool(views) + bool(views)
    assert heard[-1][2] == PAGES * HEIGHT * passes  # both previews show one page of two
    heard.clear()
    measure_files(found.outputs[0], tmp_path / "m.csv", progress=heard)
    heard.check(found.outputs[0], 2 * strips)


@pytest.mark.parametrize("name", ["out", "o.zarr"])
def test_segment_tells_of_objects_after_its_tiles(stack_file, model, tmp_path, name):
    heard = Heard()
    options = SegmentOptions(objects=ObjectSettings(smallest=2))
    segment_files([stack_file], tmp_path / name, model, options, progress=heard)
    heard.check(stack_file, 1)
    heard.check(f"{stack_file}: objects", 4)
    names = [name for name, _, _ in heard]
    assert names == sorted(names)


@pytest.fixture
def minutes(monkeypatch):
    """A clock on which each look is a minute later than the one before; standard error is no terminal."""
    now = [0.0]

    def later():
        now[0] += 61
        return now[0]

    monkeypatch.setattr(progress.time, "monotonic", later)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)


def test_without_a_terminal_there_are_lines(map_file, tmp_path, minutes, caplog):
    with caplog.at_level(logging.INFO, "unet2015"):
        label_files([map_file], tmp_path / "out")
        measure_files(tmp_path / "out", tmp_path / "m")
    assert any(line.startswith("a.probability.tif: 8 of 400 rows") for line in caplog.messages)
    assert any(line.startswith("a.labels.tif: 8 of 300 rows") for line in caplog.messages)


def test_of_many_maps_it_is_said_how_many_are_done(map_file, tmp_path, minutes, caplog):
    tifffile.imwrite(map_file.with_name("b.tif"), np.eye(9, dtype=np.uint8))
    with caplog.at_level(logging.INFO, "unet2015"):
        label_files([map_file.parent], tmp_path / "out")
    assert [line for line in caplog.messages if line.startswith("done: ")] == [
        "done: 1 of 2 files",
        "done: 2 of 2 files",
    ]


def test_check_and_weights_say_how_far_they_are(tmp_path, minutes, capsys, caplog):
    cells = np.zeros((3, 30, 30), np.uint8)
    cells[:, 3:9, 3:9], cells[:, 12:20, 12:20] = 1, 2
    noise = np.random.default_rng(0).integers(0, 255, cells.shape, np.uint8)
    for name, pages in (("i", noise), ("l", cells)):
        tifffile.imwrite(tmp_path / f"{name}.tif", pages, photometric="minisblack", metadata={"axes": "IYX"})
    with pytest.raises(SystemExit, match="0"):
        app(["check", "--images", str(tmp_path / "i.tif"), "--labels", str(tmp_path / "l.tif")])
    assert "images and labels checked: 6 of 6 pages" in capsys.readouterr().err
    with caplog.at_level(logging.INFO, "unet2015"):
        weight_map(cells)
    assert any(line.startswith("weight map: 3 of 3 pages") for line in caplog.messages)
