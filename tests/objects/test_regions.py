"""Outlines as files of other programs: whole, of the right area, and at the right place of a stack."""

import json
import zipfile

import numpy as np
import pytest
import roifile
import tifffile

from tests.images.imagej_program import find_imagej, measure_with_imagej
from tests.objects.array_labels import ArrayLabels
from unet2015.errors import UsageError
from unet2015.images.array_image import ArrayImage
from unet2015.images.channel import ChannelImage
from unet2015.images.reader import open_image
from unet2015.images.reordered import ReorderedImage
from unet2015.objects import regions
from unet2015.objects.files import Intensities, measure_labels
from unet2015.objects.outlines import shoelace

LETTERS = np.zeros((2, 12, 14), np.uint16)
LETTERS[0, 1:4, 1:5] = 1
LETTERS[0, 5:11, 1:7] = 2
LETTERS[0, 6:8, 2:4] = LETTERS[0, 9, 5] = 0  # two holes
LETTERS[0, 7, 3] = 3  # touches 2, and its own hole at a corner
LETTERS[0, 1:3, 8:10] = LETTERS[0, 3:5, 10:12] = 4  # touches itself at a corner
LETTERS[1, 0, 0] = 1
LETTERS[1, 3:, 3:] = 2


def image_like(array, axes):
    sizes = dict(zip(axes, array.shape, strict=True))
    assert np.prod([sizes[letter] for letter in axes if letter not in "CYX"]) == 2
    return ArrayImage(array, axes, name="x.tif")


def write(tmp_path, array=LETTERS, like=None, rows=5):
    labels, like = ArrayLabels(array, rows), like or image_like(array, "ZYX")
    tables = measure_labels(labels, like, [Intensities.of(ArrayImage(array, "ZYX"), "intensity")])
    places = {"imagej": tmp_path / "x.rois.zip", "geojson": tmp_path / "x.geojson"}
    regions.write_regions(labels, tables, like, **places)
    return tables, places["imagej"], places["geojson"]


def areas(tables):
    return [int(area) for table in tables for area in table["area_px"]]


def test_imagej_regions_are_the_objects(tmp_path):
    tables, path, _ = write(tmp_path)
    found = roifile.roiread(path)
    names = [f"page{page}-{label}" for page, table in enumerate(tables) for label in table["label"]]
    assert sorted(region.name for region in found) == names
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"{region.name}.roi" for region in found]
        assert {one.date_time[0] for one in archive.infolist()} == {1980}
    for region in found:
        page, label = region.name.removeprefix("page").split("-")
        rings = region.path2coords(region.multi_coordinates) if region.composite else [region.coordinates()]
        area = sum(shoelace(ring) for ring in rings)
        assert area == (LETTERS[int(page)] == int(label)).sum()
        assert region.position == int(page) + 1
        assert region.composite == (len(rings) > 1)
        low, high = np.concatenate(rings).min(axis=0), np.concatenate(rings).max(axis=0)
        assert [region.left, region.top, region.right, region.bottom] == [*low, *high]


@pytest.mark.parametrize(
    ("axes", "shape", "second"),
    [
        ("ZYX", (2,), {"position": 2}),
        ("IYX", (2,), {"position": 2}),
        ("TYX", (2,), {"position": 2}),
        ("ZCYX", (2, 3), {"z_position": 2}),
        ("TZYX", (1, 2), {"position": 2}),
        ("TCYX", (2, 3), {"t_position": 2}),
        ("ITYX", (1, 2), {"position": 2}),
    ],
)
def test_pages_have_their_place_in_the_stack(axes, shape, second):
    like = image_like(np.zeros((*shape, 4, 4), np.uint8), axes)
    assert regions.stack_position(like, 1) == second


def test_a_hyperstack_has_slices_and_frames():
    like = ArrayImage(np.zeros((2, 2, 4, 4), np.uint8), "TZYX")
    assert regions.stack_position(like, 2) == {"t_position": 2, "z_position": 1}


def test_a_channel_that_was_taken_alone_is_one_of_the_channels_of_its_file():
    like = ChannelImage(image_like(np.zeros((2, 3, 4, 4), np.uint8), "TCYX"), "1")
    assert regions.stack_position(like, 1) == {"t_position": 2}


@pytest.mark.parametrize(
    ("axes", "kind", "dtype", "fourth"),
    [
        ("TYXS", "imagej", np.uint8, {"position": 4}),  # RGB is no channel of ImageJ, so no hyperstack
        ("ZYXS", "imagej", np.uint8, {"position": 4}),
        ("TZYXS", "imagej", np.uint8, {"t_position": 2, "z_position": 2}),
        ("TYXS", "plain", np.uint16, {"t_position": 4}),  # 48 bits a pixel are three channels there
        ("TYXS", "ome", np.uint8, {"t_position": 4}),  # which Bio-Formats opens, with channels
    ],
)
@pytest.mark.parametrize("channel", [None, "1"])
def test_colours_of_a_pixel_are_no_channels_of_imagej(tmp_path, axes, kind, dtype, fourth, channel):
    array = np.zeros(((4,) if len(axes) == 4 else (2, 2)) + (5, 6, 3), dtype)
    path = tmp_path / ("x.ome.tif" if kind == "ome" else "x.tif")
    with tifffile.TiffWriter(path, imagej=kind == "imagej", ome=kind == "ome") as file:
        file.write(array, photometric="rgb", metadata={"axes": axes})
    with open_image(path, channel=channel) as like:
        assert like.pages == 4
        assert regions.stack_position(like, 3) == fourth
        with ReorderedImage(like, like.page_axes) as view:
            assert regions.stack_position(view, 3) == fourth


def test_a_single_page_has_no_place_and_labels_as_names(tmp_path):
    _, path, _ = write(tmp_path, LETTERS[:1], ArrayImage(LETTERS[:1], "ZYX", name="x.tif"))
    found = roifile.roiread(path)
    assert sorted(region.name for region in found) == ["1", "2", "3", "4"]
    assert {region.position for region in found} == {0}


def test_geojson_follows_rfc_7946_and_qupath(tmp_path):
    tables, _, path = write(tmp_path)
    said = json.loads(path.read_text(encoding="ascii"))
    assert said["type"] == "FeatureCollection"
    places = []
    for feature in said["features"]:
        assert feature["type"] == "Feature"
        assert feature["properties"]["objectType"] == "detection"
        plane, geometry = feature["geometry"]["plane"], feature["geometry"]
        row = int(feature["properties"]["name"]) - 1
        table = tables[plane["z"]]
        places.append((plane["z"], row))
        pieces = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        assert (geometry["type"] == "MultiPolygon") == (len(pieces) > 1) == (places[-1] == (0, 3))
        total = 0
        for piece in pieces:
            for number, ring in enumerate(piece):
                assert ring[0] == ring[-1]
                assert len(ring) >= 5
                # The right-hand rule: outer rings turn left in the plane of x and y, holes turn right.
                assert (shoelace(np.array(ring[:-1])) > 0) == (number == 0)
                total += shoelace(np.array(ring[:-1]))
        assert total == table["area_px"][row]
        measures = feature["properties"]["measurements"]
        numbers = {name for name in table if name not in ("image", "page", "label")}
        assert set(measures) == {name for name in numbers if np.isfinite(float(table[name][row]))}
        assert measures["area_px"] == table["area_px"][row]
        assert type(measures["touches_border"]) is int
    assert len(places) == len(set(places)) == len(areas(tables))
    assert (plane["c"], plane["t"]) == (-1, 0)


def test_no_objects_give_empty_files(tmp_path):
    _, archive, path = write(tmp_path, np.zeros_like(LETTERS))
    assert json.loads(path.read_text()) == {"type": "FeatureCollection", "features": []}
    assert zipfile.ZipFile(archive).namelist() == []


def test_the_same_objects_give_the_same_bytes(tmp_path):
    found = []
    for name in "ab":
        (tmp_path / name).mkdir()
        found.append([path.read_bytes() for path in write(tmp_path / name)[1:]])
    assert found[0] == found[1]


def test_a_missing_roifile_is_said_plainly(monkeypatch):
    monkeypatch.setattr(regions, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'unet2015\[regions\]'"):
        regions.check_roifile()


@pytest.mark.slow
def test_imagej_measures_the_areas_of_the_table(tmp_path):
    command = find_imagej()
    if command is None:
        pytest.skip("no ImageJ; install the Debian packages libij-java and default-jre-headless")
    wide = np.zeros((2, 12, 40000), np.uint16)
    wide[:, :, :14] = LETTERS
    wide[0, 2:5, 30000:39990] = 5  # beyond the 16 bits of ImageJ's whole numbers
    wide[1, 1, 3:39000] = 3
    tables, path, _ = write(tmp_path, wide)
    tifffile.imwrite(tmp_path / "x.tif", wide, imagej=True, metadata={"axes": "ZYX"})
    (tmp_path / "ij").mkdir()
    found = measure_with_imagej(command, tmp_path / "x.tif", path, tmp_path / "ij")
    for page, table in enumerate(tables):
        for label, area in zip(table["label"], table["area_px"], strict=True):
            kind, measured, place = found.pop(f"page{page}-{label}")
            assert place == f"0 {page + 1} 0"
            assert float(measured) == area
            several = (page, label) in ((0, 2), (0, 4))
            assert kind == ("composite" if several or area > 9000 else "traced")
    assert found == {}
