"""Fields of an HCS plate and series of bioformats2raw are all called 0, 1, ...: what tables call them."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import zarr

from tests.images.test_zarr import make
from unet2015.images.result_names import shown_name
from unet2015.safe_files import sha256, signed
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings.objects import ObjectSettings

CELLS = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((9, 9), np.uint8))
OBJECTS = SegmentOptions(objects=ObjectSettings(), device="cpu")


def field(root, place, pixels, **labels):
    """Write a field of a plate, or an image of a collection, with label images inside."""
    group = zarr.open_group(root, mode="a", zarr_format=2)
    if "/" in place:
        group.require_group(place.rpartition("/")[0])
    path = make(root / place, pixels)
    for name, values in labels.items():
        zarr.open_group(path / "labels", mode="a", zarr_format=2)
        make(path / "labels" / name, values)
    return path


def images_of(table):
    with table.open(newline="") as file:
        return {row["image"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("root", ["plate.zarr", "plate"])
@pytest.mark.parametrize("place", ["A/1/0", "0"])
def test_a_table_has_the_path_of_a_field_from_the_plate_on(tmp_path, model, stack, monkeypatch, root, place):
    path = field(tmp_path / root, place, stack[0])
    monkeypatch.chdir(path.parent)
    for out, given in (("a", path), ("b", path.name)):  # wherever it is named from
        (result,) = segment_files([given], tmp_path / out, model, OBJECTS)
        assert result.error is None
        assert images_of(tmp_path / out / f"{path.name}.objects.csv") == {f"{root}/{place}"}
        assert images_of(tmp_path / out / "objects.csv") == {f"{root}/{place}"}
    assert shown_name(path) == f"{root}/{place}"


def test_tables_of_two_wells_tell_them_apart_with_and_without_a_table_of_all(tmp_path):
    root = tmp_path / "plate.zarr"
    paths = [field(root, f"A/{well}/0", CELLS + 1, cells=CELLS) for well in (1, 2)]
    for path in paths:
        name = path.relative_to(tmp_path).as_posix()
        for out in ("one.csv", "folder"):
            target = tmp_path / f"{path.parent.name}-{out}"
            (result,) = measure_files(path / "labels" / "cells", target, path)
            assert result.error is None
            tables = [target] if out == "one.csv" else [target / "cells.objects.csv", target / "objects.csv"]
            assert [images_of(table) for table in tables] == [{name}] * len(tables)


def test_label_images_of_one_field_are_measured_into_one_folder(tmp_path):
    path = field(tmp_path / "plate.zarr", "A/1/0", CELLS, cells=CELLS, nuclei=CELLS)
    results = measure_files(path / "labels" / "*", tmp_path / "out")
    assert [result.error for result in results] == [None, None]
    assert {one.name for result in results for one in result.outputs} == {
        "cells.objects.csv",
        "nuclei.objects.csv",
    }


@pytest.mark.parametrize("out", ["maps", "maps.zarr"])
@pytest.mark.parametrize("with_image", [False, True])
def test_label_and_measure_name_the_field_that_a_result_is_of(tmp_path, model, stack, out, with_image):
    """All that was made of field 0 of any well is called 0."""
    path = field(tmp_path / "plate.zarr", "A/1/0", stack[0])
    options = replace(OBJECTS, products=("classes", "probability"))
    (made,) = segment_files([path], tmp_path / out, model, options)
    assert made.error is None
    maps, images = made.outputs[0], path if with_image else None
    (counted,) = label_files(maps, tmp_path / "labels", images=images)
    found = [tmp_path / "labels"]
    given = maps / "labels" / "labels" if maps.suffix == ".zarr" else maps.with_name("0.labels.tif")
    for labels in (given, counted.outputs[0]):
        (measured,) = measure_files(labels, tmp_path / f"{labels.name}-all.csv", images)
        (again,) = measure_files(labels, tmp_path / f"{labels.name}-folder", images)
        assert (measured.error, again.error) == (None, None)
        found += [*measured.outputs, tmp_path / f"{labels.name}-folder"]
    tables = [table for one in found for table in ([one] if one.is_file() else one.glob("*.csv"))]
    assert len(tables) == 2 + 2 * 3
    assert {tuple(images_of(table)) for table in tables} == {("plate.zarr/A/1/0",)}


def test_a_replay_calls_a_field_in_the_table_as_its_run_did(tmp_path, model, stack):
    path, out = field(tmp_path / "plate.zarr", "A/1/0", stack[0]), tmp_path / "out"
    segment_files([path], out, model, OBJECTS)
    record, table = out / "0.record.json", out / "0.objects.csv"
    moved = path.rename(tmp_path / "moved")
    assert replay(record, moved).same
    # An earlier version called it 0.
    said = json.loads(record.read_text())
    del said["input_name"]
    table.write_bytes(table.read_bytes().replace(b"plate.zarr/A/1/0", b"0"))
    said["outputs"]["0.objects.csv"] = sha256(table)
    record.write_text(json.dumps(signed(said)))
    assert replay(record, moved).same
