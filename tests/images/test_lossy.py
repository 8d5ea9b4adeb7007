"""Labels in a compression that changes values are refused; images are read."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

LABELS = np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4), np.ones((16, 16), np.uint8))


@pytest.mark.parametrize(
    ("compression", "options", "came"),
    [
        ("jpeg", {}, "refused"),
        ("jpeg2000", {"level": 30}, "refused"),
        ("jpeg2000", {}, "fine"),
        ("lerc", {"level": 2.0}, "refused"),
        ("lerc", {}, "fine"),
        ("jpegxl", {}, "noted"),
        ("zlib", {}, "fine"),
        ("none", {}, "fine"),
    ],
)
@pytest.mark.parametrize("layout", [{}, {"tile": (32, 32)}])
def test_labels(tmp_path, compression, options, came, layout):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, LABELS, photometric="minisblack", compression=compression, compressionargs=options, **layout
    )
    with open_image(path) as image:
        assert image.notes == ()
    if came == "refused":
        with pytest.raises(ImageReadError, match="changes the values of pixels: labels in it"):
            open_image(path, labels=True)
        return
    with open_image(path, labels=True) as image:
        assert any("may have changed the values" in note for note in image.notes) == (came == "noted")
        np.testing.assert_array_equal(image.read(0, 0, 64, 0, 64)[0], LABELS)
