"""An error that nobody foresaw leaves its traceback, also where a command has no output folder."""

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.images.tiff import TiffImage


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's folder for what is temporary, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two folders with an image each, whose pixels and directories fail in a way that nobody foresaw."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", np.eye(30, dtype=np.uint8))
    return tmp_path


COMMANDS = {
    "inspect": ("inspect", "images/a.tif"),
    "check": ("check", "--images", "images", "--labels", "labels"),
    "evaluate objects": ("evaluate", "objects", "--truth", "images", "--result", "labels"),
    "measure": ("measure", "labels", "--out", "out"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("error", [ZeroDivisionError("a defect"), OSError(5, "Input/output error")])
def test_a_traceback_is_kept_and_its_place_said(cli, folder, temporary, monkeypatch, command, error):
    def broken(*_, **__):
        raise error

    monkeypatch.chdir(folder)
    monkeypatch.setattr(TiffImage, "__init__", broken)
    ended = cli(*COMMANDS[command])
    assert ended.status == 1
    logs = list(temporary.rglob("*"))
    if isinstance(error, OSError):  # foreseen: the message says all
        assert logs == []
        return
    (log,) = [path for path in logs if path.is_file()]
    said = re.search(r"please report them with the tracebacks in (.*)", ended.err)
    assert Path(said[1]) == log
    text = log.read_text()
    for words in ("a.tif", "Traceback", "ZeroDivisionError: a defect", "unet2015"):
        assert words in text
