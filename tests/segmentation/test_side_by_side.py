import json
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from unet2015.errors import ModelError
from unet2015.segmentation import run
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.jobs import plan_jobs
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.run import run_jobs
from unet2015.segmentation.segmenter import Segmenter
from unet2015.segmentation.side_by_side import run_side_by_side
from unet2015.settings.objects import ObjectSettings
from unet2015.tiling.predictor import Predictor

OPTIONS = SegmentOptions(device="cpu", products=("classes", "probability"))
LONG = 60


@pytest.fixture
def images(tmp_path):
    """Write four small images, of which the third is not one."""
    paths = [tmp_path / f"{name}.tif" for name in "abcd"]
    for path in paths:
        tifffile.imwrite(path, np.random.default_rng(len(path.name)).integers(0, 256, (30, 40), np.uint8))
    paths[2].write_bytes(b"II*\0")
    return paths


@pytest.fixture
def both(model, images, tmp_path):
    """Return a segmenter, and a function that returns the jobs of the images in a new folder."""
    return Segmenter(model, OPTIONS), lambda name, options=OPTIONS: plan_jobs(
        images, tmp_path / name, options, 2
    )


def outcome(results, folder):
    """Return all that a run has left: what it returned, and the bytes of its files, but for times."""
    files = {}
    for path in sorted(folder.iterdir()):
        files[path.name] = path.read_bytes()
        if path.suffix == ".json":
            said = json.loads(files[path.name])
            files[path.name] = {key: said[key] for key in said.keys() - {"seconds", "date", "record_sha256"}}
    return [(result.input, len(result.outputs), str(result.error)) for result in results], files


def test_each_image_frees_what_the_network_keeps_before_its_objects_are_found(images, model, monkeypatch):
    counted = []
    monkeypatch.setattr(Predictor, "release", lambda self: counted.append(self))
    options = replace(OPTIONS, objects=ObjectSettings())
    list(
        run_side_by_side(Segmenter(model, options), plan_jobs(images[:2], images[0].parent / "o", options, 2))
    )
    assert len(counted) == 2


def test_results_notes_and_errors_are_those_of_one_image_after_the_other_in_the_same_order(both, tmp_path):
    segmenter, jobs = both
    said, expected = [], []
    alone = list(run_jobs(segmenter, jobs("alone"), lambda path, note: expected.append((path, note))))
    beside = list(run_side_by_side(segmenter, jobs("beside"), lambda path, note: said.append((path, note))))
    assert outcome(beside, tmp_path / "beside") == outcome(alone, tmp_path / "alone")
    assert [bool(result.error) for result in beside] == [False, False, True, False]
    assert said == expected


def test_while_the_network_computes_the_image_before_is_written_and_the_next_is_read(
    both, tmp_path, monkeypatch
):
    segmenter, jobs = both
    predict, opened, callers = segmenter.predict, threading.Event(), []
    seen = []

    def computing(tiles):
        callers.append(threading.get_ident())
        if not seen:  # the second is opened while the first is in the network
            seen.append(opened.wait(LONG))
        return predict(tiles)

    @contextmanager
    def opening(options, path):
        with original(options, path) as image:
            if path.name == "b.tif":
                opened.set()
            yield image

    original = SegmentOptions.open
    todo = jobs("out")
    monkeypatch.setattr(SegmentOptions, "open", opening)
    monkeypatch.setattr(segmenter, "predict", computing)
    results = list(run_side_by_side(segmenter, todo))
    assert seen == [True]
    assert sum(not result.error for result in results) == 3
    assert set(callers) == {threading.get_ident()}


@pytest.mark.parametrize(("used", "together"), [(0, True), (2**50, False)])
def test_jobs_that_do_not_fit_into_the_memory_together_are_carried_out_alone(
    both, monkeypatch, used, together
):
    segmenter, jobs = both
    todo = jobs("out")[:2]
    monkeypatch.setattr(Segmenter, "own_memory", lambda *_: used)
    assert overlaps(segmenter, todo, monkeypatch, together) == together


@pytest.mark.parametrize(("tile", "together"), [(None, True), (60, False)])
def test_jobs_of_more_than_one_batch_are_carried_out_alone(both, model, monkeypatch, tile, together):
    options = SegmentOptions(device="cpu", tile=tile)
    segmenter = Segmenter(model, options)
    assert overlaps(segmenter, both[1]("out", options)[:2], monkeypatch, together) == together


def overlaps(segmenter, jobs, monkeypatch, expected):
    """Tell whether the second job has its mapping before the network has computed the first one."""
    predict, mapped, seen = segmenter.predict, [], []
    entered = threading.Event()

    def computation(segmenter, image, *more):
        mapped.append(image.name)
        if len(mapped) == 2:
            entered.set()
        return original(segmenter, image, *more)

    def computing(tiles):
        if not seen:
            seen.append(entered.wait(LONG if expected else 0.3))
        return predict(tiles)

    original = run.computation_of
    monkeypatch.setattr(run, "computation_of", computation)
    monkeypatch.setattr(segmenter, "predict", computing)
    assert not any(result.error for result in run_side_by_side(segmenter, jobs))
    return seen[0]


@pytest.mark.parametrize("error", [ModelError("not finite"), MemoryError()])
def test_an_error_of_the_network_is_that_of_its_image(both, monkeypatch, error):
    segmenter, jobs = both
    predict, calls = segmenter.predict, []

    def computing(tiles):
        calls.append(None)
        if len(calls) == 1:
            raise error
        return predict(tiles)

    todo = jobs("out")
    monkeypatch.setattr(segmenter, "predict", computing)
    results = list(run_side_by_side(segmenter, todo))
    assert [bool(result.error) for result in results].count(True) == 2
    assert len(calls) == 3


def test_an_interruption_ends_all_jobs_and_the_next_run_finishes_them(model, images, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def interrupted(self, tiles):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("unet2015.tiling.predictor.Predictor.__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            segment_files(images, out, model, OPTIONS)
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
    assert not list(out.glob("*.tif"))
    results = segment_files(images, out, model, OPTIONS)
    assert [len(result.outputs) for result in results] == [2, 2, 0, 2]
    assert not list(out.glob(".*"))
