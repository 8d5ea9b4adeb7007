"""Names that are no text, and streams that cannot show every text, end no command."""

import csv
import io
import json
import os
import sys

import numpy as np
import pytest
import tifffile
import torch

from unet2015.cli import main
from unet2015.file_names import RAW, shown
from unet2015.models.model_file import ModelInfo, read_model_file, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings

pytestmark = pytest.mark.skipif(os.name == "nt", reason="names of files are bytes on POSIX only")

BYTES = b"10\xb5m"
NAME = os.fsdecode(BYTES)
PAGE = np.arange(40 * 48, dtype=np.uint16).reshape(40, 48)


@pytest.fixture
def place(tmp_path):
    """A model and a folder of three images: one named in Latin-1, one in UTF-8, one in ASCII."""
    info = ModelInfo(
        mapping=Mapping(method="image-percentiles", low=(1,), high=(99,)),
        class_names=("a", "b"),
        network=NetworkSettings(width=1, depth=1),
    )
    torch.manual_seed(1)
    network = UNet(1, 2, width=1, depth=1)
    with torch.no_grad():  # so that classes differ over the image
        network.head.weight.mul_(30)
    save_model(tmp_path / "m.safetensors", network, info)
    (tmp_path / "in").mkdir()
    for name in (NAME, "µm", "zz"):
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", PAGE)
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    """Run a command line whose standard output has an encoding; return status, output and errors as bytes."""

    def call(*arguments, encoding="utf-8"):
        out, err = io.BytesIO(), io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
        monkeypatch.setattr(
            sys, "stderr", io.TextIOWrapper(err, encoding=encoding, errors="backslashreplace")
        )
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        sys.stdout.flush()
        sys.stderr.flush()
        return int(end.value.code or 0), out.getvalue(), err.getvalue()

    return call


def segment(run, place, *more, inputs="in", **options):
    model = ("--model", place / "m.safetensors", "--device", "cpu")
    return run("segment", place / inputs, "-o", place / "out", *model, *more, **options)


def test_a_text_for_readers_shows_bytes_and_lone_surrogates():
    assert shown("a\udcb5 µ\ud800") == "a\\xb5 µ\\ud800"
    assert "a\udcb5 µ".encode("ascii", RAW) == b"a\xb5 \\xb5"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_every_file_of_a_batch_is_done(run, place, encoding):
    status, out, err = segment(run, place, encoding=encoding)
    assert status == 0, err
    assert b"Traceback" not in err
    assert b"10\xb5m.classes.tif" in out  # a program that reads the list finds the file
    made = os.listdir(os.fsencode(place / "out"))
    assert {b"10\xb5m.classes.tif", "µm.classes.tif".encode(), b"zz.classes.tif"} <= set(made)
    record = json.loads((place / "out" / f"{NAME}.record.json").read_bytes().decode("utf-8"))
    assert record["input"] == str((place / "in" / f"{NAME}.tif").resolve())
    assert b"done before" in segment(run, place, encoding=encoding)[2]
    assert run("replay", place / "out" / f"{NAME}.record.json", encoding=encoding)[0] == 0


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_bad_file_of_such_a_name_is_listed(run, place, encoding):
    (place / "in" / f"{NAME}.tif").write_bytes(b"no image")
    status, _, err = segment(run, place, encoding=encoding)
    assert status == 1
    assert rb"in/10\xb5m.tif: expected a TIFF" in err
    listed = (place / "out" / "failures.csv").read_bytes().decode("utf-8", "surrogateescape")
    assert next(csv.DictReader(io.StringIO(listed)))["input"] == str(place / "in" / f"{NAME}.tif")
    status, out, _ = segment(run, place, "--json", encoding=encoding)
    assert [item["error"] is None for item in json.loads(out)] == [False, True, True]
    status, out, _ = segment(run, place, "--plan", encoding=encoding)
    assert status == 1
    assert b"10\xb5m.tif\n  refused" in out
    for arguments in (["--json"], []):
        status, out, err = run("inspect", place / "in", *arguments, encoding=encoding)
        assert (status, err) == (1, b"")
        assert b"zz.tif" in out


def test_other_formats_of_such_a_name(run, place):
    with tifffile.TiffWriter(place / f"{NAME}.ome.tif", ome=True) as ome:
        ome.write(PAGE, metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5})
    assert segment(run, place, inputs=f"{NAME}.ome.tif")[0] == 0
    zarr = place / f"{NAME}.zarr"
    assert (
        run(
            "segment",
            place / "in" / f"{NAME}.tif",
            "-o",
            zarr,
            "--model",
            place / "m.safetensors",
            "--probability",
        )[0]
        == 0
    )
    status, out, _ = run("inspect", zarr, "--json")
    assert status == 0, out


def test_a_training_whose_files_have_such_names(run, place):
    labels = place / "labels"
    labels.mkdir()
    for name in (NAME, "µm", "zz"):
        image = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
        tifffile.imwrite(place / "in" / f"{name}.tif", image)
        tifffile.imwrite(
            labels / f"{name}.tif",
            np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2), np.ones((32, 32), np.uint8)),
        )
    assert run("check", "--images", place / "in", "--labels", labels)[0] in (0, 1)
    settings = place / "s.toml"
    settings.write_text(
        "[network]\nwidth = 1\ndepth = 1\n[optimisation]\nsteps = 1\ntile = 44\nbatch = 1\n"
        "[validation]\nattempts = 1\n"
    )
    out = place / os.fsdecode(b"run\xb5")
    status, _, err = run(
        "train",
        "--images",
        place / "in",
        "--labels",
        labels,
        "-o",
        out,
        "--settings",
        settings,
        "--validate",
        f"{NAME}.tif",
        "--device",
        "cpu",
    )
    assert status in (0, 3), err
    files = read_model_file(out / "model.safetensors").info.training["files"]
    assert f"{NAME}.tif" in [pair["image"] for pair in files]
    assert run("report", out)[0] == 0
