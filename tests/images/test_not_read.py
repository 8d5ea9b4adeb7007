"""Files of formats that are not read are called by their names, and what to do instead is said."""

import pytest

from unet2015.errors import ImageReadError, UsageError
from unet2015.images.reader import find_images, open_image

EXPORT = "export it as OME-TIFF"
FILES = [
    ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file", "save it as TIFF or PNG"),
    ("a.oib", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an OIB or ZVI file", EXPORT),
    ("a.ims", b"\x89HDF\r\n\x1a\n", "an HDF5 file", EXPORT),
    ("a.gif", b"GIF89a", "a GIF file", "save it as"),
    ("a.bmp", b"BM1234", "a BMP file", "save it as"),
    ("a.zip", b"PK\3\4", "a ZIP archive", "unpack it first"),
    ("a.tif.gz", b"\x1f\x8b\x08", "a compressed file", "unpack it first"),
]


@pytest.mark.parametrize(("name", "start", "what", "advice"), FILES, ids=[name for name, *_ in FILES])
def test_what_it_is_and_what_to_do(tmp_path, name, start, what, advice):
    path = tmp_path / name
    path.write_bytes(start + bytes(50))
    with pytest.raises(ImageReadError) as caught:
        open_image(path)
    assert str(caught.value).startswith(f"{path}: this is {what}")
    assert advice in str(caught.value)
    assert find_images([path]) == [path]
    with pytest.raises(UsageError) as caught:
        find_images([tmp_path / f"*{path.suffix}"])
    assert f"{name}: this is {what}" in str(caught.value)


def test_the_old_kind_of_nd2_is_not_read(tmp_path):
    (tmp_path / "OLD.ND2").write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n")
    with pytest.raises(ImageReadError, match=rf"OLD\.ND2: this is an ND2 file of Nikon .*; {EXPORT}"):
        open_image(tmp_path / "OLD.ND2")


def test_what_is_unknown_shows_how_it_begins(tmp_path):
    for name, start in (("a.lif2", b"p\0\0\0"), ("a.txt", b"BMI of patients"), ("a.tif", b"")):
        (tmp_path / name).write_bytes(start)
        with pytest.raises(ImageReadError, match=r"expected a TIFF.* file, but it (begins with|is empty)"):
            open_image(tmp_path / name)
    with pytest.raises(UsageError, match=r"no image among what it matches: a\.lif2"):
        find_images([tmp_path / "*.lif2"])
    with pytest.raises(UsageError, match="no such file or folder"):
        find_images([tmp_path / "*.xyz"])
