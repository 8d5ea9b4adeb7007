"""Bits that a camera uses of those of a pixel, where OME-XML says it: known by a model, and compared."""

import numpy as np
import pytest
import tifffile

from unet2015.images.reader import open_image
from unet2015.models.model_file import read_model_file
from unet2015.models.unlike import notes_on_image
from unet2015.synthetic import em_stack
from unet2015.training.loop import train

NOTE = "by its metadata 16 of the 16 bits of a pixel are used, but 12 of those that the model was trained on"


def write(path, pixels, bits=None):
    """Write pages as OME-TIFF that declares its significant bits, if they are given."""
    pages, height, width = pixels.shape
    more = "" if bits is None else f' SignificantBits="{bits}"'
    said = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
        f'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="{width}" SizeY="{height}" SizeZ="1" '
        f'SizeC="1" SizeT="{pages}"{more}><TiffData/></Pixels></Image></OME>'
    )
    tifffile.imwrite(path, pixels, description=said, metadata=None, photometric="minisblack")
    return path


@pytest.mark.parametrize(("method", "said"), [("integer-range", True), ("standardise", False)])
def test_a_camera_that_uses_other_bits_is_said(tmp_path, small_settings, method, said):
    images, labels = em_stack(8, 128, 128, seed=3)
    image = write(tmp_path / "images.ome.tif", images.astype(np.uint16) * 16, 12)
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    settings = small_settings(mapping={"method": method}, optimisation={"steps": 2})
    train([image], [tmp_path / "labels.tif"], tmp_path / "run", settings=settings, device="cpu")
    info = read_model_file(tmp_path / "run" / "model.safetensors").info
    assert info.training["significant_bits"] == [12]
    for bits in (12, 16, None):
        with open_image(write(tmp_path / f"{bits}.ome.tif", images.astype(np.uint16), bits)) as opened:
            assert opened.significant_bits == bits
            notes = " ".join(notes_on_image(opened, info))
        assert (NOTE in notes) == (said and bits == 16)
