"""Outlines that `label` makes of maps have the places that those of the segmentation have in ImageJ."""

import numpy as np
import pytest
import roifile
import tifffile

from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

SIZES = {"T": 2, "Z": 3, "C": 2, "Y": 40, "X": 50, "S": 3}
CASES = {
    # axes, channel, channels and classes of the model, whether the probability map is labelled
    "slices, one of two channels": ("ZCYX", "1", 1, 2, True),
    "frames, one of two channels, class map": ("TCYX", "0", 1, 2, False),
    "frames of two channels": ("TCYX", None, 2, 2, True),
    "frames and slices": ("TZYX", None, 1, 2, False),
    "slices": ("ZYX", None, 1, 2, True),
    "slices, map of three classes": ("ZYX", None, 1, 3, True),
    "RGB frames": ("TYXS", None, 3, 2, True),
    "RGB frames, one colour": ("TYXS", "1", 1, 2, True),
}


def places(path):
    regions = roifile.roiread(path)
    assert regions
    return {region.name: (region.position, region.t_position, region.z_position) for region in regions}


@pytest.mark.parametrize("case", CASES)
def test_outlines_of_label_lie_where_those_of_segment_do(tmp_path, make_model, case):
    axes, channel, channels, classes, probability = CASES[case]
    image, out = tmp_path / "x.tif", tmp_path / "o"
    array = np.random.default_rng(0).integers(0, 256, [SIZES[letter] for letter in axes]).astype(np.uint8)
    tifffile.imwrite(image, array, imagej=True, metadata={"axes": axes})
    objects = ObjectSettings(of_class=1, smallest=2)
    options = SegmentOptions(
        products=("probability",) if probability else (), objects=objects, views=("imagej",), channel=channel
    )
    model = make_model(tmp_path / "m.safetensors", channels, classes)
    (made,) = segment_files([image], out, model, options)
    given = out / f"x.{'probability' if probability else 'classes'}.tif"
    (again,) = label_files([given], tmp_path / "l", objects, views=["imagej"])
    assert (made.error, again.error) == (None, None)
    assert places(tmp_path / "l" / "x.rois.zip") == places(out / "x.rois.zip")
    given_image = label_files(
        [given], tmp_path / "i", objects, views=["imagej"], images=image, channel=channel
    )
    assert given_image[0].error is None
    assert places(tmp_path / "i" / "x.rois.zip") == places(out / "x.rois.zip")
