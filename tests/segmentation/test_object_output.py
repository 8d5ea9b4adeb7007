"""Objects of segmentations: those of the finished maps, whatever the tiles, workers and kills."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from unet2015.errors import UsageError
from unet2015.images.reader import open_image, read_pages
from unet2015.models import load_model
from unet2015.objects.instances import Markers, label_objects
from unet2015.safe_files import signed
from unet2015.safe_files.writing import temporary_name
from unet2015.segmentation import joined_results
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.tiling import plan as plan_module

OBJECTS = ObjectSettings(smallest=3)


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.setattr(plan_module, "PART_PIXELS", 5000)


@pytest.mark.parametrize("markers", [None, MarkerSettings(level=0.6, blur=1)])
def test_labels_are_the_objects_of_the_probability_map(tmp_path, model, stack_file, markers):
    objects = ObjectSettings(smallest=3, markers=markers)
    options = SegmentOptions(products=("probability",), objects=objects)
    (result,) = segment_files([stack_file], tmp_path / "out", model, options)
    assert result.error is None
    names = ["stack.classes.tif", "stack.probability.tif", "stack.labels.tif", "stack.objects.csv"]
    assert [path.name for path in result.outputs] == names
    maps, labels = read_pages(result.outputs[1]), read_pages(result.outputs[2])
    assert labels.dtype == np.uint16
    by_hand = None if markers is None else Markers(markers.level, markers.blur)
    for page, found in zip(maps, labels, strict=True):
        assert np.array_equal(found, label_objects(page, 0.5, smallest=3, markers=by_hand))
    with result.outputs[3].open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(int(page.max()) for page in labels) > 0
    raw = read_pages(stack_file)
    for row in rows:
        here = labels[int(row["page"])] == int(row["label"])
        assert int(row["area_px"]) == here.sum()
        assert float(row["intensity_mean"]) == pytest.approx(raw[int(row["page"])][here].mean())
        assert float(row["probability_mean"]) == pytest.approx(maps[int(row["page"])][here].mean(), rel=1e-6)
    record = json.loads((tmp_path / "out" / "stack.record.json").read_text())
    assert record["objects"]["objects"] == len(rows)
    assert record["settings"]["objects"]["smallest"] == 3


@pytest.mark.parametrize(
    ("given", "objects", "at"),
    [
        (None, ObjectSettings(), 0.52),  # the model's own for objects
        (0.48, ObjectSettings(), 0.48),  # that of the caller is for all
        (0.48, ObjectSettings(threshold=0.51), 0.51),
        (None, ObjectSettings(threshold=0.51), 0.51),
    ],
)
def test_the_threshold_of_objects_is_the_caller_s_or_the_model_s(
    tmp_path, model, stack_file, given, objects, at
):
    loaded = load_model(model)
    info = loaded.info.model_copy(update={"objects": ObjectSettings(threshold=0.52, smallest=2)})
    options = SegmentOptions(products=("probability",), objects=objects, threshold=given)
    (result,) = segment_files([stack_file], tmp_path / "out", replace(loaded, info=info), options)
    assert result.error is None
    classes, maps, labels = (read_pages(path) for path in result.outputs[:3])
    assert np.array_equal(classes == 1, maps > np.float32(0.5 if given is None else given))
    for page, found in zip(maps, labels, strict=True):
        assert np.array_equal(found, label_objects(page, at, smallest=2))


def test_the_probability_map_is_only_kept_where_it_is_wanted(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path / "out", model, SegmentOptions(objects=OBJECTS))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    results = {"stack.classes.tif", "stack.labels.tif", "stack.objects.csv", "stack.record.json"}
    assert names == results | {"objects.csv", "objects.record.json"}


def test_a_replay_names_the_image_in_the_table_as_it_was_named(tmp_path, model, stack_file):
    (tmp_path / "link.tif").symlink_to(stack_file)
    options = SegmentOptions(objects=ObjectSettings(), device="cpu")
    for image in (stack_file, tmp_path / "link.tif"):
        segment_files([image], tmp_path / "out", model, options)
    moved = stack_file.rename(tmp_path / "moved.tif")
    for name in ("stack", "link"):
        assert replay(tmp_path / "out" / f"{name}.record.json", moved).same
    record = tmp_path / "out" / "stack.record.json"
    whole = json.loads(record.read_text())
    for odd in ("", ".", "a/b", "/"):  # as nobody writes them
        record.write_text(json.dumps(signed(whole | {"input_name": odd})))
        replay(record, moved)


def test_a_record_with_objects_is_replayed(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path / "out", model, SegmentOptions(objects=OBJECTS))
    found = replay(tmp_path / "out" / "stack.record.json")
    assert found.same
    assert list(found.outputs) == ["stack.classes.tif", "stack.labels.tif", "stack.objects.csv"]


def test_what_is_done_is_not_done_again_and_other_settings_are_done_anew(tmp_path, model, stack_file):
    out = tmp_path / "out"
    segment_files([stack_file], out, model, SegmentOptions(objects=OBJECTS))
    before = (out / "stack.labels.tif").stat().st_mtime_ns
    segment_files([stack_file], out, model, SegmentOptions(objects=OBJECTS))
    assert (out / "stack.labels.tif").stat().st_mtime_ns == before
    segment_files([stack_file], out, model, SegmentOptions(objects=ObjectSettings(smallest=30)))
    assert (out / "stack.labels.tif").stat().st_mtime_ns > before
    assert read_pages(out / "stack.labels.tif").max() < read_pages(out / "stack.classes.tif").size


def test_a_record_without_objects_says_what_it_always_said():
    said = SegmentOptions().as_record(0.5)
    assert "objects" not in said
    assert SegmentOptions.from_record(said) == SegmentOptions(threshold=0.5)
    with_objects = SegmentOptions(objects=OBJECTS)
    assert SegmentOptions.from_record(with_objects.as_record(None)) == with_objects


def test_of_several_classes_one_must_be_chosen(tmp_path, make_model, stack_file):
    model = make_model(tmp_path / "three.safetensors", classes=3)
    with pytest.raises(UsageError, match=r"which one objects are: 1 \(b\), 2 \(c\)"):
        segment_files([stack_file], tmp_path / "out", model, SegmentOptions(objects=OBJECTS))
    with pytest.raises(UsageError, match="objects of class 3 are wanted"):
        segment_files(
            [stack_file], tmp_path / "out", model, SegmentOptions(objects=ObjectSettings(of_class=3))
        )
    assert not (tmp_path / "out").exists()
    options = SegmentOptions(objects=ObjectSettings(of_class=2))
    (result,) = segment_files([stack_file], tmp_path / "out", model, options)
    classes, labels = read_pages(result.outputs[0]), read_pages(result.outputs[1])
    for page, found in zip(classes, labels, strict=True):
        assert np.array_equal(found, label_objects((page == 2).astype(np.float32), 0.5))


def test_the_label_image_has_axes_and_pixel_size_of_the_input(tmp_path, model, stack):
    path = tmp_path / "t.tif"
    tifffile.imwrite(path, stack, imagej=True, resolution=(2, 2), metadata={"axes": "TYX", "unit": "um"})
    segment_files([path], tmp_path / "out", model, SegmentOptions(objects=OBJECTS))
    with tifffile.TiffFile(tmp_path / "out" / "t.labels.tif") as tif:
        assert tif.imagej_metadata["frames"] == 3
        assert tif.imagej_metadata["unit"] == "um"
    header = (tmp_path / "out" / "t.objects.csv").read_text().splitlines()[0]
    assert "area_um2" in header


def test_a_run_has_one_table_of_all_files(tmp_path, model, stack, caplog):
    caplog.set_level("INFO", "unet2015")
    folder = tmp_path / "in"
    folder.mkdir()
    for name, count in (("a", 1), ("b", 2)):
        kwargs = {"imagej": True, "resolution": (2, 2), "metadata": {"unit": "um"}} if name == "b" else {}
        tifffile.imwrite(folder / f"{name}.tif", stack[:count], photometric="minisblack", **kwargs)
    (folder / "c.tif").write_bytes(b"II*\0")
    out = tmp_path / "out"
    results = segment_files([folder], out, model, SegmentOptions(objects=OBJECTS, axes="IYX"))
    assert [bool(result.error) for result in results] == [False, False, True]
    assert [result.objects["objects"] > 0 for result in results[:2]] == [True, True]
    with (out / "objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    counts = [result.objects["objects"] for result in results[:2]]
    assert len(rows) == sum(counts)
    said = f"{sum(counts)} objects in 2 images, {min(counts)} to {max(counts)} an image; all in {out}"
    assert f"{said}/objects.csv" in caplog.text
    assert {row["image"]: bool(row["area_um2"]) for row in rows} == {"a.tif": False, "b.tif": True}
    again = segment_files([folder], out, model, SegmentOptions(objects=OBJECTS, axes="IYX"))
    assert [result.objects for result in again] == [result.objects for result in results]


@pytest.mark.parametrize("mine", ["mine", "image,page,label,area_px,comment\n"])
def test_a_table_that_somebody_else_wrote_stays(tmp_path, model, stack_file, mine):
    out = tmp_path / "out"
    out.mkdir()
    (out / "objects.csv").write_text(mine)
    result, table = segment_files([stack_file], out, model, SegmentOptions(objects=OBJECTS))
    assert result.error is None
    assert (out / "objects.csv").read_text() == mine
    assert "objects.csv: exists, and no record beside it says that this program made it" in str(table.error)


def test_a_table_with_somebody_s_notes_stays(tmp_path, model, stack_file):
    out = tmp_path / "out"
    segment_files([stack_file], out, model, SegmentOptions(objects=OBJECTS))
    with (out / "objects.csv").open("a") as file:
        file.write("my note\n")
    _, table = segment_files([stack_file], out, model, SegmentOptions(objects=ObjectSettings(smallest=9)))
    assert (out / "objects.csv").read_text().endswith("my note\n")
    assert "was changed after this program made it" in str(table.error)


def test_a_table_that_came_meanwhile_stays(tmp_path, model, stack_file, monkeypatch):
    out, joined = tmp_path / "out", joined_results.join_tables

    def late(path, *more):
        path.write_text("mine")  # after the first look
        joined(path, *more)

    monkeypatch.setattr(joined_results, "join_tables", late)
    result, table = segment_files([stack_file], out, model, SegmentOptions(objects=OBJECTS))
    assert result.error is None
    assert (out / "objects.csv").read_text() == "mine"
    assert "so it is not replaced" in str(table.error)


def test_what_a_killed_run_left_of_the_table_of_a_run_is_removed(tmp_path, model, stack_file):
    (tmp_path / "out").mkdir()
    half = [temporary_name(tmp_path / "out" / name) for name in ("objects.csv", "objects.record.json")]
    for path in half:
        path.write_text("half")
    segment_files([stack_file], tmp_path / "out", model, SegmentOptions(objects=OBJECTS))
    assert not any(path.exists() for path in half)


def zarr_labels(path):
    import zarr

    return zarr.open_array(path / "labels" / "labels" / "0", mode="r")[:]


@pytest.mark.parametrize("tile", [68])
def test_ome_zarr_holds_the_labels_beside_the_class_map(tmp_path, model, stack_file, parts, tile):
    options = SegmentOptions(tile=tile, objects=OBJECTS)
    (result,) = segment_files([stack_file], tmp_path / "out.zarr", model, options)
    assert result.error is None
    assert [path.name for path in result.outputs] == ["out.zarr", "out.objects.csv"]
    with open_image(tmp_path / "out.zarr") as probability:
        found = zarr_labels(tmp_path / "out.zarr")
        assert found.dtype == np.uint16
        for page in range(3):
            values = probability.read(page, 0, 61, 0, 75)[0]
            assert np.array_equal(found[page], label_objects(values, 0.5, smallest=3))
    with open_image(tmp_path / "out.zarr" / "labels" / "labels") as labels:
        assert (labels.pages, labels.height, labels.width) == (3, 61, 75)
    assert replay(tmp_path / "out.record.json").same
    group = json.loads((tmp_path / "out.zarr" / "labels" / "zarr.json").read_text())
    assert group["attributes"]["ome"]["labels"] == ["classes", "labels"]


def test_tiff_and_ome_zarr_have_the_same_labels_and_tables(tmp_path, model, stack_file):
    for name in ("a.tif", "b.zarr"):
        segment_files([stack_file], tmp_path / name, model, SegmentOptions(objects=OBJECTS))
    assert np.array_equal(read_pages(tmp_path / "a.labels.tif"), zarr_labels(tmp_path / "b.zarr"))
    assert (tmp_path / "a.objects.csv").read_bytes() == (tmp_path / "b.objects.csv").read_bytes()


@pytest.mark.parametrize("wanted", ["uint16", "uint32"])
@pytest.mark.parametrize("name", ["out", "out.zarr"])
def test_a_type_of_labels_can_be_asked_for(tmp_path, model, stack_file, wanted, name):
    options = SegmentOptions(objects=OBJECTS, label_type=wanted)
    (result,) = segment_files([stack_file], tmp_path / name, model, options)
    assert result.error is None
    found = zarr_labels(tmp_path / name) if name.endswith("zarr") else read_pages(result.outputs[1])
    assert found.dtype == wanted
    assert found.max() > 0
    assert SegmentOptions.from_record(options.as_record(None)) == options
    assert replay(next(tmp_path.rglob("*.record.json" if "." in name else "stack.record.json"))).same


def test_more_objects_than_the_asked_type_can_number_are_refused(tmp_path, caplog):
    page = np.zeros((2, 514, 512), np.uint8)
    page[0, :4, :4] = page[1, ::2, ::2] = 1  # 257 * 256 = 65,792 on page 1
    tifffile.imwrite(tmp_path / "a.tif", page, imagej=True, metadata={"axes": "ZYX"})
    (result,) = label_files([tmp_path / "a.tif"], tmp_path / "out", label_type="uint16")
    said = f"{tmp_path / 'a.tif'}: page 1 has 65792 objects, but labels of uint16 go to 65535"
    assert said in str(result.error)
    assert list((tmp_path / "out").iterdir()) == []
    (result,) = label_files([tmp_path / "a.tif"], tmp_path / "out")
    assert read_pages(result.outputs[0]).dtype == np.uint32


def test_a_type_of_labels_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected uint16 or uint32, got 'uint8'"):
        SegmentOptions(objects=OBJECTS, label_type="uint8")
    with pytest.raises(UsageError, match="no objects are wanted"):
        SegmentOptions(label_type="uint16")
    with pytest.raises(UsageError, match="expected uint16 or uint32"):
        label_files([tmp_path / "a.tif"], tmp_path / "out", label_type="int16")


@pytest.mark.parametrize("out", ["r.tif", "r.zarr"])
def test_an_image_without_any_object_has_an_empty_table_and_can_be_labelled_again(
    tmp_path, model, stack_file, out
):
    options = SegmentOptions(objects=ObjectSettings(), threshold=1.0)
    (result,) = segment_files([stack_file], tmp_path / out, model, options)
    assert result.error is None
    assert len((tmp_path / "r.objects.csv").read_text().splitlines()) == 1
    label_files([tmp_path / out], tmp_path / "again")
    assert len((tmp_path / "again" / "r.objects.csv").read_text().splitlines()) == 1
