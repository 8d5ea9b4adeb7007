"""Names that are longer than a file system takes, which may be less than 255 bytes."""

import errno
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.cli import main
from unet2015.errors import ImageWriteError
from unet2015.safe_files import atomic_path, claim, hidden_prefix, leftovers, longest_name

PAGE = np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2), np.ones((8, 8), np.uint8))
ECRYPTFS = 143


LETTERS = ("a", "\N{GREEK SMALL LETTER MU}", "\N{CJK UNIFIED IDEOGRAPH-6F22}", "\U0001f52c", "\udcb5")


def _limited(usual, path, *more, **named):
    for one in (path, *more[:1]):
        if isinstance(one, str | os.PathLike) and len(os.fsencode(Path(one).name)) > ECRYPTFS:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(one))
    return usual(path, *more, **named)


@pytest.fixture
def short(monkeypatch):
    """A file system of which names have at most 143 bytes, as eCryptfs."""
    for name in ("open", "mkdir", "rename", "replace", "link"):
        monkeypatch.setattr(os, name, partial(_limited, getattr(os, name)))
    monkeypatch.setattr(os, "pathconf", lambda path, what: ECRYPTFS)


@pytest.mark.parametrize("letter", LETTERS)
def test_a_name_that_fits_is_written_though_temporary_names_are_added(tmp_path, short, letter):
    size = len(os.fsencode(letter))
    path = tmp_path / (letter * ((ECRYPTFS - 4) // size) + ".csv")
    with claim(path), atomic_path(path) as temporary:
        assert len(os.fsencode(temporary.name)) < 90
        assert temporary in leftovers(path)
        temporary.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    long = path.with_name(letter + path.name + "1234")
    with pytest.raises(ImageWriteError, match="at most 143; choose a shorter one"), atomic_path(long):
        raise AssertionError("nothing is done before the name is known to fit")


def test_names_that_begin_alike_have_other_hidden_files():
    assert hidden_prefix(Path("a" * 50)) != hidden_prefix(Path("a" * 51))
    assert hidden_prefix(Path("short.tif")).startswith(".short.tif.")


def test_the_limit_is_that_of_the_nearest_folder(tmp_path):
    assert longest_name(tmp_path / "not" / "there") == os.pathconf(tmp_path, "PC_NAME_MAX")


@pytest.mark.parametrize("length", [ECRYPTFS + 1, ECRYPTFS - 5])
def test_a_command_says_it_before_it_computes(tmp_path, short, capsys, monkeypatch, length):
    """The record of a name of 138 bytes would have 146."""
    tifffile.imwrite(tmp_path / "l.tif", PAGE)
    monkeypatch.setattr("unet2015.training.weight_map.weight_map", lambda *_: pytest.fail("it computes"))
    out = tmp_path / ("w" * (length - 4) + ".tif")
    with pytest.raises(SystemExit) as end:
        main(["weights", str(tmp_path / "l.tif"), "-o", str(out)])
    assert end.value.code == 1
    assert "at most 143; choose a shorter one" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["l.tif"]
