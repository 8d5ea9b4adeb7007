"""Files, folders and patterns: which images they stand for, and that nothing is left out without a word."""

import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError, UsageError
from unet2015.images.reader import SUFFIXES, find_images

TIFF, BIG, PNG = b"II*\0" + bytes(8), b"II+\0" + bytes(12), b"\x89PNG\r\n\x1a\n"


def test_find_images(tmp_path, monkeypatch):
    for name in ("b.tif", "a.TIFF", "c.Png", "d.txt", ".hidden.tif", "e.tif.tmp"):
        (tmp_path / name).touch()
    (tmp_path / "folder.tif").mkdir()
    names = ["a.TIFF", "b.tif", "c.Png", "folder.tif"]
    assert [path.name for path in find_images([tmp_path])] == names
    assert [path.name for path in find_images([str(tmp_path / "*")])] == names
    assert [path.name for path in find_images([tmp_path / "d.txt", tmp_path / "b.tif", tmp_path])] == [
        "d.txt",
        "b.tif",
        "a.TIFF",
        "c.Png",
        "folder.tif",
    ]
    monkeypatch.chdir(tmp_path)
    assert find_images(["b.tif", "*.tif"]) == [Path("b.tif"), Path("folder.tif")]
    assert find_images(["folder.tif"]) == [Path("folder.tif")], "so that the others are not refused with it"
    (tmp_path / "folder").mkdir()
    for missing in ("nothing.tif", "*.jpg", str(tmp_path / "folder")):
        with pytest.raises(UsageError, match=re.escape(missing)):
            find_images([missing])


def test_images_of_a_folder_or_pattern_come_in_natural_order(tmp_path):
    names = [
        "s1_t2.tif",
        "s1_t10.tif",
        "s2_t1.tif",
        "s10_t1.png",
        "t007.tif",
        "t07.tif",
        "t7a.tif",
        "t12.tif",
    ]
    for name in names[::-1]:
        (tmp_path / name).touch()
    assert [path.name for path in find_images([tmp_path])] == names
    for folder in ("2", "10"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.tif").touch()
    found = find_images([f"{tmp_path}/*/a.tif"])
    assert [path.parent.name for path in found] == ["2", "10"]


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ImageReadError, match=f"{tmp_path}: cannot read the folder: Permission denied"):
        find_images([tmp_path])


def left_out(caplog, item):
    """Return the names found, and the messages on what is left out."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, "unet2015"):
        found = [path.name for path in find_images([item])]
    return found, caplog.messages


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_stands_for_every_ending(tmp_path, caplog, suffix):
    names = [f"a{suffix}", f"b.ome{suffix}", f"c{suffix.upper()}"]
    for name in names:
        (tmp_path / name).touch()
    assert left_out(caplog, tmp_path) == (names, [])


def test_what_a_folder_leaves_out_is_named(tmp_path, caplog):
    (tmp_path / "a.tif").write_bytes(TIFF)
    for name in ("notes.txt", "a.record.json", "failures.csv", "set.companion.ome", ".hidden", ".hidden.svs"):
        (tmp_path / name).write_bytes(b"text")
    (tmp_path / "folder").mkdir()
    assert left_out(caplog, tmp_path) == (["a.tif"], [])
    (tmp_path / "z.svs").write_bytes(TIFF)
    found, (message,) = left_out(caplog, tmp_path)
    assert found == ["a.tif"]
    assert "1 file is left out" in message
    assert "z.svs" in message
    assert str(tmp_path) in message
    for name, start in (
        ("b.vsi", b"ZISRAW"),
        ("image001", BIG),
        ("c.qptiff", TIFF),
        ("d.gif", b""),
        ("e.txt", PNG),
    ):
        (tmp_path / name).write_bytes(start)
    _, (message,) = left_out(caplog, tmp_path)
    assert message.endswith(": c.qptiff, e.txt, image001, z.svs, b.vsi, d.gif"), (
        "first what begins as an image"
    )
    for number in range(9):
        (tmp_path / f"{number}.stk").write_bytes(TIFF)
    _, (message,) = left_out(caplog, tmp_path)
    assert "15 files are left out" in message
    assert message.endswith("and 5 more")


def test_a_folder_of_nothing_else_says_what_it_leaves_out(tmp_path, caplog):
    (tmp_path / "z.svs").write_bytes(TIFF)
    with pytest.raises(UsageError, match="no image in this folder"):
        find_images([tmp_path])
    assert "z.svs" in caplog.text


def test_a_folder_whose_folders_hold_images_says_how_to_give_them(tmp_path):
    for name in (
        *("exp[1]/.hidden/a.tif", "exp[1]/notes/._a.tif", "exp[1]/text/a.txt"),
        *("exp[1]/x/c.tif", "exp[1]/y/b.tif"),
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(TIFF)
    with pytest.raises(UsageError, match="folders in it hold some") as caught:
        find_images([tmp_path / "exp[1]"])
    said = str(caught.value)
    assert f"such as {tmp_path / 'exp[1]' / 'x'}; give such a folder, or '" in said
    assert [path.name for path in find_images([said.split("'")[1]])] == ["c.tif", "b.tif"]
    with pytest.raises(UsageError) as caught:
        find_images([tmp_path / "exp[1]" / "text"])
    assert "hold" not in str(caught.value)


def test_a_folder_with_brackets_at_the_beginning_of_a_pattern_is_that_folder(tmp_path, monkeypatch):
    for folder in ("s[1]", "s1", "s2"):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", np.zeros((4, 4), np.uint8))
    monkeypatch.chdir(tmp_path)
    for pattern in ("s[1]/*.tif", tmp_path / "s[1]" / "*", "s[1]/**/a.tif"):
        assert [path.parent.name for path in find_images([pattern])] == ["s[1]"]
    assert [path.parent.name for path in find_images(["s[12]/*.tif"])] == ["s1", "s2"]
    shutil.rmtree("s[1]")
    assert [path.parent.name for path in find_images(["s[1]/*.tif"])] == ["s1"]


def test_a_pattern_with_an_ending_stands_for_images_of_that_ending(tmp_path, caplog):
    for name in ("a.svs", "b.svs", "c.tif"):
        (tmp_path / name).write_bytes(TIFF)
    (tmp_path / "d.svs").write_bytes(b"text")
    found, (message,) = left_out(caplog, f"{tmp_path}/*.svs")
    assert found == ["a.svs", "b.svs"]
    assert message.endswith(": d.svs")
    assert left_out(caplog, f"{tmp_path}/*.tif") == (["c.tif"], [])
    found, (message,) = left_out(caplog, f"{tmp_path}/*")
    assert found == ["c.tif"]
    assert message.endswith(": a.svs, b.svs, d.svs")
    (tmp_path / "e.zarr" / "0").mkdir(parents=True)
    (tmp_path / "e.zarr" / "0" / "1.0").write_bytes(bytes(4))
    assert "1.0" not in left_out(caplog, f"{tmp_path}/**")[1][0]


def test_hidden_images_in_a_folder_are_named(tmp_path, caplog):
    for name in ("a.tif", ".5um.tif", "._a.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((4, 5), np.uint8), photometric="minisblack")
    (tmp_path / ".b.tif").write_bytes(b"no image")
    (tmp_path / ".c.zarr").mkdir()
    assert find_images([tmp_path]) == [tmp_path / "a.tif"]
    (said,) = [record.message for record in caplog.records if "hidden" in record.message]
    assert said.endswith("are left out; give them by name: .5um.tif, .c.zarr")
    assert find_images([tmp_path / ".5um.tif"]) == [tmp_path / ".5um.tif"]
