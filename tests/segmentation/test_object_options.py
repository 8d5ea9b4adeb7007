"""What counts as an object is said with the same options to `segment` and to `label`."""

import json

import pytest

from unet2015.cli.app import main
from unet2015.cli.object_options import object_settings
from unet2015.errors import UsageError
from unet2015.images.reader import read_pages
from unet2015.settings.objects import MarkerSettings

OPTIONS = ["--keep-holes", "--frame", "9", "--corners", "--smallest", "3"]


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def test_segment_and_label_take_the_same_options(model, stack_file, tmp_path):
    command = ["segment", stack_file, "--model", model, "--objects", "--probability"]
    for out in ("plain", "same"):
        assert run(*command, *(OPTIONS if out == "same" else []), "-o", tmp_path / out) == 0
    assert run("label", tmp_path / "plain" / "stack.probability.tif", *OPTIONS, "-o", tmp_path / "again") == 0
    labels = {out: read_pages(tmp_path / out / "stack.labels.tif") for out in ("plain", "same", "again")}
    assert (labels["same"] == labels["again"]).all()
    assert (labels["same"] != labels["plain"]).any()
    record = json.loads((tmp_path / "same" / "stack.record.json").read_text())
    said = {name: record["settings"]["objects"][name] for name in ("fill_holes", "frame", "connectivity")}
    assert said == {"fill_holes": False, "frame": 9, "connectivity": 2}


@pytest.mark.parametrize("option", [["--fill-holes"], ["--frame", "0"], ["--edges"], ["--split", "none"]])
def test_what_objects_are_needs_objects(model, stack_file, tmp_path, capsys, option):
    assert run("segment", stack_file, "--model", model, "-o", tmp_path / "out", *option) == 2
    assert "need --objects" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "meant"), [("0,9", "0.9,2 .* or 0.0,9"), ("1,0", "1.0,2 .* or 1.0,0"), (" 0, 75", "0.75,2")]
)
def test_a_level_with_a_decimal_comma_is_refused(text, meant):
    """Taken as level 0 and a blur of 9 px, hardly anything would be divided."""
    with pytest.raises(UsageError, match=f"a decimal comma.* {meant}"):
        object_settings(split=text)


@pytest.mark.parametrize("text", ["1,0.8", "0,2.5"])
def test_a_level_that_divides_nothing_is_refused_as_the_blur_may_be_meant(text):
    with pytest.raises(UsageError, match="LEVEL comes first"):
        object_settings(split=text)


def test_levels_that_are_no_decimal_comma_are_taken():
    for text in ("0.9,2", "0.0,9", "1.0,2"):
        level, blur = map(float, text.split(","))
        assert object_settings(split=text).markers == MarkerSettings(level=level, blur=blur)
