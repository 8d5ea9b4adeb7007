"""Labels whose planes have no known axes, or are said to be channels: the advice can be followed."""

import re

import numpy as np
import pytest
import tifffile

from unet2015.errors import AxesError, DataSetError, ImageValueError
from unet2015.images.reader import read_pages
from unet2015.metrics.pixel_folders import evaluate_pixels
from unet2015.metrics.seg_folders import evaluate_seg


def advised(error) -> str:
    """The last axes that a message names."""
    return re.findall(r"\b[TZCI]+YX\b", str(error.value))[-1]


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 4)])
def test_planes_without_axes_are_named_without_channels(tmp_path, shape):
    labels = np.arange(np.prod(shape) * 30, dtype=np.uint16).reshape(*shape, 5, 6)
    tifffile.imwrite(tmp_path / "l.tif", labels, photometric="minisblack")
    with pytest.raises(
        AxesError, match=r"does not say along which axes; .* where none are channels"
    ) as error:
        read_pages(tmp_path / "l.tif")
    assert len(read_pages(tmp_path / "l.tif", advised(error))) == np.prod(shape)


@pytest.mark.parametrize("axes", ["CYX", "ZCYX", "CZYX"])
def test_channels_that_are_pages_are_named_so(tmp_path, axes):
    labels = np.ones((8, 5, 6) if axes == "CYX" else (2, 4, 5, 6), np.uint16)
    tifffile.imwrite(tmp_path / "l.ome.tif", labels, photometric="minisblack", metadata={"axes": axes})
    with pytest.raises(ImageValueError, match="if C are no channels but pages, give --axes") as error:
        read_pages(tmp_path / "l.ome.tif")
    assert len(read_pages(tmp_path / "l.ome.tif", advised(error))) == 8
    compared = evaluate_pixels(tmp_path / "l.ome.tif", tmp_path / "l.ome.tif").comparison
    assert isinstance(compared.failures[0], DataSetError)
    assert "if C are no channels but pages, give --axes" in str(compared.failures[0])


def test_colours_are_no_pages(tmp_path):
    tifffile.imwrite(tmp_path / "l.tif", np.ones((5, 6, 3), np.uint8), photometric="rgb")
    with pytest.raises(ImageValueError, match="labels are one number a pixel") as error:
        read_pages(tmp_path / "l.tif")
    assert "--axes" not in str(error.value)


def test_the_layout_of_seg_has_no_axes_to_give(tmp_path):
    for name in ("man_seg000.tif", "mask000.tif"):
        page = np.ones((2, 5, 6), np.uint8)
        tifffile.imwrite(tmp_path / name, page, imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(ImageValueError, match="but it has channels; save it alone") as error:
        evaluate_seg(tmp_path, tmp_path)
    assert "--axes" not in str(error.value)
