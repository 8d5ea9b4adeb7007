"""A part of what ``python -m tests.fuzz`` does, in a process of limited memory."""

import json
import sys
from random import Random

import pytest
import tifffile

from tests.fuzz import seeds
from tests.fuzz.__main__ import Seed, copies, in_step, main
from tests.fuzz.damage import changed_toml
from tests.fuzz.mutate import changed_text, entries, mutated


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory limit is Linux's")
def test_damaged_files_are_read_right_or_refused_with_one_clear_error(tmp_path, capsys):
    status = main(["--images", "50", "--others", "9", "--seed", "1", "--keep", str(tmp_path / "kept")])
    images, others = json.loads(capsys.readouterr().out)["searches"]
    assert images["findings"] == others["findings"] == []
    assert status == 0
    assert (images["files"], others["files"]) == (50, 9)
    # Both outcomes occur, so that the damage is neither harmless nor hopeless.
    assert images["kinds"]["result"] > 10
    assert images["kinds"]["ImageReadError"] > 20
    assert others["kinds"]["ModelError"] > 1
    assert others["kinds"]["result"] > 1
    assert others["kinds"]["refused"] > 0
    assert not (tmp_path / "kept").exists()


def test_a_search_stops_when_its_time_is_over(tmp_path, capsys):
    assert main(["--images", "70", "--others", "0", "--minutes", "0", "--keep", str(tmp_path)]) == 0
    assert [one["files"] for one in json.loads(capsys.readouterr().out)["searches"]] == [0, 0]


def test_the_parts_of_a_search_go_in_step():
    seed = Seed("image")
    parts = [copies(name, {"a": seed, "b": seed}, count, "") for name, count in (("x", 10), ("y", 5))]
    assert [copy.name for copy in parts[0]] == ["a", "b"] * 5
    assert [copy.number for copy in parts[1]] == [0, 1, 2, 3, 4]
    order = [copy.part for copy in in_step(parts)]
    assert order == ["x", "y", "x"] * 5
    assert copies("x", {"a": seed, "b": seed}, 4, "b")[0].name == "b"
    assert copies("x", {"a": seed}, 4, "no") == []


def test_the_damage_to_a_tiff_is_structured_and_the_same_for_a_seed():
    """Its directories still hold together in most copies, and another seed gives another file."""
    whole = seeds.images()["ome"]
    copies = [mutated(whole, Random(number)) for number in range(60)]
    assert copies[7] == mutated(whole, Random(7))
    assert len(set(copies)) > 50
    assert sum(len(list(entries(copy))) > 40 for copy in copies if copy[:2] in (b"II", b"MM")) > 20


@pytest.mark.parametrize("change", [changed_text, changed_toml])
def test_a_changed_text_is_another_in_one_place(change):
    whole = b'a = 1\nb = "two"\nc = 3\n'
    copies = {change(whole, Random(number)) for number in range(40)}
    assert len(copies - {whole}) > 10
    assert all(b"a" in copy or b"c" in copy for copy in copies)


def test_the_kinds_of_images_are_what_they_are_called(tmp_path):
    made = seeds.images()
    for name, field, value in (
        ("white", "photometric", 0),
        ("bits-12", "bitspersample", 12),
        ("palette", "photometric", 3),
        ("jpeg2000", "compression", 34712),
        ("rgba", "samplesperpixel", 4),
        ("big", "is_tiled", False),
    ):
        (tmp_path / name).write_bytes(made[name])
        with tifffile.TiffFile(tmp_path / name) as tif:
            assert getattr(tif.pages[0], field) == value, name
