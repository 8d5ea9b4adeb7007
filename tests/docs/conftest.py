"""A folder like that of a reader of the documentation, with tiny images in it."""

import os

import numpy as np
import pytest
import tifffile

from tests.docs.run import command

CALIBRATION = {
    "imagej": True,
    "resolution": (250, 250),
    "metadata": {"axes": "ZYX", "unit": "um", "spacing": 0.05},
}
TINY = ["--steps", "1", "--tile", "220", "--width", "1", "--precision", "float32", "--device", "cpu"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Images, labels, a trained model and a result, by the names that the documentation uses; go there."""
    from unet2015.synthetic import em_stack

    folder = tmp_path_factory.mktemp("reader")
    for name in ("images", "labels", "new", "01_GT/SEG", "01_RES"):
        (folder / name).mkdir(parents=True)
    images, membranes = em_stack(pages=6, height=64, width=72, seed=0)
    cells = np.zeros((64, 72), np.uint16)
    cells[8:30, 8:32], cells[34:60, 20:66] = 1, 2
    for number, name in enumerate("abcde"):
        tifffile.imwrite(folder / "images" / f"{name}.tif", images[number])
        tifffile.imwrite(folder / "labels" / f"{name}.tif", cells)
    for number in (4, 5):
        for part in ("images", "labels"):
            (folder / part / f"{'_abcde'[number]}.tif").rename(folder / part / f"t{number}.tif")
    for name in "ab":
        tifffile.imwrite(folder / "new" / f"{name}.tif", images[5])
    tifffile.imwrite(folder / "stack.tif", images[:2], **CALIBRATION)
    tifffile.imwrite(folder / "membranes.tif", membranes[:2], **CALIBRATION)
    tifffile.imwrite(folder / "01_GT" / "SEG" / "man_seg000.tif", cells)
    tifffile.imwrite(folder / "01_RES" / "mask000.tif", cells)
    before = os.getcwd()
    os.chdir(folder)
    sets = ["--images", "images/", "--labels", "labels/", "--label-kind", "instances"]
    assert command(["train", *sets, "-o", "run", *TINY]).status in (0, 3)
    given = ["-o", "results", "--model", "em-membrane", "--probability"]
    assert command(["segment", "stack.tif", *given]).status == 0
    yield folder
    os.chdir(before)
