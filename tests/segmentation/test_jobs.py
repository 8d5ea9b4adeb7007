"""Where results go: no result replaces an input or another result, and each finds its name."""

import pytest
import tifffile

from unet2015.errors import UsageError
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions

BOTH = ("classes", "probability")


def test_colliding_names_are_refused_before_anything_is_written(tmp_path, model, stack):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "x.tif", stack[0])
    inputs = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(UsageError, match=r"x\.classes\.tif"):
        segment_files(inputs, tmp_path / "out", model)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", ["a.btf", "a.lsm", "a.TIFF", "a.png"])
def test_inputs_that_differ_in_their_endings_alone_are_refused_with_advice_that_helps(tmp_path, model, other):
    (tmp_path / "in").mkdir()
    for name in ("a.tif", other):
        (tmp_path / "in" / name).touch()
    with pytest.raises(UsageError, match=r"a\.tif.*rename one of them") as caught:
        segment_files([tmp_path / "in"], tmp_path / "out", model)
    assert other in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_output_never_replaces_an_input(tmp_path, model, stack_file):
    with pytest.raises(UsageError, match="also an input"):
        segment_files([stack_file], stack_file, model)


def test_one_input_may_name_its_output(tmp_path, model, stack_file):
    (result,) = segment_files([stack_file], tmp_path / "result.tif", model, SegmentOptions(products=BOTH))
    assert [path.name for path in result.outputs] == ["result.tif", "result.probability.tif"]
    with pytest.raises(UsageError, match="give a folder"):
        segment_files([stack_file, model], tmp_path / "result.tif", model)


def test_a_folder_may_hold_its_own_results(tmp_path, model, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack[0])
    for _ in range(2):
        results = segment_files([tmp_path / "*.tif"], tmp_path, model, SegmentOptions(products=BOTH))
        assert [result.input.name for result in results] == ["a.tif"]


def test_a_name_that_is_no_tiff_is_refused(tmp_path, model, stack_file):
    with pytest.raises(UsageError, match="TIFF"):
        segment_files([stack_file], tmp_path / "x.png", model)
