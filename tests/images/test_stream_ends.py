"""Coded pictures in a TIFF whose end is lost: refused, where the format shows it; whole ones are read."""

import io

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile

from tests.images.test_tiff import pixels
from unet2015.errors import ImageReadError
from unet2015.images.codestreams import jpeg2000_start
from unet2015.images.reader import open_image
from unet2015.images.stream_ends import describe_lost_end

ENCODERS = {
    7: lambda a: imagecodecs.jpeg8_encode(a, level=95),
    34712: lambda a: imagecodecs.jpeg2k_encode(a, level=0),
    34934: lambda a: imagecodecs.jpegxr_encode(a, level=1.0),
}
WITHOUT_END = "it ends without its end marker"


def stored(path, coded, compression, shape):
    """Write a TIFF of three strips of gray pixels."""
    rows = shape[0] // 3
    tifffile.imwrite(
        path,
        iter(coded),
        shape=shape,
        dtype=np.uint8,
        rowsperstrip=rows,
        compression=compression,
        photometric="minisblack",
        metadata=None,
    )


@pytest.mark.parametrize("compression", ENCODERS)
@pytest.mark.parametrize("share", [0.97, 0.7, 0.4])
@pytest.mark.parametrize("cut", [False, True])
def test_a_strip_that_lost_its_end_is_refused(tmp_path, compression, share, cut):
    array, path = pixels((96, 80), "uint8"), tmp_path / "a.tif"
    whole = [ENCODERS[compression](np.ascontiguousarray(array[at : at + 32])) for at in (0, 32, 64)]
    stored(path, whole, compression, array.shape)
    with open_image(path) as image:
        found = image.read(0, 0, 96, 0, 80)[0].astype(int)
    assert np.abs(found - array).max() <= (60 if compression == 7 else 0)
    assert np.array_equal(found, tifffile.imread(path))
    kept = whole[1][: int(share * len(whole[1]))]
    whole[1] = kept if cut else kept + bytes(len(whole[1]) - len(kept))
    stored(path, whole, compression, array.shape)
    with open_image(path) as image:
        assert np.array_equal(image.read(0, 0, 32, 0, 80)[0], found[:32])
        if compression == 34934 and not cut:
            return  # JPEG XR has no end marker, only its length
        with pytest.raises(ImageReadError, match=r"strip or tile 1 cannot be decoded.*copy it again"):
            image.read(0, 32, 64, 0, 80)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_jpeg_2000_of_all_kinds_has_its_end(bare, tile):
    file, picture = io.BytesIO(), PIL.Image.fromarray(pixels((90, 70), "uint8"))
    picture.save(file, "JPEG2000", no_jp2=bare, tile_size=tile)
    coded = file.getvalue()
    assert describe_lost_end(34712, coded) is None
    end = coded.rindex(b"\xff\xd9")
    assert describe_lost_end(34712, coded[:end]) == WITHOUT_END
    assert describe_lost_end(34712, coded[:end] + bytes(100)) == WITHOUT_END
    # The length of the last part may be left open.
    place = coded.rindex(b"\xff\x90\x00\x0a", jpeg2000_start(coded)) + 6
    for data, said in ((coded, None), (coded[:end], WITHOUT_END)):
        assert describe_lost_end(34712, data[:place] + bytes(4) + data[place + 4 :]) == said


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_in_whatever_scans_has_its_end(progressive):
    file = io.BytesIO()
    PIL.Image.fromarray(pixels((64, 48), "uint8")).save(file, "JPEG", progressive=progressive)
    coded = file.getvalue()
    assert describe_lost_end(7, coded) is None
    assert describe_lost_end(7, coded[:-2]) == WITHOUT_END
    assert describe_lost_end(7, coded[: len(coded) // 2] + bytes(len(coded) // 2)) == WITHOUT_END


def test_others_are_not_looked_at():
    assert describe_lost_end(50001, b"RIFF") is None
    assert describe_lost_end(1, b"") is None
