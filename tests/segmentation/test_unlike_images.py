"""A model tells of images far from its training pages: in list, record, call, resumed run, and on Dask."""

import json
import logging

import numpy as np
import pytest
import tifffile

from tests.forks import loaded_workers
from unet2015 import segment
from unet2015.models.model_file import read_model_file
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.synthetic import em_stack
from unet2015.tiling import plan
from unet2015.tiling.predictor import Predictor
from unet2015.training.loop import train

SAID = {
    "empty": "is noise from pixel to pixel",
    "inverted": "light and dark seem to be exchanged",
    "specks": "a few pixels (hot pixels, debris?)",
}
OTHER = em_stack(1, 128, 128, seed=7)[0][0]
TILE, SMALL = (SegmentOptions(tile=side, device="cpu") for side in (92, 60))


def bad_images():
    noise = np.random.default_rng(0).normal(90, 4, (128, 128)).round().astype(np.uint8)
    specks = OTHER.astype(np.uint16) * 10
    specks[20:120:30, 40:120:60] = 60_000
    return {"empty": noise, "inverted": 255 - OTHER, "specks": specks}


@pytest.fixture(scope="module")
def model(tmp_path_factory, small_settings):
    """A training of a second on eight drawn pages."""
    folder = tmp_path_factory.mktemp("trained")
    images, labels = em_stack(8, 128, 128, seed=3)
    tifffile.imwrite(folder / "images.tif", images, photometric="minisblack")
    tifffile.imwrite(folder / "labels.tif", labels, photometric="minisblack")
    settings = small_settings(mapping={"method": "standardise"}, optimisation={"steps": 4})
    train([folder / "images.tif"], [folder / "labels.tif"], folder / "run", settings=settings, device="cpu")
    return folder / "run" / "model.safetensors"


@pytest.fixture
def files(tmp_path):
    """Bad images, and good ones of other brightness, as files."""
    good = {"good": OTHER, "dim": OTHER // 4, "deep": OTHER.astype(np.uint16) * 200, "part": OTHER[:64, :64]}
    for name, pixels in (bad_images() | good).items():
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels, photometric="minisblack")
    return sorted(tmp_path.glob("*.tif"))


def notes_of(results):
    """Return which of the notes were said of each file that has any."""
    assert [result.error for result in results] == [None] * len(results)
    found = {
        result.input.stem: [name for name, text in SAID.items() if any(text in n for n in result.notes)]
        for result in results
    }
    return {name: notes for name, notes in found.items() if notes}


EACH = {name: [name] for name in SAID}


def test_a_model_keeps_the_ranges_of_its_training_pages(model):
    record = read_model_file(model).info.training["appearance"]
    assert record.keys() == {"pages", "noise", "skewness", "relief", "spread"}
    assert record["pages"] == 8
    assert all(low <= high for low, high in (record[name] for name in record.keys() - {"pages"}))


def test_list_and_record_say_it_also_when_it_is_done(model, files, tmp_path, caplog):
    for _ in (False, True):
        with caplog.at_level(logging.WARNING, "unet2015"):
            assert notes_of(segment_files(files, tmp_path / "out", model, TILE)) == EACH
        assert all(text in caplog.text for text in SAID.values())
        caplog.clear()
    for name, text in SAID.items():
        record = json.loads((tmp_path / "out" / f"{name}.record.json").read_text())
        assert sum(text in note for note in record["notes"]) == 1


def test_the_call_says_it(model, caplog):
    for name, pixels in bad_images().items():
        caplog.clear()
        segment(pixels, model)
        assert [said for said, text in SAID.items() if text in caplog.text] == [name]
    caplog.clear()
    segment(OTHER * 0.001, model)
    assert not any(text in caplog.text for text in SAID.values())


def test_tiles_do_not_matter(model, files, tmp_path):
    said = []
    for name, options in (("a", TILE), ("b", SegmentOptions(tile=124, batch=2, device="cpu"))):
        results = segment_files(files, tmp_path / name, model, options)
        assert notes_of(results) == EACH
        said.append([[n for n in r.notes if any(t in n for t in SAID.values())] for r in results])
    assert said[0] == said[1]


def test_a_resumed_run_says_it(model, files, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "PART_PIXELS", 4 * 60 * 60)
    empty = [path for path in files if path.stem == "empty"]
    real, seen = Predictor.__call__, []

    def interrupted(self, batch):
        if len(seen) > 8:
            raise KeyboardInterrupt
        seen.extend(batch)
        return real(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            segment_files(empty, tmp_path / "out", model, SMALL)
    # The mapping is known, so that the image is not measured once more.
    monkeypatch.setattr("unet2015.images.mapped_image.intensity_scale", None)
    assert notes_of(segment_files(empty, tmp_path / "out", model, SMALL)) == {"empty": ["empty"]}


@pytest.mark.slow
def test_workers_elsewhere_say_it(model, files, tmp_path):
    here = segment_files(files, tmp_path / "here", model, TILE)
    with loaded_workers():
        there = segment_files(files, tmp_path / "there", model, TILE, dask="local:2")
    assert notes_of(there) == notes_of(here) == EACH


def test_of_a_film_whose_pages_are_mapped_alone_odd_pages_are_said_once(model, tmp_path, caplog):
    film = np.stack([OTHER, bad_images()["empty"], OTHER[::-1], bad_images()["empty"], OTHER // 2])
    tifffile.imwrite(tmp_path / "film.tif", film, imagej=True, metadata={"axes": "TYX"})
    by_page = SegmentOptions(tile=60, device="cpu", map_each="page")
    for _ in (False, True):
        (result,) = segment_files([tmp_path / "film.tif"], tmp_path / "out", model, by_page)
        (note,) = [note for note in result.notes if SAID["empty"] in note]
        assert note.startswith("on pages 1, 3: ")
    caplog.clear()
    segment(film, model, axes="TYX", map_each="page")
    assert "on pages 1, 3: " in caplog.text
