"""What counts as an object is said with the same options to `segment` and to `label`."""

import json

import pytest

from unet2015.cli.app import main
from unet2015.images.reader import read_pages

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
