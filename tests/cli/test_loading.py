"""What a subcommand loads: the libraries that it needs, and no others, as each takes its time to load."""

import contextlib
import gc
import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from unet2015.cli.loading import loading
from unet2015.models.model_file import ModelInfo, build_network, save_model
from unet2015.networks import NETWORKS
from unet2015.settings import Mapping, NetworkSettings

HEAVY = {
    "numpy", "torch", "scipy", "skimage", "tifffile", "imagecodecs", "zarr", "dask", "distributed", "numba",
    "matplotlib", "pandas", "pyarrow", "PIL", "onnx", "rich", "tqdm", "jinja2", "roifile", "safetensors",
    "torch._dynamo", "sympy",
}  # fmt: skip
RUN_ALL = f"""
import json, sys
from unet2015.cli import main
for arguments in json.loads(sys.argv[1]):
    try: main(arguments)
    except SystemExit as end: status = end.code or 0
    loaded = {HEAVY} & {{*sys.modules}}
    print('\\nloaded', json.dumps([status, sorted(loaded)]))
"""
READING = {"numpy", "tifffile", "imagecodecs"}


def loaded(*commands):
    """Run command lines in one fresh process; return status and heavy libraries loaded after each."""
    ended = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    lines = [line.removeprefix("loaded ") for line in ended.stdout.splitlines() if line.startswith("loaded ")]
    return [(status, set(names)) for status, names in map(json.loads, lines)], ended.stderr


@pytest.fixture
def files(tmp_path):
    """An image, a mask and a model of a very small network."""
    tifffile.imwrite(tmp_path / "a.tif", np.arange(900, dtype=np.uint8).reshape(30, 30))
    tifffile.imwrite(tmp_path / "mask.tif", np.eye(30, dtype=np.uint8))
    for network in (NetworkSettings(width=2, depth=1), NETWORKS["padded"].examples[0]):
        info = ModelInfo(
            network=network, mapping=Mapping(method="integer-range"), class_names=("membrane", "cell")
        )
        save_model(tmp_path / f"{network.kind}.safetensors", build_network(info), info)
    models = "unet2015.safetensors", "padded.safetensors"
    return {name: str(tmp_path / name) for name in ("a.tif", "mask.tif", *models, "none.tif", "out")}


def test_help_usage_reading_and_objects_load_neither_torch_nor_what_else_they_do_not_need(files):
    segment = ["segment", "-o", files["out"], "--model", files["unet2015.safetensors"]]
    found, messages = loaded(
        ["--help"],
        ["--version"],
        ["segment", "--help"],
        ["segment", "--ouput"],
        ["train", "--images", "a"],
        [*segment, files["a.tif"], "--threshold", "half"],
        [*segment, files["a.tif"], "--max-memory", "much"],
        [*segment, files["a.tif"], "--split", "1,2"],
        [*segment, files["none.tif"]],
        ["inspect", files["a.tif"]],
        ["label", files["mask.tif"], "-o", files["out"]],
        ["measure", files["out"] + "/mask.labels.tif", "-o", files["out"] + "2"],
    )
    statuses, libraries = zip(*found, strict=True)
    assert statuses == (0, 0, 0, 2, 2, 2, 2, 2, 2, 0, 0, 0), messages
    assert libraries[:5] == (set(),) * 5
    assert libraries[8] <= READING
    assert libraries[9] == READING
    assert libraries[-1] - READING <= {"scipy", "skimage", "tqdm", "PIL"}


def test_segmenting_loads_only_what_reads_the_image_and_computes(files):
    found, messages = loaded(
        *(
            ["segment", files["a.tif"], "-o", files["out"] + kind, "--model", files[f"{kind}.safetensors"]]
            for kind in ("unet2015", "padded")
        )
    )
    assert found == [(0, READING | {"torch", "safetensors", "tqdm"})] * 2, messages


@pytest.fixture
def unfrozen():
    """Let the garbage collector look at everything again, but for what the tests leave out anyway."""
    frozen = gc.get_freeze_count()
    yield
    gc.enable()
    gc.unfreeze()
    if frozen:
        gc.freeze()


@pytest.mark.usefixtures("unfrozen")
@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize(("many", "left_out"), [(sys.maxsize, False), (-1, True)])
def test_no_garbage_is_searched_while_libraries_load_and_what_they_hold_is_left_out(
    monkeypatch, collects, many, left_out
):
    (gc.enable if collects else gc.disable)()
    monkeypatch.setattr("unet2015.cli.loading._MANY", many)
    before = gc.get_freeze_count()
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled() == collects
    assert (gc.get_freeze_count() > before) == left_out


@pytest.mark.usefixtures("unfrozen")
def test_a_library_that_cannot_be_loaded_leaves_the_search_for_garbage_on():
    gc.enable()
    with contextlib.suppress(ImportError), loading():
        raise ImportError
    assert gc.isenabled()
