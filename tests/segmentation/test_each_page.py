"""With --map-each page each page of a stack has the bytes that it has as a file of its own."""

import json
import logging

import numpy as np
import pytest
import tifffile

import unet2015.tiling.plan as plan_module
from tests.forks import loaded_workers
from unet2015 import load_model, segment
from unet2015.errors import ArgumentError, UsageError
from unet2015.images.reader import open_image
from unet2015.models.model_file import save_model
from unet2015.segmentation import parts
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings.objects import ObjectSettings

PAGE = SegmentOptions(tile=60, map_each="page", products=("classes", "probability"))
SAID = "the frames differ in brightness"
METHODS = pytest.mark.parametrize("method", ["standardise", "image-percentiles"])


@pytest.fixture
def film():
    """Frames of a scene that bleaches, the last of which is lost."""
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 250, (61, 75))
    frames = np.stack([100 + gain * scene for gain in (8, 3, 1, 0)]).astype(np.uint16)
    assert frames[-1].min() == frames[-1].max()
    return frames


@pytest.fixture
def files(tmp_path, film):
    """The film, and each of its frames."""
    whole = tmp_path / "film.tif"
    tifffile.imwrite(whole, film, imagej=True, metadata={"axes": "TYX"})
    (tmp_path / "frames").mkdir()
    frames = [tmp_path / "frames" / f"f{number}.tif" for number in range(len(film))]
    for path, frame in zip(frames, film, strict=True):
        tifffile.imwrite(path, frame)
    return whole, frames


def read(path):
    with open_image(path) as image:
        pages = [image.read(page, 0, image.height, 0, image.width) for page in range(image.pages)]
    return np.stack(pages)


def alone(frames, model, out, product):
    """Return the frames as they are segmented without the option, each as a file."""
    options = SegmentOptions(tile=60, products=PAGE.products)
    results = segment_files(frames, out, model, options)
    assert not any(result.error for result in results)
    return np.concatenate([read(out / f"{path.stem}.{product}.tif") for path in frames])


def small_parts(monkeypatch):
    monkeypatch.setattr(plan_module, "PART_PIXELS", 2000)


def as_its_frames(out, files, model, tmp_path):
    whole, frames = files
    for product in PAGE.products:
        expected = alone(frames, model, tmp_path / "alone", product)
        assert read(out / f"{whole.stem}.{product}.tif").tobytes() == expected.tobytes()


@METHODS
@pytest.mark.parametrize("strips", [False, True])
def test_a_film_is_as_its_frames(files, make_model, tmp_path, monkeypatch, method, strips):
    if strips:
        small_parts(monkeypatch)
    model = make_model(tmp_path / "m.safetensors", method=method)
    (result,) = segment_files([files[0]], tmp_path / "out", model, PAGE)
    assert result.error is None
    as_its_frames(tmp_path / "out", files, model, tmp_path)
    together = SegmentOptions(tile=60, products=PAGE.products)
    segment_files([files[0]], tmp_path / "together", model, together)
    other, own = (read(tmp_path / at / "film.probability.tif") for at in ("together", "out"))
    assert abs(other - own).max() > 0.01


@pytest.mark.parametrize("axes", ["TYX", "TZYX"])
def test_an_array_is_as_its_pages(film, make_model, tmp_path, axes):
    model = make_model(tmp_path / "m.safetensors", method="standardise")
    pages = film if axes == "TYX" else film.reshape(2, 2, *film.shape[1:])
    given = {"tile": 60, "probabilities": True}
    found = segment(pages, model, axes=axes, map_each="page", **given).reshape(film.shape)
    for page, frame in zip(found, film, strict=True):
        assert page.tobytes() == segment(frame, model, **given).tobytes()


def test_channels_are_each_mapped_by_themselves(film, make_model, tmp_path):
    model = make_model(tmp_path / "m.safetensors", method="standardise", channels=2)
    pages = np.stack([film, film[::-1] + 30], axis=1)
    given = {"tile": 60, "probabilities": True}
    found = segment(pages, model, axes="TCYX", map_each="page", **given)
    for page, frame in zip(found, pages, strict=True):
        assert page.tobytes() == segment(frame, model, axes="CYX", **given).tobytes()


def test_a_run_that_goes_on_does_not_measure_again(files, make_model, tmp_path, monkeypatch):
    small_parts(monkeypatch)
    model = make_model(tmp_path / "m.safetensors", method="standardise")
    with monkeypatch.context() as patched:
        real, calls = parts.PartWriter.append, []

        def stopping(self, band):
            calls.append(band)
            if len(calls) == 4:
                raise KeyboardInterrupt
            real(self, band)

        patched.setattr(parts.PartWriter, "append", stopping)
        with pytest.raises(KeyboardInterrupt):
            segment_files([files[0]], tmp_path / "out", model, PAGE)
    (work,) = (tmp_path / "out").glob(".*.parts")
    assert np.shape(json.loads((work / "job.json").read_text())["offset"]) == (4, 1)
    with monkeypatch.context() as patched:
        patched.setattr("unet2015.images.mapped_image.intensity_scale", None)
        (result,) = segment_files([files[0]], tmp_path / "out", model, PAGE)
    assert result.error is None
    as_its_frames(tmp_path / "out", files, model, tmp_path)


@pytest.mark.slow
def test_workers_use_the_numbers_of_each_page(files, make_model, tmp_path, monkeypatch):
    small_parts(monkeypatch)
    model = make_model(tmp_path / "m.safetensors", method="standardise")
    with loaded_workers():
        (result,) = segment_files([files[0]], tmp_path / "out", model, PAGE, dask="local:2")
    assert result.error is None
    as_its_frames(tmp_path / "out", files, model, tmp_path)


def test_record_and_replay_carry_it_and_the_note_falls_silent(files, film, make_model, tmp_path, caplog):
    model, out = make_model(tmp_path / "m.safetensors", method="standardise"), tmp_path / "out"
    (before,) = segment_files([files[0]], out, model)
    (record,) = out.glob("*.json")
    said = json.loads(record.read_text())
    assert ("map_each" in said["settings"], "each" in said["mapping"]) == (False, False)
    assert "--map-each page" in "".join(before.notes)
    options = SegmentOptions(map_each="page", objects=ObjectSettings())
    with caplog.at_level(logging.INFO, "unet2015"):
        (result,) = segment_files([files[0]], out, model, options)  # it is done again
    assert "done before" not in caplog.text
    assert (SAID in "".join(before.notes), SAID in "".join(result.notes)) == (True, False)
    assert any(note.startswith("page 3: all pixels are 100") for note in result.notes)
    record = out / "film.record.json"
    said = json.loads(record.read_text())
    assert (said["settings"]["map_each"], said["mapping"]["each"]) == ("page", "page")
    assert said["mapping"]["offset"] == film.mean(axis=(1, 2))[:, None].tolist()
    assert replay(record).same
    assert SegmentOptions.from_record(said["settings"]).map_each == "page"
    (plan,) = plan_files([files[0]], tmp_path / "plan", model, options)
    assert plan.error is None


def test_a_model_maps_as_it_was_trained_unless_it_is_told_otherwise(film, make_model, tmp_path):
    file = load_model(make_model(tmp_path / "m.safetensors", method="standardise"))
    mapping = file.info.mapping.model_copy(update={"each": "page"})
    save_model(tmp_path / "p.safetensors", file.network, file.info.model_copy(update={"mapping": mapping}))
    page = load_model(tmp_path / "p.safetensors")
    assert page.info.mapping.of_each_page
    given = {"axes": "TYX", "probabilities": True}
    by_page, by_file = segment(film, page, **given), segment(film, file, **given)
    assert by_page.tobytes() != by_file.tobytes()
    assert by_page.tobytes() == segment(film, file, map_each="page", **given).tobytes()
    assert by_file.tobytes() == segment(film, page, map_each="file", **given).tobytes()


def test_what_cannot_be_meant_is_refused(film, model):
    with pytest.raises(UsageError, match="map_each: this model maps all images alike"):
        segment(film, model, axes="TYX", map_each="page")
    with pytest.raises(ArgumentError, match="map_each: expected file or page, got 'frame'"):
        SegmentOptions(map_each="frame")
