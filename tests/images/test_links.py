"""Links among images: followed, and where they lead nowhere, never left out."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.reader import find_images, open_image


@pytest.mark.parametrize("name", ["b.zarr", "b.tif"])
@pytest.mark.parametrize("circle", [False, True])
def test_a_link_that_leads_nowhere_is_an_image_that_cannot_be_read(tmp_path, name, circle):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8), photometric="minisblack")
    (tmp_path / name).symlink_to("c" if circle else tmp_path / "share" / name)
    if circle:
        (tmp_path / "c").symlink_to(name)
    for given in (tmp_path, f"{tmp_path}/*"):
        found = find_images([given])
        assert [path.name for path in found] == ["a.tif", name]
    with pytest.raises(ImageReadError, match=name):
        open_image(tmp_path / name)
