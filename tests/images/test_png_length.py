"""A PNG holds as many pixels as its header declares: no more, and nothing behind them."""

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

PAGE = np.random.default_rng(0).integers(0, 255, (13, 11), np.uint8)
ROWS = b"".join(b"\0" + row.tobytes() for row in PAGE)
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def interlaced(page):
    parts = (page[top::down, left::across] for top, left, down, across in ADAM7)
    return b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)


def png(pieces, size=PAGE.shape, passes=0):
    """Return a PNG with pieces of a zlib stream, one IDAT each."""

    def chunk(kind, body):
        return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", size[1], size[0], 8, 0, 0, 0, passes)
    data = b"".join(chunk(b"IDAT", piece) for piece in pieces)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def read(path, data):
    path.write_bytes(data)
    with open_image(path) as image:
        return image.read(0, 0, image.height, 0, image.width)[0]


@pytest.mark.parametrize("size", [(13, 11), (1, 1), (1, 9), (9, 1), (4, 3)])
def test_whole_files_are_read(tmp_path, size):
    page = PAGE[: size[0], : size[1]]
    plain, woven = b"".join(b"\0" + row.tobytes() for row in page), interlaced(page)
    for stream, passes in ((plain, 0), (woven, 1)):
        packed = zlib.compress(stream)
        for pieces in ([packed], [packed[:7], b"", packed[7:]]):
            np.testing.assert_array_equal(read(tmp_path / "a.png", png(pieces, size, passes)), page)


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([zlib.compress(ROWS + ROWS[:12])], "more than the 156 bytes of its pixels"),
        ([zlib.compress(ROWS + b"\0")], "more than the 156 bytes of its pixels"),
        ([zlib.compress(ROWS) + b"more"], "bytes behind its last pixel"),
        ([zlib.compress(ROWS), b"more"], "bytes behind its last pixel"),
        ([zlib.compress(ROWS[:-12])], "Not enough image data"),
        ([zlib.compress(ROWS)[:-4]], "Not enough image data"),
    ],
)
def test_too_much_or_too_little_is_an_error(tmp_path, pieces, said):
    with pytest.raises(ImageReadError, match=said):
        read(tmp_path / "a.png", png(pieces))


def chunk_of(kind, body):
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def test_what_does_not_matter_is_not_printed(tmp_path):
    """Decoders warn of an interlaced image, and of a damaged colour profile, which is not used."""
    whole, woven = png([zlib.compress(ROWS)]), png([zlib.compress(interlaced(PAGE))], passes=1)
    (tmp_path / "profile.png").write_bytes(whole[:33] + chunk_of(b"iCCP", b"x\0\0junk") + whole[33:])
    (tmp_path / "woven.png").write_bytes(woven)
    code = (
        "import sys; from unet2015.images.reader import open_image\n"
        "for path in sys.argv[1:]:\n"
        "    with open_image(path) as image: image.read(0, 0, 13, 0, 11)"
    )
    paths = sorted(tmp_path.iterdir())
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    assert done.stderr == ""
