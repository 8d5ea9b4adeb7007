"""Gaps that a CZI file declares do not count in the mapping of its intensities."""

import numpy as np
import pytest

from unet2015.images.border_areas import BorderAreas
from unet2015.images.mapped_image import MappedImage
from unet2015.images.mapping import intensity_scale
from unet2015.images.reader import open_image
from unet2015.settings import Mapping
from unet2015.training.pool import ImagePool

STANDARDISE = Mapping(method="standardise")
MAPPINGS = [STANDARDISE, Mapping(method="image-percentiles", low=(1.0,), high=(99.8,))]
TILES = np.random.default_rng(0).integers(0, 90, (2, 2, 30, 40, 1)).astype("u1")  # zeros are intensities, too
CORNERS = ((0, 0), (50, 60))


@pytest.fixture
def mosaic(tmp_path):
    """Return a mosaic of two channels, whose tiles lie diagonally; of the second channel there is one."""
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for channel, number in ((0, 0), (0, 1), (1, 0)):
            tile = TILES[channel, number]
            file.write(data=tile, plane={"T": 0, "C": channel}, location=CORNERS[number])
    return tmp_path / "a.czi"


@pytest.mark.parametrize("mapping", MAPPINGS, ids=["standardise", "percentiles"])
@pytest.mark.parametrize("pooled", [False, True])
def test_each_channel_is_mapped_by_the_pixels_of_its_tiles(mosaic, mapping, pooled):
    pool = ImagePool()
    with open_image(mosaic) if not pooled else pool.add(mosaic) as image:
        offset, gain = intensity_scale(mapping, image)
        assert any("are those of the other pixels" in note for note in image.notes)
        assert MappedImage(image, mapping).notes == ()
    pool.close()
    for channel, tiles in enumerate((TILES[0].ravel(), TILES[1, 0].ravel())):
        low, high = np.percentile(tiles, [1.0, 99.8])
        expected = (tiles.mean(), tiles.std()) if mapping is STANDARDISE else (low, high - low)
        assert (offset[channel], 1 / gain[channel]) == pytest.approx(expected, rel=1e-12)


def test_one_channel_and_any_band_say_the_same(mosaic, monkeypatch):
    with open_image(mosaic, channel="1") as image:
        whole = image.uncovered(0, 0, image.height, 0, image.width)
        assert whole.shape == (1, 90, 90)
        assert (~whole).sum() == 30 * 40
        np.testing.assert_array_equal(image.uncovered(0, 20, 40, 10, 50), whole[:, 20:40, 10:50])
        assert image.uncovered(0, 0, 30, 0, 40) is None
        scale = intensity_scale(STANDARDISE, image)
        monkeypatch.setattr("unet2015.images.image._BAND_PIXELS", 90 * 7)
        assert intensity_scale(STANDARDISE, image) == scale


def test_what_is_black_in_the_tiles_themselves_is_said(tmp_path):
    from pylibCZIrw import czi

    tile = TILES[0, 0].copy() + 1
    tile[:, :10] = 0
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for corner in CORNERS:
            file.write(data=tile, plane={"T": 0, "C": 0}, location=corner)
    with open_image(tmp_path / "a.czi") as image:
        areas = BorderAreas(image)
        for number, band in enumerate(image.bands(0)):
            areas.add(0, number * image.band_rows, band)
        offset, _ = intensity_scale(Mapping(method="standardise", fill_value=0), image)
    assert list(areas.found(None)) == [(0, 2 * 30 * 10 / (90 * 90), [0])]
    assert offset.tolist() == [pytest.approx(tile[:, 10:].mean(), rel=1e-13)]
