"""`--pixel-size`: a calibration that a user gives to files that have none, in results, tables and records."""

import csv
import json
from contextlib import ExitStack

import numpy as np
import pytest
import tifffile
import zarr

from unet2015.cli.app import main
from unet2015.errors import ImageValueError, UsageError
from unet2015.images import result_records
from unet2015.images.pixel_size import pixel_size
from unet2015.images.reader import open_image
from unet2015.metrics.object_folders import evaluate_objects
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.object_files import Opening
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings import TrainingSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training.checks.training_set import inspect_set

CALIBRATED = {"imagej": True, "resolution": (4, 4), "metadata": {"unit": "um", "axes": "ZYX", "spacing": 2}}


@pytest.fixture
def images(tmp_path, stack):
    """A file without a pixel size, and one with pixels of 0.25 µm."""
    tifffile.imwrite(tmp_path / "plain.tif", stack, photometric="minisblack", metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "known.tif", stack, **CALIBRATED)
    return tmp_path


def size_of(path):
    with open_image(path) as image:
        return pixel_size(image.calibration)


def first_row(path):
    with path.open(newline="") as file:
        return next(csv.DictReader(file))


@pytest.mark.parametrize("out", ["out", "o.zarr"])
def test_results_tables_and_records_have_what_is_given(images, model, out):
    options = SegmentOptions(pixel_size=(0.65, 0.5), objects=ObjectSettings())
    (result,) = segment_files([images / "plain.tif"], images / out, model, options)
    assert result.error is None
    for path in result.outputs:
        if path.suffix in (".tif", ".zarr"):
            assert size_of(path) == pytest.approx((0.65, 0.5))
    row = first_row(next(path for path in result.outputs if path.suffix == ".csv"))
    assert float(row["area_um2"]) == pytest.approx(int(row["area_px"]) * 0.65 * 0.5)
    (record,) = (*images.rglob("plain.record.json"), *images.rglob("o.record.json"))
    assert json.loads(record.read_text())["settings"]["pixel_size"] == [0.65, 0.5]
    assert replay(record).same
    before = result.outputs[0].stat().st_mtime_ns
    segment_files([images / "plain.tif"], images / out, model, options)
    assert result.outputs[0].stat().st_mtime_ns == before


def test_a_file_that_says_another_is_refused_unless_it_is_said_to_be_wrong(images, model):
    both = [images / "plain.tif", images / "known.tif"]
    plain, known = segment_files(both, images / "out", model, SegmentOptions(pixel_size=0.65))
    assert plain.error is None
    assert "known.tif: has pixels of 0.25 x 0.25 µm, but 0.65 x 0.65 µm was given" in str(known.error)
    (same,) = segment_files(both[1:], images / "same", model, SegmentOptions(pixel_size=0.25))
    assert same.error is None
    options = SegmentOptions(pixel_size=0.65, replace_pixel_size=True)
    (made,) = segment_files(both[1:], images / "new", model, options)
    with open_image(made.outputs[0]) as found:
        assert pixel_size(found.calibration) == pytest.approx((0.65, 0.65))
        assert found.calibration.z_spacing == pytest.approx(2)
    settings = json.loads((images / "new" / "known.record.json").read_text())["settings"]
    assert settings["replace_pixel_size"] is True


def test_label_and_measure_take_it(images):
    mask = np.zeros((20, 30), np.uint8)
    mask[3:9, 4:12] = 1
    tifffile.imwrite(images / "m.tif", mask)
    for command, out in ((["label"], "l"), (["measure"], "m")):
        with pytest.raises(SystemExit, match="0"):
            main([*command, str(images / "m.tif"), "-o", str(images / out), "--pixel-size", "0.5"])
        assert float(first_row(images / out / "m.objects.csv")["area_um2"]) == 12
        record = json.loads((images / out / "m.objects.record.json").read_text())
        assert record["pixel_size"] == [0.5, 0.5]
    assert size_of(images / "l" / "m.labels.tif") == pytest.approx((0.5, 0.5))
    (refused,) = measure_files(images / "l", images / "n", pixel_size=2)
    assert "0.5 x 0.5 µm, but 2 x 2 µm was given" in str(refused.error)
    (taken,) = measure_files(images / "l", images / "n", pixel_size=2, replace_pixel_size=True)
    assert taken.objects["total_area_um2"] == 192


@pytest.mark.parametrize("text", ["x", "1,2,3", "0", "-1", "nan", "inf", "1,0"])
def test_what_is_no_pixel_size_is_refused(images, capsys, text):
    with pytest.raises(SystemExit, match="2"):
        main(["measure", str(images / "known.tif"), "-o", str(images / "o"), "--pixel-size", text])
    assert "pixel" in capsys.readouterr().err
    assert not (images / "o").exists()


def test_to_replace_needs_a_pixel_size(images):
    with pytest.raises(UsageError, match="give pixel_size"):
        label_files(images / "known.tif", images / "o", replace_pixel_size=True)


@pytest.mark.parametrize(
    ("unit", "scale", "place", "said"),
    [
        ("nanometer", [0.5, 0.25, 0.25], {"Z": 3.0, "Y": 10.0, "X": 20.0}, []),
        ("furlong", [1.0, 0.25, 0.25], {}, ["its z spacing, 500, is in no", "its place along X, Y, Z is in"]),
        (None, [1.0, 0.25, 0.25], {}, ["its z spacing, 500, is in no", "its place along X, Y, Z is in"]),
    ],
)
def test_a_given_size_changes_all_lengths(tmp_path, stack, model, caplog, unit, scale, place, said):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    group.create_array("0", shape=stack.shape, dtype=stack.dtype, chunks=stack.shape)[...] = stack
    axes = [{"name": name, "type": "space"} | ({"unit": unit} if unit else {}) for name in "zyx"]
    steps = [{"type": "scale", "scale": [500, 200, 200]}]
    steps.append({"type": "translation", "translation": [3000, 10000, 20000]})
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    options = SegmentOptions(pixel_size=0.25, replace_pixel_size=True)
    (made,) = segment_files([tmp_path / "a.zarr"], tmp_path / "o", model, options)
    written = json.loads((made.outputs[0] / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    assert written["datasets"][0]["coordinateTransformations"][0]["scale"] == pytest.approx(scale)
    with open_image(made.outputs[0]) as found:
        assert found.origin == pytest.approx(place)
        assert found.calibration.unit == "micrometer"
    record = json.loads(next((tmp_path / "o").glob("*.record.json")).read_text())
    for note in said:
        assert note in caplog.text
        assert any(note in one for one in record["notes"])
    assert ("left out" in caplog.text) == bool(said)


@pytest.mark.parametrize(("unit", "kept"), [("minutes", "min"), ("frame", None)])
def test_an_interval_that_ome_cannot_name_is_said(tmp_path, stack, model, caplog, capsys, unit, kept):
    metadata = {"unit": "um", "axes": "TYX", "finterval": 2.5, "tunit": unit}
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, resolution=(4, 4), metadata=metadata)
    said = "its time interval, 2.5, is in frame, which OME-TIFF does not have: left out of the results"
    segment_files([tmp_path / "a.tif"], tmp_path / "o", model)
    assert said not in caplog.text, "ImageJ takes any"
    out = tmp_path / "r.ome.tif"
    segment_files([tmp_path / "a.tif"], out, model)
    assert (said in caplog.text) == (kept is None)
    assert (said in json.loads((tmp_path / "r.record.json").read_text())["notes"]) == (kept is None)
    with open_image(out) as found:
        assert (found.calibration.time_interval, found.calibration.time_unit) == (kept and 2.5, kept)
    caplog.clear()
    with pytest.raises(SystemExit, match="0"):
        main(["weights", str(tmp_path / "a.tif"), "-o", str(tmp_path / "w.ome.tif")])
    assert (said in capsys.readouterr().err) == (kept is None)
    caplog.clear()
    metadata = {"axes": "TYX", "TimeIncrement": 2.5, "TimeIncrementUnit": unit}
    tifffile.imwrite(tmp_path / "m.ome.tif", stack % 2, metadata=metadata, photometric="minisblack")
    assert label_files([tmp_path / "m.ome.tif"], tmp_path / "l")[0].error is None
    assert (said in caplog.text) == (kept is None)


@pytest.mark.parametrize(
    ("said", "refused", "noted"),
    [
        ({"PhysicalSizeX": 0.5}, "has pixels 0.5 µm wide, but 0.7 x 0.7 µm was given", None),
        ({"PhysicalSizeY": 500, "PhysicalSizeYUnit": "nm"}, "has pixels 0.5 µm high, but", None),
        ({"PhysicalSizeX": 0.7}, None, None),
        (dict.fromkeys(("PhysicalSizeX", "PhysicalSizeY"), 0.5), "has pixels of 0.5 x 0.5 µm", None),
        ({"PhysicalSizeX": 3, "PhysicalSizeXUnit": "pixel"}, None, "is in pixel, no known unit of length"),
    ],
)
def test_one_side_that_a_file_says_is_not_replaced_either(tmp_path, said, refused, noted):
    metadata = {"axes": "YX"} | said
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((5, 6), np.uint8), metadata=metadata)
    options = SegmentOptions(pixel_size=0.7)
    if refused:
        with pytest.raises(ImageValueError, match=refused):
            options.open(tmp_path / "a.ome.tif")
        options = SegmentOptions(pixel_size=0.7, replace_pixel_size=True)
    with options.open(tmp_path / "a.ome.tif") as image:
        assert pixel_size(image.calibration) == (0.7, 0.7)
        assert [note for note in image.notes if noted and noted in note] == [*image.notes]


SCREEN = 25_400 / 96


@pytest.mark.parametrize("flavour", ["imagej", "ome", "zarr"])
def test_a_size_that_was_given_is_known_of_the_results_though_it_is_a_screens(
    tmp_path, model, stack, flavour
):
    """In a header it is not believed: Bio-Formats writes it of any file. But here a user has said it."""
    path = tmp_path / {"imagej": "a.tif", "ome": "a.ome.tif", "zarr": "a.zarr"}[flavour]
    if flavour == "zarr":
        group = zarr.open_group(path, mode="w", zarr_format=2)
        group.create_array("0", shape=stack.shape, dtype=stack.dtype)[:] = stack
        axes = [{"name": name, "type": "space"} for name in "zyx"]
        scale = [{"type": "scale", "scale": [1, 1, 1]}]
        datasets = [{"path": "0", "coordinateTransformations": scale}]
        group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    else:
        metadata = {"axes": "ZYX"}
        tifffile.imwrite(path, stack, imagej=flavour == "imagej", metadata=metadata, photometric="minisblack")
    options = SegmentOptions(pixel_size=SCREEN, objects=ObjectSettings(), products=("classes", "probability"))
    (made,) = segment_files([path], tmp_path / "maps", model, options)
    area = made.objects["total_area_um2"]
    (counted,) = label_files([tmp_path / "maps"], tmp_path / "labels")
    assert counted.objects["total_area_um2"] == pytest.approx(area)
    for folder in ("maps", "labels"):
        (measured,) = measure_files(tmp_path / folder, tmp_path / f"{folder}-measured")
        assert measured.error is None
        assert measured.objects["total_area_um2"] == pytest.approx(area)
        assert "by its record pixels of 264.6 x 264.6 µm were given for it: they are taken" in measured.notes


def test_a_recorded_size_is_not_taken_for_what_was_changed_since(tmp_path, model, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    options = SegmentOptions(pixel_size=SCREEN, objects=ObjectSettings())
    segment_files([tmp_path / "a.tif"], tmp_path / "maps", model, options)
    labels = tmp_path / "maps" / "a.labels.tif"
    labels.write_bytes(labels.read_bytes() + b"\0")
    (measured,) = measure_files(labels, tmp_path / "m.csv")
    assert measured.error is None
    assert "total_area_um2" not in measured.objects


@pytest.fixture
def of_a_screen(tmp_path, model, stack):
    """Class map and labels of an image that is said to have pixels as large as those of a screen."""
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    options = SegmentOptions(pixel_size=SCREEN, objects=ObjectSettings())
    segment_files([tmp_path / "a.tif"], tmp_path / "maps", model, options)
    return tmp_path / "maps"


def test_inspect_takes_a_recorded_size_too(of_a_screen, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["inspect", str(of_a_screen / "a.labels.tif"), "--json"])
    assert ended.value.code == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["calibration"]["pixel_size_y"] == pytest.approx(SCREEN)
    assert "by its record pixels of 264.6 x 264.6 µm were given for it: they are taken" in facts["notes"]


@pytest.mark.parametrize(("size", "said"), [(SCREEN / 1000, True), (None, False)])
def test_evaluate_and_check_compare_a_recorded_size(of_a_screen, tmp_path, stack, caplog, size, said):
    labels = of_a_screen / "a.labels.tif"
    with open_image(labels) as image:
        pixels = np.stack([image.read(page, 0, image.height, 0, image.width)[0] for page in range(3)])
    units = {} if size is None else dict.fromkeys(("PhysicalSizeX", "PhysicalSizeY"), size)
    for name, values in (("truth", pixels), ("image", stack)):
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", values, metadata={"axes": "ZYX"} | units)
    evaluate_objects(tmp_path / "truth.ome.tif", labels)
    differ = "declares pixels of 264.6 x 264.6 µm, but its truth has 0.2646 x 0.2646 µm"
    assert (differ in caplog.text) == said
    found = inspect_set([(tmp_path / "image.ome.tif", labels)], TrainingSettings()).problems
    assert any("declares pixels of 264.6 x 264.6 µm" in one.message for one in found) == said


def test_opening_labels_reads_their_record_once_for_name_and_size(of_a_screen, monkeypatch):
    read, really = [], result_records.find_record
    monkeypatch.setattr(result_records, "find_record", lambda *place: read.append(place) or really(*place))
    path, opening = of_a_screen / "a.labels.tif", Opening()
    with ExitStack() as stack:
        image = opening.open(path, stack, lambda _path, _note: None)
        assert pixel_size(image.calibration) == pytest.approx((SCREEN, SCREEN))
    assert image.title == opening.titles[path] == "a.labels.tif"
    assert len(read) == 1
