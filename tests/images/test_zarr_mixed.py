"""Two images in one folder: chunks of another grid, metadata of two versions of Zarr."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.images.test_zarr import make
from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

PAGE = np.random.default_rng(0).integers(1, 200, (64, 64), np.uint8)


@pytest.mark.parametrize(
    ("version", "more", "lost", "strange"),
    [
        ("0.4", {}, "1.1", "2.0"),
        ("0.4", {}, "1.1", "01.1"),
        ("0.4", {"chunk_key_encoding": {"name": "v2", "separator": "/"}}, "1/1", "1.1"),
        ("0.5", {}, "c/1/1", "c/2/0"),
        ("0.5", {}, "c/1/1", "1/1"),
        ("0.5", {"shards": (32, 64)}, "c/1/0", "c/1/1"),
    ],
)
def test_a_file_of_another_grid_does_not_hide_a_chunk_that_is_lost(tmp_path, version, more, lost, strange):
    path = make(tmp_path / "a.zarr", PAGE, version=version, chunks=(32, 32), **more)
    (path / "0" / strange).parent.mkdir(exist_ok=True)
    os.rename(path / "0" / lost, path / "0" / strange)
    with open_image(path) as image:
        missing, other = image.notes
        assert f"1 of {2 if 'shards' in more else 4} chunks are not there and read as 0" in missing
        assert "1 file is named as a chunk, but the array has no such" in other


def test_where_no_chunk_is_of_the_grid_it_is_an_error(tmp_path):
    path = make(tmp_path / "a.zarr", PAGE, chunks=(64, 64))
    os.rename(path / "0" / "0.0", path / "0" / "7.0")
    with pytest.raises(ImageReadError, match="none of its chunks"):
        open_image(path)


def both(folder: Path, where: tuple[str, ...]) -> Path:
    """Write an image of Zarr 3, with metadata of Zarr 2 for the same chunks at some places."""
    path = make(folder / "a.zarr", PAGE, version="0.5", chunk_key_encoding={"name": "v2", "separator": "."},
                compressors=None)  # fmt: skip
    two = make(folder / "two.zarr", PAGE, version="0.4", compressors=None)
    for name in where:
        shutil.copy(two / name, path / name)
    shutil.rmtree(two)
    return path


@pytest.mark.parametrize("where", [(".zgroup", ".zattrs", "0/.zarray"), ("0/.zarray",)])
def test_metadata_of_two_versions_that_agree_are_said(tmp_path, where):
    with open_image(both(tmp_path, where)) as image:
        (note,) = image.notes
        assert "of Zarr 3, which are read, and of Zarr 2" in note
        assert all(name in note for name in where if name != ".zattrs")
        np.testing.assert_array_equal(image.read(0, 0, 64, 0, 64)[0], PAGE)


@pytest.mark.parametrize(
    ("where", "name", "change"),
    [
        (("0/.zarray",), "0/.zarray", {"shape": [64, 32]}),
        (("0/.zarray",), "0/.zarray", {"chunks": [32, 32]}),
        (("0/.zarray",), "0/.zarray", {"dtype": "|i1"}),
        (("0/.zarray",), "0/.zarray", {"dimension_separator": "/"}),
        (("0/.zarray",), "0/.zarray", {"shape": "no"}),
        ((".zgroup", ".zattrs", "0/.zarray"), ".zattrs", {"multiscales": []}),
    ],
)
def test_metadata_of_two_versions_that_differ_are_refused(tmp_path, where, name, change):
    path = both(tmp_path, where)
    (path / name).write_text(json.dumps(json.loads((path / name).read_text()) | change))
    with pytest.raises(ImageReadError, match=r"of Zarr 3, .* and of Zarr 2 \(.* not describe the same"):
        open_image(path)


def test_a_group_of_one_version_and_its_array_of_another_are_named(tmp_path):
    path = both(tmp_path, ("0/.zarray",))
    (path / "0" / "zarr.json").unlink()
    with pytest.raises(ImageReadError, match=r"only \.zarray, of another Zarr version than the group's 3"):
        open_image(path)
