"""Held-out pages that share pixels with pages trained on are said, and kept with the model."""

import json
import shutil

import numpy as np
import pytest
import tifffile

from unet2015.models.model_file import read_model_file
from unet2015.settings import TrainingSettings
from unet2015.training.checks import landmarks, shared_pixels, split
from unet2015.training.checks.label_fit import LabelFit
from unet2015.training.checks.training_set import inspect_set
from unet2015.training.loop import train
from unet2015.training.pairing import pair_images
from unet2015.training.run_folder import Before

IMAGE = np.random.default_rng(0).normal(2000, 200, (128, 400)).astype(np.uint16)
OTHER = np.random.default_rng(1).normal(2000, 200, (128, 400)).astype(np.uint16)
TILES = [IMAGE[:, :128], IMAGE[:, 80:208], OTHER[:, :128], OTHER[:, 200:328]]
"""Of two images. The first two overlap in 48 columns, the others do not."""


def noise(seed):
    return np.random.default_rng(100 + seed).normal(2000, 200, (128, 128)).astype(np.uint16)


def labelled(images):
    labels = [np.zeros(image.shape[-2:], np.uint8) for image in images]
    for label in labels:
        label[10:40, 10:40], label[60:90, 50:90] = 1, 2
    return labels


@pytest.fixture(autouse=True)
def labels_not_compared(monkeypatch):
    """Leave out whether labels fit their images, which takes longer than all that is looked at here."""
    monkeypatch.setattr(LabelFit, "draw", lambda *_: None)


@pytest.fixture
def report(tmp_path):
    """Look at a set of images t0.tif, t1.tif, ..."""

    def look(images, held_out, labels=None, /, before=None, **sections):
        for folder, arrays in (("i", images), ("l", labels or labelled(images))):
            if (tmp_path / folder).exists():
                shutil.rmtree(tmp_path / folder)
            (tmp_path / folder).mkdir()
            for number, array in enumerate(arrays):
                tifffile.imwrite(tmp_path / folder / f"t{number}.tif", array, photometric="minisblack")
        pairs = pair_images([tmp_path / "i"], [tmp_path / "l"])
        given = {"validation": {"pages": held_out}} if held_out else {}
        return inspect_set(pairs, TrainingSettings.model_validate(sections | given), before=before)

    return look


def said(report):
    return [one.message for one in report.problems if "too good" in one.message]


def test_a_held_out_page_that_overlaps_one_trained_on_is_said(report):
    found = report(TILES, "1,3")
    (message,) = said(found)
    assert message.startswith("held-out pages overlap pages trained on, as crops of one image do")
    assert "too good: t1.tif has 128 x 48 px of t0.tif (38% of it); hold out pages" in message
    assert found.held_out_seen == ["t1.tif"]
    assert said(report(TILES, "0-1")) == said(report(TILES, "2-3")) == []
    (both,) = said(report([IMAGE, *TILES, OTHER], "1-4"))
    assert "t1.tif has 128 x 128 px of t0.tif (100% of it), t2.tif" in both
    assert "t4.tif has 128 x 128 px of t5.tif (100% of it)" in both


def test_so_it_is_where_the_program_chooses_what_is_held_out(report):
    """All that slide over one image hang together, so that none could be held out: it is said."""
    slides = [IMAGE[:, left : left + 128] for left in range(0, 272, 64)]
    found = report(slides, None)
    (message,) = said(found)
    assert found.held_out == ["t4.tif"]
    assert "t4.tif has 128 x 64 px of t3.tif (50% of it)" in message


def test_pages_that_share_pixels_are_held_out_together_where_the_program_chooses(report):
    """Of eight images; the last two overlap, so that one of five cannot be taken from the end alone."""
    found = report([noise(number) for number in range(8)] + TILES[:2], None)
    assert found.held_out == ["t8.tif", "t9.tif"]
    assert (said(found), [*found.together]) == ([], [])
    found = report([TILES[0], *map(noise, range(8)), TILES[1]], None)
    assert found.held_out == ["t0.tif", "t9.tif"]
    (message,) = said(found)
    assert message.startswith("pages overlap, as crops of one image do, or copies with a scale bar, or are ")
    assert ": (t0.tif, t9.tif); they are held out together or not at all" in message
    assert [*map(list, found.together)] == [["t0.tif", "t9.tif"]]
    assert found.held_out_seen == []


def test_where_all_of_one_image_overlap_another_is_held_out(report):
    slides = [IMAGE[:, left : left + 128] for left in range(0, 272, 40)]
    found = report([noise(0), noise(1), *slides], None)
    assert found.held_out == ["t0.tif", "t1.tif"]
    assert found.held_out_seen == []


def test_copies_and_darker_copies_of_a_page_that_overlaps_go_with_it(report):
    dark = TILES[1] // 2
    images = [np.fliplr(TILES[0]), dark, *map(noise, range(7)), *TILES[:2]]
    found = report(images, None)
    assert found.held_out == ["t7.tif", "t8.tif"], "the four are more than the fifth that is wanted"
    assert [*map(list, found.together)] == [["t0.tif", "t1.tif", "t9.tif", "t10.tif"]]
    found = report(
        [np.fliplr(TILES[0]), dark, *map(noise, range(7)), *TILES[:2]], None, validation={"fraction": 0.3}
    )
    assert found.held_out == ["t0.tif", "t1.tif", "t9.tif", "t10.tif"]


def test_pages_that_are_named_stay_held_out(report):
    found = report([TILES[0], *map(noise, range(8)), TILES[1]], "9")
    assert (found.held_out, found.held_out_seen, [*found.together]) == (["t9.tif"], ["t9.tif"], [])


def test_a_little_is_said_but_does_not_spoil_what_the_model_says(report):
    wide = np.random.default_rng(0).normal(2000, 200, (128, 1000)).astype(np.uint16)
    found = report([wide[:, :520], wide[:, 480:]], "1")
    assert "t1.tif has 128 x 40 px of t0.tif (8% of it)" in said(found)[0]
    assert found.held_out_seen == []


def test_the_pages_of_a_large_set_keep_less_and_still_overlap(report, monkeypatch):
    monkeypatch.setattr(landmarks, "_TOGETHER", 4 * 300)
    kept = []
    monkeypatch.setattr(split, "shared_pixels", lambda *given: kept.append(given) or look(*given))
    look = shared_pixels.shared_pixels
    assert len(said(report(TILES, "1,3"))) == 1
    assert all(200 < len(page.marks.landmarks.keys) < 400 for page in kept[0][0].facts)


@pytest.mark.parametrize(
    "change",
    [
        np.float32,
        lambda page: (page / 65535).astype(np.float32),
        lambda page: (page / IMAGE.max()).astype(np.float64),
        lambda page: ((page - IMAGE.mean()) / IMAGE.std()).astype(np.float32),
        lambda page: page.astype(np.uint32) * 257,
        np.int32,
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_crops_of_which_one_has_another_type_and_unit(report, change, swapped):
    crops = [change(tile) if number % 2 == swapped else tile for number, tile in enumerate(TILES)]
    (message,) = said(report(crops, "1,3"))
    assert "t1.tif has 128 x 48 px of t0.tif (38% of it); hold out pages" in message
    bar = crops[1].copy()
    bar[:20, :20] = bar.min()
    assert "128 x 48 px" in said(report([crops[0], bar], "1"))[0]
    bar[:, :20] = bar.min()
    assert said(report([crops[0], bar], "1")) == [], "too little is the same"
    together = report(
        [crops[0], *map(noise, range(3)), crops[1]], None, validation={"fraction": 0.4}
    ).together
    assert [*map(list, together)] == [["t0.tif", "t4.tif"]]


def test_crops_of_another_type_with_other_noise_or_gamma_are_no_news(report):
    """The order of values is the same, but they are not on a line."""
    root = np.sqrt(TILES[1]).astype(np.float32)
    again = (TILES[1] + np.random.default_rng(5).normal(0, 20, TILES[1].shape)).astype(np.float32)
    for other in (root, again):
        assert said(report([TILES[0], other, *TILES[2:]], "1,3")) == []


def test_pages_of_one_stack_overlap_too(report):
    stack = np.stack(TILES)
    (message,) = said(report([stack, OTHER], "1,3", [np.stack(labelled(TILES)), *labelled([OTHER])]))
    assert "t0.tif page 1 has 128 x 48 px of t0.tif page 0 (38% of it)" in message
    assert "t0.tif page 3 has 128 x 128 px of t1.tif (100% of it)" in message


def test_copies_are_said_once_and_what_nobody_annotated_is_no_news(report):
    copies = [TILES[0], IMAGE[:, 80:208], TILES[1]]
    (message,) = said(report(copies, "1"))
    assert "the same image is trained on and held out" in message
    labels = labelled(TILES)
    labels[0][:] = 255
    assert said(report(TILES, "1", labels, labels={"ignore": 255})) == []


def test_an_image_in_another_brightness_is_said(report):
    image = TILES[0]
    dark = (255 * ((image - image.min()) / np.ptp(image))).astype(np.uint8)
    found = report([image, TILES[2], dark], "2")
    (message,) = said(found)
    assert message.startswith("the same image is trained on and held out, in another brightness or contrast")
    assert "too good: t0.tif and t2.tif; leave" in message
    assert found.held_out_seen == ["t2.tif"]
    assert said(report([image, TILES[2], dark], "1")) == []


@pytest.mark.usefixtures("nothing_chosen")
def test_a_model_keeps_which_of_its_held_out_pages_overlap(tmp_path, small_settings):
    for name, arrays in (("images.tif", TILES), ("labels.tif", labelled(TILES))):
        tifffile.imwrite(tmp_path / name, np.stack(arrays), photometric="minisblack")
    settings = small_settings(
        labels={"kind": "instances"}, optimisation={"steps": 1}, validation={"pages": "1,3", "attempts": 1}
    )
    kept = train(tmp_path / "images.tif", tmp_path / "labels.tif", tmp_path / "run", settings=settings)
    assert kept.info.training["held_out_trained_on"] == ["images.tif page 1"]
    (doubt,) = [one for one in kept.doubts if "too good" in one]
    assert "was trained on 1 of 2 of them, wholly or in part: images.tif page 1" in doubt


@pytest.fixture
def crops(tmp_path):
    """Images and labels of which the first and the last page overlap."""
    arrays = [TILES[0], *map(noise, range(3)), TILES[1]]
    for name, pages in (("images.tif", arrays), ("labels.tif", labelled(arrays))):
        tifffile.imwrite(tmp_path / name, np.stack(pages), photometric="minisblack")
    return tmp_path / "images.tif", tmp_path / "labels.tif"


@pytest.mark.usefixtures("nothing_chosen")
def test_the_record_says_which_pages_are_on_one_side_as_they_share_pixels(tmp_path, crops, small_settings):
    settings = small_settings(
        labels={"kind": "instances"}, optimisation={"steps": 1}, validation={"fraction": 0.4, "attempts": 1}
    )
    kept = train(*crops, tmp_path / "run", settings=settings).info.training
    assert kept["held_out"] == ["images.tif page 0", "images.tif page 4"]
    assert kept["share_pixels"] == [kept["held_out"]]
    begin = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert begin["share_pixels"] == kept["share_pixels"]


@pytest.mark.parametrize(
    ("pages", "held_out", "together"),
    [
        ([1, 2], [1, 2], []),
        ([3, 4], [3, 4], []),
        ([0, 4], [0, 4], [["t0.tif", "t4.tif"]]),
        ([1, 2, 5], [0, 4], [["t0.tif", "t4.tif"]]),
    ],
    ids=["others", "the last", "those that overlap", "of another set"],
)
def test_pages_held_out_before_are_held_out_again(report, monkeypatch, pages, held_out, together):
    """Then no others are looked for; which share pixels the training has found, by the names of then."""
    if 5 not in pages:
        monkeypatch.setattr(split, "linked_pages", None)
        monkeypatch.setattr(split, "split_pages", None)
    images = [TILES[0], *map(noise, range(3)), TILES[1]]
    groups = (
        [["t0.tif", "t4.tif"]] if pages == [0, 4] else [["gone.tif", "t4.tif"]] if pages == [3, 4] else []
    )
    before = Before(5 + (5 in pages), pages, groups)
    found = report(images, None, before=before, validation={"fraction": 0.4})
    assert [*found.held_out_pages] == held_out
    assert [*map(list, found.together)] == together
    assert len(said(found)) == (4 in held_out)


@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.parametrize("earlier", [True, False])
def test_a_training_that_is_resumed_holds_out_the_pages_that_it_was_begun_with(
    tmp_path, crops, small_settings, monkeypatch, earlier
):
    """Also where it was begun by a version that knew nothing of pages that share pixels."""
    settings = small_settings(
        labels={"kind": "instances"},
        checkpoint_interval=1,
        optimisation={"steps": 2},
        validation={"fraction": 0.4, "attempts": 1},
    )

    with monkeypatch.context() as patch:
        if earlier:
            patch.setattr(split, "linked_pages", lambda *_: [])
        train(*crops, tmp_path / "run", settings=settings)
    shutil.copytree(tmp_path / "run", tmp_path / "whole")
    expected = (
        ["images.tif page 3", "images.tif page 4"] if earlier else ["images.tif page 0", "images.tif page 4"]
    )
    (tmp_path / "run" / "checkpoints" / "step-00000002.safetensors").unlink()
    (tmp_path / "run" / "model.safetensors").unlink()
    kept = train(*crops, tmp_path / "run", settings=settings, resume=True).info.training
    whole = read_model_file(tmp_path / "whole" / "model.safetensors").info.training
    assert kept["held_out"] == whole["held_out"] == expected
    assert kept.get("share_pixels") == whole.get("share_pixels") == (None if earlier else [expected])
