"""Packed sets: a file that is none is refused in a line of its own words."""

import numpy as np
import pytest

from pipelines.on_device.sets import load
from unet2015.errors import DataSetError


@pytest.mark.parametrize("what", ["text", "objects"])
def test_a_file_that_is_none_is_refused_without_advice_to_load_it_unsafely(tmp_path, what):
    file = tmp_path / "sets.npz"
    if what == "text":
        file.write_text("hello")
    else:
        np.savez(file, a=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataSetError, match=r"sets\.npz: expected a file .* is another or is damaged$"):
        load(file)
