"""A folder like that of a reader of the documentation, with tiny images in it."""

import os
import shutil

import numpy as np
import pytest
import tifffile
import zarr

from tests.docs.run import command

CALIBRATION = {
    "imagej": True,
    "resolution": (250, 250),
    "metadata": {"axes": "ZYX", "unit": "um", "spacing": 0.05},
}
TINY = ["--steps", "1", "--tile", "220", "--width", "1", "--precision", "float32", "--device", "cpu"]
TRAIN = ["train", "--images", "images/", "--labels", "labels/", "--label-kind", "instances", "-o", "run"]
TRAINED = (0, 3)
"""How a tiny training may end: one step may teach nothing, which is then said."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Images, labels, a trained model and a result, by the names that the documentation uses; go there."""
    from unet2015.synthetic import em_stack

    folder = tmp_path_factory.mktemp("reader")
    for name in ("images", "labels", "new", "01_GT/SEG", "01_RES", "film", "drawn", "u373", "more"):
        (folder / name).mkdir(parents=True)
    images, membranes = em_stack(pages=6, height=64, width=72, seed=0)
    cells = np.zeros((64, 72), np.uint16)
    cells[8:30, 8:32], cells[34:60, 20:66] = 1, 2
    for number, name in enumerate("abcdef"):
        tifffile.imwrite(folder / "images" / f"{name}.tif", images[number])
        tifffile.imwrite(folder / "labels" / f"{name}.tif", cells)
    for old, new in (("e", "t4"), ("f", "t5")):  # by number too these are the pages 4 and 5
        for part in ("images", "labels"):
            (folder / part / f"{old}.tif").rename(folder / part / f"{new}.tif")
    for name in "ab":
        tifffile.imwrite(folder / "new" / f"{name}.tif", images[5])
    for number in range(3):  # a film, of which two frames are labelled
        tifffile.imwrite(folder / "film" / f"t{number:03}.tif", images[number])
        tifffile.imwrite(folder / "u373" / f"t{number:03}.tif", images[number])
    for number in range(2):
        tifffile.imwrite(folder / "drawn" / f"man_seg{number:03}.tif", cells)
    tifffile.imwrite(folder / "more" / "man_seg002.tif", cells)
    tifffile.imwrite(folder / "stack.tif", images[:2], **CALIBRATION)
    tifffile.imwrite(folder / "membranes.tif", membranes[:2], **CALIBRATION)
    tifffile.imwrite(folder / "01_GT" / "SEG" / "man_seg000.tif", cells)
    tifffile.imwrite(folder / "01_RES" / "mask000.tif", cells)
    before = os.getcwd()
    os.chdir(folder)
    # Of one pooling, as what is exported is traced layer by layer.
    shallow = tmp_path_factory.mktemp("settings") / "shallow.toml"
    shallow.write_text("[network]\ndepth = 1\n")
    assert command([*TRAIN, *TINY, "--settings", str(shallow)]).status in TRAINED
    shutil.copy("run/model.safetensors", "model.safetensors")
    shutil.copytree("run", "run-u373")
    one_plane = zarr.open_group("big.zarr", mode="w")
    one_plane.create_array("0", data=images[0])
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    scale = {"type": "scale", "scale": [0.004, 0.004]}
    level = {"path": "0", "coordinateTransformations": [scale]}
    one_plane.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
    given = ["-o", "results", "--model", "em-membrane", "--probability"]
    assert command(["segment", "stack.tif", *given]).status == 0
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def cluster():
    """The address of a Dask scheduler with two workers, all in this process."""
    from distributed import LocalCluster

    here = {"processes": False, "protocol": "tcp", "dashboard_address": None}
    with LocalCluster(n_workers=2, threads_per_worker=1, **here) as cluster:
        yield cluster.scheduler_address
