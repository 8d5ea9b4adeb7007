"""Regions and previews of objects are results like the others: published, repeated and resumed with them."""

import csv
import json

import imagecodecs
import numpy as np
import pytest
import roifile
import tifffile
from pyarrow import parquet

from unet2015.errors import ImageReadError, UsageError
from unet2015.images.reader import read_pages
from unet2015.objects import regions
from unet2015.objects import table as table_module
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.jobs import find_inputs
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings.objects import ObjectSettings
from unet2015.tiling import plan as plan_module

OBJECTS = ObjectSettings(smallest=3, fill_holes=False)
VIEWS = ("parquet", "imagej", "geojson", "overlay")
ENDS = (".objects.parquet", ".rois.zip", ".geojson", ".overlay.png")
OPTIONS = SegmentOptions(objects=OBJECTS, views=VIEWS)


def test_views_are_written_beside_labels_and_table(tmp_path, model, stack_file):
    (result,) = segment_files([stack_file], tmp_path / "out", model, OPTIONS)
    assert result.error is None
    assert [path.name for path in result.outputs[2:]] == [
        "stack.objects.csv",
        *(f"stack{end}" for end in ENDS),
    ]
    labels = read_pages(result.outputs[1])
    objects = sum(int(page.max()) for page in labels)
    found = roifile.roiread(result.outputs[4])
    assert len(found) == objects == result.objects["objects"]
    assert {region.position for region in found} == {1, 2, 3}
    features = json.loads(result.outputs[5].read_text())["features"]
    assert len(features) == objects
    total = sum(feature["properties"]["measurements"]["area_px"] for feature in features)
    assert total == result.objects["total_area_px"]
    shown = imagecodecs.png_decode(result.outputs[6].read_bytes())
    assert shown.shape == (*labels[0].shape, 3)
    coloured = (shown != shown[..., :1]).any(axis=2)
    assert coloured.any()
    assert (labels[0][coloured] > 0).all()


def test_views_of_an_ome_zarr_image_lie_beside_it(tmp_path, model, stack_file):
    for name in ("a.tif", "b.zarr"):
        (result,) = segment_files([stack_file], tmp_path / name, model, OPTIONS)
        assert result.error is None
    assert [path.name for path in result.outputs] == ["b.zarr", "b.objects.csv", *(f"b{end}" for end in ENDS)]
    for end in ENDS[1:]:
        assert (tmp_path / f"a{end}").read_bytes() == (tmp_path / f"b{end}").read_bytes()
    rows, others = (parquet.read_table(tmp_path / f"{name}{ENDS[0]}") for name in "ab")
    assert rows == others
    assert replay(tmp_path / "b.record.json").same


def test_a_record_with_views_is_replayed(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path / "out", model, OPTIONS)
    record = tmp_path / "out" / "stack.record.json"
    found = replay(record)
    assert found.same
    assert list(found.outputs)[3:] == [f"stack{end}" for end in ENDS]
    said = json.loads(record.read_text())
    for wrong in ("imagej", ["overlays"], 3, None, [1]):
        said["settings"]["views"] = wrong
        record.write_text(json.dumps(said))
        with pytest.raises(ImageReadError, match="expected the record of a segmentation"):
            replay(record)


def test_a_killed_run_ends_with_the_same_bytes(tmp_path, model, stack_file, monkeypatch):
    monkeypatch.setattr(plan_module, "PART_PIXELS", 5000)
    segment_files([stack_file], tmp_path / "whole", model, OPTIONS)
    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(regions, "_measures", lambda table, row: {}[row])
        patch.setattr("unet2015.segmentation.run.failure_of", interrupt)
        with pytest.raises(KeyboardInterrupt):
            segment_files([stack_file], broken, model, OPTIONS)
    assert not [path for path in broken.iterdir() if not path.name.startswith(".")]
    (result,) = segment_files([stack_file], broken, model, OPTIONS)
    assert result.error is None
    for path in result.outputs:
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()
    assert not [path for path in broken.iterdir() if path.name.startswith(".")]


def interrupt(*_):
    raise KeyboardInterrupt


def test_previews_are_no_inputs_of_the_next_run(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path, model, OPTIONS)
    assert (tmp_path / "stack.overlay.png").exists()
    assert find_inputs([tmp_path]) == [stack_file]


def test_other_views_are_made_with_a_new_record(tmp_path, model, stack_file):
    out = tmp_path / "out"
    segment_files([stack_file], out, model, SegmentOptions(objects=OBJECTS))
    assert not [path for path in out.iterdir() if path.name.endswith(ENDS)]
    (result,) = segment_files([stack_file], out, model, SegmentOptions(objects=OBJECTS, views=("overlay",)))
    assert [path.name for path in result.outputs][3:] == ["stack.overlay.png"]
    assert json.loads((out / "stack.record.json").read_text())["settings"]["views"] == ["overlay"]


def test_views_are_ordered_and_checked():
    options = SegmentOptions(objects=OBJECTS, views=("overlay", "imagej", "overlay"))
    assert options.views == ("imagej", "overlay")
    assert SegmentOptions.from_record(options.as_record(None)) == options
    assert "views" not in SegmentOptions(objects=OBJECTS).as_record(None)
    with pytest.raises(
        UsageError, match="views of objects are parquet, imagej, geojson, overlay, not 'qupath'"
    ):
        SegmentOptions(objects=OBJECTS, views=("qupath",))
    with pytest.raises(UsageError, match="none are wanted"):
        SegmentOptions(views=("overlay",))


def test_without_roifile_nothing_is_begun(tmp_path, model, stack_file, monkeypatch):
    monkeypatch.setattr(regions, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="need roifile"):
        segment_files([stack_file], tmp_path / "out", model, OPTIONS)
    assert not (tmp_path / "out").exists()
    without = SegmentOptions(objects=OBJECTS, views=("geojson", "overlay"))
    (result,) = segment_files([stack_file], tmp_path / "out", model, without)
    assert result.error is None


def test_parquet_has_the_rows_of_csv_for_each_image_and_for_the_run(tmp_path, model, stack_file):
    tifffile.imwrite(tmp_path / "empty.tif", np.zeros((70, 70), np.uint8))
    out, options = tmp_path / "out", SegmentOptions(objects=OBJECTS, views=("parquet",))
    results = segment_files([stack_file, tmp_path / "empty.tif"], out, model, options)
    assert [result.error for result in results] == [None, None]
    names = ["stack.objects", "empty.objects", "objects"]
    tables = {name: parquet.read_table(out / f"{name}.parquet") for name in names}
    for name, table in tables.items():
        with (out / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [{column: str(value) for column, value in row.items()} for row in table.to_pylist()] == rows
        assert table.column_names == list(csv_header(out / f"{name}.csv"))
    assert len(tables["objects"]) == sum(result.objects["objects"] for result in results) > 0
    for name, table in tables.items():  # also where there is no object
        assert {field.type for field in table.schema} == {field.type for field in tables["objects"].schema}, (
            name
        )
    assert replay(out / "stack.record.json").same
    before = (out / "objects.parquet").read_bytes()
    segment_files([stack_file, tmp_path / "empty.tif"], out, model, options)
    assert (out / "objects.parquet").read_bytes() == before
    (out / "objects.parquet").write_bytes(b"mine")
    segment_files([stack_file, tmp_path / "empty.tif"], out, model, options)
    assert (out / "objects.parquet").read_bytes() == b"mine"


def csv_header(path):
    with path.open(newline="") as file:
        return next(csv.reader(file))


def test_without_pyarrow_nothing_is_begun(tmp_path, model, stack_file, monkeypatch):
    monkeypatch.setattr(table_module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs pyarrow: pip install 'unet2015\[tables\]'"):
        segment_files([stack_file], tmp_path / "out", model, OPTIONS)
    assert not (tmp_path / "out").exists()


def test_labels_are_shown_in_colours_by_imagej(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path / "out", model, OPTIONS)
    with tifffile.TiffFile(tmp_path / "out" / "stack.labels.tif") as tif:
        assert tif.imagej_metadata["max"] == 255
        assert np.shape(tif.pages[0].tags[320].value) == (3, 256)
    with tifffile.TiffFile(tmp_path / "out" / "stack.classes.tif") as tif:
        assert (tif.imagej_metadata["min"], tif.imagej_metadata["max"]) == (0, 1)


@pytest.mark.parametrize(("options", "times"), [({"pyramid": True}, 1), ({"tiled": True}, 1), ({}, 0)])
def test_what_imagej_cannot_open_by_itself_is_said_once(
    tmp_path, model, stack, stack_file, caplog, options, times
):
    tifffile.imwrite(tmp_path / "plain.tif", stack, photometric="minisblack")
    segment_files([stack_file, tmp_path / "plain.tif"], tmp_path / "out", model, SegmentOptions(**options))
    said = "which ImageJ opens with Bio-Formats alone"
    assert caplog.text.count(f"{said}\n") == times
    assert caplog.text.count(f"{said} (and 1 more file)") == times
