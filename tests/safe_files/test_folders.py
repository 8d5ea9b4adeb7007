"""Folders that come to their names whole or not at all."""

import os
from pathlib import Path

import pytest

from unet2015.errors import ImageWriteError
from unet2015.safe_files import atomic_folder, folders, remove


def put(folder, text):
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b.txt").write_text(text)


def listed(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_an_earlier_folder_is_replaced_and_what_killed_runs_left_goes(tmp_path):
    path = tmp_path / "r.zarr"
    put(path, "old")
    left = folders.temporary_name(path)
    put(left, "half")
    with atomic_folder(path) as folder:
        put(folder, "new")
        assert listed(path) == {"a/b.txt": "old"}
    assert listed(tmp_path) == {"r.zarr/a/b.txt": "new"}


@pytest.mark.parametrize("step", [1, 2])
def test_an_earlier_folder_stays_where_the_new_one_cannot_follow(tmp_path, monkeypatch, step):
    path, real, moves = tmp_path / "r.zarr", Path.rename, []
    put(path, "old")

    def failing(self, target):
        moves.append(target)
        if len(moves) == step:
            raise OSError(5, "broken")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    said = pytest.raises(ImageWriteError, match=r"r\.zarr: cannot write the folder: broken")
    with said, atomic_folder(path) as folder:
        put(folder, "new")
    assert listed(tmp_path) == {"r.zarr/a/b.txt": "old"}


def test_a_place_that_vanishes_after_the_folder_got_its_name_is_an_error_of_it(tmp_path, monkeypatch):
    place, real = tmp_path / "out", folders.replace_folder
    place.mkdir()

    def vanishing(*given):
        real(*given)
        place.rename(tmp_path / "gone")

    monkeypatch.setattr(folders, "replace_folder", vanishing)
    with pytest.raises(ImageWriteError, match="cannot write the folder"), atomic_folder(place / "r.zarr"):
        pass


def test_whatever_is_there_is_removed_and_what_a_link_leads_to_stays(tmp_path):
    put(tmp_path / "kept", "x")
    for make in (lambda path: put(path, "y"), Path.touch, lambda path: path.symlink_to(tmp_path / "kept")):
        make(tmp_path / "one")
        remove(tmp_path / "one")
        remove(tmp_path / "one")  # there is none any more
        assert not os.path.lexists(tmp_path / "one")
    assert listed(tmp_path) == {"kept/a/b.txt": "x"}
