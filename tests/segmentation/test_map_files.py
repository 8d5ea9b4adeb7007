"""Objects of existing maps, and measures of existing labels."""

import csv
import json
import shutil

import numpy as np
import ome_zarr_models
import ome_zarr_models.v05
import pytest
import tifffile
import zarr
from skimage.measure import regionprops_table

from unet2015.cli.app import app
from unet2015.errors import DataSetError, ImageWriteError, UsageError
from unet2015.images.reader import read_pages
from unet2015.metrics import evaluate_objects, evaluate_pixels
from unet2015.models.model_file import read_model_file, save_model
from unet2015.objects.instances import label_objects
from unet2015.safe_files import temporary_name
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.jobs import find_inputs
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import MarkerSettings, ObjectSettings


def blobs(pages=2, seed=0):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((pages, 50, 64)), (0, 2, 2))
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


@pytest.fixture
def maps(tmp_path):
    folder = tmp_path / "maps"
    folder.mkdir()
    tifffile.imwrite(
        folder / "a.probability.tif", blobs(), metadata={"axes": "TYX"}, photometric="minisblack"
    )
    return folder


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_label_does_what_segment_does(tmp_path, model, stack_file):
    settings = ObjectSettings(smallest=4, markers=MarkerSettings(level=0.6, blur=1))
    options = SegmentOptions(products=("probability",), objects=settings, threshold=0.45)
    segment_files([stack_file], tmp_path / "out", model, options)
    (result,) = label_files([tmp_path / "out"], tmp_path / "again", settings)
    assert result.error is None
    assert [path.name for path in result.outputs] == ["stack.labels.tif", "stack.objects.csv"]
    for name in ("out", "again"):
        assert (tmp_path / name / "stack.labels.tif").exists()
    assert np.array_equal(*(read_pages(tmp_path / name / "stack.labels.tif") for name in ("out", "again")))


def test_the_threshold_is_that_of_the_options_the_record_or_a_half(maps, tmp_path, caplog):
    values = read_pages(maps / "a.probability.tif")
    label_files([maps], tmp_path / "half")
    assert "0.5 is taken" in caplog.text
    label_files([maps], tmp_path / "given", ObjectSettings(threshold=0.6))
    for name, threshold in (("half", 0.5), ("given", 0.6)):
        found = read_pages(tmp_path / name / "a.labels.tif")
        assert np.array_equal(found[0], label_objects(values[0], threshold))
        record = json.loads((tmp_path / name / "a.labels.record.json").read_text())
        assert record["settings"]["threshold"] == threshold


def test_a_class_map_of_one_class_or_a_mask_needs_no_more(tmp_path):
    mask = (blobs() > 0.5).astype(np.uint8) * 255
    tifffile.imwrite(tmp_path / "m.tif", mask, metadata={"axes": "TYX"}, photometric="minisblack")
    (result,) = label_files([tmp_path / "m.tif"], tmp_path / "out")
    found = read_pages(result.outputs[0])
    assert np.array_equal(found[0], label_objects(mask[0] / 255, 0.5))
    assert "probability_mean" not in rows_of(result.outputs[1])[0]


def test_of_several_classes_one_is_asked_for(tmp_path):
    classes = np.digitize(blobs(1)[0], [0.4, 0.6]).astype(np.uint8)
    tifffile.imwrite(tmp_path / "c.tif", classes)
    (result,) = label_files([tmp_path / "c.tif"], tmp_path / "out")
    assert "has the values [1, 2]; say which one objects are (--class)" in str(result.error)
    assert list((tmp_path / "out").iterdir()) == []
    (result,) = label_files([tmp_path / "c.tif"], tmp_path / "out", ObjectSettings(of_class=2))
    assert np.array_equal(read_pages(result.outputs[0])[0], label_objects((classes == 2) * 1.0, 0.5))


@pytest.mark.parametrize(
    ("array", "settings", "message"),
    [
        (np.arange(256, dtype=np.uint8).reshape(16, 16), {}, "so it is no class map"),
        (np.eye(9, dtype=np.uint8), {"threshold": 0.5}, "a threshold needs a probability map"),
        (np.eye(9, dtype=np.uint8), {"markers": MarkerSettings()}, "give the probability map"),
        (np.zeros((3, 9, 9), np.float32), {}, "a map of 3 classes; say which one"),
        (np.zeros((3, 9, 9), np.float32), {"of_class": 3}, "objects of class 3 are wanted"),
    ],
)
def test_what_is_no_such_map_is_that_file_s_failure(tmp_path, array, settings, message):
    tifffile.imwrite(
        tmp_path / "x.tif", array, metadata={"axes": "CYX"[-array.ndim :]}, photometric="minisblack"
    )
    (result,) = label_files([tmp_path / "x.tif"], tmp_path / "out", ObjectSettings(**settings))
    assert message in str(result.error)


def test_what_is_not_ours_is_not_replaced(maps, tmp_path):
    out = tmp_path / "out"
    label_files([maps], out)
    label_files([maps], out, ObjectSettings(smallest=50))  # ours is replaced
    (out / "a.objects.csv").write_text("mine")
    (result,) = label_files([maps], out)
    assert isinstance(result.error, ImageWriteError)
    assert (out / "a.objects.csv").read_text() == "mine"


def test_measure_gives_the_values_of_regionprops(tmp_path):
    random = np.random.default_rng(1)
    labels = label_objects(blobs(1)[0], 0.5).astype(np.uint16) * 7
    image = random.integers(0, 4000, labels.shape).astype(np.uint16)
    for folder, name, array in (("l", "t1_seg.tif", labels), ("i", "t1.tif", image)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / name, array)
    (result,) = measure_files(tmp_path / "l", tmp_path / "out", tmp_path / "i")
    rows = rows_of(result.outputs[0])
    theirs = regionprops_table(labels, image, properties=["label", "area", "perimeter", "intensity_mean"])
    assert [int(row["label"]) for row in rows] == theirs["label"].tolist()
    assert [int(row["area_px"]) for row in rows] == theirs["area"].tolist()
    assert [float(row["perimeter_px"]) for row in rows] == pytest.approx(theirs["perimeter"].tolist())
    assert [float(row["intensity_mean"]) for row in rows] == pytest.approx(theirs["intensity_mean"].tolist())
    assert result.objects["objects"] == len(rows)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_one_table_holds_all_images(tmp_path, ending):
    (tmp_path / "l").mkdir()
    for seed in range(3):
        tifffile.imwrite(tmp_path / "l" / f"{seed}.tif", label_objects(blobs(1, seed)[0], 0.5))
    results = measure_files(tmp_path / "l", tmp_path / f"all.{ending}")
    assert {result.outputs for result in results} == {(tmp_path / f"all.{ending}",)}
    total = sum(result.objects["objects"] for result in results)
    if ending == "csv":
        assert len(rows_of(tmp_path / "all.csv")) == total
    else:
        from pyarrow import parquet

        assert parquet.read_table(tmp_path / "all.parquet").num_rows == total


def test_labels_without_an_image_are_named(tmp_path):
    for folder, name in (("l", "a.tif"), ("l", "b.tif"), ("i", "a.tif")):
        (tmp_path / folder).mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / folder / name, np.eye(9, dtype=np.uint8) * (2 if folder == "i" else 1))
    good, bad = measure_files(tmp_path / "l", tmp_path / "out", tmp_path / "i")
    assert good.error is None
    assert isinstance(bad.error, DataSetError)
    assert "b.tif: by the names no image" in str(bad.error)


def test_two_results_of_one_name_are_refused(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "x.classes.tif", np.eye(9, dtype=np.uint8))
    with pytest.raises(UsageError, match="would both be named x"):
        label_files([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


def test_the_commands_print_paths_or_json(maps, tmp_path, capsys):
    (maps / "broken.tif").write_bytes(b"II*\0")
    status = app(
        ["label", str(maps), "-o", str(tmp_path / "o"), "--json", "--smallest", "3"], standalone_mode=False
    )
    printed = capsys.readouterr()
    good, bad = sorted(json.loads(printed.out), key=lambda result: result["error"] is not None)
    assert status == 1
    assert good["objects"]["objects"] > 0
    assert "broken.tif" in bad["error"]
    assert "1 of 2 files failed" in printed.err
    app(
        ["measure", str(tmp_path / "o" / "a.labels.tif"), "-o", str(tmp_path / "m.csv")],
        standalone_mode=False,
    )
    assert capsys.readouterr().out.strip() == str(tmp_path / "m.csv")
    assert len(rows_of(tmp_path / "m.csv")) == good["objects"]["objects"]


def test_a_class_map_in_which_one_class_alone_occurs_is_asked_about(tmp_path, make_model, stack_file):
    tifffile.imwrite(tmp_path / "two.tif", np.eye(9, dtype=np.uint8) * 2)
    (result,) = label_files([tmp_path / "two.tif"], tmp_path / "out")
    assert "has the values [2]; say which one" in str(result.error)
    model = make_model(tmp_path / "three.safetensors", classes=3)
    (segmented,) = segment_files([stack_file], tmp_path / "maps", model)
    (result,) = label_files([segmented.outputs[0]], tmp_path / "out")
    assert "a map of the classes ['a', 'b', 'c']; say by number which one" in str(result.error)


def test_intensities_of_pages_in_another_order_are_those_of_the_same_page(tmp_path, model):
    image = (255 * blobs(6)).astype(np.uint8).reshape(3, 2, 50, 64)
    for folder, axes in (("zt", "ZTYX"), ("tz", "TZYX")):
        (tmp_path / folder).mkdir()
        pages = image if axes == "ZTYX" else image.swapaxes(0, 1)
        more = {"ome": True, "photometric": "minisblack", "metadata": {"axes": axes}}
        tifffile.imwrite(tmp_path / folder / "a.ome.tif", np.ascontiguousarray(pages), **more)
    options = SegmentOptions(objects=ObjectSettings(), threshold=0.45, device="cpu")
    tables = []
    for out in ("tiff", "zarr/r.zarr"):  # which has times before slices
        (made,) = segment_files([tmp_path / "zt" / "a.ome.tif"], tmp_path / out, model, options)
        assert made.error is None
        tables.append(rows_of(next(path for path in made.outputs if path.suffix == ".csv")))
        for images in ("zt", "tz"):
            labels = next(path for path in made.outputs if path.suffix == ".zarr" or ".labels" in path.name)
            (found,) = measure_files(labels, tmp_path / f"{out[:4]}{images}", tmp_path / images / "a.ome.tif")
            assert found.error is None
            tables.append(rows_of(found.outputs[0]))
    by_centroid = [
        sorted((row["centroid_y_px"], row["centroid_x_px"], row["intensity_mean"]) for row in rows)
        for rows in tables
    ]
    assert len(tables[0]) > 5
    assert all(rows == by_centroid[0] for rows in by_centroid)
    assert [[row["page"], row["label"]] for row in tables[0]] == [
        [row["page"], row["label"]] for row in tables[3]
    ]


def test_pages_of_other_axes_are_refused(tmp_path):
    labels = np.stack([label_objects(page, 0.5) for page in blobs(6)]).astype(np.uint16)
    for folder, axes, shape in (("l", "ZTYX", (3, 2)), ("i", "ZTYX", (2, 3))):
        (tmp_path / folder).mkdir()
        more = {"ome": True, "photometric": "minisblack", "metadata": {"axes": axes}}
        pixels = labels if folder == "l" else labels + 1
        tifffile.imwrite(tmp_path / folder / "a.ome.tif", pixels.reshape(*shape, 50, 64), **more)
    (result,) = measure_files(tmp_path / "l", tmp_path / "out", tmp_path / "i")
    assert "its pages are Z 2 x T 3, those of" in str(result.error)
    assert "save both with their axes in the same order" in str(result.error)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (blobs(1)[0] * 255, "0 to 255"),
        (blobs(1)[0] * 6 - 4, "-4 to 2"),
        (np.full((9, 9), np.nan), "nan"),
    ],
)
def test_floats_that_are_no_probabilities_are_refused(tmp_path, values, said):
    tifffile.imwrite(tmp_path / "x.tif", values.astype(np.float32))
    (result,) = label_files([tmp_path / "x.tif"], tmp_path / "out", ObjectSettings(threshold=0.5))
    assert "expected probabilities, from 0 to 1" in str(result.error)
    assert said in str(result.error)


def test_a_class_that_a_map_of_one_channel_cannot_have_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", blobs(3), photometric="minisblack")
    (result,) = label_files([tmp_path / "x.tif"], tmp_path / "out", ObjectSettings(of_class=2))
    assert "if its pages are classes, name its axes: --axes CYX" in str(result.error)
    (result,) = label_files([tmp_path / "x.tif"], tmp_path / "out", ObjectSettings(of_class=2), axes="CYX")
    assert result.error is None


def test_pixel_sizes_that_differ_are_said(tmp_path, caplog):
    labels = label_objects(blobs(1)[0], 0.5)
    for name, size in (("l", 2), ("i", 4), ("same", 2)):
        (tmp_path / name).mkdir()
        pixels, about = labels + (name == "i"), {"unit": "um"}
        tifffile.imwrite(
            tmp_path / name / "a.tif", pixels, imagej=True, resolution=(size, size), metadata=about
        )
    (copied,) = measure_files(tmp_path / "l", tmp_path / "no", tmp_path / "same")
    assert "has the pixels of" in str(copied.error)
    measure_files(tmp_path / "l", tmp_path / "out", tmp_path / "i")
    assert "has pixels of 0.5 x 0.5 µm, but" in caplog.text
    assert "the table uses 0.5 x 0.5 µm, of the labels" in caplog.text


def test_pictures_and_labels_in_the_folder_of_a_segmentation_are_no_maps(tmp_path, model, stack_file):
    options = SegmentOptions(products=("probability",), objects=ObjectSettings(), views=("overlay",))
    segment_files([stack_file], tmp_path / "out", model, options)
    (result,) = label_files([tmp_path / "out"], tmp_path / "again")
    assert result.error is None
    (measured,) = measure_files(tmp_path / "out", tmp_path / "table", stack_file)
    assert (measured.error, measured.input.name) == (None, "stack.labels.tif")


def test_of_several_classes_the_highest_decides_as_in_the_segmentation(
    tmp_path, make_model, stack_file, caplog
):
    model = make_model(tmp_path / "three.safetensors", classes=3, seed=2)
    options = SegmentOptions(products=("probability",), objects=ObjectSettings(of_class=2))
    segment_files([stack_file], tmp_path / "out", model, options)
    assert tifffile.imread(tmp_path / "out" / "stack.labels.tif").max() > 1
    caplog.clear()
    (result,) = label_files([tmp_path / "out"], tmp_path / "again")
    assert (result.error, result.input.name) == (None, "stack.probability.tif")
    expected = read_pages(tmp_path / "out" / "stack.labels.tif")
    assert np.array_equal(read_pages(tmp_path / "again" / "stack.labels.tif"), expected)
    assert "threshold" not in caplog.text
    (other,) = label_files([tmp_path / "out"], tmp_path / "cut", ObjectSettings(of_class=2, threshold=0.35))
    assert other.error is None
    assert not np.array_equal(read_pages(tmp_path / "cut" / "stack.labels.tif"), expected)


def test_of_ome_zarr_results_the_labels_and_the_classes_inside_are_taken(tmp_path, model, stack_file):
    options = SegmentOptions(objects=ObjectSettings(), threshold=0.45, views=("overlay",))
    for out in ("tiff", "zarr/stack.classes.zarr"):
        segment_files([stack_file], tmp_path / out, model, options)
    preview = tmp_path / "zarr" / "stack.classes.overlay.png"
    shutil.copy(preview, tmp_path / "zarr" / "stack.overlay.png")  # as it is called in a folder of results
    group = zarr.open_group(tmp_path / "zarr" / "stack.classes.zarr", mode="r")
    assert isinstance(ome_zarr_models.open_ome_zarr(group), ome_zarr_models.v05.Image)
    for name in ("classes", "labels"):
        ome_zarr_models.v05.ImageLabel.from_zarr(group[f"labels/{name}"])
    for given in (tmp_path / "zarr", tmp_path / "zarr" / "stack.classes.zarr"):
        (result,) = measure_files(given, tmp_path / "table")
        assert (result.error, [path.name for path in result.outputs]) == (None, ["stack.objects.csv"])
        assert {row["image"] for row in rows_of(result.outputs[0])} == {"stack.classes.zarr"}
        found = evaluate_objects(tmp_path / "tiff", given)
        assert (found.comparison.complete, found.scores.seg) == (True, 1)
        classes = evaluate_pixels(tmp_path / "tiff", given).classes
        assert {number: one.fp + one.fn for number, one in classes.items()} == {0: 0, 1: 0}


def test_an_image_other_than_the_one_that_was_segmented_is_said(tmp_path, model, stack, caplog):
    for name, page in (("a", 0), ("b", 1)):
        tifffile.imwrite(tmp_path / f"{name}.tif", stack[page])
    options = SegmentOptions(products=("probability",), objects=ObjectSettings())
    segment_files([tmp_path / "a.tif"], tmp_path / "out", model, options)
    note = (
        f"was made from {tmp_path / 'a.tif'} by its record, whose SHA-256 is not that of {tmp_path / 'b.tif'}"
    )
    maps = [tmp_path / "out" / "a.probability.tif"]
    label_files(maps, tmp_path / "l")
    label_files(maps, tmp_path / "k", images=tmp_path / "a.tif")
    (tmp_path / "copy").mkdir()
    shutil.copy(maps[0], tmp_path / "copy" / "a.tif")  # without the record: the image is what was given
    label_files([tmp_path / "copy" / "a.tif"], tmp_path / "n", images=tmp_path / "a.tif")
    for use in (
        lambda image: label_files(maps, tmp_path / "o", images=image),
        lambda image: measure_files(tmp_path / "out" / "a.labels.tif", tmp_path / "m", image),
        lambda image: measure_files(tmp_path / "l" / "a.labels.tif", tmp_path / "m1", image),
        lambda image: measure_files(tmp_path / "k" / "a.labels.tif", tmp_path / "m2", image),
        lambda image: measure_files(tmp_path / "n" / "a.labels.tif", tmp_path / "m3", image),
    ):
        for image, said in (("a.tif", False), ("b.tif", True)):
            caplog.clear()
            (result,) = use(tmp_path / image)
            assert result.error is None
            assert (note in caplog.text) == said
    record = tmp_path / "out" / "a.record.json"
    record.write_text(record.read_text().replace('"device"', '"place"'))
    caplog.clear()
    measure_files(tmp_path / "out" / "a.labels.tif", tmp_path / "m", tmp_path / "a.tif")
    assert "which image it is of, is not believed" in caplog.text


def test_results_of_an_earlier_run_beside_new_ones_are_said(tmp_path, model, stack_file, caplog):
    segment_files([stack_file], tmp_path / "out", model, SegmentOptions(objects=ObjectSettings()))
    segment_files([stack_file], tmp_path / "out", model, SegmentOptions(threshold=0.51))
    assert (
        "of an earlier run with other settings, and kept: stack.labels.tif, stack.objects.csv" in caplog.text
    )
    table = tmp_path / "out" / "objects.csv"
    assert f"{table}: of an earlier run, and kept; this one has no such table" in caplog.text
    caplog.clear()
    segment_files([stack_file], tmp_path / "out", model, SegmentOptions(objects=ObjectSettings()))
    assert str(table) not in caplog.text.replace(f"all in {table}", "")


@pytest.mark.parametrize("several", [False, True])
def test_results_of_an_earlier_run_are_taken_only_where_they_are_given(
    tmp_path, model, stack_file, caplog, several
):
    out, files = tmp_path / "out", [stack_file]
    if several:  # of which one was segmented again
        files.append(tmp_path / "b.tif")
        files[1].write_bytes(stack_file.read_bytes())
    both = SegmentOptions(products=("probability",), objects=ObjectSettings())
    segment_files(files, out, model, both)
    segment_files([stack_file], out, model, SegmentOptions(threshold=0.51))
    caplog.clear()
    results = label_files([out], tmp_path / "again")
    taken = ["stack.classes.tif"] + ["b.probability.tif"] * several
    assert sorted(result.input.name for result in results) == sorted(taken)
    earlier = f"{out / 'stack.labels.tif'}, {out / 'stack.probability.tif'}"
    assert f"of an earlier run, and left out: {earlier}" in caplog.text
    record = out / "stack.record.json"
    said = record.read_text()
    record.write_text(said.replace('"device"', '"place"'))
    label_files([out], tmp_path / "edited")
    assert f"{record}: was changed after this program wrote it" in caplog.text
    record.write_text(said)
    (given,) = label_files([out / "stack.probability.tif"], tmp_path / "given")
    assert given.error is None
    if several:
        (measured,) = measure_files(out, tmp_path / "table")
        assert measured.input.name == "b.labels.tif"
    else:
        with pytest.raises(DataSetError, match=r"stack\.labels\.tif: of an earlier run"):
            measure_files(out, tmp_path / "table")
    assert measure_files(out / "stack.labels.tif", tmp_path / "table")[0].error is None
    tifffile.imwrite(out / "stack.labels.tif", np.ones((61, 75), np.uint8))  # somebody's own labels
    assert out / "stack.labels.tif" in [result.input for result in measure_files(out, tmp_path / "table")]


def test_labels_beside_their_images_are_not_their_own_images(tmp_path, caplog):
    caplog.set_level("INFO", "unet2015")
    labels = label_objects(blobs(1)[0], 0.5)
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full(labels.shape, 7, np.uint8))
        tifffile.imwrite(tmp_path / f"{name}_mask.tif", labels)
    results = measure_files(tmp_path / "*_mask.tif", tmp_path / "out", tmp_path)
    for result in results:
        assert {row["intensity_mean"] for row in rows_of(result.outputs[0])} == {"7.0"}
    assert "a_mask.tif: intensities of" in caplog.text


def test_notes_on_files_are_said(tmp_path, caplog):
    labels = label_objects(blobs(1)[0], 0.5)
    tifffile.imwrite(tmp_path / "l.tif", labels)
    tifffile.imwrite(tmp_path / "i.tif", np.full(labels.shape, 10, np.uint8), photometric="miniswhite")
    measure_files(tmp_path / "l.tif", tmp_path / "out", tmp_path / "i.tif")
    assert "i.tif: " in caplog.text
    assert "invert" in caplog.text


def test_the_threshold_of_an_ome_zarr_is_in_its_record(tmp_path, model, stack_file, caplog):
    options = SegmentOptions(objects=ObjectSettings(), threshold=0.51)
    segment_files([stack_file], tmp_path / "a.zarr", model, options)
    caplog.clear()
    label_files([tmp_path / "a.zarr"], tmp_path / "out")
    assert "no record beside it" not in caplog.text
    assert (tmp_path / "out" / "a.objects.csv").read_text().count("\n") == (
        (tmp_path / "a.objects.csv").read_text().count("\n")
    )


MASK = np.zeros((2, 40, 40), np.uint8)
MASK[0, 2:10, 2:10] = MASK[0, 20:30, 20:30] = MASK[1, 3:9, 3:9] = 1


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (MASK, "number 1, in 3 separate pieces, which count as 2"),
        (MASK * 255, "number 255, in 3 separate pieces"),
        (MASK[1:], None),
        (np.stack([MASK[1], MASK[1]]), None),  # one cell, followed over time
        (MASK * np.arange(1, 3, dtype=np.uint8)[:, None, None], None),
        (MASK * 0, None),
    ],
)
def test_masks_that_are_measured_as_objects_are_said(tmp_path, caplog, labels, said):
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="minisblack")
    (result,) = measure_files(tmp_path / "a.tif", tmp_path / "out")
    assert result.error is None
    assert ("count as" in caplog.text) == (said is not None)
    assert (said or "") in caplog.text


def test_labels_beyond_63_bits_are_refused_as_they_are(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", MASK[0] * np.uint64(2**63 + 1), photometric="minisblack")
    (result,) = measure_files(tmp_path / "a.tif", tmp_path / "out")
    assert f"at most {2**63 - 1}, not {2**63 + 1}" in str(result.error)


def test_masks_with_the_names_of_results_are_labelled_and_results_are_said(tmp_path, caplog):
    for name in ("a.labels.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, MASK[0], photometric="minisblack")
    results = label_files([tmp_path], tmp_path / "o")
    assert [result.input.name for result in results if not result.error] == ["a.labels.tif", "b.tif"]
    caplog.clear()
    again = label_files([tmp_path / "o" / "b.labels.tif", tmp_path / "b.tif"], tmp_path / "other")
    assert [result.input.name for result in again] == ["b.tif"]
    assert f"results of maps are left out (1): {tmp_path / 'o' / 'b.labels.tif'}" in caplog.text


def test_results_of_label_are_no_inputs_of_segment(tmp_path):
    tifffile.imwrite(tmp_path / "b.tif", MASK[0], photometric="minisblack")
    label_files([tmp_path / "b.tif"], tmp_path)
    assert find_inputs([tmp_path]) == [tmp_path / "b.tif"]


def test_an_image_that_is_measured_as_labels_is_said(tmp_path, caplog):
    noise = np.random.default_rng(0).integers(0, 200, (60, 60), np.uint8)
    grid = np.kron(np.arange(36, dtype=np.uint8).reshape(6, 6), np.ones((10, 10), np.uint8))
    for name, page in (("noise", noise), ("grid", grid)):
        tifffile.imwrite(tmp_path / f"{name}.tif", page, photometric="minisblack")
        measure_files(tmp_path / f"{name}.tif", tmp_path / "out")
        assert ("is it an image?" in caplog.text) == (name == "noise")
        caplog.clear()


def test_objects_are_those_of_the_segmentation_and_its_model(tmp_path, make_model, stack_file, caplog):
    loaded = read_model_file(make_model(tmp_path / "m.safetensors"))
    own = ObjectSettings(smallest=12, fill_holes=False, connectivity=2)
    save_model(tmp_path / "m.safetensors", loaded.network, loaded.info.model_copy(update={"objects": own}))
    caplog.set_level("INFO", "unet2015")
    counts = {}
    for name, objects in (("with", ObjectSettings()), ("maps", None)):
        options = SegmentOptions(products=("probability",), objects=objects, threshold=0.5)
        (done,) = segment_files([stack_file], tmp_path / name, tmp_path / "m.safetensors", options)
        for ending in ("probability", "classes"):
            (again,) = label_files([tmp_path / name / f"stack.{ending}.tif"], tmp_path / f"{name}{ending}")
            counts[name, ending] = again.objects["objects"]
        (given,) = label_files(
            [tmp_path / name / "stack.probability.tif"], tmp_path / f"{name}9", ObjectSettings(smallest=5000)
        )
        assert given.objects["objects"] < counts[name, "probability"]
        if done.objects is not None:
            counts[name, "segment"] = done.objects["objects"]
    assert len(set(counts.values())) == 1
    assert "objects as in its record: connectivity 2, fill_holes False, smallest 12" in caplog.text


@pytest.mark.parametrize("threshold", [0.45, "f1", None])
def test_a_threshold_of_the_segmentation_goes_before_that_of_the_model_s_objects(
    tmp_path, make_model, stack_file, threshold, caplog
):
    loaded = read_model_file(make_model(tmp_path / "m.safetensors"))
    update = {"objects": ObjectSettings(threshold=0.55), "threshold": 0.45, "thresholds": {"f1": 0.45}}
    save_model(tmp_path / "m.safetensors", loaded.network, loaded.info.model_copy(update=update))
    counts = []
    for name, objects in (("with", ObjectSettings()), ("maps", None)):
        options = SegmentOptions(products=("probability",), objects=objects, threshold=threshold)
        segment_files([stack_file], tmp_path / name, tmp_path / "m.safetensors", options)
        label_files([tmp_path / name / "stack.probability.tif"], tmp_path / f"{name}l")
        counts.append((tmp_path / f"{name}l" / "stack.labels.tif").read_bytes())
    assert counts == [(tmp_path / "with" / "stack.labels.tif").read_bytes()] * 2
    plain = label_files(
        [tmp_path / "maps" / "stack.probability.tif"], tmp_path / "p", ObjectSettings(threshold=0.45)
    )
    assert (plain[0].outputs[0].read_bytes() == counts[0]) == (threshold is not None)
    label_files([tmp_path / "maps" / "stack.classes.tif"], tmp_path / "c")
    assert ("have a threshold of their own, 0.55, and this class map another" in caplog.text) == (
        not threshold
    )


@pytest.mark.parametrize("ending", ["tif", "zarr"])
def test_a_map_that_is_not_what_was_written_is_told(tmp_path, model, stack_file, caplog, ending):
    """As where a part of it was lost: missing chunks of OME-Zarr are read as background."""
    path = tmp_path / f"r.{ending}"
    segment_files([stack_file], path, model)
    settings = ObjectSettings(smallest=3)
    said = "is not as its record says it was written"
    label_files([path], tmp_path / "whole", settings)
    assert said not in caplog.text
    if ending == "zarr":
        next(one for one in (path / "labels" / "classes" / "0" / "c").rglob("*") if one.is_file()).unlink()
    else:
        with path.open("ab") as file:
            file.write(b"more")
    (result,) = label_files([path], tmp_path / "changed", settings)
    assert result.error is None
    assert f"{path}: {said}" in caplog.text


def test_what_killed_runs_left_half_written_goes_with_the_next_run(maps, tmp_path, capsys):
    def leave(folder, *names):
        folder.mkdir(exist_ok=True)
        for name in names:
            temporary_name(folder / name).write_bytes(b"half")

    leave(tmp_path / "l", "a.rois.zip", "a.geojson", "a.labels.tif", "a.objects.csv", "a.labels.record.json")
    leave(tmp_path / "m", "a.objects.csv", "a.objects.csv.record.json")
    leave(tmp_path / "t", "t.csv", "t.record.json", "w.tif", "w.record.json", "mine")
    (labelled,) = label_files([maps], tmp_path / "l", ObjectSettings())
    measure_files(tmp_path / "l", tmp_path / "m")
    measure_files(tmp_path / "l", tmp_path / "t" / "t.csv")
    app(["weights", str(labelled.outputs[0]), "-o", str(tmp_path / "t" / "w.tif")], standalone_mode=False)
    left = [path.name for folder in "lmt" for path in (tmp_path / folder).glob(".*")]
    assert [name.startswith(".mine.") for name in left] == [True]
