"""A file that changes while it is read gives no result: of neither version it would be right."""

import os

import numpy as np
import pytest
import tifffile

import unet2015
from unet2015.errors import ImageReadError
from unet2015.images.image import Image

CELLS = np.kron(np.arange(12, dtype=np.uint8).reshape(1, 3, 4), np.ones((2, 16, 16), np.uint8))
SAID = "was changed or replaced"


@pytest.fixture
def changed(monkeypatch):
    """Let a file change when it is first read."""

    def arrange(name):
        read = Image.read

        def change(image, *region):
            pixels = read(image, *region)
            if image.path is not None and image.path.parent.name == name:
                monkeypatch.setattr(Image, "read", read)
                with image.path.open("ab") as file:
                    file.write(b"more")
                    os.fsync(file.fileno())
            return pixels

        monkeypatch.setattr(Image, "read", change)

    return arrange


@pytest.fixture
def files(tmp_path):
    for name, pages in (("l", CELLS), ("i", CELLS * 3), ("m", (CELLS % 2).astype(np.float32))):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", pages, photometric="minisblack", compression="zlib")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("weights l/a.tif -o o/w.tif", "l"),
        ("label m -o o", "m"),
        ("measure l -o o", "l"),
        ("measure l -o o/t.csv --images i", "i"),
        ("check --images i --labels l", "i"),
        ("check --images i --labels l", "l"),
        ("evaluate objects --truth l --result i", "l"),
        ("evaluate pixels --truth l --result i", "i"),
        ("evaluate em --labels l/a.tif --prediction m/a.tif", "m"),
    ],
)
def test_commands(cli, files, changed, command, name):
    (files / "o").mkdir()
    changed(name)
    words = [str(files / word) if (files / word.split("/")[0]).is_dir() else word for word in command.split()]
    ended = cli(*words)
    assert ended.status in (1, 2)
    assert f"{files / name / 'a.tif'}: " in ended.out + ended.err
    assert SAID in ended.out + ended.err
    assert list((files / "o").iterdir()) == []


def test_segment_in_python(files, changed):
    changed("i")
    with pytest.raises(ImageReadError, match=SAID):
        unet2015.segment(files / "i" / "a.tif", "em-membrane", tile=220, device="cpu")
