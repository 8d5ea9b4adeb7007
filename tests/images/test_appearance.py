"""What a file looks like: numbers that brightness and contrast, bands and axes do not change."""

import numpy as np
import pytest

from unet2015.images.array_image import ArrayImage
from unet2015.images.image import Image
from unet2015.images.mapped_image import MappedImage
from unet2015.settings import Mapping
from unet2015.synthetic import em_page

STANDARDISE = Mapping(method="standardise")
PERCENTILES = Mapping(method="image-percentiles", low=(1.0,), high=(99.8,))
TISSUE = em_page(160, 200, seed=2)[0]


def look(array, axes="YX", mapping=STANDARDISE):
    found = MappedImage(ArrayImage(np.asarray(array), axes), mapping).appearance
    assert found is not None
    return found


def numbers(array, axes="YX"):
    found, gain = look(array, axes)
    pages = [end for page in found.pages for end in (page.skewness, page.relief)]
    return [*pages, *found.noises(), *found.reaches(), found.deviation * gain.item()]


@pytest.mark.parametrize(
    "other",
    [
        TISSUE.astype(np.uint16) * 200 + 1000,
        TISSUE.astype(np.int32) - 300,
        TISSUE * 1e-6,
        TISSUE * 1e300,
        TISSUE.astype(np.float32) / 255,
        TISSUE[::-1, ::-1],
    ],
    ids=["16 bits", "negative", "small", "huge", "float32", "turned"],
)
def test_neither_gain_nor_offset_nor_type_matters(other):
    assert numbers(other) == pytest.approx(numbers(TISSUE), rel=1e-5)


def test_an_inverted_image_has_the_other_signs():
    (one, _), (other, _) = look(TISSUE), look(255 - TISSUE)
    assert one.pages[0].skewness == pytest.approx(-other.pages[0].skewness)
    assert one.pages[0].relief == pytest.approx(-other.pages[0].relief)
    assert one.pages[0].relief < -0.2, "membranes are darker than what is around them"


def test_noise_alone_is_all_of_the_deviation():
    rng = np.random.default_rng(0)
    found, _ = look(rng.normal(1000, 20, (128, 128)).round().astype(np.uint16))
    assert found.noises()[0] == pytest.approx(1, abs=0.03)
    assert found.reaches()[0] == pytest.approx(6.2, abs=0.3)
    assert look(TISSUE)[0].noises()[0] < 0.4
    # Of pixels that mostly have one value the rare others are the noise.
    rare = (rng.random((128, 128)) < 0.02).astype(np.uint8)
    assert look(rare)[0].noises()[0] == pytest.approx(1, abs=0.03)


def test_specks_take_the_contrast_of_all_else_and_change_nothing_else():
    specks = TISSUE.astype(np.uint16)
    specks[20:150:60, 30:180:60] = 60_000
    found, gain = look(specks)
    assert found.deviation * gain < 0.1
    assert numbers(specks)[:-1] == pytest.approx(numbers(TISSUE)[:-1], rel=0.05)


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_the_bands_do_not_matter(rows, monkeypatch):
    page = np.tile(TISSUE, (4, 2))  # of which only some rows are looked at
    expected = look(page)
    monkeypatch.setattr(Image, "band_rows", property(lambda _: rows))
    assert look(page)[0] == expected[0]


def test_a_wide_page_is_looked_at_in_pieces_and_a_tall_one_in_some_rows():
    rng = np.random.default_rng(1)
    for shape in ((40, 9000), (9000, 40), (2000, 2000)):
        found, _ = look(rng.normal(size=shape).astype(np.float32))
        assert found.noises()[0] == pytest.approx(1, abs=0.03)


def test_what_is_left_out_does_not_count():
    framed = np.zeros((200, 260), np.uint8)
    framed[20:180, 30:230] = np.maximum(TISSUE, 1)
    found, _ = look(framed, mapping=STANDARDISE.model_copy(update={"fill_value": 0.0}))
    whole, _ = look(np.maximum(TISSUE, 1))
    assert found.pages[0].skewness == pytest.approx(whole.pages[0].skewness, abs=1e-9)
    assert found.noises() == pytest.approx(whole.noises(), abs=1e-9)


def test_an_empty_page_of_a_stack_has_the_contrast_that_the_stack_gives_it():
    noise = np.random.default_rng(0).normal(100, 7, TISSUE.shape).round().astype(np.uint8)
    found, _ = look(np.stack([TISSUE, TISSUE[::-1], noise]), "ZYX")
    assert max(found.noises()) < 0.4


def test_nothing_is_said_of_what_cannot_be_known():
    for array, axes, mapping in (
        (TISSUE[:60, :60], "YX", STANDARDISE),
        (np.full_like(TISSUE, 7), "YX", STANDARDISE),
        (np.stack([TISSUE] * 3), "CYX", STANDARDISE),
        (TISSUE, "YX", Mapping(method="integer-range")),
    ):
        assert MappedImage(ArrayImage(array, axes), mapping).appearance is None
    found, gain = look(TISSUE, mapping=PERCENTILES)
    assert gain is None
    assert found == look(TISSUE)[0]


def test_a_file_is_read_no_more_often_for_it(monkeypatch):
    image, reads = ArrayImage(TISSUE, "YX"), []
    real = image.read
    monkeypatch.setattr(image, "read", lambda *where: reads.append(where) or real(*where))
    assert MappedImage(image, STANDARDISE).appearance is not None
    assert sum(where[2] - where[1] for where in reads) == len(TISSUE)


def test_of_a_mapping_of_each_page_each_page_is_as_a_file_of_its_own():
    noise = np.random.default_rng(0).normal(100, 7, TISSUE.shape).round().astype(np.uint8)
    film = np.stack([TISSUE, np.full_like(TISSUE, 9), TISSUE // 3, noise])
    for method in (STANDARDISE, PERCENTILES):
        by_page = method.model_copy(update={"each": "page"})
        found, gain = look(film, "TYX", by_page)
        parts = found.parts(gain)
        assert [part.page for part in parts] == [0, 2, 3]  # one page is of one value
        for part in parts:
            whole, gain_alone = look(film[part.page], mapping=method)
            (alone,) = whole.parts(gain_alone)
            assert (part.spread is None) == (alone.spread is None) == (method is PERCENTILES)
            names = ("noise", "reach", "skewness", "relief", "spread")
            one, other = ([getattr(each, name) or 0 for name in names] for each in (part, alone))
            assert one == pytest.approx(other, rel=1e-9)
        (single,) = look(TISSUE, mapping=by_page)[0].parts(gain)
        assert single.page is None
