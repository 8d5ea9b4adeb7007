"""A model whose objects are never where the true ones are says so, as does one whose last network failed."""

import json

import numpy as np
import pytest
import tifffile
import torch

from tests.test_learned import run
from unet2015.models.doubts import doubts_of_measures, doubts_of_objects, lost_objects, not_found
from unet2015.models.model_file import ModelInfo, build_network, read_model_file, save_model
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import Mapping, NetworkSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training import completion
from unet2015.training.object_choice import choose_objects


def test_a_last_network_that_has_not_learned_any_more_is_said_and_recorded(tmp_path, caplog):
    info = ModelInfo(
        class_names=("background", "cell"),
        mapping=Mapping(method="standardise"),
        learned=True,
        training={"step": 4},
    )
    log = tmp_path / "log.jsonl"

    def end(learned):
        looks = [{"step": 4, "validation_learned": True}]
        looks.append({"step": 8, "validation_learned": learned, "validation_why": ["AUC of guessing"]})
        log.write_text("".join(f"{json.dumps(line)}\n" for line in [*looks, {"step": 8, "loss": 0.5}]))
        caplog.clear()
        ended = completion._with_last_look(info, log)
        completion._say(ended)
        return ended

    assert end(True) is info
    assert caplog.text == ""
    ended = end(False)
    assert ended.training["last_validation"] == {"step": 8, "why": ["AUC of guessing"]}
    assert "is of step 4, as the network of step 8 has not learned any more (AUC of guessing)" in caplog.text
    assert completion._with_last_look(ended, log) is ended


@pytest.fixture
def shifted(answers):
    """What is measured where each of five cells is predicted beside its place."""
    classes = np.zeros((64, 96), np.uint8)
    for y, x in ((10, 10), (10, 40), (40, 10), (40, 40), (40, 70)):
        classes[y : y + 12, x : x + 12] = 1
    page = answers.page_of(np.roll(np.where(classes, 0.9, 0.1), 12, axis=1), classes)
    return choose_objects(answers.Echo(), [page], 0.5, torch.device("cpu"), 48)[1]


def test_objects_that_are_never_found_are_a_doubt(shifted):
    measured = shifted
    assert (measured["true"], measured["matched"]) == (5, 0)
    said = lost_objects({"objects": measured})
    assert "of 5 on its held-out pages it finds 0" in said
    few, poor = measured | {"true": 4}, measured | {"panoptic_quality": 0.06}
    before = {key: measured[key] for key in ("panoptic_quality", "plain", "pages")}
    for sound in (few, poor, before, None, 3, measured | {"panoptic_quality": "low"}):
        assert lost_objects({"objects": sound}) == "", sound
    drawn = {"objects": measured, "settings": {"labels": {"kind": "instances"}}, "validation": {"auc": 0.9}}
    assert not_found(drawn) == doubts_of_measures(drawn) == (said,)
    assert doubts_of_objects(drawn) == ()  # it is said at each use
    joined = drawn | {"settings": {"labels": {"kind": "instances", "separation_border": False}}}
    assert "; cells that touch are one" in lost_objects(joined)
    assert "cells that touch" not in said
    masks = drawn | {"settings": {"labels": {"kind": "classes"}}}
    assert not_found(masks) == doubts_of_measures(masks) == ()
    assert doubts_of_objects(masks) == (said,)
    assert not_found(masks | {"validation": {"auc": 0.615}}) == (said,)


def test_such_a_model_says_so_at_each_use_with_objects_and_its_training_ends_with_3(
    shifted, tmp_path, monkeypatch, capsys, caplog
):
    record = {"objects": shifted, "validation": {"auc": 0.9}}
    masks, drawn = tmp_path / "masks.safetensors", tmp_path / "drawn.safetensors"
    for path, kind in ((masks, "classes"), (drawn, "instances")):
        info = ModelInfo(
            network=NetworkSettings(width=2, depth=1),
            class_names=("background", "cell"),
            mapping=Mapping(method="standardise"),
            threshold=0.5,
            learned=True,
            training=record | {"settings": {"labels": {"kind": kind}}},
        )
        save_model(path, build_network(info), info)
    words = ("train", "--images", "a", "--labels", "b", "-o", tmp_path / "c")
    for path, status in ((masks, 0), (drawn, 3)):
        monkeypatch.setattr("unet2015.training.loop.train", lambda *_, path=path, **__: read_model_file(path))
        assert run(capsys, *words)[0] == status
    tifffile.imwrite(tmp_path / "a.tif", np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8))
    for path, objects, times in (
        (masks, None, 0),
        (masks, ObjectSettings(), 1),
        (drawn, ObjectSettings(), 1),
    ):
        caplog.clear()
        out = tmp_path / f"{path.stem} {times}"
        segment_files([tmp_path / "a.tif"], out, path, options=SegmentOptions(objects=objects))
        assert caplog.text.count("not learned to find objects") == times
        notes = json.loads((out / "a.record.json").read_text())["notes"]
        assert sum("not learned to find objects" in note for note in notes) == times
