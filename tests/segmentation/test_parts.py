"""Parts: whoever computes them, in whichever order, the whole is the same; what is kept is whole."""

import errno
import os
import pickle
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.errors import ImageWriteError
from unet2015.networks.unet2015 import UNet
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.part_store import PartStore
from unet2015.segmentation.parts import Computation, compute_parts, in_order
from unet2015.tiling import plan as plan_module
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor


class CountingSegmenter:
    """A network that counts the tiles it is given."""

    def __init__(self, classes=2, skip_empty=False):
        torch.manual_seed(0)
        self.network = UNet(1, classes, 2, 1)
        self.info, self.options = SimpleNamespace(classes=classes), SegmentOptions(skip_empty=skip_empty)
        self.tiles, self._predict = 0, Predictor(self.network)

    def predict(self, tiles):
        self.tiles += len(tiles)
        return self._predict(tiles)

    def renderer(self, name):
        return lambda values: {
            "classes": values.argmax(axis=0).astype(np.uint8),
            "probability": values[1] if len(values) == 2 else values,
        }


class Source:
    image = SimpleNamespace(name="x")

    def __init__(self, array):
        self.array = array

    def read(self, page, y0, y1, x0, x1):
        return self.array[page, None, y0:y1, x0:x1]


@pytest.fixture
def job(monkeypatch):
    monkeypatch.setattr(plan_module, "PART_PIXELS", 5000)

    def make(pages=2, height=70, width=50, batch=2, classes=2):
        segmenter = CountingSegmenter(classes)
        array = np.random.default_rng(0).random((pages, height, width), np.float32)
        array[0, :40] = 0.5
        plan = TilePlan(pages, height, width, (44, 36), batch, segmenter.network.geometry)
        return Computation(segmenter, Source(array), plan)

    return make


def joined(bands):
    return [
        (band.page, band.row, band.skipped, band.low, band.high, pixels_of(band.pixels)) for band in bands
    ]


def pixels_of(pixels):
    return [(name, part.dtype, part.shape, np.asarray(part).tobytes()) for name, part in pixels.items()]


def run(computation, store=None, progress=lambda tiles: None):
    bands = []
    in_order(computation, bands.append, store, progress)
    return joined(bands)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("pages", [1, 2, 9])
def test_parts_from_anywhere_make_the_same_whole(tmp_path, job, classes, pages):
    computation = job(pages, classes=classes, height=40 if pages == 9 else 70)
    segmenter, plan = computation.segmenter, computation.plan
    assert len(plan.parts) > 1
    expected = run(computation)
    alone, store = [], PartStore(tmp_path, plan)
    for index in np.random.default_rng(1).permutation(len(plan.parts)).tolist():
        part = plan.parts[index]
        bands = []
        compute_parts(computation, [part], bands.append)
        with store.keeping(part) as keep:
            for band in bands:
                keep(band)
        alone += [(index, band) for band in bands]
    assert joined([band for _, band in sorted(alone, key=lambda pair: pair[0])]) == expected
    before = segmenter.tiles
    assert run(computation, store) == expected
    assert run(computation, pickle.loads(pickle.dumps(store.opener))(plan)) == expected
    assert segmenter.tiles == before, "what the store holds must not be computed again"


@settings(max_examples=15)
@given(st.data())
def test_whatever_is_missing_is_computed_and_nothing_else(tmp_path_factory, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "PART_PIXELS", 5000)
        segmenter = CountingSegmenter(skip_empty=True)
        source = Source(np.random.default_rng(0).random((2, 100, 50), np.float32))
        source.array[0, :60] = 0.5
        plan = TilePlan(2, 100, 50, (44, 36), 2, segmenter.network.geometry)
    computation = Computation(segmenter, source, plan)
    store = PartStore(tmp_path_factory.mktemp("parts"), plan)
    expected = run(computation, store)
    assert len(expected) == 2 * len(plan.rows)
    assert store.finished() == set(range(len(plan.parts)))
    lost = data.draw(st.sets(st.sampled_from(plan.parts), min_size=1))
    for part in lost:
        store.path(part).unlink()
    before, done = segmenter.tiles, []
    assert run(computation, store, done.append) == expected
    empty = sum(band[2] for band in expected)
    assert 0 < empty < plan.tiles
    assert segmenter.tiles - before <= sum(len(part.tiles) for part in lost)
    assert sum(done) == plan.tiles
    assert store.finished() == set(range(len(plan.parts)))


def test_a_part_is_not_kept_when_the_input_changed(tmp_path, job):
    computation, checks = job(), []

    def check():
        checks.append(1)
        if len(checks) == 2:
            raise OSError("changed")

    store = PartStore(tmp_path, computation.plan, check)
    with pytest.raises(OSError, match="changed"):
        run(computation, store)
    assert store.finished() == {0}
    assert [path.name for path in tmp_path.iterdir()] == ["00000.part"]


def test_parts_whose_folder_is_gone_are_an_output_s_error(tmp_path, job):
    computation = job()
    store = PartStore(tmp_path / "parts", computation.plan)
    store.folder.mkdir()
    run(computation, store)
    store.folder.rename(tmp_path / "gone")
    with pytest.raises(ImageWriteError, match=r"parts: cannot read what was kept: No such file.*Run again"):
        store.finished()
    with pytest.raises(ImageWriteError, match=r"part: cannot read what was kept: No such file.*Run again"):
        list(store.load(computation.plan.parts[0]))


@pytest.mark.parametrize("at", [0, 60, 200, -30])
def test_a_damaged_part_is_removed_and_said(tmp_path, job, at):
    computation = job()
    store = PartStore(tmp_path, computation.plan)
    expected = run(computation, store)
    path = store.path(computation.plan.parts[1])
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)
    try:
        again = run(computation, store)
    except ImageWriteError as error:
        assert "run again" in str(error)  # noqa: PT017 - a byte that nothing reads may do no harm
        assert not path.exists()
        again = run(computation, store)
    assert again == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("what", ["pipe", "folder", "circle"])
def test_what_is_no_file_in_the_place_of_a_part_is_made_anew(tmp_path, job, what):
    """Opened as a file, a pipe would wait for ever."""
    computation = job()
    store = PartStore(tmp_path, computation.plan)
    expected = run(computation, store)
    path = store.path(computation.plan.parts[1])
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name)
    assert run(computation, PartStore(tmp_path, computation.plan)) == expected


def test_after_a_band_that_could_not_be_written_no_other_is_tried(tmp_path, job, monkeypatch, recwarn):
    computation = job()
    part = computation.plan.parts[0]
    bands = []
    compute_parts(computation, [part], bands.append)
    full = OSError(errno.ENOSPC, "No space left on device")

    def half_written(file, name, array, method):
        with file.open(name, "w") as target:
            target.write(b"a part")
            raise full

    monkeypatch.setattr("unet2015.segmentation.part_store._save", half_written)
    with ExitStack() as stack:
        keep = stack.enter_context(PartStore(tmp_path, computation.plan).keeping(part))
        for _ in range(2):
            with pytest.raises(OSError, match="No space left") as raised:
                keep(bands[0])
            assert raised.value is full
        with pytest.raises(ImageWriteError, match="No space left"):
            stack.__exit__(OSError, full, None)
    assert not [str(one.message) for one in recwarn if "Duplicate name" in str(one.message)]
    assert list(tmp_path.iterdir()) == []
