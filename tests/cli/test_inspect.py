import json

import pytest


def test_a_file_is_described(cli, data):
    ended = cli("inspect", data / "images" / "a.tif")
    assert (ended.status, ended.err) == (0, "")
    for words in (
        str(data / "images" / "a.tif"),
        "ZYX (3 x 96 x 80), from the file's ImageJ header",
        "3 of 96 x 80 px",
        "uint8",
        "pixel height 0.2 micron, pixel width 0.25 micron, z spacing 0.5 micron",
    ):
        assert words in ended.out


def test_what_is_refused_is_listed_with_the_reason_and_the_rest_described(cli, data, cut_short):
    ended = cli("inspect", data / "images")
    assert ended.status == 1
    described, refused = ended.out.split(str(cut_short))
    assert "3 of 96 x 80 px" in described
    assert "refused" in refused
    assert "axes" not in refused.split("refused")[0]


def test_json(cli, data, cut_short):
    ended = cli("inspect", data / "images", "--json")
    assert ended.status == 1
    whole, cut = json.loads(ended.out)
    assert whole["file"] == str(data / "images" / "a.tif")
    assert whole["refused"] is None
    assert whole["shape"] == [3, 96, 80]
    assert (whole["axes"], whole["axes_source"], whole["pages"]) == ("ZYX", "imagej", 3)
    assert whole["calibration"]["z_spacing"] == pytest.approx(0.5)
    assert whole["calibration"]["unit"] == "micron"
    assert cut["file"] == str(cut_short)
    assert cut["refused"]


def test_declared_axes_win(cli, data):
    ended = cli("inspect", data / "images", "--axes", "TYX", "--json")
    assert ended.status == 0
    (image,) = json.loads(ended.out)
    assert (image["axes"], image["axes_source"]) == ("TYX", "--axes")


def test_axes_that_do_not_fit(cli, data):
    ended = cli("inspect", data / "images", "--axes", "YX")
    assert ended.status == 1
    assert "refused" in ended.out


def test_a_missing_file(cli, refused, tmp_path):
    refused(cli("inspect", tmp_path / "none.tif"), 2, tmp_path / "none.tif")


def test_a_folder_named_like_a_file(cli, refused, tmp_path):
    (tmp_path / "a.tif").mkdir()
    refused(cli("inspect", tmp_path / "a.tif"), 2, "a.tif", "folder")
