import logging
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile

from unet2015.cli import main
from unet2015.synthetic import em_stack


class Ended(NamedTuple):
    """How a command ended: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


@pytest.fixture
def cli(capsys):
    """Run a command line in this process."""
    logger = logging.getLogger("unet2015")

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    level = logger.level
    yield call
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    """Have no curves drawn at the end of a training, which takes as long as all of its steps."""
    monkeypatch.setattr("unet2015.report.figures.draw_curves", lambda *_: None)


@pytest.fixture
def installed():
    """Run the installed command in a process of its own."""

    def call(*arguments):
        command = [Path(sys.executable).with_name("unet2015"), *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return call


@pytest.fixture
def refused():
    """Check that a command ended with a status and one line on standard error, and nothing else."""

    def check(ended, status, *words):
        assert ended.status == status, ended
        assert ended.out == ""
        assert ended.err.startswith("unet2015: error: ")
        assert ended.err.count("\n") == 1
        for word in words:
            assert str(word) in ended.err

    return check


small_stack = cache(em_stack)  # to draw it takes longer than most tests


@pytest.fixture
def data(tmp_path):
    """A small training set: ``images/a.tif`` of 3 pages with pixel sizes, and its membrane labels."""
    images, labels = small_stack(3, 96, 80, 0)
    for folder, stack in (("images", images), ("labels", labels)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(
            tmp_path / folder / "a.tif",
            stack,
            imagej=True,
            resolution=(4.0, 5.0),
            metadata={"axes": "ZYX", "unit": "micron", "spacing": 0.5},
        )
    return tmp_path


@pytest.fixture
def cut_short(data):
    """A file of that set's shape that ends too early."""
    whole = (data / "images" / "a.tif").read_bytes()
    path = data / "images" / "cut.tif"
    path.write_bytes(whole[: len(whole) // 2])
    return path


@pytest.fixture
def instances(data):
    """Labels of touching cells of one page."""
    path = data / "cells.tif"
    tifffile.imwrite(path, np.kron(np.arange(6, dtype=np.uint16).reshape(2, 3), np.ones((9, 7), np.uint16)))
    return path
