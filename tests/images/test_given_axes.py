"""Axes that are given and are not those that a file declares: they are followed, and it is said."""

import numpy as np
import pytest
import tifffile

from tests.images.test_zarr import make
from unet2015.images.reader import open_image
from unet2015.metrics import evaluate_objects

CELLS = np.zeros((2, 2, 20, 24), np.uint16)
for number, (top, left) in enumerate([(1, 2), (9, 4), (4, 12), (13, 15)]):
    CELLS.reshape(4, 20, 24)[number, top : top + 6, left : left + 7] = 1


def notes_of(path, axes):
    with open_image(path, axes) as image:
        return [note for note in image.notes if "--axes" in note]


def written(path, axes, kind="ome"):
    pixels = CELLS[: 2 if len(axes) > 3 else 1].reshape(-1, *CELLS.shape[-2:]) if len(axes) == 3 else CELLS
    tifffile.imwrite(path, pixels, metadata={"axes": axes}, **({"imagej": True} if kind == "imagej" else {}))
    return path


@pytest.mark.parametrize(
    ("own", "given", "kind"),
    [
        ("ZTYX", "TZYX", "ome"),
        ("TZYX", "ZTYX", "imagej"),
        ("TZYX", "ZTYX", "plain"),
        ("ZYX", "TYX", "imagej"),
    ],
)
def test_another_order_or_name_is_said(own, given, kind, tmp_path):
    path = written(tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif"), own, kind)
    (note,) = notes_of(path, given)
    assert note.startswith(
        f"the file says that its planes lie along {own[:-2]}, and is read along {given[:-2]}"
    )
    assert notes_of(path, own) == notes_of(path, None) == []


def test_so_it_is_of_ome_zarr(tmp_path):
    path = make(tmp_path / "a.zarr", CELLS, "tzyx")
    (note,) = notes_of(path, "ZTYX")
    assert note.startswith("the file says that its planes lie along TZ, and is read along ZT")
    assert notes_of(path, "TZYX") == []


def test_axes_without_a_name_are_given_one_without_a_note(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", CELLS)
    assert notes_of(tmp_path / "a.tif", "TZYX") == []
    tifffile.imwrite(tmp_path / "b.tif", CELLS[0])
    assert notes_of(tmp_path / "b.tif", "ZYX") == []


def test_axes_of_one_plane_do_not_count(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", CELLS[:, :1], metadata={"axes": "TZYX"})
    assert notes_of(tmp_path / "a.ome.tif", "TCZYX") == notes_of(tmp_path / "a.ome.tif", "TYX") == []
    assert len(notes_of(tmp_path / "a.ome.tif", "ZYX")) == 1


def test_a_comparison_has_it_among_its_notes(tmp_path):
    """Labels that name no axes are given some, which the other side's own contradict: its pages go astray."""
    for side in ("t", "r"):
        (tmp_path / side).mkdir()
    tifffile.imwrite(tmp_path / "t" / "a.tif", CELLS)
    path = tmp_path / "r" / "a.ome.tif"
    tifffile.imwrite(path, CELLS.swapaxes(0, 1), metadata={"axes": "ZTYX"})
    found = evaluate_objects(tmp_path / "t", tmp_path / "r", axes="TZYX")
    assert found.scores.at(0.5).f1 < 1
    assert any("planes lie along ZT, and is read along TZ" in note for note in found.as_dict()["notes"])
