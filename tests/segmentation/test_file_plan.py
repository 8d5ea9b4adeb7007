"""What a job would take: tiles, memory, disk, time; and nothing is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.objects.strips import object_bytes
from unet2015.segmentation import estimate, file_plan
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import describe_totals, plan_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.segmenter import Segmenter
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.tiling.progress import in_words


@pytest.fixture
def small(tmp_path):
    """An image of a single batch."""
    tifffile.imwrite(tmp_path / "small.tif", np.zeros((70, 70), np.uint8))
    return tmp_path / "small.tif"


def test_the_plan_says_what_it_would_take_and_does_nothing(tmp_path, model, stack_file):
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"no image")
    good, refused = plan_files([stack_file, bad], tmp_path / "out", model, SegmentOptions(tile=60))
    assert good.plan.tiles == 48
    assert good.disk == 3 * 61 * 75
    assert "48 of 60 x 60 px" in good.describe()
    assert good.as_dict()["plan"]["tiles"] == 48
    assert refused.error is not None
    assert "refused" in refused.describe()
    assert not (tmp_path / "out").exists()


def test_the_plan_estimates_the_time(tmp_path, monkeypatch, percentile_model):
    page = np.random.default_rng(0).integers(0, 255, (20, 24)).astype(np.uint8)
    for name, copies in (("one", 1), ("ten", 10)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.tile(page, (copies * 10, 10)))
    # A clock that advances by a second each time it is read: the network "takes" one a probe.
    ticks = iter(range(10_000))
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: next(ticks))
    inputs = [tmp_path / "one.tif", tmp_path / "ten.tif"]
    one, ten = plan_files(inputs, tmp_path / "out", percentile_model, SegmentOptions(tile=44))
    # Tiles of the size of the probe: one second a tile, and one to read it for the percentiles.
    assert one.seconds == pytest.approx(2 * one.plan.tiles)
    assert ten.seconds == pytest.approx(2 * ten.plan.tiles)
    assert ten.plan.tiles > 5 * one.plan.tiles
    assert "time         about" in one.describe()
    assert one.as_dict()["seconds"] == one.seconds
    assert not (tmp_path / "out").exists()


def test_times_in_words():
    assert [in_words(seconds) for seconds in (0.01, 90, 150, 9000)] == [
        "about 1 s", "about 90 s", "about 2 min", "about 2 h",
    ]  # fmt: skip


def test_totals_add_what_adds_up(tmp_path, model, stack_file):
    small, bad = tmp_path / "small.tif", tmp_path / "bad.tif"
    tifffile.imwrite(small, np.zeros((30, 30), np.uint8))
    bad.write_bytes(b"no image")
    plans = plan_files([small, stack_file, bad], tmp_path / "out", model, SegmentOptions(tile=60))
    lines = [" ".join(line.split()) for line in describe_totals(plans).split("\n")]
    good = plans[:2]
    assert lines[:2] == [
        "all 3 files, without 1 refused",
        f"tiles {sum(one.plan.tiles for one in good)}",
    ]
    assert lines[2] == f"disk up to {sum(one.disk for one in good) / 2**20:.1f} MiB"
    assert lines[4].startswith(f"peak memory {max(one.memory for one in good) / 2**20:.0f} MiB, of ")
    assert max(good, key=lambda one: one.memory).input.name in lines[4]
    assert "peak memory" not in describe_totals(plans[2:] * 2)


@pytest.mark.parametrize("markers", [None, MarkerSettings(level=0.8, blur=1)])
def test_objects_take_time_and_memory_too(tmp_path, model, stack_file, markers, monkeypatch):
    rate = 1 if markers is None else 2
    monkeypatch.setattr(file_plan, "seconds_a_pixel", lambda found: rate if found.markers == markers else 9)

    def planned(objects):
        options = SegmentOptions(device="cpu", tile=60, objects=objects)
        return plan_files([stack_file], tmp_path / "out", model, options)[0]

    found, bare = planned(ObjectSettings(markers=markers)), planned(None)
    assert found.object_seconds == 3 * 61 * 75 * rate
    assert found.object_seconds < found.seconds < found.object_seconds + 60
    assert "objects      about" in found.describe()
    assert found.as_dict()["objects"]["seconds"] == found.object_seconds
    assert bare.object_seconds == 0
    assert "objects" not in bare.as_dict()
    assert "objects  " not in bare.describe()
    assert found.as_dict()["objects"]["memory_bytes_per_object"] == object_bytes(2)
    monkeypatch.setattr(Segmenter, "object_memory", lambda self, image: 2**40)
    assert planned(ObjectSettings(markers=markers)).memory == 2**40


@pytest.mark.parametrize(
    ("needs", "peak", "named"),
    [
        ([(500, 0), (400, 0)], 500, "0.tif"),
        ([(500, 0), (480, 60), (300, 50)], 530, "1.tif and another"),
        ([(500, 0), (480, 60)], 500, "0.tif"),
        ([(500, 0), (480, 60), (300, 10)], 500, "0.tif"),
        ([(500, 60), (500, 60)], 560, "0.tif and another"),
        ([(300, 10), (320, 90)], 390, "0.tif and another"),
        ([(300, 10)], 300, "0.tif"),
    ],
)
def test_the_peak_of_several_is_that_of_two_where_two_are_segmented_at_a_time(
    model, small, needs, peak, named
):
    (one,) = plan_files([small], small.parent / "out", model, SegmentOptions())
    plans = [
        replace(one, input=Path(f"{number}.tif"), memory=memory * 2**20, beside=beside * 2**20)
        for number, (memory, beside) in enumerate(needs)
    ]
    assert describe_totals(plans).split("\n")[-1] == f"  peak memory  {peak} MiB, of {named}"


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        (SegmentOptions(), True),
        (SegmentOptions(tile=60), False),
        (SegmentOptions(objects=ObjectSettings()), False),
    ],
)
def test_a_plan_says_what_an_image_takes_beside_another(model, small, options, shares):
    (one,) = plan_files([small], small.parent / "out", model, options)
    assert (0 < one.beside < one.memory) == shares


def test_the_disk_counts_tables_outlines_and_previews(tmp_path, model):
    """Of many small objects, with all views: no file is larger than was said."""
    rng, path = np.random.default_rng(0), tmp_path / "a.tif"
    tifffile.imwrite(
        path, rng.integers(0, 255, (300, 310), np.uint8), resolution=(20000, 20000, "CENTIMETER")
    )
    views = ("parquet", "imagej", "geojson", "overlay", "overlay-jpeg")
    options = SegmentOptions(device="cpu", objects=ObjectSettings(smallest=0), views=views)
    (plan,) = plan_files([path], tmp_path / "o", model, options)
    (result,) = segment_files([path], tmp_path / "o", model, options)
    assert result.objects["objects"] > 100
    sizes = {one.name: one.stat().st_size for one in (tmp_path / "o").iterdir()}
    drawn = sum(size for name, size in sizes.items() if name.endswith((".png", ".jpg")))
    assert drawn > 0.5 * 300 * 310
    (alone,) = plan_files([path], tmp_path / "p", model, replace(options, views=()))
    assert drawn <= plan.disk - alone.disk
    with (tmp_path / "o" / "a.geojson").open() as file:
        text = file.read()
    corners = text.count("],[")
    grows = sum(
        size for name, size in sizes.items() if name.endswith((".csv", ".parquet", ".zip", ".geojson"))
    )
    said = plan.as_dict()["objects"]
    most = said["disk_bytes_per_object"] * result.objects["objects"] + said["disk_bytes_per_corner"] * corners
    assert grows <= most < 10 * grows
    assert f"up to {plan.disk_per_object} bytes an object" in plan.describe()
