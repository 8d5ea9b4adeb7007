import gc
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tifffile
import typer.main
from hypothesis import settings

# A busy machine must not fail a test: no test asserts a time. Nor may a throw of dice: the same commit draws
# the same examples everywhere. To look for new ones: pytest --hypothesis-profile=search
settings.register_profile("unet2015", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("unet2015")
# Nor may what a machine does fastest decide a result, nor a test write to the user's cache.
os.environ["UNET2015_CONVOLUTIONS"] = "winograd from 16384"
# Nor may Dask's profiler stop all: in Python 3.11 it waits for ever where it meets a search for garbage that
# hypothesis watches (python/cpython#106883).
os.environ["DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED"] = "False"

ROOT = Path(__file__).parent.parent
gc.disable()  # what is loaded and collected is no garbage, and every search looks through more of it


def pytest_collection_finish():
    """Leave what is loaded by now out of searches for garbage: it is none, and each would look through it."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_parser():
    """Build the parser of a command line once: typer builds it for each, which takes longer than to parse."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts():
    """Do not wait for the disk, 20,000 times: a process that is killed, unlike a power cut, loses nothing."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture
def disk(monkeypatch):
    """What is flushed, and what comes to a name, in order: ("flush", path) and ("name", path)."""
    done, opened, really_open = [], {}, os.open

    def opening(path, *how, **more):
        handle = really_open(path, *how, **more)
        opened[handle] = path
        return handle

    def naming(really):
        def name(source, target, **more):
            really(source, target, **more)
            done.append(("name", Path(target)))

        return name

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "fsync", lambda handle: done.append(("flush", Path(opened[handle]))))
    for way in ("link", "rename", "replace"):
        monkeypatch.setattr(os, way, naming(getattr(os, way)))
    return done


@pytest.fixture(scope="session")
def data():
    """The folder of the real data sets; the test is skipped where it is absent."""
    folder = Path(os.environ.get("UNET2015_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}; set UNET2015_DATA")
    return folder


@pytest.fixture(scope="session")
def small_settings():
    """A training that takes a second: a U-Net of two poolings and two channels."""
    from unet2015.settings import load_settings

    def make(**sections):
        base = {
            "checkpoint_interval": 3,
            "labels": {"kind": "membrane"},
            "network": {"width": 2, "depth": 2},
            "augmentation": {"elastic_std": 2.0},
            "optimisation": {"steps": 8, "warmup": 2, "tile": 60, "learning_rate": 1e-3},
            "validation": {"fraction": 0.25, "interval": 4, "attempts": 1},
        }
        for name, values in sections.items():
            base[name] = base[name] | values if isinstance(values, dict) and name in base else values
        if "epochs" in base["validation"]:  # of both, settings take one
            del base["validation"]["interval"]
        return load_settings(None, base)

    return make


def try_fewer_objects(monkeypatch):
    """Have a training choose its objects among 10 settings, not 60, which take longer than its steps."""
    from unet2015.training import object_choice

    for name, values in {
        "_SMALLEST": (0.1, 0.5),
        "_LEVELS": (0.8,),
        "_BLURS": (2.0,),
        "_THRESHOLDS": (0.4, 0.6),
        "_CENTRES": (0.3, 0.5, 0.7),
    }.items():
        monkeypatch.setattr(object_choice, name, values)


@pytest.fixture
def fewer_objects(monkeypatch):
    """Have trainings choose their objects among few settings, where a test is not about the choice."""
    try_fewer_objects(monkeypatch)


@pytest.fixture
def small_figures(monkeypatch):
    """Draw the figures of reports with a thirteenth of their pixels, where a test only looks for them."""
    monkeypatch.setattr("unet2015.report.figures.DPI", 30)


@pytest.fixture
def small_set(tmp_path):
    """Four pages of squares with dark outlines, as two TIFF files: images and membrane labels."""
    return write_small_set(tmp_path / "set")


def write_small_set(folder):
    """Write the small set into a new folder, and return its two files."""
    random = np.random.default_rng(0)
    labels = np.full((4, 50, 56), 255, np.uint8)
    labels[:, ::12] = labels[:, :, ::14] = 0
    images = np.where(labels, 170, 60) + random.normal(0, 15, labels.shape)
    images = images.clip(0, 255).astype(np.uint8)
    folder.mkdir()
    tifffile.imwrite(folder / "images.tif", images, photometric="minisblack")
    tifffile.imwrite(folder / "labels.tif", labels, photometric="minisblack")
    return folder / "images.tif", folder / "labels.tif"
