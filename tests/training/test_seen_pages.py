"""Measures of held-out pages that were trained on are too good: it is said where they are shown, and kept."""

import json
import logging

import numpy as np
import pytest
import tifffile

from unet2015.exchange.card import model_card
from unet2015.exchange.intensities import Intensities
from unet2015.models.model_file import read_model_file
from unet2015.report.measures import alert
from unet2015.report.run import report_run
from unet2015.settings import ValidationSettings
from unet2015.training.checks.training_set import check_pairs, inspect_set
from unet2015.training.loop import train
from unet2015.training.pairing import pair_images
from unet2015.training.start import find_start

NOT_KNOWN = "does not name all files"


pytestmark = pytest.mark.usefixtures("nothing_chosen")


@pytest.fixture
def short(small_settings):
    """Settings of one step that hold out these pages."""
    return lambda pages: small_settings(optimisation={"steps": 1}, validation={"pages": pages, "attempts": 1})


@pytest.fixture
def begun(tmp_path, small_set, short):
    """The folder of a training on pages 0 to 2, with page 3 held out."""
    train(*small_set, tmp_path / "begun", settings=short("3"), device="cpu")
    return tmp_path / "begun"


def problems(small_set, settings, start, words):
    found = inspect_set([small_set], settings, start=start).problems
    return [one.file for one in found if words in one.message]


def test_held_out_pages_that_the_start_was_trained_on_are_said(small_set, short, begun):
    start = read_model_file(begun / "model.safetensors").info

    def said(pages, info):
        return problems(small_set, short(pages), info, "the model to start from was trained on it")

    assert said("3", start) == []
    assert [place.endswith(" page 2") for place in said("2-3", start)] == [True]
    assert said("2-3", None) == problems(small_set, short("2-3"), start, NOT_KNOWN) == []
    for record in ({"files": "damaged"}, {"held_out": None}, {"files": [{"image_sha256": "other"}, 3]}):
        other = start.model_copy(update={"training": start.training | record})
        assert said("2-3", other) == []
        unknown = not isinstance(record.get("files", []), list) or "held_out" in record
        assert len(problems(small_set, short("2-3"), other, NOT_KNOWN)) == unknown


def test_pages_saved_again_are_known_by_their_pixels(tmp_path, small_set, short, begun):
    """As files of one page each, compressed and with 16 bits: other bytes, the same values."""
    start = read_model_file(begun / "model.safetensors").info
    (file,) = start.training["files"]
    assert (file["pixels"]["height"], file["pixels"]["width"]) == (50, 56)
    assert len({*file["pixels"]["digests"]}) == 4
    for folder, path in zip("il", small_set, strict=True):
        (tmp_path / folder).mkdir()
        for number, page in enumerate(tifffile.imread(path)):
            kind = np.uint16 if folder == "i" else np.uint8
            tifffile.imwrite(tmp_path / folder / f"t{number}.tif", page.astype(kind), compression="zlib")
    pairs = pair_images([tmp_path / "i"], [tmp_path / "l"])
    found = inspect_set(pairs, short("2-3"), start=start)
    assert found.held_out_seen == ["t2.tif"]
    assert [one.file for one in found.problems if "was trained on it" in one.message] == ["t2.tif"]


def test_pages_that_nobody_annotated_are_not_known_by_their_pixels(tmp_path, small_set, small_settings):
    labels = tifffile.imread(small_set[1])
    labels[1] = 7
    tifffile.imwrite(small_set[1], labels, photometric="minisblack")
    settings = small_settings(
        labels={"ignore": 7}, optimisation={"steps": 1}, validation={"pages": "3", "attempts": 1}
    )
    kept = train(*small_set, tmp_path / "run", settings=settings, device="cpu").info.training
    assert [digest is None for digest in kept["files"][0]["pixels"]["digests"]] == [False, True, False, False]


def test_a_model_keeps_that_its_measures_are_too_good(tmp_path, small_set, short, begun, caplog):
    with caplog.at_level(logging.INFO, "unet2015"):
        kept = train(*small_set, tmp_path / "run", settings=short("2-3"), start=begun, device="cpu")
    assert [name.endswith(" page 2") for name in kept.info.training["held_out_trained_on"]] == [True]
    (doubt,) = [one for one in kept.doubts if "too good" in one]
    assert "trained on 1 of 2 of them" in doubt
    assert caplog.messages[-1] == f"the model that is kept: {doubt}"
    assert doubt[1:] in alert(kept, [])
    assert doubt[1:] in model_card(kept, Intensities(None, "pixels"), {})
    assert "see its doubts" in repr(kept)
    first = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert first["held_out_trained_on"] == kept.info.training["held_out_trained_on"]
    caplog.clear()
    find_start(tmp_path / "run")
    assert doubt in caplog.text

    # It is held out by the second model, but its weights come from the first, which was trained on it.
    assert problems(small_set, short("2"), kept.info, "was trained on it") == [
        kept.info.training["held_out_trained_on"][0]
    ]
    sound = train(*small_set, tmp_path / "sound", settings=short("3"), start=begun, device="cpu")
    assert "held_out_trained_on" not in sound.info.training
    assert not [one for one in sound.doubts if "too good" in one]


def test_the_same_pixels_on_both_sides_are_kept_too(tmp_path, small_set, short):
    pages = tifffile.imread(small_set[0])
    pages[3] = pages[0]
    tifffile.imwrite(small_set[0], pages, photometric="minisblack")
    kept = train(*small_set, tmp_path / "run", settings=short("2-3"), device="cpu")
    assert [name.endswith(" page 3") for name in kept.info.training["held_out_trained_on"]] == [True]


def test_copies_are_never_split_where_none_are_named(tmp_path, small_set, small_settings, caplog):
    """Page 2 is trained on by place, and its labels have been kept so; page 0 is not."""
    pages = tifffile.imread(small_set[0])
    assert len(pages) == 4
    pages[0] = pages[3]
    tifffile.imwrite(small_set[0], pages, photometric="minisblack")
    settings = small_settings(optimisation={"steps": 1}, validation={"fraction": 0.25, "attempts": 1})
    with caplog.at_level(logging.INFO, "unet2015"):
        kept = train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    said = kept.info.training
    assert [name[-7:] for name in said["held_out"]] == [" page 0", " page 3"]
    assert (said["training_pages"], said["validation_pages"]) == (2, 2)
    assert "held_out_trained_on" not in said
    assert not [one for one in kept.doubts if "too good" in one]
    assert "where one copy is held out, all are" in caplog.text
    shown = report_run(tmp_path / "run", device="cpu").read_text()
    assert "page 0" in shown
    assert "page 2" not in shown


def test_a_page_that_is_trained_on_as_others_are_copies_gets_its_labels(tmp_path, small_set, short):
    pages = tifffile.imread(small_set[0])
    pages[0] = pages[1] = pages[3]
    tifffile.imwrite(small_set[0], pages, photometric="minisblack")
    settings = short("3").model_copy(update={"validation": ValidationSettings(fraction=0.5, attempts=1)})
    kept = train(*small_set, tmp_path / "run", settings=settings, device="cpu").info.training
    assert (kept["training_pages"], kept["validation_pages"]) == (1, 3)
    assert len(inspect_set([small_set], settings).held_out) == 3
    assert check_pairs([small_set], settings).labelled is None, "page 2 was to be held out"


def test_no_page_held_out_is_not_called_held_out(tmp_path, small_set, small_settings, begun, caplog):
    settings = small_settings(optimisation={"steps": 1}, validation={"fraction": 0, "attempts": 1})
    with caplog.at_level(logging.INFO, "unet2015"):
        train(*small_set, tmp_path / "run", settings=settings, start=begun, device="cpu")
    (said,) = [one for one in caplog.messages if "begun/model.safetensors)" in one or "no step" in one]
    assert "on the pages trained on, as none is held out" in said
