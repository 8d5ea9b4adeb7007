"""Lower resolutions in OME-Zarr that are made in blocks, by other processes: the same files as made here."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet2015.images import zarr_layout, zarr_levels
from unet2015.images.array_image import ArrayImage
from unet2015.images.zarr_layout import ZarrLayout, ZarrMap, plan_layout
from unet2015.images.zarr_levels import blocks, shards_below
from unet2015.images.zarr_writer import ZarrSegmentation
from unet2015.safe_files import sha256

CLASSES = ZarrMap("classes", "class map", "uint8", None, label=True, names=("a", "b"))
PROBABILITY = ZarrMap("probability", "probability map", "float32", 2, label=False, names=("a", "b"))


@pytest.fixture(scope="module")
def small():
    """Levels and blocks a hundredth as large, and so the images that have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zarr_layout, "SMALLEST_LEVEL", zarr_layout.SMALLEST_LEVEL // 10)
        patch.setattr(zarr_levels, "_BLOCK", zarr_levels._BLOCK // 100)
        yield


@pytest.mark.usefixtures("small")
@given(
    band=st.integers(1, 300),
    height=st.integers(1, 2000),
    width=st.integers(1, 4000),
    pages=st.integers(1, 3),
)
def test_blocks_need_nothing_of_one_another_and_cover_all(band, height, width, pages):
    layout = ZarrLayout("Z", (pages,), height, width, min(band, height), (CLASSES, PROBABILITY))
    found = blocks(layout)
    assert len(found) != 1
    depth = found[0].depth if found else 0
    assert not found or layout.band * layout.width << depth >= zarr_levels._BLOCK
    whole = list(shards_below(layout, 0))
    made = [shard for block in found for shard in block.shards(layout)]
    assert {shard.level for shard in made} == set(range(1, depth + 1))
    assert sorted(map(str, [*made, *shards_below(layout, depth)])) == sorted(map(str, whole))
    for block in found[:3]:
        there = {}
        for shard in block.shards(layout):
            plane, rows, _ = shard.region(layout)
            if shard.level > 1:  # all rows that it is made of were made before, in this block
                height = layout.shape(shard.name, shard.level - 1)[-2]
                assert set(range(2 * rows.start, min(2 * rows.stop, height))) <= there[shard.level - 1]
            there.setdefault(shard.level, set()).update(range(rows.start, rows.stop))
            assert plane == block.plane


@pytest.mark.parametrize("maps", [(CLASSES,), (CLASSES, PROBABILITY)])
def test_the_same_bytes_whoever_makes_them(tmp_path, monkeypatch, disk, maps):
    monkeypatch.setattr(zarr_layout, "SMALLEST_LEVEL", 8)
    monkeypatch.setattr(zarr_levels, "_BLOCK", 2000)
    generator = np.random.default_rng(0)
    image = ArrayImage(generator.integers(0, 2, (2, 101, 61), np.uint8), "ZYX")
    pixels = {
        "classes": image.read(0, 0, 101, 0, 61),
        "probability": generator.random((2, 101, 61), np.float32),
    }
    calls = []

    def elsewhere(function, items):
        for item in reversed(items):
            pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(item)))
        calls.extend(items)

    for name, each in (("here", None), ("there", elsewhere)):
        written = ZarrSegmentation(tmp_path / name, plan_layout(image, 13, maps))
        written.create(image)
        for page in range(2):
            for top in range(0, 101, 13):
                bands = {item.name: pixels[item.name][..., top : top + 13, :] for item in maps}
                written.write(page, top, bands)
        written.make_levels(each)
    assert len(calls) == 2 * 2 * (1 if len(maps) == 1 else 3)
    assert sha256(tmp_path / "here") == sha256(tmp_path / "there")
    shards = {shard.path(written.layout) for block in calls for shard in block.shards(written.layout)}
    flushed = {path for what, path in disk if what == "flush"}
    assert flushed == {tmp_path / "there" / path for path in shards}, "on the disk of whoever writes them"
