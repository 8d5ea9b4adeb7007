"""What of a plane of a CZI file is in none of its blocks."""

import re

import numpy as np
import pytest

from unet2015.images.reader import open_image


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        (
            [(0, 0, 0, 40, 50), (1, 30, 10, 40, 50)],
            "in 2 of 2 planes .* 50 x 80 .* up to 50.00%",
        ),  # a stage that drifts
        ([(0, 0, 0, 40, 50), (1, 0, 0, 20, 50)], "in 1 of 2 planes .* up to 50.00%"),
        ([(0, 0, 0, 40, 50), (1, 0, 0, 40, 50)], None),
        ([(0, 0, 0, 40, 50), (0, 40, 0, 40, 60), (0, 0, 40, 10, 100)], None),  # tiles that cover all
        ([(0, 0, 0, 40, 50), (0, 40, 0, 40, 60), (0, 0, 40, 10, 90)], "in 1 of 1 planes .* up to 2.00%"),
        ([(0, -5, -5, 10, 10), (0, 0, 0, 10, 10)], "up to 22.22%"),
        ([(0, 0, 0, 10, 10), (0, 1, 2, 3, 4), (0, 2, 1, 4, 3), (0, 5, 0, 10, 10)], None),
    ],
)
def test_what_the_blocks_of_a_plane_do_not_cover_is_said(blocks, said, tmp_path):
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for t, x, y, rows, columns in blocks:
            tile = np.ones((rows, columns, 1), np.uint8)
            file.write(data=tile, plane={"T": t, "C": 0}, location=(x, y))
    with open_image(tmp_path / "a.czi") as image:
        notes = [note for note in image.notes if "planes a part" in note]
        bare = [
            float(np.mean(image.read(page, 0, image.shape[-2], 0, image.shape[-1]) == 0))
            for page in range(image.pages)
        ]
    if said is None:
        assert (notes, max(bare)) == ([], 0)
    else:
        assert re.search(said, *notes)
        assert f"up to {max(bare):.2%} of a plane" in notes[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2])
def test_channels_that_do_not_begin_at_0_are_read(channels, dtype, tmp_path):
    from pylibCZIrw import czi

    drawn = np.random.default_rng(0).integers(0, 200, (channels, 40, 50)).astype(dtype)
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for channel, plane in enumerate(drawn, 1):
            file.write(data=plane[..., None], plane={"Z": 0, "C": channel})
    with open_image(tmp_path / "a.czi") as image:
        assert np.array_equal(image.read(0, 0, 40, 0, 50), drawn)
