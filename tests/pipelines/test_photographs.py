"""Folders of images and masks: what is read, resized and divided, the measures by hand, every stage once."""

import json

import numpy as np
import pytest
from PIL import Image
from skimage.draw import disk

pytest.importorskip("doit")
pytest.importorskip("jinja2")

from pipelines import flood, salt
from pipelines.base.settings import FOLDER
from pipelines.photographs.data import divided, prepare, read_image, read_mask, resized
from pipelines.photographs.measures import OVERLAPS, mean_precision, overlaps, precision_of, search
from pipelines.photographs.settings import PhotographSettings, settings_of
from unet2015.errors import DataSetError
from unet2015.images.reader import read_pages
from unet2015.models.model_file import read_model_file
from unet2015.settings import load_settings, parse_settings, read_toml
from unet2015.training import loop

TRAINING = """
[trainings.{name}]
settings = "{name}"
[trainings.{name}.training]
network = {{ width = 2, depth = {depth}, border = "padded" }}
optimisation = {{ tile = 32, batch = 4 }}
"""
FLOOD = (
    'images = "Image"\nmasks = "Mask"\nchannels = 3\nside = 32\n'
    + TRAINING.format(name="vgg19", depth=2)
    + 'phase = [{ epochs = 2, freeze = ["features"] }, { epochs = 1, freeze = ["features"], '
    'release = ["features.16"] }]\n'
    + TRAINING.format(name="base", depth=2).replace("batch = 4", "batch = 4, epochs = 2")
)
SALT = 'images = "train/images"\nmasks = "train/masks"\nchannels = 1\nside = 32\n' + TRAINING.format(
    name="compact", depth=2
).replace("batch = 4", "batch = 4, epochs = 3, plateau_looks = 1")


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Leave out what a training chooses at its end, which takes most of its time."""
    monkeypatch.setattr(loop, "complete_model", lambda *_: None)


def save(path, pixels, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **more)


@pytest.fixture
def floods(tmp_path):
    """Ten photographs, JPEG and PNG, of two sizes, one gray; masks as PNG and as JPEG."""
    random = np.random.default_rng(0)
    for number in range(10):
        height, width = (60, 80) if number % 2 else (50, 50)
        mask = np.zeros((height, width), np.uint8)
        mask[disk((25, 25), 8 + number, shape=mask.shape)] = 255
        image = random.integers(0, 60, (height, width, 3)).astype(np.uint8) + (mask // 2)[..., None]
        end = ("jpg", "png")[number % 2]
        save(tmp_path / f"Image/{number}.{end}", image[..., 0] if number == 3 else image)
        save(tmp_path / f"Mask/{number}.{'jpg' if number == 4 else 'png'}", mask)
    return tmp_path


def run(main, data, out, text):
    settings = out.parent / "tiny.toml"
    settings.write_text(text)
    return main(["--data", str(data), "--out", str(out), "--settings", str(settings), "--device", "cpu"])


@pytest.mark.slow
def test_flood_from_a_folder_to_a_page_and_nothing_runs_twice(floods, tmp_path, capsys):
    out = tmp_path / "out"
    status = run(flood.main, floods, out, FLOOD)
    result = json.loads((out / "result.json").read_text())
    assert status == (3 if result["not_learned"] else 0)
    data = result["data"]
    assert (data["images"], data["gray_images"], data["empty_masks"]) == (10, 1, 0)
    assert data["masks_with_values_between_0_and_the_highest"] == 1
    assert data["sizes"] == [[50, 50], [60, 80]]
    assert len(data["held_out"]) == 2
    assert sorted(data["trained_on"] + data["held_out"]) == sorted(
        p.name for p in (floods / "Image").iterdir()
    )
    assert read_pages(out / "data" / "masks.tif").shape == (10, 32, 32)
    for name in ("vgg19", "base"):
        info = read_model_file(out / name / "run" / "model.safetensors").info
        assert (info.in_channels, info.training["training_pages"], info.training["validation_pages"]) == (
            3,
            8,
            2,
        )
        for row in ("at_0.5", "at_the_model_s_threshold"):
            assert 0 <= result["rows"][name][row]["dice"] <= 1
    page = (out / "report.html").read_text()
    for text in ("vgg19, at 0.5", "data:image/gif", "IoU, all pixels"):
        assert text in page
    before = {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and ".db" not in path.name
    }
    assert run(flood.main, floods, out, FLOOD) == status
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
def test_salt_measures_what_the_competition_measures(tmp_path):
    random = np.random.default_rng(1)
    for number in range(10):
        mask = np.zeros((101, 101), np.uint16)
        if number % 3:
            mask[: 10 * number] = 65535
        image = random.integers(0, 60, (101, 101)).astype(np.uint8) + (mask // 512).astype(np.uint8)
        save(tmp_path / f"train/images/{number:02d}a.png", np.stack([image] * 3, axis=-1))
        save(tmp_path / f"train/masks/{number:02d}a.png", mask)
    out = tmp_path / "out"
    status = run(salt.main, tmp_path, out, SALT)
    result = json.loads((out / "result.json").read_text())
    assert status == (3 if result["not_learned"] else 0)
    assert result["data"]["empty_masks"] == 4
    more = result["rows"]["compact"]["more"]
    with np.load(out / "data" / "true.npz") as stored:
        truth = [stored[key] for key in stored.files]
    assert truth[0].shape == (101, 101)
    pages = read_pages(out / "compact" / "held-out.probability.tif")
    maps = [resized(page[None], 101, 101)[0] for page in pages]
    assert (
        more["best"]
        == max(more["by_threshold"].values())
        == mean_precision(truth, maps, more["best_threshold"])
    )
    assert "Mean precision, as in the competition" in (out / "report.html").read_text()


def test_folders_that_are_not_there_are_named(tmp_path, capsys):
    (tmp_path / "Image").mkdir()
    assert run(flood.main, tmp_path, tmp_path / "out", FLOOD) == 1
    assert "expected the folders Image and Mask, but there is no Mask" in capsys.readouterr().err


def test_a_mask_of_another_size_is_refused(tmp_path):
    save(tmp_path / "a.png", np.zeros((20, 20), np.uint8))
    save(tmp_path / "b.png", np.zeros((20, 21), np.uint8))
    chosen = PhotographSettings(
        images="", masks="", channels=1, side=16, trainings={"a": {"settings": "base"}}
    )
    with pytest.raises(DataSetError, match=r"b\.png: the mask has 20 x 21 px, but .*a\.png has 20 x 20 px"):
        prepare([(tmp_path / "a.png", tmp_path / "b.png")], chosen)


def test_images_become_the_channels_that_the_network_reads(tmp_path):
    colours = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for name, pixels in (
        ("rgb", colours),
        ("gray", colours[..., 0]),
        ("deep", colours[..., 0].astype(np.uint16) * 257),
    ):
        save(tmp_path / f"{name}.png", pixels)
    save(tmp_path / "alpha.png", np.dstack([colours, np.full((4, 4), 255, np.uint8)]))
    assert np.array_equal(read_image(tmp_path / "rgb.png", 3)[0], colours.transpose(2, 0, 1))
    assert np.array_equal(read_image(tmp_path / "alpha.png", 3)[0], colours.transpose(2, 0, 1))
    pixels, was_gray = read_image(tmp_path / "gray.png", 3)
    assert was_gray
    assert np.array_equal(pixels, np.stack([colours[..., 0]] * 3))
    assert np.array_equal(read_image(tmp_path / "deep.png", 1)[0][0], colours[..., 0])
    assert np.array_equal(read_image(tmp_path / "rgb.png", 1)[0][0], colours[..., 1])


def test_a_mask_is_what_is_above_half_of_its_highest_value(tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[9:21, 7:23] = 255
    for name, pixels in (("plain", mask), ("ones", mask // 255), ("deep", mask.astype(np.uint16) * 257)):
        save(tmp_path / f"{name}.png", pixels)
        found, between = read_mask(tmp_path / f"{name}.png")
        assert between == 0
        assert np.array_equal(found, mask > 0)
    save(tmp_path / "blurred.jpg", mask, quality=50)
    found, between = read_mask(tmp_path / "blurred.jpg")
    assert between > 20
    assert np.count_nonzero(found != (mask > 0)) < 5
    save(tmp_path / "empty.png", np.zeros((8, 8), np.uint8))
    assert not read_mask(tmp_path / "empty.png")[0].any()


def test_noise_alone_is_no_mask_and_is_counted(tmp_path):
    """Beside masks up to 255 and 65535; masks of 0 and 1, and of one bit, are masks."""
    random = np.random.default_rng(0)
    true = np.zeros((16, 16), bool)
    true[4:9, 3:12] = True
    masks = {
        "a": true * np.uint8(255),
        "b": random.integers(0, 9, (16, 16)).astype(np.uint8),
        "c": true * np.uint16(65535),
        "d": random.integers(0, 900, (16, 16)).astype(np.uint16),
        "e": true * np.uint8(1),
        "f": true,
        "g": true * np.uint8(200),
    }
    for name, mask in masks.items():
        save(tmp_path / f"{name}.png", mask)
        save(tmp_path / "i" / f"{name}.png", np.zeros((16, 16), np.uint8))
    chosen = PhotographSettings(
        images="", masks="", channels=1, side=16, trainings={"a": {"settings": "base"}}
    )
    pairs = [(tmp_path / "i" / f"{name}.png", tmp_path / f"{name}.png") for name in masks]
    found = prepare(pairs, chosen)
    for name, mask, trained in zip(masks, found.true, found.masks, strict=True):
        expected = np.zeros_like(true) if name in "bd" else true
        assert np.array_equal(mask, expected), name
        assert np.array_equal(trained, expected * np.uint8(255)), name
    assert (found.notes["empty_masks"], found.notes["masks_read_as_empty"]) == (2, 2)


def test_the_division_follows_from_the_seed_and_leaves_nothing_out():
    pairs = [(number, number) for number in range(290)]
    ordered, count = divided(pairs, 0.8, 42)
    assert (count, sorted(ordered)) == (232, pairs)
    assert divided(pairs, 0.8, 42) == (ordered, count)
    assert divided(pairs, 0.8, 43) != (ordered, count)
    assert divided(pairs[:2], 0.99, 0)[1] == 1


def square(size, side=20):
    found = np.zeros((side, side), bool)
    found.ravel()[:size] = True
    return found


def test_precision_by_hand():
    true = square(100)
    assert precision_of(true, true) == 1
    # IoU 0.5, which does not exceed 0.5; and 0.67, 0.75 (above 0.5 to 0.7), 0.99.
    for pixels, expected in ((50, 0.0), (67, 0.4), (75, 0.5), (99, 1.0)):
        assert precision_of(true, square(pixels)) == pytest.approx(expected)
    nothing = square(0)
    assert precision_of(nothing, nothing) == 1
    assert precision_of(nothing, square(1)) == precision_of(true, nothing) == 0
    assert pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]) == OVERLAPS
    maps = [np.where(square(75), 0.9, 0.1).astype(np.float32), np.full((20, 20), 0.3, np.float32)]
    assert mean_precision([true, nothing], maps, 0.5) == pytest.approx((0.5 + 1) / 2)
    assert mean_precision([true, nothing], maps, 0.2) == pytest.approx((0.5 + 0) / 2)


def test_the_search_finds_the_best_threshold_and_says_what_it_is_worth_elsewhere():
    truth = [square(100), square(0), square(100), square(0)]
    maps = [np.where(one, 0.4, 0.22 if k < 2 else 0.12).astype(np.float32) for k, one in enumerate(truth)]
    found = search(truth, maps)
    assert found["best"] == 1
    assert 0.22 < found["best_threshold"] < 0.4
    assert found["at_0.5"] == 0.5
    # One half has salt, the other none: the threshold of the first, nearest to 0.5 of its best, serves both.
    assert found["chosen_on_the_other_half"] == pytest.approx(0.5)


def test_overlaps_by_hand():
    truth = [square(4, 4), square(0, 4)]
    maps = [np.where(square(6, 4), 0.9, 0.1).astype(np.float32), np.full((4, 4), 0.2, np.float32)]
    found = overlaps(truth, maps, 0.5)
    assert found["dice"] == pytest.approx((8 / 10 + 1) / 2)
    assert found["iou"] == pytest.approx((4 / 6 + 1) / 2)
    assert found["accuracy"] == pytest.approx((14 / 16 + 1) / 2)
    assert found["dice_of_all_pixels"] == pytest.approx(8 / 10)
    assert found["accuracy_of_all_pixels"] == pytest.approx(30 / 32)


@pytest.mark.parametrize("name", ["flood", "salt", "flood-quick", "salt-quick"])
def test_the_shipped_experiments_are_the_published_recipes_with_a_fifth_held_out(name):
    path = FOLDER / f"{name}.toml"
    chosen = parse_settings(PhotographSettings, read_toml(path, name), name)
    assert (chosen.share, chosen.seed) == (0.8, 42)
    assert set(chosen.trainings) == ({"compact"} if "salt" in name else {"vgg19", "base"})
    for kind, recipe in chosen.trainings.items():
        settings = settings_of(recipe, range(232, 290))
        assert settings.validation.pages == "232-289"
        assert settings.optimisation.tile == chosen.side
        published = load_settings(kind)
        if "quick" not in name:
            assert settings.optimisation == published.optimisation
            assert (settings.phase, settings.augmentation) == (published.phase, published.augmentation)
