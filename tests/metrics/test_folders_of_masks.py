"""Folders of masks that are not coded alike."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError
from unet2015.metrics.pixel_folders import evaluate_pixels


def test_masks_of_two_codings_in_one_folder_are_refused(tmp_path):
    for folder, values in (("truth", (255, 1)), ("result", (1, 255))):
        (tmp_path / folder).mkdir()
        for name, value in zip("ab", values, strict=True):
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", np.eye(9, dtype=np.uint8) * value)
    with pytest.raises(DataSetError, match="masks of 0 and 1 beside masks of 0 and 255, or classes"):
        evaluate_pixels(tmp_path / "truth", tmp_path / "result")
    assert evaluate_pixels(tmp_path / "truth", tmp_path / "result", foreground=True)
