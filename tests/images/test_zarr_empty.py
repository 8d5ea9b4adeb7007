"""Label images of OME-Zarr without any chunk: empty ones, which programs store so, and lost ones."""

import shutil

import numpy as np
import pytest
import zarr

from tests.images.test_zarr import make
from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

NOTHING = np.zeros((1, 90, 101), np.uint8)


def levels(path, *contents):
    """Write a label image of several levels, each with plain zarr."""
    make(path, contents[0], "zyx", "0.5", chunks=(1, 32, 40))
    group = zarr.open_group(path, mode="r+")
    ome = group.attrs["ome"]
    for number, content in enumerate(contents[1:], 1):
        group.create_array(str(number), shape=content.shape, dtype=content.dtype, chunks=(1, 32, 40))[...] = (
            content
        )
        scale = [{"type": "scale", "scale": [1.0, 2.0**number, 2.0**number]}]
        ome["multiscales"][0]["datasets"].append({"path": str(number), "coordinateTransformations": scale})
    group.attrs["ome"] = ome
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_without_any_chunk_are_nothing_but_0_with_a_note(tmp_path, version):
    path = make(tmp_path / "a.zarr", NOTHING, "zyx", version, chunks=(1, 32, 40))
    with open_image(path, labels=True) as image:
        assert not image.read(0, 0, 90, 0, 101).any()
        (note,) = image.notes
        assert "none of its chunks (9) is there, so every pixel reads as 0" in note
        assert "its chunks were not copied" in note
    with pytest.raises(ImageReadError, match=r"none of its chunks is there.*write_empty_chunks=True"):
        open_image(path)


def test_labels_whose_smaller_copies_have_chunks_have_lost_theirs(tmp_path):
    empty = levels(tmp_path / "a.zarr", NOTHING, NOTHING[:, ::2, ::2])
    open_image(empty, labels=True).close()
    objects = NOTHING + 1
    path = levels(tmp_path / "b.zarr", objects, objects[:, ::2, ::2])
    shutil.rmtree(path / "0" / "c")
    with pytest.raises(ImageReadError, match="none of its chunks is there"):
        open_image(path, labels=True)


@pytest.mark.parametrize("left", ["c/7/0/0", "c", "notes.txt"])
def test_where_anything_else_is_left_labels_are_not_empty(tmp_path, left):
    path = make(tmp_path / "a.zarr", NOTHING, "zyx", "0.5", chunks=(1, 32, 40))
    file = path / "0" / left
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(tmp_path / "gone")
    with pytest.raises(ImageReadError, match=r"none of its chunks|leads nowhere"):
        open_image(path, labels=True)


@pytest.mark.parametrize(("dtype", "fill"), [(np.uint8, 7), (np.float32, 0)])
def test_labels_that_would_be_one_object_and_probabilities_are_not_empty(tmp_path, dtype, fill):
    array = np.full((1, 90, 101), fill, dtype)
    path = make(tmp_path / "a.zarr", array, "zyx", "0.5", chunks=(1, 32, 40), fill_value=fill)
    with pytest.raises(ImageReadError, match="none of its chunks"):
        open_image(path, labels=True)
