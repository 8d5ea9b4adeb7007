"""What is said where a left-over result is measured on another image than the one that it was made of."""

import json

import pytest
import tifffile
import zarr

from tests.images.test_ome import block, ome, pixels, pointer, write
from unet2015.safe_files import read_record
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings.objects import ObjectSettings


@pytest.fixture
def left(tmp_path, model, stack, caplog):
    """An image that was replaced by another and segmented again without objects; what lay there stays."""
    image, out = tmp_path / "a.tif", tmp_path / "out"
    tifffile.imwrite(image, stack[0])
    both = SegmentOptions(products=("probability",), objects=ObjectSettings())
    segment_files([image], out, model, both)
    image.rename(tmp_path / "before.tif")
    tifffile.imwrite(image, stack[1])
    segment_files([image], out, model)
    return image, out


def uses(out, to):
    yield lambda image: measure_files(out / "a.labels.tif", to / "m", image)
    yield lambda image: label_files([out / "a.probability.tif"], to / "l", images=image)


def test_left_over_results_of_another_image_are_said(left, tmp_path, model, caplog):
    image, out = left
    note = f"of an earlier run, and was made from {image} by its record, whose SHA-256 is not that of {image}"
    kept = "and kept: a.probability.tif, a.labels.tif"
    for again in (False, True):  # done before; and by a third run, whose record takes it over
        caplog.clear()
        segment_files([image], out, model, SegmentOptions(threshold=0.51) if again else SegmentOptions())
        assert f"of an earlier run on another version of the input, {kept}" in caplog.text
        for use in uses(out, tmp_path / str(again)):
            for given, said in ((image, True), (tmp_path / "before.tif", False)):
                caplog.clear()
                (result,) = use(given)
                assert result.error is None
                assert (note in caplog.text) == said
                assert any(note in one for one in result.notes) == said


def test_left_over_results_of_one_and_the_same_image_are_not(tmp_path, model, stack, caplog):
    image, out = tmp_path / "a.tif", tmp_path / "out"
    tifffile.imwrite(image, stack[0])
    segment_files([image], out, model, SegmentOptions(products=("probability",), objects=ObjectSettings()))
    segment_files([image], out, model, SegmentOptions(threshold=0.51))
    assert "of an earlier run with other settings" in caplog.text
    for use in uses(out, tmp_path):
        caplog.clear()
        assert use(image)[0].error is None
        assert "earlier run" not in caplog.text


def test_a_record_that_does_not_say_of_what_left_over_results_are_is_said(left, tmp_path, caplog):
    image, out = left
    record = read_record(out / "a.record.json")
    del record["record_sha256"], record["earlier_inputs"]  # as an earlier version wrote it
    (out / "a.record.json").write_text(json.dumps(record))
    for use in uses(out, tmp_path):
        caplog.clear()
        assert use(image)[0].error is None
        assert "which does not say of which image; see that it belongs to" in caplog.text


def test_labels_inside_ome_zarr_know_the_image_that_they_are_of(tmp_path, model, stack):
    images = tmp_path / "a.tif", tmp_path / "other" / "a.tif"
    images[1].parent.mkdir()
    for image, page in zip(images, stack[:2], strict=True):
        tifffile.imwrite(image, page)
    segment_files([images[0]], tmp_path / "r.zarr", model, SegmentOptions(objects=ObjectSettings()))
    label_files([tmp_path / "r.zarr"], tmp_path / "again", images=images[0])
    for place in ("r.zarr", "r.zarr/labels/labels", "again"):
        for image, said in zip(images, (False, True), strict=True):
            table = tmp_path / f"{place.replace('/', '-')} {said}.csv"
            (result,) = measure_files(tmp_path / place, table, image)
            assert result.error is None
            assert any("whose SHA-256 is not that of" in note for note in result.notes) == said


def test_a_class_map_inside_ome_zarr_takes_what_its_record_says(tmp_path, model, stack, caplog):
    tifffile.imwrite(tmp_path / "a.tif", stack[0])
    options = SegmentOptions(objects=ObjectSettings(smallest=30, connectivity=2), threshold=0.45)
    segment_files([tmp_path / "a.tif"], tmp_path / "r.zarr", model, options)
    classes = tmp_path / "r.zarr" / "labels" / "classes"
    (whole,) = label_files([tmp_path / "r.zarr"], tmp_path / "whole")
    (inside,) = label_files([classes], tmp_path / "inside")
    assert inside.objects["objects"] == whole.objects["objects"]
    said = json.loads((tmp_path / "inside" / "r.labels.record.json").read_text())
    assert said["settings"]["smallest"] == 30
    assert "as its record says" not in caplog.text
    plane = zarr.open_group(classes)["0"]
    plane[:9, :9] = 1 - plane[:9, :9]
    (result,) = label_files([tmp_path / "r.zarr"], tmp_path / "again")
    assert any(f"to count it, give {classes}" in note for note in result.notes)
    (result,) = label_files([classes], tmp_path / "corrected")
    assert any("is not as its record says it was written" in note for note in result.notes)
    assert not any("to count it" in note for note in result.notes)


def test_an_image_that_is_read_with_another_companion_file_is_said(tmp_path, model):
    image = tmp_path / "in" / "set.ome.tif"
    image.parent.mkdir()
    write(image, pointer())
    companion = image.with_name("set.companion.ome")
    options = SegmentOptions(objects=ObjectSettings(), products=("probability",))
    note = "lie in another file (companion.ome) were not there, or were others"

    def said(out):
        (made,) = segment_files([image], out / "s", model, options)
        assert made.error is None
        (of_map,) = label_files(made.outputs[1:2], out / "l", images=image)
        assert of_map.error is None
        return [out / "s", out / "l"]

    def notes(folder):
        (result,) = measure_files(folder, folder.with_name(f"m{len([*folder.parent.iterdir()])}"), image)
        return any(note in one for one in (*result.notes, str(result.error)))

    before = said(tmp_path / "without")
    assert [notes(folder) for folder in before] == [False, False]
    companion.write_text(ome(pixels(block("set.ome.tif", "urn:uuid:1", 0, 6))))
    assert [notes(folder) for folder in before] == [True, True]
    after = said(tmp_path / "with")
    assert [notes(folder) for folder in after] == [False, False]
    record = tmp_path / "with" / "s" / "set.record.json"
    assert replay(record).differences == {}
    companion.write_text(companion.read_text() + "\n")
    assert [*replay(record).differences] == ["companion file"]
    assert [notes(folder) for folder in after] == [True, True]


@pytest.mark.parametrize("ending", ["", ".zarr"])
def test_results_that_were_renamed_with_their_record_are_still_of_its_image(
    tmp_path, model, stack, caplog, ending
):
    for name, page in (("a", 0), ("b", 1)):
        tifffile.imwrite(tmp_path / f"{name}.tif", stack[page])
    out, both = tmp_path / "out", SegmentOptions(products=("probability",), objects=ObjectSettings())
    target = out / "a.classes.zarr" if ending else out
    segment_files([tmp_path / "a.tif"], target, model, both)
    folders = [out]
    if not ending:
        label_files(out, tmp_path / "l")
        folders.append(tmp_path / "l")
    for folder in folders:
        for file in sorted(folder.iterdir()):
            file.rename(file.with_name(file.name.replace("a.", "b.", 1)))
    note = f"was made from {tmp_path / 'a.tif'} by its record, whose SHA-256 is not that of "
    given = [folder / ("b.classes.zarr" if ending else "b.labels.tif") for folder in folders]
    ways = [lambda image, one=one: measure_files(one, one.parent / "m", image) for one in given]
    if not ending:
        ways.append(lambda image: label_files(out / "b.probability.tif", tmp_path / "k", images=image))
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes())
    for use in ways:
        for image, said in ((tmp_path / "b.tif", True), (tmp_path / "moved" / "b.tif", False)):
            caplog.clear()
            (result,) = use(image)
            assert result.error is None
            assert (note + str(image) in caplog.text) == said
            assert ("SHA-256" in caplog.text) == said
