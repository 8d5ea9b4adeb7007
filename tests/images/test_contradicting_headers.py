"""Headers whose numbers of planes contradict each other, or the pages: never read by a guess."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

PAGES = np.random.default_rng(0).integers(0, 255, (12, 9, 16), np.uint8)


def imagej(path, *lines):
    """Write a directory for each page, the first with these lines as ImageJ's header."""
    with tifffile.TiffWriter(path) as writer:
        for number, page in enumerate(PAGES):
            text = "\n".join(("ImageJ=1.54f", *lines, "")) if number == 0 else None
            writer.write(page, photometric="minisblack", metadata=None, description=text, contiguous=False)
    return path


@pytest.mark.parametrize(
    ("lines", "axes"),
    [
        (("images=12", "channels=3", "slices=2", "hyperstack=true"), "IYX"),
        (("images=12", "channels=3", "slices=5", "hyperstack=true"), "IYX"),
        (("images=12", "slices=6"), "IYX"),
        (("images=12", "channels=5"), "IYX"),
        (("images=12", "slices=12", "frames=12"), "IYX"),
        (("images=6", "slices=4", "frames=3", "hyperstack=true"), "TZYX"),
    ],
)
def test_an_imagej_header_that_contradicts_itself_is_an_error(tmp_path, lines, axes):
    path = imagej(tmp_path / "a.tif", *lines)
    sizes = " x ".join(line for line in lines[1:] if "true" not in line)
    said = f"says {lines[0]}, but {sizes}, and the file has 12 pages"
    with pytest.raises(ImageReadError, match=f"{said}; it contradicts itself: .* --axes such as {axes}"):
        open_image(path)
    with open_image(path, axes) as image:
        assert (image.axes, image.pages) == (axes, 12)
        assert f"not used: the ImageJ header {said}" in image.notes
        np.testing.assert_array_equal(image.read(7, 0, 9, 0, 16)[0], PAGES[7])


@pytest.mark.parametrize(
    ("lines", "axes"),
    [
        (("images=12",), "IYX"),
        (("images=12", "hyperstack=false"), "IYX"),
        (("images=12", "slices=12", "hyperstack=false"), "ZYX"),
        (("images=12", "frames=12"), "TYX"),
        (("slices=12",), "ZYX"),
        (("slices=3", "frames=4", "hyperstack=true"), "TZYX"),
        (("images=12", "channels=3", "slices=2", "frames=2", "hyperstack=true"), "TZCYX"),
        (("images=12", "channels=3", "hyperstack=true"), "ICYX"),
        (("unit=um",), "IYX"),
    ],
)
def test_numbers_that_are_missing_are_no_contradiction(tmp_path, lines, axes):
    with open_image(imagej(tmp_path / "a.tif", *lines)) as image:
        assert image.axes == axes
        assert not [note for note in image.notes if "not used" in note]


@pytest.mark.parametrize("shape", [[12, 16, 9], [12, 9, 15], [5, 5]])
def test_a_header_of_tifffile_that_is_not_of_these_pages_is_said(tmp_path, shape):
    text = f'{{"shape": {shape}, "axes": "{"TYX"[-len(shape) :]}"}}'
    tifffile.imwrite(tmp_path / "a.tif", PAGES, photometric="minisblack", metadata=None, description=text)
    with open_image(tmp_path / "a.tif") as image:
        assert image.axes == "IYX"
        declared = " x ".join(map(str, shape))
        assert (
            f"not used: tifffile's header declares the shape {declared}, but a page is 9 x 16" in image.notes
        )


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 4, 9, 16), {"metadata": {"axes": "TZYX"}, "photometric": "minisblack"}),
        ((4, 9, 16, 3), {"photometric": "rgb"}),
        ((4, 3, 9, 16), {"photometric": "rgb", "planarconfig": "separate"}),
        ((4, 9, 16, 1), {"photometric": "minisblack"}),
        ((9, 16), {}),
    ],
)
def test_headers_of_tifffile_itself_are_used(tmp_path, shape, options):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), **options)
    with open_image(tmp_path / "a.tif", "IYX" if shape == (4, 9, 16, 1) else None) as image:
        assert not [note for note in image.notes if "not used" in note]
