"""Parts: whoever computes them, in whichever order, the whole is the same; what is kept is whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.errors import ImageWriteError
from unet2015.networks.unet2015 import UNet
from unet2015.segmentation.parts import PartStore, compute_part, in_order
from unet2015.tiling import plan as plan_module
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor


class Computer:
    """A network that counts the tiles it is given."""

    def __init__(self, classes=2, skip_empty=False):
        torch.manual_seed(0)
        self.network = UNet(1, classes, 2, 1)
        self.classes, self.skip_empty = classes, skip_empty
        self.tiles, self._predict = 0, Predictor(self.network)

    def predict(self, tiles):
        self.tiles += len(tiles)
        return self._predict(tiles)

    def renderer(self, name, probability):
        return lambda values: (
            values.argmax(axis=0).astype(np.uint8),
            (values[1] if len(values) == 2 else values) if probability else None,
        )


class Source:
    def __init__(self, array):
        self.array = array

    def read(self, page, y0, y1, x0, x1):
        return self.array[page, None, y0:y1, x0:x1]


@pytest.fixture
def job(monkeypatch):
    monkeypatch.setattr(plan_module, "PART_PIXELS", 5000)

    def make(pages=2, height=70, width=50, batch=2, classes=2):
        computer = Computer(classes)
        array = np.random.default_rng(0).random((pages, height, width), np.float32)
        array[0, :40] = 0.5
        plan = TilePlan(pages, height, width, (44, 36), batch, computer.network.geometry)
        return computer, Source(array), plan

    return make


def joined(bands):
    return [
        (band.page, band.row, band.classes.tobytes(), band.skipped, band.low, band.high)
        + (() if band.probability is None else (band.probability.shape, band.probability.tobytes()))
        for band in bands
    ]


def run(computer, source, plan, store=None, **options):
    bands = []
    in_order(computer, source, plan, bands.append, "x", True, store=store, **options)
    return joined(bands)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("pages", [1, 2, 9])
def test_parts_from_anywhere_make_the_same_whole(tmp_path, job, classes, pages):
    computer, source, plan = job(pages, classes=classes, height=40 if pages == 9 else 70)
    assert len(plan.parts) > 1
    expected = run(computer, source, plan)
    alone, store = [], PartStore(tmp_path, plan)
    for index in np.random.default_rng(1).permutation(len(plan.parts)).tolist():
        part = plan.parts[index]
        bands = compute_part(computer, source, plan, part, "x", True)
        store.save(part, bands)
        alone += [(index, band) for band in bands]
    assert joined([band for _, band in sorted(alone, key=lambda pair: pair[0])]) == expected
    before = computer.tiles
    assert run(computer, source, plan, store) == expected
    assert computer.tiles == before, "what the store holds must not be computed again"


@settings(max_examples=15)
@given(st.data())
def test_whatever_is_missing_is_computed_and_nothing_else(tmp_path_factory, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "PART_PIXELS", 5000)
        computer = Computer(skip_empty=True)
        source = Source(np.random.default_rng(0).random((2, 100, 50), np.float32))
        source.array[0, :60] = 0.5
        plan = TilePlan(2, 100, 50, (44, 36), 2, computer.network.geometry)
    store = PartStore(tmp_path_factory.mktemp("parts"), plan)
    expected = run(computer, source, plan, store)
    assert len(expected) == 2 * len(plan.rows)
    assert store.finished() == set(range(len(plan.parts)))
    lost = data.draw(st.sets(st.sampled_from(plan.parts), min_size=1))
    for part in lost:
        store.path(part).unlink()
    before, done = computer.tiles, []
    assert run(computer, source, plan, store, progress=done.append) == expected
    empty = sum(band[3] for band in expected)
    assert 0 < empty < plan.tiles
    assert computer.tiles - before <= sum(len(part.tiles) for part in lost)
    assert sum(done) == plan.tiles
    assert store.finished() == set(range(len(plan.parts)))


def test_a_part_is_not_kept_when_the_input_changed(tmp_path, job):
    computer, source, plan = job()
    store, checks = PartStore(tmp_path, plan), []

    def check():
        checks.append(1)
        if len(checks) == 2:
            raise OSError("changed")

    with pytest.raises(OSError, match="changed"):
        run(computer, source, plan, store, check=check)
    assert store.finished() == {0}
    assert [path.name for path in tmp_path.iterdir()] == ["00000.part"]


@pytest.mark.parametrize("at", [0, 60, 200, -30])
def test_a_damaged_part_is_removed_and_said(tmp_path, job, at):
    computer, source, plan = job()
    store = PartStore(tmp_path, plan)
    expected = run(computer, source, plan, store)
    path = store.path(plan.parts[1])
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)
    try:
        again = run(computer, source, plan, store)
    except ImageWriteError as error:
        assert "run again" in str(error)  # noqa: PT017 - a byte that nothing reads may do no harm
        assert not path.exists()
        again = run(computer, source, plan, store)
    assert again == expected
