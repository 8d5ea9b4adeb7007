"""Where results go: no result replaces an input or another result, and each finds its name."""

from pathlib import Path

import pytest
import tifffile

from unet2015.errors import UsageError
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.jobs import plan_jobs
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
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


def test_what_lies_in_a_zarr_is_not_to_be_renamed(tmp_path, model):
    """Fields of a plate and series of bioformats2raw are all called 0, and their parents name them so."""
    for place in ("plate.zarr/A/1/0", "plate.zarr/A/2/0", "other/A/1/0"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "zarr.json").touch()
    (tmp_path / "other" / ".zgroup").touch()  # a Zarr without the ending
    fields = [tmp_path / "plate.zarr/A/1/0", tmp_path / "other/A/1/0"]
    for two in (fields, [tmp_path / "plate.zarr/A/2/0", fields[0]]):
        with pytest.raises(UsageError, match="segment each to its own folder") as caught:
            segment_files(two, tmp_path / "out", model)
        assert "rename" not in str(caught.value)
    alone = tmp_path / "0.zarr"
    alone.mkdir()
    with pytest.raises(UsageError, match=r"rename \S*0\.zarr, or segment each to its own folder"):
        segment_files([fields[0], alone], tmp_path / "out", model)


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


@pytest.mark.parametrize("name", ["x.png", "x.JPG", "x.xlsx", "x.csv"])
def test_a_folder_is_not_made_with_the_name_of_a_file(tmp_path, model, stack_file, name):
    with pytest.raises(UsageError, match=r"give a folder, or a name that ends in \.tif or \.zarr"):
        segment_files([stack_file], tmp_path / name, model)
    with pytest.raises(UsageError, match="give a folder"):
        label_files([stack_file], tmp_path / name)
    if name != "x.csv":
        with pytest.raises(UsageError, match=r"or one table of all, \.csv or \.parquet"):
            measure_files(stack_file, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_folder_that_is_there_may_have_any_name(tmp_path, model, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack[0])
    (tmp_path / "x.png").mkdir()
    assert segment_files([tmp_path / "a.tif"], tmp_path / "x.png", model)[0].error is None


LONG = SegmentOptions(products=BOTH)  # .probability.tif is the longest ending


@pytest.mark.parametrize("letter", ["a", "\N{GREEK SMALL LETTER MU}"])
def test_a_name_that_leaves_no_room_for_those_of_results_is_said_before_any_work(
    tmp_path, model, stack, letter
):
    longest = 255 - len(".probability.tif")
    count = longest // len(letter.encode())
    fits, over = letter * count, letter * (count + 1)
    for name in (fits, over):
        tifffile.imwrite(tmp_path / f"{name}.tif", stack[0, :16, :16])
    results = segment_files(
        [tmp_path / f"{name}.tif" for name in (fits, over)], tmp_path / "out", model, LONG
    )
    assert results[0].error is None
    message = str(results[1].error)
    assert message.startswith(f"{tmp_path / over}.tif: ")
    assert "at most 255" in message
    assert "-o NAME.tif" in message
    assert "Errno" not in message
    assert not [path for path in (tmp_path / "out").rglob("*") if over[:-1] + letter in path.name]
    (result,) = segment_files([tmp_path / f"{over}.tif"], tmp_path / "b.tif", model, LONG)
    assert result.error is None


def test_the_name_of_a_result_may_be_too_long(tmp_path, model, stack_file):
    (result,) = segment_files([stack_file], tmp_path / f"{'b' * 251}.tif", model, LONG)
    assert "choose a shorter name for the result" in str(result.error)
    (result,) = segment_files([stack_file], tmp_path / f"{'b' * 239}.tif", model, LONG)
    assert result.error is None, "though a log of failures would not fit"
    for name in ("b" * 252 + ".tif", "b" * 256):
        with pytest.raises(UsageError, match="at most 255; shorten it"):
            segment_files([stack_file], tmp_path / name, model)


def test_a_long_name_that_ends_as_that_of_a_result_is_an_input(tmp_path, model, stack):
    path = tmp_path / f"{'a' * 232}.classes.tif"
    tifffile.imwrite(path, stack[0, :16, :16])
    (result,) = segment_files([path], tmp_path / "b.tif", model)
    assert result.error is None


def test_the_preparation_of_a_folder_grows_with_its_files_and_not_with_their_square(tmp_path, monkeypatch):
    resolve, resolved = Path.resolve, []

    def counted(path, *more):
        resolved.append(path)
        return resolve(path, *more)

    monkeypatch.setattr(Path, "resolve", counted)
    counts = []
    for files in (20, 40):
        resolved.clear()
        plan_jobs([tmp_path / f"{number}.tif" for number in range(files)], tmp_path / "out", SegmentOptions())
        counts.append(len(resolved))
    assert counts[1] == 2 * counts[0] > 0
