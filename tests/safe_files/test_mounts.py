"""Mounts that cannot flush or lock: the work goes on, with one warning; a broken or full disk is an error."""

import errno
import fcntl
import logging
import os

import pytest

from unet2015.errors import ImageWriteError, UsageError
from unet2015.safe_files import atomic_path, claim, flush, mounts, write_json

ENOTSUPP = 524
NEITHER = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, ENOTSUPP)


@pytest.fixture(autouse=True)
def nothing_warned(monkeypatch):
    monkeypatch.setattr(mounts, "_warned", set())


def failing(number):
    def fail(*_arguments):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", NEITHER)
def test_a_mount_that_cannot_flush(tmp_path, monkeypatch, caplog, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    for name in "ab":
        write_json(tmp_path / name, name)
        assert (tmp_path / name).read_text() == f'"{name}"\n'
    (said,) = [record.message for record in caplog.records]
    assert said.startswith(f"{tmp_path}: ")
    assert "flush" in said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_disk_that_is_full_or_broken_is_an_error(tmp_path, monkeypatch, number):
    (tmp_path / "a").write_text("before")
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(ImageWriteError, match=os.strerror(number)):
        write_json(tmp_path / "a", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "before"


def test_a_folder_is_flushed_as_well_as_can_be(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    flush(tmp_path)
    assert caplog.records == []


def test_one_warning_for_a_folder_and_its_work_folders(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    places = [tmp_path / "a", tmp_path / "a" / ".x.tif.0-1.parts" / "finished", tmp_path / "b"]
    for place in places:
        place.mkdir(parents=True)
        for name in "xy":
            with atomic_path(place / name):
                pass
    assert [record.message.partition(":")[0] for record in caplog.records] == [str(places[0]), str(places[2])]


@pytest.mark.parametrize("number", [*NEITHER, errno.EIO, errno.ENOLCK])
def test_a_mount_without_locks(tmp_path, monkeypatch, caplog, number):
    monkeypatch.setattr(fcntl, "flock", failing(number))
    for name in "ab":
        with claim(tmp_path / name):
            pass
    (said,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "lock" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_what_another_process_holds_is_busy_on_any_mount(tmp_path, monkeypatch, number):
    monkeypatch.setattr(fcntl, "flock", failing(number))
    with pytest.raises(UsageError, match="busy"), claim(tmp_path / "a", UsageError("busy")):
        pass
