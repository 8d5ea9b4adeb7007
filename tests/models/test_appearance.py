"""Images far from all that a model was trained on are said; good ones of another brightness are not."""

from functools import cache

import numpy as np
import pytest
import tifffile

from unet2015.images.array_image import ArrayImage
from unet2015.images.mapped_image import MappedImage
from unet2015.models.appearance import appearance_record, notes_on_appearance
from unet2015.models.model_file import ModelInfo
from unet2015.settings import Mapping
from unet2015.synthetic import em_page

STANDARDISE = Mapping(method="standardise")
PERCENTILES = Mapping(method="image-percentiles", low=(1.0,), high=(99.8,))
NOISE, SPECKS, INVERTED = "is noise from pixel to pixel", "a few pixels (hot", "light and dark seem"


def cells(seed, number=30, size=192, bright=300.0):
    """Bright round cells on a background of 100 with the noise of a camera."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    image = np.full((size, size), 100.0)
    for row, column in rng.uniform(0, size, (number, 2)):
        image += bright * rng.uniform(0.5, 1.5) * np.exp(-((((y - row) ** 2 + (x - column) ** 2) / 36) ** 2))
    return (image + rng.normal(0, 15, image.shape)).clip(0, 65535).round().astype(np.uint16)


def empty(seed=9, shading=1.0, size=192):
    y, x = np.mgrid[:size, :size] / size
    light = 100 + 15 * shading * (1 - (x - 0.5) ** 2 - (y - 0.5) ** 2)
    return (light + np.random.default_rng(seed).normal(0, 15, light.shape)).round().astype(np.uint16)


@cache
def tissue(page):
    return em_page(192, 192, seed=4, page=page)[0]


def look(array, mapping=STANDARDISE, axes=None):
    axes = axes or "IYX"[-array.ndim :]
    return MappedImage(ArrayImage(array, axes), mapping).appearance


def trained_on(pages, mapping=STANDARDISE):
    record = {"appearance": appearance_record(look(page, mapping) for page in pages)}
    return ModelInfo(mapping=mapping, class_names=("background", "cell"), training=record)


def said(array, info, axes=None):
    found = look(array, info.mapping, axes)
    return [] if found is None else list(notes_on_appearance(*found, info))


CELLS = trained_on([cells(seed) for seed in range(4)])
TISSUE = trained_on([tissue(page) for page in range(8)])
ONE = trained_on([cells(0)])


@pytest.mark.parametrize("shading", [0, 1, 2, 3])
@pytest.mark.parametrize("info", [CELLS, TISSUE, ONE], ids=["cells", "tissue", "one page"])
def test_an_empty_field_is_said(info, shading):
    (note,) = said(empty(shading=shading), info)
    assert NOISE in note
    assert f"at most {100 * info.training['appearance']['noise'][1]:.0f}%" in note


def test_an_empty_field_is_said_where_percentiles_map_it_and_where_it_has_few_gray_values():
    assert NOISE in said(empty(), trained_on([cells(0), cells(1)], PERCENTILES))[0]
    few = np.random.default_rng(0).normal(10, 0.3, (128, 128)).round().astype(np.uint8)
    assert [NOISE in note for note in said(few, TISSUE)] == [True]


def test_an_inverted_image_is_said():
    (note,) = said(1000 - cells(7), CELLS)
    assert INVERTED in note
    assert "stands out here is darker" in note
    (note,) = said(255 - tissue(20), TISSUE)
    assert INVERTED in note
    assert "stands out here is brighter" in note
    assert INVERTED in said(1000 - cells(7), ONE)[0]


def test_specks_are_said_but_not_where_they_hardly_move_the_mapping():
    specks = cells(7)
    specks[20:180:70, 30:180:70] = 40_000
    (note,) = said(specks, CELLS)
    assert SPECKS in note
    assert said(specks, trained_on([cells(0), cells(1)], PERCENTILES)) == []
    dead = np.where(specks == 40_000, 0, cells(7) + 20_000).astype(np.uint16)
    assert [SPECKS in note for note in said(dead, CELLS)] == [True]
    few = cells(7)
    few[20, 30] = 900
    assert said(few, CELLS) == []


GOOD = {
    "another": cells(50),
    "dimmer": cells(51, bright=150),
    "few cells": cells(52, number=5),
    "gain": cells(53) * 20,
    "8 bits": (cells(54) // 4).astype(np.uint8),
    "float": cells(55) / 4095,
    "quarter": cells(56, size=384, number=120)[:192, 192:],
    "turned": cells(57).T,
    "small": cells(58)[:64, :64],
}


@pytest.mark.parametrize("info", [CELLS, ONE], ids=["four pages", "one page"])
@pytest.mark.parametrize("name", GOOD)
def test_of_good_images_nothing_is_said(name, info):
    assert said(GOOD[name], info) == []


def test_of_other_tissue_nothing_is_said():
    for page in range(20, 26):
        image = tissue(page)
        for other in (image, image // 4, image[:96, 96:], image.T, image.astype(np.uint16) * 99):
            for info in (TISSUE, trained_on([tissue(0)]), trained_on([tissue(0), tissue(1)])):
                assert said(other, info) == []


def test_pages_without_cells_at_the_ends_of_a_stack_are_not_said():
    stack = np.stack([empty(1), empty(2), empty(3), cells(60), cells(61), empty(4)])
    assert said(stack, CELLS, "ZYX") == []
    assert [NOISE in note for note in said(np.stack([empty(1), empty(2)]), CELLS, "ZYX")] == [True]


def test_what_was_among_the_training_pages_is_not_said():
    info = trained_on([cells(0), empty(), 1000 - cells(1)])
    for image in (empty(5), 1000 - cells(7)):
        assert said(image, info) == []


@pytest.mark.slow
def test_of_other_real_films_nothing_is_said_and_of_bad_copies_all_is(data):
    sets = {
        "DIC": [
            sorted((data / "ctc" / "DIC-C2DH-HeLa" / film).glob("t*.tif"))[::28] for film in ("01", "02")
        ],
        "PhC": np.array_split(sorted((data / "ctc" / "PhC-C2DH-U373" / "01").glob("t*.tif"))[::12], 2),
    }
    films = {name: [[tifffile.imread(path) for path in film] for film in both] for name, both in sets.items()}
    films["EM"] = [
        list(tifffile.imread(data / "isbi2012" / f"{name}-volume.tif")) for name in ("train", "test")
    ]
    rng = np.random.default_rng(0)
    noise = rng.normal(1000, 10, (512, 512)).round().astype(np.uint16)
    for name, both in films.items():
        for film, other in (both, both[::-1]):
            whole = trained_on(film)
            for info in (whole, trained_on(film[:1])):
                for page in other[:6]:
                    height, width = page.shape
                    for good in (page, page[: height // 2, width // 2 :], page.T, page // 4, page * 0.01):
                        assert said(good, info) == []
                    specks = page.astype(np.uint16)
                    specks[50::150, 60::200] = 65_000
                    assert [SPECKS in note for note in said(specks, info)] == [True]
                assert [NOISE in note for note in said(noise, info)] == [True]
            if name != "DIC":  # light and dark are alike there
                found = [said(255 - page, whole) for page in other]
                assert sum(any(INVERTED in note for note in notes) for notes in found) > len(found) / 2


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"appearance": None},
        {"appearance": {"noise": [0.1]}},
        {"appearance": {"noise": ["a", "b"], "spread": [None, 1], "skewness": "ab", "pages": "2"}},
        {"appearance": {"noise": [0.1, float("nan")], "spread": 3, "pages": 0}},
    ],
)
def test_a_model_whose_record_does_not_say_it_stays_silent(record):
    info = ModelInfo(mapping=STANDARDISE, class_names=("background", "cell"), training=record)
    specks = cells(7)
    specks[20:180:70, 30:180:70] = 40_000
    assert [said(image, info) for image in (empty(), 1000 - cells(7), specks)] == [[], [], []]


def test_pages_that_cannot_be_looked_at_leave_no_record():
    assert appearance_record([]) == {}


BY_PAGE = STANDARDISE.model_copy(update={"each": "page"})


def specked(seed):
    image = cells(seed)
    image[5:180:50, 7:180:60] = 60_000
    return image


def test_where_each_page_is_mapped_by_itself_odd_pages_are_said_once():
    film = np.stack([cells(11), empty(), cells(12), 1000 - cells(13), specked(14), empty(10), cells(15)])
    learned = CELLS.training["appearance"]
    for record in (learned, trained_on([np.stack([cells(seed) for seed in range(4)])], BY_PAGE)):
        training = record if isinstance(record, dict) else record.training["appearance"]
        info = CELLS.model_copy(update={"mapping": BY_PAGE, "training": {"appearance": training}})
        noise, specks, inverted = said(film, info, "TYX")
        assert noise.startswith("on pages 1, 5: 9")
        assert NOISE in noise
        assert "fields without cells" in noise
        assert noise.endswith("leave out pages without cells")
        assert specks.startswith(f"on page 4: {SPECKS}")
        assert inverted.startswith(f"on page 3: {INVERTED}")
        assert said(film[[0, 2, 6]], info, "TYX") == []
    assert said(film[[0, 1, 2, 6]], CELLS, "TYX") == [], "of a file as a whole the empty page is one of four"


def test_a_training_on_pages_that_are_mapped_alone_keeps_the_same_numbers():
    pages = [cells(seed) for seed in range(4)]
    film = trained_on([np.stack(pages)], BY_PAGE).training
    for name, ends in film["appearance"].items():
        assert ends == pytest.approx(CELLS.training["appearance"][name], abs=2e-4)


def test_a_file_of_one_page_is_not_called_by_its_page():
    info = CELLS.model_copy(update={"mapping": BY_PAGE})
    (note,) = said(empty(), info)
    assert not note.startswith("on page")
