"""Progress: on a terminal a bar, elsewhere a line a minute, and a function that cannot harm the work."""

import logging

import numpy as np
import pytest
import tifffile

from unet2015 import segment, segment_files, train
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.segmentation import batch
from unet2015.settings import Mapping, NetworkSettings
from unet2015.tiling import progress
from unet2015.tiling.progress import Bar, in_words, reporting

PAGES = np.random.default_rng(0).integers(0, 255, (2, 50, 60), np.uint8)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is moved."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def terminal(monkeypatch, request):
    """Standard error, as a terminal or not."""
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: request.param, raising=False)


@pytest.fixture
def tiny(tmp_path):
    network = NetworkSettings(width=1, depth=1)
    info = ModelInfo(mapping=Mapping(method="integer-range"), class_names=("a", "b"), network=network)
    save_model(tmp_path / "m.safetensors", UNet(1, 2, width=1, depth=1), info)
    return tmp_path / "m.safetensors"


@pytest.mark.parametrize("terminal", [False], indirect=True)
def test_a_line_a_minute_where_there_is_no_terminal(terminal, clock, caplog):
    with caplog.at_level(logging.INFO, "unet2015"), Bar(100, "a/b.tif", "tile") as bar:
        for _ in range(60):
            clock[0] += 7
            bar.note(loss="0.5")
            bar.update()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "b.tif: 9 of 100 tiles, loss 0.5, about 11 min left"
    # 420 s: a line at each 63rd second.
    assert [int(line.split(": ")[1].split(" of")[0]) for line in lines] == [9, 18, 27, 36, 45, 54]


@pytest.mark.parametrize("terminal", [False], indirect=True)
def test_a_line_on_labels_inside_ome_zarr_says_of_which_image(terminal, clock, caplog):
    name = "a/one.zarr/labels/cells: objects"
    with caplog.at_level(logging.INFO, "unet2015"), Bar(9, name, "row") as bar:
        clock[0] += 61
        bar.update()
    assert caplog.messages[0].startswith("one.zarr/labels/cells: objects: 1 of 9 rows")


@pytest.mark.parametrize("terminal", [False], indirect=True)
def test_what_was_done_before_tells_nothing_about_the_time_left(terminal, clock, caplog):
    with caplog.at_level(logging.INFO, "unet2015"), Bar(1000, "a", "tile") as bar:
        bar.update(900)
        clock[0] += 61
        bar.update(1)
    assert caplog.records[0].getMessage() == "a: 901 of 1000 tiles, about 101 min left"


@pytest.mark.parametrize(("terminal", "silent"), [(True, False), (False, True)], indirect=["terminal"])
def test_no_lines_on_a_terminal_and_none_if_silent(terminal, silent, clock, caplog):
    with caplog.at_level(logging.INFO, "unet2015"), Bar(9, "a", "tile", silent=silent) as bar:
        for _ in range(9):
            clock[0] += 100
            bar.update()
    assert not caplog.records


def test_an_error_in_the_caller_s_function_is_said_once_and_harms_nothing(caplog):
    calls = []

    def broken(*words):
        calls.append(words)
        raise ValueError("no window")

    with reporting(broken):
        for _ in range(2):
            with Bar(3, "a", "tile") as bar:
                bar.update()
                bar.update()
    assert calls == [("a", 1, 3)]
    assert caplog.messages == ["progress: the function raised ValueError: no window; it is not called again"]
    with reporting(broken), Bar(3, "a", "tile") as bar:
        bar.update()
    assert len(calls) == 2


def test_segment_tells_how_far_it_is(tiny):
    plain, said = segment(PAGES, tiny, tile=44, device="cpu"), []
    told = segment(PAGES, tiny, tile=44, device="cpu", progress=lambda *words: said.append(words))
    assert np.array_equal(plain, told)
    done, totals = zip(*said, strict=True)
    assert len(set(totals)) == 1
    assert sorted(set(done)) == list(done)
    assert done[-1] == totals[0] > 1


def test_segment_files_tells_it_for_each_file(tiny, tmp_path):
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", PAGES, photometric="minisblack", metadata={"axes": "ZYX"})
    said = []
    files = [tmp_path / "a.tif", tmp_path / "b.tif"]
    results = segment_files(files, tmp_path / "out", tiny, progress=lambda *words: said.append(words))
    assert not any(result.error for result in results)
    last = {name: (done, total) for name, done, total in said}
    assert list(last) == [str(file) for file in files]
    assert all(done == total for done, total in last.values())


def test_a_keyboard_interrupt_ends_the_work(tiny):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment(PAGES, tiny, device="cpu", progress=stop)


def test_train_tells_each_step(tmp_path, small_set, small_settings, monkeypatch):
    monkeypatch.setattr("unet2015.training.loop.complete_model", lambda *_: None)
    said = []
    settings = small_settings(optimisation={"steps": 3}, validation={"interval": 3})
    options = {"settings": settings, "device": "cpu", "progress": lambda *words: said.append(words)}
    train(*small_set, tmp_path / "run", **options)
    assert said == [(1, 3), (2, 3), (3, 3)]


def test_times_in_words():
    assert [in_words(seconds) for seconds in (0.2, 90, 150, 9000)] == [
        "about 1 s",
        "about 90 s",
        "about 2 min",
        "about 2 h",
    ]


@pytest.mark.parametrize("terminal", [False, True], indirect=True)
@pytest.mark.parametrize("files", [1, 4])
def test_of_many_small_images_a_line_a_minute_says_how_many_are_done(
    terminal, clock, caplog, tiny, tmp_path, files, monkeypatch
):
    (tmp_path / "in").mkdir()
    for number in range(files):
        tifffile.imwrite(tmp_path / "in" / f"t{number}.tif", PAGES[0])

    def slow(run):
        def results(*given):
            for result in run(*given):
                clock[0] += 35
                yield result

        return results

    for name in ("run_jobs", "run_side_by_side"):
        monkeypatch.setattr(batch, name, slow(getattr(batch, name)))
    with caplog.at_level(logging.INFO, "unet2015"):
        segment_files([tmp_path / "in"], tmp_path / "out", tiny)
    lines = [line for line in caplog.messages if line.startswith("segmented")]
    some = files > 1 and not progress.sys.stderr.isatty()
    said = [
        "segmented: 2 of 4 images, about 70 s left",
        "segmented: 4 of 4 images",
    ]
    assert lines == (said if some else [])
