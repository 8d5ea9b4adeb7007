"""Labels saved as floats, as ImageJ's 32-bit images are: read where all are whole."""

import csv

import numpy as np
import pytest
import tifffile

from unet2015.errors import LabelError, UNet2015Error
from unet2015.images.whole_numbers import whole_numbers_of
from unet2015.metrics.object_folders import evaluate_objects
from unet2015.metrics.pixel_folders import evaluate_pixels
from unet2015.metrics.seg_folders import evaluate_seg
from unet2015.segmentation.label_files import measure_files

LABELS = np.zeros((2, 20, 30), np.uint16)
LABELS[0, 3:9, 3:9], LABELS[0, 3:9, 9:20], LABELS[1, 5:15, 2:9] = 2, 300, 1


def written(folder, array, name="l.tif"):
    folder.mkdir(exist_ok=True)
    tifffile.imwrite(folder / name, array, photometric="minisblack", metadata={"axes": "TYX"}, ome=True)
    return folder / name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_of_floats_are_measured_as_those_of_integers(tmp_path, dtype):
    rows = []
    for number, array in enumerate((LABELS, LABELS.astype(dtype))):
        (result,) = measure_files(written(tmp_path / str(number), array), tmp_path / f"{number}.csv")
        assert result.error is None
        rows.append(list(csv.reader((tmp_path / f"{number}.csv").read_text().splitlines())))
    assert rows[0] == rows[1]
    assert [row[rows[0][0].index("label")] for row in rows[1][1:]] == ["2", "300", "1"]


def test_folders_of_floats_are_compared_as_those_of_integers(tmp_path):
    truth = written(tmp_path / "truth", LABELS)
    result = written(tmp_path / "result", LABELS.astype(np.float32))
    for pair in ((truth, result), (result, truth)):
        assert evaluate_objects(*pair).scores.at(0.5).tp == 3
        assert evaluate_pixels(*pair).classes[300].dice == 1
    (tmp_path / "SEG").mkdir()
    tifffile.imwrite(tmp_path / "SEG" / "man_seg000.tif", LABELS[0])
    tifffile.imwrite(tmp_path / "SEG" / "mask000.tif", LABELS[0].astype(np.float32))
    assert evaluate_seg(tmp_path / "SEG", tmp_path / "SEG").value == 1


@pytest.mark.parametrize("value", [0.5, -0.25, np.nan, np.inf, -np.inf])
def test_what_is_not_whole_is_no_label(tmp_path, value):
    floats = LABELS.astype(np.float32)
    floats[1, 0, 0] = value
    with pytest.raises(LabelError, match=f"float32, and {value:g} is among them; do this"):
        whole_numbers_of(floats, "a.tif", "do this")
    (result,) = measure_files(written(tmp_path, floats), tmp_path / "m.csv")
    assert "every object has one number; label makes them of a probability map" in str(result.error)
    assert not (tmp_path / "m.csv").exists()


def test_numbers_that_a_float_does_not_tell_apart_are_refused():
    assert whole_numbers_of(np.float32([2**24]), "a", "")[0] == 2**24
    assert np.float32(2**24 + 1) == 2**24  # so two labels would be one
    with pytest.raises(LabelError, match="exactly up to 16777216 only"):
        whole_numbers_of(np.float32([2**24 + 2]), "a", "")
    with pytest.raises(UNet2015Error, match="exactly up to 2048 only"):
        whole_numbers_of(np.float16([4096]), "a", "")
