"""What is on the disk before what, so that a power cut leaves files and folders whole or absent."""

import os

import pytest

from unet2015.safe_files import atomic_folder, atomic_path, folders


@pytest.mark.parametrize("guard", [None, lambda *_: None])
def test_a_file_is_on_the_disk_before_its_name_which_is_there_at_the_end(tmp_path, disk, guard):
    path = tmp_path / "a.txt"
    with atomic_path(path, guard) as temporary:
        temporary.write_text("all")
        disk.append("written")
    assert disk == ["written", ("flush", temporary), ("name", path), ("flush", tmp_path)]


def test_a_folder_is_on_the_disk_before_its_name_and_that_before_an_earlier_one_goes(
    tmp_path, disk, monkeypatch
):
    path, remove = tmp_path / "r.zarr", folders.remove
    path.mkdir()

    def removing(item):
        if os.path.lexists(item):
            disk.append(("remove", item))
        remove(item)

    monkeypatch.setattr(folders, "remove", removing)
    with atomic_folder(path) as folder:
        (folder / "a").mkdir()
        for file in (folder / "a" / "b.txt", folder / "c.txt"):
            file.touch()
        disk.append("written")
    assert disk[0] == "written"
    assert {*disk[1:3]} == {("flush", folder / "a" / "b.txt"), ("flush", folder / "c.txt")}
    assert {*disk[3:5]} == {("flush", folder / "a"), ("flush", folder)}, "names after what has them"
    aside = disk[5][1]
    assert disk[5:] == [("name", aside), ("name", path), ("flush", tmp_path), ("remove", aside)]
