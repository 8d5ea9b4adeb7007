"""Regions and previews of objects are results like the others: published, repeated and resumed with them."""

import csv
import json
from dataclasses import replace

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
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings.objects import ObjectSettings
from unet2015.tiling import plan as plan_module

OBJECTS = ObjectSettings(smallest=3, fill_holes=False)
VIEWS = ("parquet", "imagej", "geojson", "overlay", "overlay-jpeg")
ENDS = (".objects.parquet", ".rois.zip", ".geojson", ".overlay.png", ".overlay.jpg")
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
    jpeg = imagecodecs.jpeg8_decode(result.outputs[7].read_bytes())
    assert np.abs(jpeg.astype(int) - shown).mean() < 6


def test_label_makes_the_same_of_the_maps(tmp_path, model, stack_file, caplog):
    """Byte for byte: labels, table and views; with the image, as the segmentation had it."""
    options = replace(OPTIONS, products=("probability",))
    (made,) = segment_files([stack_file], tmp_path / "out", model, options)
    out, again = tmp_path / "out", tmp_path / "again"
    (labelled,) = label_files([out], again, OBJECTS, views=VIEWS[::-1], images=stack_file)
    assert labelled.error is None
    assert [path.name for path in labelled.outputs] == [path.name for path in made.outputs[2:]]
    for path in labelled.outputs:
        if path.suffix not in (".csv", ".parquet"):  # which name the file that was labelled
            assert path.read_bytes() == (out / path.name).read_bytes(), path.name
    tables = [csv_rows(folder / "stack.objects.csv") for folder in (out, again)]
    for row, other in zip(*tables, strict=True):
        assert (row.pop("image"), other.pop("image")) == ("stack.tif", "stack.probability.tif")
        assert row == other
    before = {path: path.stat().st_mtime_ns for path in again.iterdir()}
    (again / "stack.overlay.png").write_bytes(b"mine")
    (refused,) = label_files([out], again, OBJECTS, views=VIEWS, images=stack_file)
    assert "stack.overlay.png" in str(refused.error)
    kept = {path: path.stat().st_mtime_ns for path in before if path.name != "stack.overlay.png"}
    assert kept == {path: before[path] for path in kept}


def test_without_images_the_maps_are_shown(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path / "out", model, replace(OPTIONS, objects=None, views=()))
    (labelled,) = label_files([tmp_path / "out"], tmp_path / "again", OBJECTS, views=["overlay"])
    shown = imagecodecs.png_decode(labelled.outputs[2].read_bytes())
    gray = shown[(shown == shown[..., :1]).all(axis=2)][:, 0]
    assert set(gray.tolist()) <= {0, 255}  # a class map of two classes
    other = tmp_path / "x" / "another-2.tif"
    other.parent.mkdir()
    for path in (other, other.with_name("another-3.tif")):
        tifffile.imwrite(path, read_pages(stack_file), photometric="minisblack")
    (failed,) = label_files([tmp_path / "out"], tmp_path / "more", OBJECTS, images=other.parent)
    assert "no image of" in str(failed.error)
    assert not list((tmp_path / "more").iterdir())


def test_views_that_there_are_not_are_refused(tmp_path, model, stack_file, monkeypatch):
    segment_files([stack_file], tmp_path / "out", model)
    with pytest.raises(UsageError, match="views of objects are parquet, imagej"):
        label_files([tmp_path / "out"], tmp_path / "again", views=["rois"])
    monkeypatch.setattr(regions, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="need roifile"):
        label_files([tmp_path / "out"], tmp_path / "again", views=["imagej"])
    assert not (tmp_path / "again").exists()


def csv_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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
    record.write_text(json.dumps({key: value for key, value in said.items() if key != "model"}))
    with pytest.raises(ImageReadError, match=r"record of a segmentation.*it does not say model$"):
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
        UsageError, match="views of objects are parquet, imagej, geojson, overlay, overlay-jpeg, not 'qupath'"
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


CALIBRATED = {"resolution": (4, 4), "imagej": True, "metadata": {"unit": "um"}}
IN_PIXELS = (
    "no pixel size in a known unit of length, so that the table is in pixels alone; --pixel-size gives one"
)


@pytest.mark.parametrize(
    ("labels", "image"), [({}, {}), (CALIBRATED, {}), ({}, CALIBRATED), (CALIBRATED,) * 2]
)
def test_a_table_without_micrometres_says_so_once(tmp_path, model, stack, caplog, labels, image):
    for number in range(2):
        tifffile.imwrite(tmp_path / f"{number}.tif", stack[0], photometric="minisblack", **labels)
        (tmp_path / "images").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "images" / f"{number}.tif", stack[0], photometric="minisblack", **image)
    inputs = [tmp_path / "0.tif", tmp_path / "1.tif"]
    once = [] if labels else [IN_PIXELS, f"{IN_PIXELS} (and 1 more file)"]

    def said():
        found = [message.partition(": ")[2] for message in caplog.messages if IN_PIXELS in message]
        caplog.clear()
        return found

    segment_files(inputs, tmp_path / "out", model, SegmentOptions(objects=OBJECTS))
    assert said() == once
    label_files([tmp_path / "out"], tmp_path / "counted", OBJECTS)
    assert said() == once
    measure_files(tmp_path / "counted", tmp_path / "measures")
    assert said() == once
    measure_files(tmp_path / "counted", tmp_path / "measures", tmp_path / "images")
    assert said() == ([] if image else once)  # else it says that the image has one


def test_a_table_without_perimeters_in_micrometres_says_so_once(tmp_path, model, stack, caplog):
    for number in range(2):
        flat = CALIBRATED | {"resolution": (4, 2)}
        tifffile.imwrite(tmp_path / f"{number}.tif", stack[0], photometric="minisblack", **flat)
    note = (
        "height and width of a pixel differ by more than 1 %, so that perimeter_um is empty; all other "
        "columns in µm are there"
    )
    commands = [
        lambda: segment_files(
            [tmp_path / "0.tif", tmp_path / "1.tif"],
            tmp_path / "out",
            model,
            SegmentOptions(objects=OBJECTS),
        ),
        lambda: label_files([tmp_path / "out"], tmp_path / "counted", OBJECTS),
        lambda: measure_files(tmp_path / "counted", tmp_path / "measures"),
    ]
    for command in commands:
        results = command()
        assert [note in result.notes for result in results] == [True, True]
        said = [message.partition(": ")[2] for message in caplog.messages if note in message]
        assert said == [note, f"{note} (and 1 more file)"]
        caplog.clear()


def test_views_and_tables_of_an_earlier_label_are_said(tmp_path, model, stack_file, caplog):
    segment_files([stack_file], tmp_path / "maps", model, SegmentOptions(products=("probability",)))
    for views in (("parquet", "imagej", "overlay"), ()):
        caplog.clear()
        label_files([tmp_path / "maps"], tmp_path / "labels", views=views)
        (tmp_path / "labels" / "stack.geojson").write_text("of somebody else")
        said = [
            "with other settings, and kept: stack.objects.parquet, stack.rois.zip, stack.overlay.png\n",
            "objects.parquet: of an earlier run, and kept; the objects of this one are in",
        ]
        assert [text in caplog.text for text in said] == [not views] * 2


def test_tables_of_an_earlier_measure_are_said(tmp_path, model, stack_file, caplog):
    segment_files([stack_file], tmp_path / "out", model, SegmentOptions(objects=OBJECTS))
    for as_parquet in (True, False):
        caplog.clear()
        measure_files(tmp_path / "out", tmp_path / "m", parquet=as_parquet)
        said = (
            f"stack.objects.parquet is of an earlier run, and kept; the objects of this one are in {tmp_path}"
        )
        assert (
            said.replace(str(tmp_path), str(tmp_path / "m" / "stack.objects.csv")) in caplog.text
        ) != as_parquet


def test_labels_of_another_form_and_tables_of_others_are_told_apart(tmp_path, model, stack_file, caplog):
    """Labels are OME-TIFF or not by the map; a file that no record names is of nobody's run."""
    segment_files([stack_file], tmp_path / "maps", model, SegmentOptions(products=("probability",)))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "objects.parquet").write_text("of somebody else")
    plain = tmp_path / "maps" / "stack.probability.tif"
    ome = plain.with_name("stack.probability.ome.tif")
    tifffile.imwrite(ome, tifffile.imread(plain), metadata={"axes": "ZYX"})
    for path in (ome, plain):
        caplog.clear()
        (result,) = label_files([path], tmp_path / "labels")
        assert result.error is None
        assert ("and kept: stack.labels.ome.tif\n" in caplog.text) == (path == plain)
        assert "objects.parquet" not in caplog.text
        ome.unlink(missing_ok=True)
