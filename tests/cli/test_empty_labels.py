"""A field without objects, stored in OME-Zarr without a chunk: commands take it, and say that it has none."""

import numpy as np
import pytest

from tests.images.test_zarr import make

OBJECTS = np.zeros((90, 101), np.uint8)
OBJECTS[5:20, 5:20], OBJECTS[40:60, 40:60] = 1, 2
NOTE = "none of its chunks (9) is there, so every pixel reads as 0"


@pytest.fixture
def fields(tmp_path):
    """Two folders of label images: a has two objects, and e none."""
    for folder in ("truth", "result"):
        (tmp_path / folder).mkdir()
        for name, labels in (("a", OBJECTS), ("e", 0 * OBJECTS)):
            make(tmp_path / folder / f"{name}.zarr", labels, version="0.5", chunks=(32, 40))
    return tmp_path


def test_a_batch_of_which_a_field_is_empty_is_measured(cli, fields):
    ended = cli("measure", fields / "truth", "-o", fields / "out")
    assert ended.status == 0
    assert ended.err.count(NOTE) == 1
    assert len((fields / "out" / "e.objects.csv").read_text().splitlines()) == 1
    assert len((fields / "out" / "objects.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("what", ["objects", "pixels"])
def test_it_is_compared(cli, fields, what):
    ended = cli("evaluate", what, "--truth", fields / "truth", "--result", fields / "result")
    assert ended.status == 0
    assert f"{fields / 'truth' / 'e.zarr'}: {NOTE}" in ended.err


def test_check_warns(cli, fields):
    images = fields / "images"
    for name in "ae":
        noise = np.random.default_rng(0).integers(1, 200, OBJECTS.shape, np.uint8)
        make(images / f"{name}.zarr", noise)
    ended = cli("check", "--images", images, "--labels", fields / "truth", "--label-kind", "instances")
    assert f"warning: {fields / 'truth' / 'e.zarr'}: {NOTE}" in ended.out + ended.err
