"""Records: what they say, and that they tell what is done from what is not."""

import json
import logging
from dataclasses import replace

import pytest
import tifffile
import torch

from unet2015.images.reader import open_image
from unet2015.models.model_file import read_model_file
from unet2015.safe_files.records import signed
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.jobs import plan_jobs
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.records import is_done
from unet2015.settings.objects import ObjectSettings


def test_the_record_says_from_what_and_how(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path / "out", model, SegmentOptions(tile=60))
    record = json.loads((tmp_path / "out" / "stack.record.json").read_text())
    assert record["model_sha256"] == read_model_file(model).sha256
    assert record["plan"]["tile"] == [60, 60]
    assert record["plan"]["tiles"] == 3 * 4 * 4
    assert record["settings"]["threshold"] == 0.5
    assert set(record["versions"]) >= {"python", "torch", "unet2015"}
    assert set(record["seconds"]) == {"read", "map", "network", "write"}
    assert record["device"].startswith("cpu (") or torch.cuda.is_available()
    assert list(record["outputs"]) == ["stack.classes.tif"]


def test_is_done_needs_every_output(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path / "out", model)
    (job,) = plan_jobs([stack_file], tmp_path / "out", SegmentOptions())
    assert is_done(job.outputs, {})
    job.outputs.main.unlink()
    assert not is_done(job.outputs, {})


@pytest.mark.parametrize("damage", [b"\xff\xfe{}", b"[" * 20_000, b"[]", b"", b'{"outputs": 3}'])
def test_with_a_damaged_record_nobody_knows_whose_the_result_is(tmp_path, model, stack_file, damage):
    (first,) = segment_files([stack_file], tmp_path / "out", model)
    expected = first.outputs[0].read_bytes()
    (record,) = (tmp_path / "out").glob("*.record.json")
    record.write_bytes(damage)
    (result,) = segment_files([stack_file], tmp_path / "out", model)
    assert "not replaced; move it away" in str(result.error)
    unreadable = not damage.startswith((b"[]", b"{"))  # which are somebody's own JSON
    said = "the record beside it, stack.record.json, is damaged" if unreadable else "no record beside it"
    assert said in str(result.error)
    assert first.outputs[0].read_bytes() == expected
    assert record.read_bytes() == damage
    first.outputs[0].unlink()
    record.unlink()
    (result,) = segment_files([stack_file], tmp_path / "out", model)
    assert result.error is None
    assert result.outputs[0].read_bytes() == expected


def test_the_result_of_another_file_is_never_replaced(tmp_path, model, stack):
    for name, page in (("one", 0), ("two", 1)):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "x.tif", stack[page])
    segment_files([tmp_path / "one" / "x.tif"], tmp_path / "out", model)
    before = (tmp_path / "out" / "x.classes.tif").read_bytes()
    (result,) = segment_files([tmp_path / "two" / "x.tif"], tmp_path / "out", model)
    assert "another output folder" in str(result.error)
    assert (tmp_path / "out" / "x.classes.tif").read_bytes() == before


def test_a_result_is_made_anew_when_the_metadata_beside_its_input_came(tmp_path, model, stack):
    schema = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    z, height, width = stack.shape
    pointer = f'<OME {schema} UUID="u"><BinaryOnly MetadataFile="a.companion.ome" UUID="v"/></OME>'
    tifffile.imwrite(tmp_path / "a.tif", stack, description=pointer, metadata=None, photometric="minisblack")
    segment_files([tmp_path / "a.tif"], tmp_path / "out", model)
    record = tmp_path / "out" / "a.record.json"
    assert "companion_sha256" not in json.loads(record.read_text())
    (tmp_path / "a.companion.ome").write_text(
        f'<OME {schema}><Image><Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="{width}" SizeY="{height}" '
        f'SizeZ="{z}" SizeC="1" SizeT="1" PhysicalSizeX="0.5"><TiffData/></Pixels></Image>'
        "</OME>"
    )
    (result,) = segment_files([tmp_path / "a.tif"], tmp_path / "out", model)
    found = json.loads(record.read_text())
    assert (len(found["companion_sha256"]), found["axes"]) == (64, "ZYX")
    with open_image(result.outputs[0]) as image:
        assert image.calibration.pixel_size_x == 0.5
    segment_files([tmp_path / "a.tif"], tmp_path / "out", model)
    assert json.loads(record.read_text()) == found, "done before"


def test_a_record_that_cannot_be_read_is_not_passed_over(tmp_path, model, stack_file, caplog):
    options = SegmentOptions(objects=ObjectSettings(smallest=3), products=("probability",))
    segment_files([stack_file], tmp_path / "out", model, options)
    record = tmp_path / "out" / "stack.record.json"
    record.write_bytes(record.read_bytes()[:-20])
    said = "the record beside it, stack.record.json, is damaged"
    for name in ("classes", "probability"):
        (result,) = label_files([tmp_path / "out" / f"stack.{name}.tif"], tmp_path / "again")
        assert f"stack.{name}.tif: {said}" in str(result.error)
        assert "threshold and objects are not known by it" in str(result.error)
    measure_files(tmp_path / "out", tmp_path / "table", stack_file)
    assert f"{said}: " in caplog.text
    assert "which results are of the last run is not known by it" in caplog.text
    assert "which image it is of, is not known" in caplog.text
    assert "no record beside it" not in caplog.text


def test_a_table_of_a_run_whose_class_map_has_another_name_is_refused_for_that(tmp_path, model, stack_file):
    options = SegmentOptions(objects=ObjectSettings())
    segment_files([stack_file], tmp_path / "out", model, replace(options, tiled=True))
    assert (tmp_path / "out" / "stack.classes.ome.tif").exists()
    (result,) = segment_files([stack_file], tmp_path / "out", model, options)
    said = "stack.objects.csv: exists, and comes from stack.tif with the command and options in the record "
    assert f"{said}stack.record.json, so it is not replaced" in str(result.error)


def test_a_result_of_an_image_that_was_read_otherwise_is_made_again(tmp_path, model, stack, caplog):
    caplog.set_level(logging.INFO)
    image, out = tmp_path / "a.tif", tmp_path / "out"
    about = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(image.with_suffix(".ome.tif"), stack[0], ome=True, metadata=about)
    image.with_suffix(".ome.tif").rename(image)
    options = SegmentOptions(objects=ObjectSettings())
    (first,) = (one for one in segment_files([image], out, model, options) if one.input == image)
    place = out / "a.record.json"
    good = json.loads(place.read_text())
    assert good["read_as"] == {"axes": "YX", "pixel_size_um": [0.5, 0.5]}
    before = {key: value for key, value in good.items() if key not in ("read_as", "record_sha256")}

    def with_objects(**more):
        return before | {"objects": good["objects"] | more}

    for said, done in (
        (good, True),
        (good | {"read_as": {"axes": "YX", "pixel_size_um": None}}, False),
        (good | {"read_as": {"axes": "YX", "pixel_size_um": [0.5, 0.6]}}, False),
        (before, True),  # of an earlier version
        (before | {"axes": "CYX"}, False),
        (with_objects(total_area_um2=2 * good["objects"]["total_area_um2"]), False),
        (with_objects(total_area_um2=None), False),
        (with_objects(total_area_px=0, total_area_um2=0.0), True),
        ({key: value for key, value in before.items() if key != "objects"}, True),
    ):
        place.write_text(
            json.dumps(signed({key: one for key, one in said.items() if key != "record_sha256"}))
        )
        caplog.clear()
        (again,) = (one for one in segment_files([image], out, model, options) if one.input == image)
        assert again.error is None
        assert ("done before" in caplog.text) == done
        if not done:
            assert json.loads(place.read_text())["read_as"] == good["read_as"]
            assert again.objects == first.objects


def test_it_is_said_that_the_result_of_other_pixels_is_replaced(tmp_path, model, stack, caplog):
    caplog.set_level(logging.INFO)
    image = tmp_path / "a.tif"
    for page, said in ((0, False), (1, True)):
        tifffile.imwrite(image, stack[page])
        for threshold in (0.5, 0.6):
            caplog.clear()
            segment_files([image], tmp_path / "out", model, SegmentOptions(threshold=threshold))
            assert ("of an image with other bytes, and is replaced" in caplog.text) == said
            said = False
