"""Labels in a compression that changes values are refused; images are read."""

import imagecodecs
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


LOSSY = [("jpeg", {}), ("jpeg2000", {"level": 30}), ("lerc", {"level": 2.0}), ("jpegxl", {"distance": 2})]


def stack(path, *kinds):
    """Write a page of each of these compressions, as pages come into a file that are added later."""
    with tifffile.TiffWriter(path) as writer:
        for compression, options in kinds:
            compressed = {"compression": compression, "compressionargs": options} if compression else {}
            writer.write(LABELS, photometric="minisblack", metadata=None, contiguous=False, **compressed)
    return path


@pytest.mark.parametrize("kind", LOSSY, ids=[name for name, _ in LOSSY])
@pytest.mark.parametrize("at", range(3))
def test_whichever_page_it_is(tmp_path, kind, at):
    kinds = [("zlib", {}), (None, {}), ("zlib", {})]
    kinds[at] = kind
    path = stack(tmp_path / "a.tif", *kinds)
    if kind[0] == "jpegxl":
        with open_image(path, labels=True) as image:
            assert any(note.startswith(f"page {at}: JPEG XL may have changed") for note in image.notes)
    else:
        with pytest.raises(ImageReadError, match=rf"a\.tif: page {at}: .* changes the values of pixels"):
            open_image(path, labels=True)


@pytest.mark.parametrize("kind", LOSSY[1:3], ids=["jpeg2000", "lerc"])
def test_pages_whose_directories_are_alike_are_asked_each(tmp_path, kind):
    """What the data are like, no tag says."""
    path = stack(tmp_path / "a.tif", (kind[0], {}), (kind[0], {}), kind)
    with pytest.raises(ImageReadError, match=r"a\.tif: page 2: .* changes the values of pixels"):
        open_image(path, labels=True)
    with open_image(stack(tmp_path / "b.tif", *[(kind[0], {})] * 3), labels=True) as image:
        assert image.pages == 3


def test_what_tells_may_stand_far_behind_the_first_bytes(tmp_path):
    """Of JPEG comments come first, and each has at most 64 KiB."""
    coded = imagecodecs.jpeg8_encode(LABELS)
    comment = b"\xff\xfe" + (5002).to_bytes(2, "big") + bytes(5000)
    data = coded[:2] + comment + coded[2:]
    path = tmp_path / "a.tif"
    options = {"shape": LABELS.shape, "dtype": "uint8", "compression": "jpeg", "metadata": None}
    tifffile.imwrite(path, iter([data]), photometric="minisblack", rowsperstrip=64, **options)
    with pytest.raises(ImageReadError, match="changes the values"):
        open_image(path, labels=True)
