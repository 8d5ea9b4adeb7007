"""CZI, ND2 and LIF as inputs: the same bytes as of the same pixels in OME-TIFF, from command and Python."""

import json

import numpy as np
import pytest
import tifffile

import unet2015
from tests.images.microscope_files import NAMES, SCALE, pixels
from tests.images.test_microscope_files import write
from unet2015.errors import UsageError
from unet2015.images.reader import open_image
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings.objects import ObjectSettings

SHAPE = (1, 2, 2, 60, 70)


@pytest.mark.parametrize("ending", ["czi", "lif", "nd2"])
def test_results_are_those_of_the_same_pixels_in_ome_tiff(tmp_path, model, ending):
    both = [pixels(SHAPE, "u1", seed) for seed in (1, 2)]
    path = tmp_path / f"cells.{ending}"
    write(path, both, names=("A1", "B2"))
    same = tmp_path / "same.ome.tif"
    metadata = {
        "axes": "ZCYX",
        "Channel": {"Name": list(NAMES)},
        "PhysicalSizeY": SCALE[1 if ending == "nd2" else 0],
        "PhysicalSizeX": SCALE[1],
        "PhysicalSizeZ": SCALE[2],
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeXUnit": "µm",
    }
    tifffile.imwrite(same, both[1][0], ome=True, metadata=metadata, photometric="minisblack")
    options = SegmentOptions(channel="GFP", scene=1)
    (result,) = segment_files([path], tmp_path / "out", model, options)
    (other,) = segment_files([same], tmp_path / "out", model, SegmentOptions(channel="GFP"))
    assert (result.error, other.error) == (None, None)
    with open_image(result.outputs[0]) as made, open_image(other.outputs[0]) as expected:
        assert (made.axes, made.shape, made.kind) == (expected.axes, expected.shape, expected.kind)
        assert made.calibration.pixel_size_x == pytest.approx(expected.calibration.pixel_size_x)
        assert made.calibration.pixel_size_y == pytest.approx(expected.calibration.pixel_size_y)
        pages = [image.read(page, 0, 60, 0, 70)[0] for image in (made, expected) for page in range(2)]
    assert np.array_equal(pages[:2], pages[2:])
    assert np.array_equal(unet2015.segment(path, model, channel=1, scene=1, device="cpu"), pages[:2])
    record = json.loads((tmp_path / "out" / "cells.record.json").read_text())
    assert record["settings"]["scene"] == "1"
    assert record["reader"].split()[0] == {"czi": "pylibCZIrw", "lif": "liffile", "nd2": "nd2"}[ending]
    assert replay(tmp_path / "out" / "cells.record.json").same
    # The same scene is done before; another one does not take the place of its result.
    before = result.outputs[0].stat().st_mtime_ns
    segment_files([path], tmp_path / "out", model, options)
    assert result.outputs[0].stat().st_mtime_ns == before
    (refused,) = segment_files([path], tmp_path / "out", model, SegmentOptions(channel="GFP", scene=0))
    assert "is the result of scene 1 of" in str(refused.error)
    assert result.outputs[0].stat().st_mtime_ns == before


def test_several_scenes_are_refused_before_anything_is_written(tmp_path, model):
    path = tmp_path / "a.lif"
    write(path, [pixels(SHAPE, "u1")] * 2)
    for results in (segment_files, plan_files):
        (result,) = results([path], tmp_path / "out", model)
        assert "it holds 2 images (scenes): 0:a, 1:b" in str(result.error)
    assert not list((tmp_path / "out").glob("a.*"))


def test_an_array_has_no_scenes(model):
    with pytest.raises(UsageError, match="scene: expected a CZI, ND2 or LIF file"):
        unet2015.segment(np.zeros((50, 50), np.uint8), model, scene=0)


def test_the_command_takes_a_scene_and_inspect_lists_them(tmp_path, model, capsys):
    from unet2015.cli import main

    path = tmp_path / "a.lif"
    write(path, [pixels((1, 1, 1, 60, 70), "u1")] * 2)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([*map(str, arguments)])
        return int(end.value.code or 0), capsys.readouterr()

    status, said = call("inspect", path)
    assert (status, "0:a, 1:b" in said.out) == (1, True)
    status, said = call("inspect", path, "--scene", "b")
    assert (status, "60 x 70 px" in said.out) == (0, True)
    status, said = call("segment", path, "-o", tmp_path / "out", "--model", model, "--scene", "1:b")
    assert (status, said.out.strip()) == (0, str(tmp_path / "out" / "a.classes.ome.tif"))
    assert json.loads((tmp_path / "out" / "a.record.json").read_text())["settings"]["scene"] == "1:b"


@pytest.mark.parametrize("ending", ["czi", "lif", "nd2"])
def test_whoever_goes_on_with_a_scene_measures_that_scene(tmp_path, model, ending):
    first, second = ("well 0", "well 1") if ending == "nd2" else ("A1", "B2")
    path, out = tmp_path / f"cells.{ending}", tmp_path / "out"
    write(path, [pixels(SHAPE, "u1", seed) for seed in (1, 2)], names=(first, second))
    options = SegmentOptions(channel="GFP", scene=1, objects=ObjectSettings(), products=("probability",))
    (result,) = segment_files([path], out, model, options)
    assert result.error is None
    expected = (out / "cells.objects.csv").read_text().splitlines()
    made = f"was made from scene 1 of {path} by its record, but intensities are measured in scene"
    for scene, other in (
        (None, False),
        ("1", False),
        (second, False),
        (f"1:{second}", False),
        ("0", True),
        (first, True),
    ):
        to = tmp_path / str(scene).replace(":", "")
        both = {"images": path, "channel": "GFP", "scene": scene}
        for use in (
            lambda to=to, both=both: measure_files(out / "cells.labels.ome.tif", to / "m", **both),
            lambda to=to, both=both: label_files([out / "cells.probability.ome.tif"], to / "l", **both),
            lambda to=to, both=both: measure_files(to / "l", to / "n", **both),
        ):
            (done,) = use()
            assert done.error is None
            assert any(made in note for note in done.notes) == other
            table = next(one for one in done.outputs if one.name == "cells.objects.csv")
            rows = [row.split(",") for row in table.read_text().splitlines()]
            means = [row[rows[0].index("intensity_mean")] for row in rows]
            wanted = [row.split(",")[expected[0].split(",").index("intensity_mean")] for row in expected]
            assert (means == wanted) != other
            record = json.loads(table.with_suffix(".record.json").read_text())
            assert (record["image"], record["scene"]) == (str(path), scene or "1")
