import json

import numpy as np
import pytest
import tifffile

from unet2015.models.model_file import ModelInfo, build_network, save_model
from unet2015.safe_files import sha256
from unet2015.settings import LabelSettings, Mapping, NetworkSettings
from unet2015.training.checks.contents import contents_of
from unet2015.training.labels import separation_border


@pytest.fixture
def check(cli, data):
    def call(*more):
        return cli("check", "--images", data / "images", "--labels", data / "labels", *more)

    return call


def test_a_sound_set(check):
    ended = check("--label-kind", "membrane")
    assert (ended.status, ended.err) == (0, "")
    assert "1 pair of image and labels: 0 errors, 0 warnings\n" in ended.out


def test_what_could_not_be_read_of_an_image_is_a_warning(check, data):
    path = data / "images" / "a.tif"
    pointer = '<OME UUID="u"><BinaryOnly MetadataFile="a.companion.ome" UUID="v"/></OME>'
    tifffile.imwrite(
        path, tifffile.imread(path), description=pointer, metadata=None, photometric="minisblack"
    )
    ended = check("--label-kind", "membrane")
    assert ended.status == 0
    assert "0 errors, 1 warning" in ended.out
    assert "a.companion.ome, which is not there" in ended.out


def test_how_files_were_paired_and_what_was_left_out_is_said(check, cli, data):
    for folder, name in (
        ("images", "b"),
        ("images", "c"),
        ("images", "d"),
        ("labels", "b_m"),
        ("labels", "c_m"),
    ):
        source = data / folder / "a.tif"
        (data / folder / f"{name}.tif").write_bytes(source.read_bytes())
    (data / "labels" / "a.tif").rename(data / "labels" / "a_m.tif")
    ended = check("--label-kind", "membrane")
    assert ended.status == 0
    assert f"warning: left out: 1 image without labels: {data / 'images' / 'd.tif'}\n" in ended.out
    assert "in common: a.tif with a_m.tif, b.tif with b_m.tif, c.tif with c_m.tif\n" in ended.out
    assert "3 pairs of image and labels" in ended.out
    said = json.loads(check("--label-kind", "membrane", "--json").out)
    assert len(said["pairs"]) == 3
    assert any("left out" in problem["message"] for problem in said["problems"])


def test_the_held_out_pages_are_named(check):
    assert "held out: a.tif page 2 (1 page)\n" in check("--label-kind", "membrane").out
    assert json.loads(check("--label-kind", "membrane", "--json").out)["held_out"] == ["a.tif page 2"]


def test_the_pages_to_hold_out_are_chosen_as_for_train(check):
    ended = check("--label-kind", "membrane", "--validate", "0-1")
    assert "held out: a.tif pages 0-1 (2 pages)\n" in ended.out


def test_pages_to_hold_out_may_be_given_one_by_one_and_as_they_are_printed(check):
    both = check("--label-kind", "membrane", "--validate", "0", "--validate", "a.tif page 1")
    assert "held out: a.tif pages 0-1 (2 pages)\n" in both.out
    said = next(line for line in both.out.splitlines() if line.startswith("held out: "))
    assert f"{said}\n" in check("--label-kind", "membrane", "--validate", said).out


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ("9", "there is no page 9"),
        ("2-1", "runs backwards; write 1-2"),
        ("b.tif", "the nearest name is a.tif"),
        ("0-2", "leave some for training"),
    ],
)
def test_pages_to_hold_out_that_cannot_be_are_wrong_usage(check, refused, pages, words):
    for more in ([], ["--json"]):
        refused(check("--label-kind", "membrane", "--validate", pages, *more), 2, words)


def test_what_is_wrong_is_said_on_standard_output(check):
    ended = check()
    assert (ended.status, ended.err) == (1, "")
    assert "error: " in ended.out
    assert "0 and 255" in ended.out
    assert ": 1 error, 0 warnings" in ended.out


def test_json(check, data):
    ended = check("--json")
    assert ended.status == 1
    result = json.loads(ended.out)
    assert result["pairs"] == [
        {"image": str(data / "images" / "a.tif"), "labels": str(data / "labels" / "a.tif")}
    ]
    assert {problem["severity"] for problem in result["problems"]} == {"error"}
    assert {problem["file"] for problem in result["problems"]} == {str(data / "labels" / "a.tif")}


def test_names_without_a_partner(check, data):
    tifffile.imwrite(data / "images" / "b.tif", np.zeros((9, 9), np.uint8))
    ended = check("--json")
    assert ended.status == 1
    assert "b" in json.loads(ended.out)["problems"][0]["message"]


def test_settings_file_and_options(check, data, refused):
    settings = data / "settings.toml"
    settings.write_text('[labels]\nkind = "membrane"\n[validation]\npages = "9"\n')
    refused(check("--settings", settings), 2, "no page 9")
    # An option wins over the file.
    assert "0 and 255" in check("--settings", settings, "--label-kind", "instances").out
    assert "ignore value 7" in check("--label-kind", "membrane", "--ignore", "7").out


@pytest.fixture
def start(data):
    """A model of smaller pixels, of another channel and type; of as many channels, if it is told."""

    def make(channels=1, **changes):
        info = ModelInfo(
            in_channels=channels,
            network=NetworkSettings(width=2, depth=1),
            mapping=Mapping(method="integer-range"),
            class_names=("membrane", "cell"),
            dtype="uint16",
            axes="YX" if channels == 1 else "CYX",
            training={"channel": "1:GFP"},
            pixel_size_nm=25.0,
        ).model_copy(update=changes)
        save_model(data / "start.safetensors", build_network(info), info)
        return data / "start.safetensors"

    return make


def test_what_the_model_to_start_from_was_trained_on_is_compared(check, start, data, refused):
    kind = ("--label-kind", "membrane")
    model = start(ended=False)
    ended = check(*kind, "--from", model)
    place = f"warning: {data / 'images' / 'a.tif'}: to start from: the model was trained on "
    assert [line.partition(place)[2][:30] for line in ended.out.splitlines() if line.startswith(place)] == [
        "channel 1:GFP of its images, b",
        "uint16, but these pixels are u",
        "pixels of 25 nm, but these are",
    ]
    assert (ended.status, ended.err.count("has not ended")) == (0, 1)
    same = start(dtype="uint8", training={"files": [], "held_out": []}, pixel_size_nm=250.0)
    assert "0 errors, 0 warnings" in check(*kind, "--from", same).out
    ended = check(*kind, "--from", start(3))
    assert (ended.status, "reads 3 channel(s), but this image has 1" in ended.out) == (1, True)
    (data / "mine.toml").write_text("[network]\nwidth = 16\n")
    refused(
        check(*kind, "--from", model, "--settings", data / "mine.toml"), 2, "network.width = 16", "it is 2"
    )
    (data / "mine.toml").write_text('[fine_tuning]\nfreeze = "encoder"\n')
    refused(check(*kind, "--settings", data / "mine.toml"), 2, "no model to start from")
    assert check(*kind, "--settings", data / "mine.toml", "--from", start()).status == 0
    refused(check(*kind, "--from", data / "none.safetensors"), 2, "none.safetensors")


def test_wrong_settings(check, data, refused):
    settings = data / "settings.toml"
    settings.write_text("[labels]\nkinds = 1\n")
    refused(check("--settings", settings), 2, settings, "labels.kinds", "known here: kind")
    refused(check("--settings", data / "none.toml"), 2, "none.toml")


def test_the_same_problem_of_many_files_is_said_once_with_their_number(check, data):
    for name in "bcd":
        for folder in ("images", "labels"):
            (data / folder / f"{name}.tif").write_bytes((data / folder / "a.tif").read_bytes())
    ended = check()
    errors = [line for line in ended.out.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {data / 'labels' / 'a.tif'}: ")
    assert errors[0].endswith(" (and 3 more files)")
    assert "4 pairs of image and labels: 4 errors" in ended.out
    assert len(json.loads(check("--json").out)["problems"]) == 4


def test_cells_their_sizes_and_the_shares_of_classes(cli, data):
    labels = np.zeros((2, 20, 30), np.uint8)
    labels[0, 2:6, 2:12], labels[0, 10:14, 2:7], labels[1, 3:9, 3:13] = 1, 2, 7
    labels[1, 19] = 255
    images = np.random.default_rng(0).integers(0, 255, labels.shape, np.uint8)
    for name, pixels, more in (
        ("image", images, {"resolution": (2, 2), "metadata": {"unit": "um", "axes": "ZYX"}}),
        ("label", labels, {"metadata": {"axes": "ZYX"}}),
    ):
        tifffile.imwrite(data / f"{name}.tif", pixels, imagej=True, **more)
    paths = ["--images", data / "image.tif", "--labels", data / "label.tif"]
    ended = cli("check", *paths, "--ignore", "255", "--validate", "1")
    # 40, 20 and 60 px; a pixel is 0.25 square micrometres. 120 of 1170 annotated pixels, 30 of 1200 ignored.
    disks = "(7.14 px across)", "(3.57 µm across)"
    assert (
        f"cells: 3, areas 20 to 60 px, median 40 px {disks[0]}; areas 5 to 15 µm², median 10 µm² {disks[1]}\n"
        in ended.out
    )
    assert "classes: background 89.7%, cell 10.3%; 2.5% of all pixels not annotated\n" in ended.out
    assert "held out: image.tif page 1 (1 page)\n" in ended.out
    said = json.loads(cli("check", *paths, "--ignore", "255", "--validate", "1", "--json").out)
    assert said["held_out"] == ["image.tif page 1"]
    held = said["contents"]
    assert held["cells"] == 3
    assert held["area_px"] == {
        "minimum": 20,
        "median": 40,
        "maximum": 60,
        "diameter": pytest.approx(7.136, abs=1e-3),
    }
    assert held["area_um2"] == {
        "minimum": 5, "median": 10, "maximum": 15, "diameter": pytest.approx(3.568, abs=1e-3),
    }  # fmt: skip
    assert held["classes"] == [
        {"name": "background", "pixels": 1050, "share": 1050 / 1170},
        {"name": "cell", "pixels": 120, "share": 120 / 1170},
    ]
    assert held["not_annotated_pixels"] == 30
    tifffile.imwrite(data / "image.tif", images, photometric="minisblack", metadata={"axes": "ZYX"})
    ended = cli("check", *paths, "--ignore", "255")
    assert f"median 40 px {disks[0]}\n" in ended.out
    assert json.loads(cli("check", *paths, "--ignore", "255", "--json").out)["contents"]["area_um2"] is None
    shares = cli("check", *paths, "--label-kind", "instances")
    assert "not annotated" not in shares.out


def test_cells_are_as_large_as_they_are_labelled_where_a_border_is_drawn_between_them(cli, data):
    # In a square: the border takes those of their pixels that have another cell above or left.
    labels = np.pad(np.kron(np.arange(1, 26).reshape(5, 5), np.ones((8, 8), int)), 20).astype(np.uint16)
    pixels = np.random.default_rng(0).integers(0, 255, labels.shape, np.uint8)
    tifffile.imwrite(data / "image.tif", pixels)
    tifffile.imwrite(data / "label.tif", labels)
    paths = ["--images", data / "image.tif", "--labels", data / "label.tif", "--label-kind", "instances"]
    taken = int((separation_border(labels) != labels).sum())
    ended = cli("check", *paths)
    assert "cells: 25, areas 64 to 64 px, median 64 px" in ended.out
    share = (1600 - taken) / labels.size
    border = f"; with the separation border as background ({taken / 1600:.1%} of the cells' pixels)"
    assert f"classes: background {1 - share:.1%}, cell {share:.1%}{border}\n" in ended.out
    held = json.loads(cli("check", *paths, "--json").out)["contents"]
    assert held["area_px"]["median"] == 64
    assert held["separation_border_pixels"] == taken
    assert held["classes"][1]["pixels"] == 1600 - taken


def test_large_cells_are_told_without_powers_of_ten():
    contents = contents_of([np.array([3975, 17694, 123456789])], [None], [np.array([[9, 1]])], 10)
    assert (
        "areas 3975 to 123456789 px, median 17694 px (150 px across)" in contents.describe(LabelSettings())[0]
    )


def test_a_set_with_errors_has_no_contents(check):
    assert "cells:" not in check().out
    assert json.loads(check("--json").out)["contents"] is None


def test_a_set_without_cells_has_no_sizes():
    contents = contents_of([np.array([], np.int64)], [None], [np.array([[9, 0]])], 9)
    said = contents.as_dict(LabelSettings(kind="membrane"))
    assert (said["cells"], said["area_px"], said["area_um2"]) == (0, None, None)
    assert [one["share"] for one in said["classes"]] == [1, 0]


def test_programs_get_the_held_out_pages_that_the_start_was_trained_on(check, start, data):
    files = [
        {"image": path.name, "image_sha256": sha256(path)} for path in sorted((data / "images").iterdir())
    ]
    for held_out, expected in ([], ["a.tif page 2"]), (["a.tif"], []):
        model = start(training={"files": files, "held_out": held_out})
        said = json.loads(check("--label-kind", "membrane", "--from", model, "--json").out)
        assert (said["held_out"], said["held_out_trained_on"]) == (["a.tif page 2"], expected)
