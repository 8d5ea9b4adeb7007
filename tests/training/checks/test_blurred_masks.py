"""Masks that JPEG has blurred: said with their number, and cut at half where the settings say so."""

import imagecodecs
import numpy as np
import pytest
import tifffile

from unet2015.errors import LossyLabelsError, SettingsError
from unet2015.images.reader import open_image
from unet2015.images.writer import write_image
from unet2015.settings import LabelSettings, load_settings
from unet2015.training.checks.training_set import inspect_set
from unet2015.training.dataset import read_labels
from unet2015.training.labelled import LabelledPages
from unet2015.training.labels import IGNORED, make_targets


def blurred():
    """A square of 255 as JPEG of quality 50 gives it back: edges between 0 and 255."""
    mask = np.zeros((64, 64), np.uint8)
    mask[13:43, 19:50] = 255
    return mask > 0, imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(mask, level=50))


@pytest.mark.parametrize("kind", ["mask", "membrane"])
def test_a_blurred_mask_is_cut_where_the_settings_say(kind):
    true, labels = blurred()
    grown = make_targets(labels, LabelSettings(kind=kind), "a").classes
    cut = make_targets(labels, LabelSettings(kind=kind, threshold=128), "a").classes
    assert grown.sum() > 1.2 * true.sum()
    assert np.count_nonzero(cut != true) < 0.01 * true.sum()
    assert np.array_equal(cut, labels >= 128)
    ignored = make_targets(labels, LabelSettings(kind=kind, threshold=128, ignore=255), "a").classes
    assert np.array_equal(ignored == IGNORED, labels == 255)


def problems(folder, labels, **settings):
    for name, page in (("image", np.arange(4096, dtype=np.uint8).reshape(64, 64)), ("labels", labels)):
        tifffile.imwrite(folder / f"{name}.tif", page, photometric="minisblack")
    chosen = load_settings(None, {"labels": {"kind": "mask", **settings}})
    found = inspect_set([(folder / "image.tif", folder / "labels.tif")], chosen).problems
    return " ".join(str(one) for one in found if one.file)


def test_it_is_said_how_many_pixels_are_between_and_what_becomes_of_them(tmp_path):
    _, labels = blurred()
    highest = labels.max()
    between = np.count_nonzero((labels > 0) & (labels < highest))
    many = f"{between} pixels ({between / 4096:.1%}) have values between 0 and {highest}, as JPEG leaves them"
    said = problems(tmp_path, labels)
    assert f"{many}; --label-threshold 128 takes those from half on" in said
    assert "all read as cells" in said
    cut = problems(tmp_path, labels, threshold=128)
    assert f"{many}; those from 128 on are read as cells" in cut
    assert "all read as cells" not in cut
    clean = np.where(labels >= 128, 255, 0).astype(np.uint8)
    assert "JPEG" not in problems(tmp_path, clean, threshold=128)


@pytest.mark.parametrize("compression", [None, "jpeg"])
def test_masks_in_a_file_of_jpeg_are_cut_where_the_settings_say_and_else_refused(tmp_path, compression):
    true, _ = blurred()
    image, file = tmp_path / "i.tif", tmp_path / ("m.tif" if compression else "m.jpg")
    tifffile.imwrite(image, np.arange(4096, dtype=np.uint8).reshape(64, 64), photometric="minisblack")
    drawn = np.where(true, 255, 0).astype(np.uint8)
    if compression:
        tifffile.imwrite(file, drawn, compression=compression, compressionargs={"level": 50})
    else:
        file.write_bytes(imagecodecs.jpeg8_encode(drawn, level=50))
    for advice in ("not those that were drawn", "--label-threshold"):
        with pytest.raises(LossyLabelsError, match=advice):
            read_labels(file)
        assert advice in str(
            inspect_set([(image, file)], load_settings(None, {"labels": {"kind": "mask"}})).problems
        )
    read = read_labels(file, cut=True)[0]
    assert np.count_nonzero((read >= 128) != true) < 0.01 * true.sum()
    settings = load_settings(None, {"labels": {"kind": "mask", "threshold": 128}})
    found = inspect_set([(image, file)], settings).problems
    assert "those from 128 on are read as cells" in str(found)
    assert [one for one in found if one.severity == "error"] == []
    with open_image(image) as opened:
        pages = LabelledPages.read([(image, file)], [opened], settings.labels, None, {0})
    assert np.array_equal(pages.classes[0], read >= 128)


def test_a_threshold_is_for_masks_only():
    for kind in ("instances", "classes"):
        with pytest.raises(SettingsError, match=f'threshold is for .*not for "{kind}"'):
            load_settings(None, {"labels": {"kind": kind, "threshold": 128}})
    assert "threshold" not in LabelSettings().model_dump()


def test_a_training_takes_a_jpeg_mask_cut_at_half(tmp_path, small_settings):
    """From the command's options to the classes that are trained on."""
    from unet2015.training.pages import load_training_set

    true, labels = blurred()
    write_image(tmp_path / "i.tif", np.stack([labels, labels]), "IYX")
    write_image(tmp_path / "l.tif", np.stack([labels, labels]), "IYX")
    settings = small_settings(labels={"kind": "mask", "threshold": 128})
    data = load_training_set([(tmp_path / "i.tif", tmp_path / "l.tif")], settings)
    try:
        assert np.array_equal(data.training[0].classes, labels >= 128)
        assert data.validation[0].classes.sum() == pytest.approx(true.sum(), rel=0.01)
    finally:
        data.close()


@pytest.mark.parametrize("kind", ["mask", "membrane"])
@pytest.mark.parametrize("threshold", [None, 100])
def test_an_image_is_no_mask_whatever_the_threshold(tmp_path, kind, threshold):
    true, _ = blurred()
    image = (60 + 80 * true + np.random.default_rng(0).normal(0, 9, true.shape)).astype(np.uint8)
    assert "is it an image?" in problems(tmp_path, image, kind=kind, threshold=threshold)
    assert "label-threshold" not in problems(tmp_path, image, kind=kind)


@pytest.mark.parametrize("quality", [5, 20, 80])
def test_a_blurred_mask_is_no_image(tmp_path, quality):
    drawn = np.where(np.kron(np.eye(4), np.ones((16, 16))), 255, 0).astype(np.uint8)
    labels = imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(drawn, level=quality))
    assert "is it an image?" not in problems(tmp_path, labels, threshold=128)


def test_a_mask_that_counts_from_one_gets_advice_that_helps(tmp_path):
    true, _ = blurred()
    mask = (true + 1).astype(np.uint8)
    said = problems(tmp_path, mask)
    assert "values 1 and 2 and no 0, both read as cells" in said
    assert "--label-threshold 2 takes 2 alone" in said
    assert "JPEG" not in said
    assert np.array_equal(make_targets(mask, LabelSettings(kind="mask", threshold=2), "a").classes, true)


def test_labels_with_the_pixels_of_their_image_are_refused(tmp_path):
    cells = np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4), np.ones((16, 16), np.uint8))
    for name in ("image", "labels"):
        tifffile.imwrite(tmp_path / f"{name}.tif", cells, photometric="minisblack")
    pair = [(tmp_path / "image.tif", tmp_path / "labels.tif")]
    for kind in ("instances", "classes"):
        found = inspect_set(pair, load_settings(None, {"labels": {"kind": kind}})).problems
        assert "it has the pixels of its image" in " ".join(map(str, found))


def test_empty_labels_of_an_empty_image_are_not_taken_for_it(tmp_path):
    """As of a lost frame, or of an empty tile."""
    for name in ("image", "labels"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros((64, 64), np.uint8), photometric="minisblack")
    pair = [(tmp_path / "image.tif", tmp_path / "labels.tif")]
    found = inspect_set(pair, load_settings(None, {"labels": {"kind": "mask"}})).problems
    assert "it has the pixels of its image" not in " ".join(map(str, found))


@pytest.mark.parametrize("kind", ["mask", "membrane"])
def test_a_mask_with_a_value_for_what_nobody_annotated_is_sent_to_ignore(tmp_path, kind):
    """A threshold would make its cells background, and what nobody annotated the cells."""
    true, _ = blurred()
    mask = true.astype(np.uint8)
    mask[:13] = 255
    said = problems(tmp_path, mask, kind=kind)
    assert "2 different values beside 0 (1, 255)" in said
    assert "if 255 marks what nobody annotated, give --ignore 255" in said
    assert "--label-threshold" not in said
    assert "JPEG" not in said
    cut = problems(tmp_path, mask, kind=kind, threshold=128)
    assert "give --ignore 255, without --label-threshold" in cut
    assert "JPEG" not in cut
    assert "different values" not in problems(tmp_path, mask, kind=kind, ignore=255)


def test_class_maps_and_scribbles_as_masks_get_advice_that_helps(tmp_path):
    true, _ = blurred()
    classes = true.astype(np.uint8)
    classes[13:20] *= 2
    said = problems(tmp_path, classes)
    assert "--label-kind classes" in said
    assert "--ignore VALUE" in said
    assert "--label-threshold" not in said
    scribbles = np.zeros((64, 64), np.uint8)
    scribbles[30, 10:30], scribbles[5, 5:60] = 2, 1  # cell and background; nobody annotated the rest
    said = problems(tmp_path, scribbles, ignore=0)
    assert "values 1 and 2 and no other, both read as cells" in said
    assert "--label-threshold 2 takes 2 alone" in said


def test_edges_of_few_grays_are_blurred_edges(tmp_path):
    """As of a mask that was made smaller by half."""
    true, _ = blurred()
    mask = np.where(true, 255, 0).reshape(32, 2, 32, 2).mean((1, 3)).repeat(2, 0).repeat(2, 1)
    said = problems(tmp_path, mask.astype(np.uint8))
    assert "--label-threshold 128 takes those from half on" in said
    assert "--ignore" not in said
