"""Only regular files are opened, links are followed, and changes behind links are noticed."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from unet2015.errors import DataSetError, ImageReadError, ModelError, SettingsError, UsageError
from unet2015.images.reader import find_images, open_image
from unet2015.models.tensors import load_tensors
from unet2015.report.run import report_run
from unet2015.safe_files import Unchanged, files_below, open_regular, sha256
from unet2015.safe_files.reading import state_of
from unet2015.segmentation.replay import replay
from unet2015.settings import load_settings
from unet2015.training.log import read_log

KINDS = {"fifo": "named pipe", "socket": "socket", "device": "device", "circle": "symbolic links"}


@pytest.fixture(params=KINDS)
def odd(request, tmp_path):
    """Make something that is no regular file: a function of its path, which returns what it is."""

    def make(path: Path) -> str:
        if request.param == "fifo":
            os.mkfifo(path)
        elif request.param == "socket":
            short = Path(os.path.relpath(path))  # the path of a socket has at most 107 bytes
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(min(short, path, key=lambda way: len(str(way)))))
        elif request.param == "device":
            path.symlink_to("/dev/zero")
        else:
            path.symlink_to(path.name)
        return KINDS[request.param]

    return make


READERS = {
    "image.tif": (open_image, ImageReadError),
    "image.png": (open_image, ImageReadError),
    "model.safetensors": (load_tensors, ModelError),
    "a.record.json": (replay, ImageReadError),
    "settings.toml": (load_settings, SettingsError),
    "log.jsonl": (read_log, DataSetError),
    "any": (open_regular, OSError),
    "other": (sha256, OSError),
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, odd, name):
    read, error = READERS[name]
    what = odd(tmp_path / name)
    with pytest.raises(error, match=what) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)


def test_the_settings_of_a_run_that_are_no_file(tmp_path, odd):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    odd(tmp_path / "settings.json")
    with pytest.raises(DataSetError, match=r"settings\.json"):
        report_run(tmp_path)


def make_zarr(path, value=7):
    group = zarr.open_group(path, mode="w", zarr_format=3)
    array = group.create_array("0", shape=(8, 8), chunks=(4, 4), dtype="uint8")
    array[...] = value
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    steps = [{"type": "scale", "scale": [1.0, 1.0]}]
    multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    return path


def pixels(path):
    with open_image(path) as image:
        return image.read(0, 0, 8, 0, 8)


@pytest.mark.parametrize("place", ["zarr.json", "0/zarr.json", "0/c/1/0"])
def test_what_is_no_regular_file_in_a_zarr_image_is_refused_at_once(tmp_path, odd, place):
    image = make_zarr(tmp_path / "i.zarr")
    (image / place).unlink()
    what = odd(image / place)
    with pytest.raises(ImageReadError, match=what) as caught:
        pixels(image)
    assert str(image / place) in str(caught.value)
    if what != KINDS["circle"]:
        with pytest.raises(ImageReadError, match=what):
            _ = Unchanged(image).sha256


def linked(tmp_path, place):
    """Move a part of a Zarr image elsewhere, and put a link in its place."""
    image = make_zarr(tmp_path / "i.zarr")
    (image / place).rename(tmp_path / "elsewhere")
    (image / place).symlink_to(tmp_path / "elsewhere")
    return image


@pytest.mark.parametrize("place", ["0", "0/c", "0/c/1", "0/c/1/1"])
def test_links_in_a_zarr_image_are_followed(tmp_path, place):
    whole = make_zarr(tmp_path / "whole.zarr")
    image = linked(tmp_path, place)
    assert (pixels(image) == 7).all()
    with open_image(image) as opened:
        assert opened.notes == ()
    assert sha256(image) == sha256(whole)
    watched = Unchanged(image)
    before = watched.sha256
    watched.check()
    file = next(path for path in (tmp_path / "elsewhere", image / "0/c/1/1") if path.is_file())
    file.write_bytes(file.read_bytes()[::-1])
    assert sha256(image) != before
    with pytest.raises(ImageReadError, match="changed"):
        watched.check()


def test_another_target_of_a_link_is_a_change(tmp_path):
    image = linked(tmp_path, "0/c/1")
    other = tmp_path / "other"
    other.mkdir()
    for name in "01":
        old = tmp_path / "elsewhere" / name
        (other / name).write_bytes(old.read_bytes()[::-1])
        os.utime(other / name, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
    watched = Unchanged(image)
    assert watched.sha256
    (image / "0/c/1").unlink()
    (image / "0/c/1").symlink_to(other)
    with pytest.raises(ImageReadError, match="changed"):
        watched.check()


@pytest.mark.parametrize("place", ["0/c", "0/c/1", "0/c/1/1"])
def test_a_link_to_nowhere_is_no_missing_chunk(tmp_path, place):
    image = linked(tmp_path, place)
    (tmp_path / "elsewhere").rename(tmp_path / "gone")
    with pytest.raises(ImageReadError, match=r"leads nowhere|none of its chunks"):
        pixels(image)


def test_links_that_lead_back_end(tmp_path):
    for name in ("a", "b", "a/c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "c" / "b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "a").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to("self")
    found = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)]
    expected = ["a/c/b/file", "a/c/file", "a/file", "b/a/c/file", "b/a/file", "b/file", "self"]
    assert found == sorted(expected, key=Path)
    assert len(sha256(tmp_path)) == 64


def test_what_systems_leave_in_folders_is_no_content(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "0").write_bytes(b"chunk")
    (tmp_path / ".zattrs").write_text("{}")
    before, state = sha256(tmp_path), state_of(tmp_path)
    for name in (".DS_Store", "c/.DS_Store", "c/Thumbs.db", "._c", "c/.nfs0000012", "@eaDir/0@SynoEAStream"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"system")
        assert (sha256(tmp_path), state_of(tmp_path)) == (before, state)
    assert [path.name for path in files_below(tmp_path)] == [".zattrs", "0"]
    (tmp_path / "c" / "note.txt").write_text("mine")
    assert sha256(tmp_path) != before


def test_links_that_multiply_folders_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("unet2015.safe_files.reading._MOST_LINKS", 1000)
    (tmp_path / "0").mkdir()
    for level in range(1, 12):
        (tmp_path / str(level)).mkdir()
        for name in "ab":
            (tmp_path / str(level) / name).symlink_to(tmp_path / str(level - 1))
    with pytest.raises(OSError, match="more than 1000 links"):
        files_below(tmp_path)


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a")
    monkeypatch.setattr("unet2015.safe_files.reading.check_regular", lambda path: None)
    with pytest.raises(OSError, match="named pipe"):
        open_regular(tmp_path / "a")


def test_a_link_to_nowhere_among_the_inputs_says_so(tmp_path):
    (tmp_path / "folder").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match="leads nowhere"):
        find_images([tmp_path / "folder"])
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8))
    (tmp_path / "b.tif").symlink_to("a.tif")
    assert [path.name for path in find_images([tmp_path])] == ["a.tif", "b.tif"]
