import numpy as np
import pytest
import tifffile

from unet2015.images.reader import open_image, read_pages
from unet2015.training.weight_map import weight_map


def test_the_map_is_that_of_the_python_function_with_the_axes_and_calibration_of_the_labels(cli, data):
    labels, out = data / "labels" / "a.tif", data / "weights.tif"
    ended = cli("weights", labels, "-o", out, "--label-kind", "membrane", "--w0", "7", "--sigma", "3")
    assert ended == (0, f"{out}\n", "")
    expected = weight_map(tifffile.imread(labels), 7, 3, kind="membrane")
    np.testing.assert_array_equal(read_pages(out), expected)
    with open_image(labels) as before, open_image(out) as after:
        assert (after.axes, after.shape, after.dtype) == (before.axes, before.shape, np.float32)
        assert after.calibration == before.calibration


def test_the_paper_s_values_unless_said_otherwise(cli, instances, tmp_path):
    out = tmp_path / "weights.tif"
    assert cli("weights", instances, "--out", out).status == 0
    np.testing.assert_array_equal(read_pages(out)[0], weight_map(tifffile.imread(instances), 10, 5))
    assert cli("weights", instances, "--out", out, "--ignore", "3").status == 0
    ignored = weight_map(tifffile.imread(instances), 10, 5, ignore=3)
    np.testing.assert_array_equal(read_pages(out)[0], ignored)


def test_the_second_term_lands_where_asked_for(cli, refused, instances, tmp_path):
    out, labels = tmp_path / "weights.tif", tifffile.imread(instances)
    maps = {gaps: weight_map(labels, gaps=gaps) for gaps in ("background", "everywhere")}
    assert (maps["background"] != maps["everywhere"]).any()
    for gaps, expected in maps.items():
        assert cli("weights", instances, "--out", out, "--gaps", gaps).status == 0
        np.testing.assert_array_equal(read_pages(out)[0], expected)
    refused(cli("weights", instances, "--out", out, "--gaps", "inside"), 2, "background", "everywhere")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["-o", "map.png"], 2, ["map.png", ".tif"]),
        (["-o", "map.tif", "--sigma", "0"], 2, ["sigma"]),
        (["-o", "map.tif", "--w0", "-1"], 2, ["w0"]),
        (["-o", "map.tif", "--w0", "nan"], 2, ["w0"]),
        (["-o", "nowhere/map.tif"], 1, ["nowhere"]),
        (["-o", "cells.tif"], 2, ["replace the labels"]),
    ],
)
def test_what_cannot_be(cli, refused, instances, monkeypatch, options, status, words):
    monkeypatch.chdir(instances.parent)
    before = instances.read_bytes()
    refused(cli("weights", instances, *options), status, *words)
    assert instances.read_bytes() == before
    assert not (instances.parent / "map.tif").exists()


def test_a_mask_of_cells(cli, data, tmp_path):
    tifffile.imwrite(data / "mask.tif", np.kron([[0, 255, 0, 9]], np.ones((8, 8))).astype(np.uint8))
    ended = cli("weights", data / "mask.tif", "-o", tmp_path / "w.tif", "--label-kind", "mask")
    assert ended.status == 0
    assert f"{data / 'mask.tif'}: has 2 different values beside 0 (9, 255), all read as cells" in ended.err
    page = tifffile.imread(data / "mask.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "w.tif"), weight_map(page, kind="mask"))
    np.testing.assert_array_equal(weight_map(page > 0), weight_map(page, kind="mask"))
    assert weight_map(page, kind="mask").max() > 2  # two cells with a gap


def test_a_mask_is_not_instances(cli, refused, data):
    out = data / "weights.tif"
    refused(cli("weights", data / "labels" / "a.tif", "-o", out), 1, "0 and 255", "membrane")
    assert not out.exists()


@pytest.mark.parametrize(
    ("pages", "kind", "said"),
    [
        (np.random.default_rng(0).integers(0, 250, (2, 30, 30)), "instances", "page 1: most of the"),
        (
            np.kron([[0, 7, 0, 7], [0] * 4, [7, 0, 7, 0]], np.ones((5, 5))),
            "instances",
            "all 4 separate cells",
        ),
        (np.random.default_rng(0).integers(1, 250, (30, 30)), "mask", "every annotated pixel is cells"),
        (np.kron([[0, 1], [0, 2]], np.ones((9, 9))), "instances", None),
    ],
)
def test_labels_that_look_like_an_image_or_a_mask_are_said(cli, tmp_path, pages, kind, said):
    tifffile.imwrite(tmp_path / "a.tif", pages.astype(np.uint8), photometric="minisblack")
    ended = cli(
        "weights",
        tmp_path / "a.tif",
        "-o",
        tmp_path / "w.tif",
        "--label-kind",
        kind,
        "--axes",
        "ZYX"[-pages.ndim :],
    )
    assert (ended.status, ended.out) == (0, f"{tmp_path / 'w.tif'}\n")
    assert ended.err == "" if said is None else said in ended.err and str(tmp_path / "a.tif") in ended.err


def test_labels_that_are_not_there(cli, refused, tmp_path):
    refused(
        cli("weights", tmp_path / "none.tif", "-o", tmp_path / "w.tif"), 1, "none.tif: cannot read the file"
    )
