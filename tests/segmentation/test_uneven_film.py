"""A film whose frames differ in brightness is said to be so by segment, its record and check."""

import json
import logging

import numpy as np
import pytest
import tifffile

from unet2015 import segment
from unet2015.segmentation.batch import segment_files
from unet2015.settings import TrainingSettings
from unet2015.training.checks.training_set import inspect_set

SAID = "the frames differ in brightness"
SCENE = np.random.default_rng(0).random((60, 70)) > 0.9
EVEN, BLEACHED = (
    np.stack([20 + gain * SCENE for gain in gains]).astype(np.uint8)
    for gains in ((200, 200, 200), (200, 110, 60))
)


@pytest.fixture
def standard(make_model, tmp_path):
    return make_model(tmp_path / "s.safetensors", method="standardise")


def test_list_and_record_say_it_also_when_it_is_done(standard, tmp_path, caplog):
    file, even, out = tmp_path / "film.tif", tmp_path / "even.tif", tmp_path / "out"
    tifffile.imwrite(file, BLEACHED, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(even, EVEN, imagej=True, metadata={"axes": "TYX"})
    for _ in (False, True):
        with caplog.at_level(logging.WARNING, "unet2015"):
            results = segment_files([file, even], out, standard)
        notes = {result.input.name: [note for note in result.notes if SAID in note] for result in results}
        assert notes["even.tif"] == []
        (note,) = notes["film.tif"]
        assert "20 to 80 on page 2, and 20 to 220 on page 0" in note
        assert note in caplog.text
        caplog.clear()
    records = [json.loads(path.read_text()) for path in out.glob("*.json")]
    assert sum(note in record["notes"] for record in records) == 1
    with caplog.at_level(logging.WARNING, "unet2015"):
        segment(BLEACHED, standard, axes="TYX")
    assert SAID in caplog.text


def test_a_training_set_is_checked_for_it(tmp_path):
    labels = tmp_path / "labels.tif"
    cells = np.stack([SCENE] * 3).astype(np.uint8)
    tifffile.imwrite(labels, cells, imagej=True, metadata={"axes": "TYX"})
    by_file, by_page = {"method": "standardise"}, {"method": "standardise", "each": "page"}
    fixed = {"method": "training-percentiles"}
    plain, also = '[mapping] each = "page" maps', '[mapping] method = "standardise", each = "page" maps'
    for film, mapping, advice in (
        *((BLEACHED, by_file, plain), (EVEN, by_file, None)),
        *((BLEACHED, by_page, None), (BLEACHED, fixed, also)),
    ):
        images = tmp_path / "images.tif"
        tifffile.imwrite(images, film, imagej=True, metadata={"axes": "TYX"})
        settings = TrainingSettings.model_validate({"labels": {"kind": "mask"}, "mapping": mapping})
        report = inspect_set([(images, labels)], settings)
        said = [problem.message for problem in report.problems if SAID in problem.message]
        assert len(said) == (advice is not None)
        assert all(advice in message for message in said)
