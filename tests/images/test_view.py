"""What is said about an image is said about the images that are made of it, but for what they change."""

from dataclasses import MISSING, fields, replace
from pathlib import Path

import numpy as np
import pytest

from unet2015.images.axes import Calibration
from unet2015.images.channel import ChannelImage
from unet2015.images.image import Image, ImageHeader
from unet2015.images.palette import PaletteImage
from unet2015.images.view import header_of
from unet2015.segmentation.class_image import ClassImage

GRAYS = np.repeat(np.arange(256, dtype=np.uint8)[::-1], 3).reshape(256, 3)
COLOURS = np.random.default_rng(1).integers(0, 255, (256, 3), dtype=np.uint8)
OF_CHANNELS = ImageHeader(
    "a",
    "ZCYX",
    (2, 3, 5, 4),
    np.dtype("bool"),
    "ome",
    path=Path("a.tif"),
    kind="ome",
    calibration=Calibration(0.2, 0.1, 0.5, None, "µm"),
    notes=("a note",),
    companion="12ab",
    labels=True,
    bits=1,
    significant_bits=1,
    channel_names=("DAPI", "GFP", "RFP"),
)
OF_PAGES = replace(
    OF_CHANNELS,
    axes="ZYX",
    shape=(2, 5, 4),
    dtype=np.dtype("uint16"),
    labels=False,
    bits=12,
    channel_names=["DAPI"],
)
UNKNOWN = {"significant_bits": None}
"""How many bits are used of pixels that are others."""


class Said(Image):
    """An image with a header, all zeros."""

    def __init__(self, header):
        super().__init__(header)
        self.origin, self.reader = {"Z": 3.0}, "a library 1.0"

    def _read(self, page, y0, y1, x0, x1):
        return np.zeros((self.channels, y1 - y0, x1 - x0), self.dtype)


def test_all_that_is_said_about_an_image_is_passed_on():
    defaults = {field.name: field.default for field in fields(ImageHeader) if field.default is not MISSING}
    assert not [name for name, value in defaults.items() if getattr(OF_CHANNELS, name) == value]
    assert header_of(Said(OF_CHANNELS)) == replace(OF_CHANNELS, notes=())


@pytest.mark.parametrize(
    ("view", "of", "changed"),
    [
        (
            lambda image: ChannelImage(image, "GFP"),
            OF_CHANNELS,
            {"axes": "ZYX", "shape": (2, 5, 4), "channel_names": ("GFP",)},
        ),
        (
            ClassImage,
            replace(OF_CHANNELS, dtype=np.dtype("float32"), labels=False, bits=32),
            {"axes": "ZYX", "shape": (2, 5, 4), "dtype": np.dtype("uint8"), "bits": 8, "channel_names": ()}
            | UNKNOWN,
        ),
        (
            lambda image: PaletteImage(image, GRAYS),
            OF_PAGES,
            {"dtype": np.dtype("uint8"), "bits": 8, "channel_names": ("DAPI",)} | UNKNOWN,
        ),
        (
            lambda image: PaletteImage(image, COLOURS),
            OF_PAGES,
            {
                "axes": "ZYXC",
                "shape": (2, 5, 4, 3),
                "dtype": np.dtype("uint8"),
                "bits": 8,
                "channel_names": (),
            }
            | UNKNOWN,
        ),
    ],
)
def test_an_image_made_of_another_says_the_same_but_for_what_it_changes(view, of, changed):
    image = view(Said(of))
    assert header_of(image) == replace(of, notes=(), **changed)
    assert image.notes[-1] == "a note"
    assert (image.origin, image.reader) == ({"Z": 3.0}, "a library 1.0")
