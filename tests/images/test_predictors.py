"""The tag Predictor of a TIFF: pixels as differences, read as other programs do, refused, or said."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile

from tests.images.test_tiff import pixels
from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("predictor", [2, 3])
def test_a_predictor_without_compression_is_ignored_as_by_libtiff(tmp_path, tile, predictor):
    array, path = pixels((20, 24), "uint8"), tmp_path / "a.tif"
    tags = [(65100, 3, 1, predictor)]  # tifffile does not write 317 here
    tifffile.imwrite(path, array, tile=tile, photometric="minisblack", extratags=tags, metadata=None)
    entry = [struct.pack("<HHI", code, 3, 1) for code in (65100, 317)]
    path.write_bytes(path.read_bytes().replace(*entry))
    with tifffile.TiffFile(path) as tif:
        assert tif.pages[0].tags[317].value == predictor
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 0, 20, 0, 24)[0], array)
        assert any("Predictor is ignored" in note for note in image.notes)


def _stored(path, array, bits, compression, predictor):
    """Write one strip of gray pixels that are stored as `array`, packed, and tagged as given."""
    unpacked = np.unpackbits(array.astype(">u2").view(np.uint8).reshape(*array.shape, 2), axis=-1)
    rows = np.packbits(unpacked[..., -bits:].reshape(len(array), -1), axis=-1).tobytes()
    data = {8: zlib.compress, 32773: imagecodecs.packbits_encode}[compression](rows)
    height, width = array.shape
    tags = [(256, width), (257, height), (258, bits), (259, compression), (262, 1), (273, 0), (277, 1)]
    tags += [(278, height), (279, len(data)), (317, predictor)]
    start = 8 + 2 + 12 * len(tags) + 4
    entries = [struct.pack("<HHII", code, 4, 1, start if code == 273 else value) for code, value in tags]
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + b"".join(entries) + bytes(4) + data)


@pytest.mark.parametrize("bits", [4, 12])
def test_differences_of_numbers_that_do_not_fill_bytes_are_refused(tmp_path, bits):
    array, path = pixels((20, 24), "uint16") % 2**bits, tmp_path / "a.tif"
    _stored(path, array, bits, 8, 1)
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 0, 20, 0, 24)[0], array)
    _stored(path, np.diff(array, axis=1, prepend=array[:, :1] * 0) % 2**bits, bits, 8, 2)
    with pytest.raises(ImageReadError, match=f"differences between pixels of {bits} bits"):
        open_image(path)


def test_a_predictor_that_libtiff_does_not_know_is_said(tmp_path):
    array, path = pixels((20, 24), "uint8"), tmp_path / "a.tif"
    for predictor, said in ((1, False), (2, True)):
        _stored(path, array, 8, 32773, predictor)
        with open_image(path) as image:
            assert any("Predictor is obeyed" in note and "PACKBITS" in note for note in image.notes) == said
    _stored(path, array, 8, 8, 2)
    with open_image(path) as image:
        assert not any("Predictor" in note for note in image.notes)
