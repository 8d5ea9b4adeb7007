"""A table of all that cannot be written is a failure: a program would read the old one as the new."""

import json

import numpy as np
import pytest
import tifffile
import torch

from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings

CELLS = np.kron(np.array([[1, 0, 2], [0, 3, 3]], np.uint8), np.ones((8, 8), np.uint8))


@pytest.fixture
def files(tmp_path):
    """Images, masks and labels a.tif and b.tif, and an untrained model."""
    for folder, page in (("i", CELLS * 80), ("m", (CELLS > 0).astype(np.uint8)), ("l", CELLS)):
        (tmp_path / folder).mkdir()
        for name in "ab":
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", page)
    torch.manual_seed(0)
    info = ModelInfo(
        network=NetworkSettings(width=1, depth=1),
        mapping=Mapping(method="integer-range"),
        class_names=("background", "cell"),
    )
    save_model(tmp_path / "model.safetensors", UNet(width=1, depth=1), info)
    return tmp_path


@pytest.mark.parametrize("table", ["objects.csv", "objects.parquet"])
@pytest.mark.parametrize(
    "command",
    [
        ("segment", "i", "--model", "model.safetensors", "--objects", "--device", "cpu", "--parquet"),
        ("label", "m", "--parquet"),
        ("measure", "l", "--parquet"),
    ],
    ids=lambda command: command[0],
)
def test_a_table_that_somebody_changed_stays_and_that_is_an_error(cli, files, monkeypatch, command, table):
    monkeypatch.chdir(files)
    assert cli(*command, "-o", "o").status == 0
    changed = files / "o" / table
    changed.write_bytes(changed.read_bytes() + b"mine")
    before = changed.read_bytes()
    for _ in range(2):  # also where each image was done before
        ended = cli(*command, "-o", "o", "--json")
        *each, last = json.loads(ended.out)
        assert ended.status == 1
        assert changed.read_bytes() == before
        assert [one["error"] for one in each] == [None, None]
        assert (last["input"], last["outputs"]) == (f"o/{table}", [])
        assert f"o/{table}: exists, but was changed" in last["error"]
        assert f"error: {last['error']}" in ended.err
    changed.unlink()
    assert cli(*command, "-o", "o").status == 0
    assert changed.exists()
