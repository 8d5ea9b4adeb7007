"""OME-Zarr in: 0.4 and 0.5, axes and calibration, regions, and what is refused."""

import json
import shutil

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.errors import AxesError, ImageReadError, UsageError
from unet2015.images.axes import Calibration
from unet2015.images.reader import find_images, open_image
from unet2015.images.zarr import ZarrImage

KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def make(
    path,
    array,
    axes="yx",
    version="0.4",
    *,
    scale=None,
    unit="micrometer",
    chunks=None,
    translation=None,
    **more,
):
    """Write an OME-Zarr image of one level with plain zarr, as the specification says."""
    form = 2 if version == "0.4" else 3
    group = zarr.open_group(path, mode="w", zarr_format=form)
    names = {"dimension_names": list(axes)} if form == 3 else {}
    options = {"chunks": chunks or array.shape, **names, **more}
    level = group.create_array("0", shape=array.shape, dtype=array.dtype, **options)
    level[...] = array
    described = [{"name": n} | ({"type": KINDS[n]} if n in KINDS else {}) for n in axes]
    for axis in described:
        if axis.get("type") == "space" and unit:
            axis["unit"] = unit
        if axis.get("type") == "time":
            axis["unit"] = "second"
    steps = [{"type": "scale", "scale": scale or [1.0] * len(axes)}]
    if translation:
        steps.append({"type": "translation", "translation": translation})
    multiscale = {"axes": described, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    if form == 2:
        group.attrs["multiscales"] = [multiscale | {"version": version}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [multiscale]}
    return path


def metadata(path, change):
    """Change the OME metadata of an image on disk."""
    file = path / (".zattrs" if (path / ".zattrs").exists() else "zarr.json")
    content = json.loads(file.read_text())
    attributes = content if file.name == ".zattrs" else content["attributes"]
    change(attributes if file.name == ".zattrs" else attributes["ome"])
    file.write_text(json.dumps(content))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 60000, (3, 2, 37, 45)).astype(np.uint16)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(("axes", "pages"), [("tcyx", 3), ("czyx", 2), ("tzyx", 6)])
def test_axes_calibration_and_pixels(tmp_path, pixels, version, axes, pages):
    path = make(
        tmp_path / "a.zarr", pixels, axes, version, scale=[2.0, 3.0, 0.5, 0.25], chunks=(1, 2, 16, 20)
    )
    with open_image(path) as image:
        assert isinstance(image, ZarrImage)
        assert (image.axes, image.shape, image.dtype) == (axes.upper(), pixels.shape, np.uint16)
        assert (image.axes_source, image.pages, image.origin) == ("ome", pages, {})
        expected = (
            {"t": {"time_interval": 2.0, "time_unit": "second"}, "c": {}}[axes[0]] if axes[0] != "c" else {}
        )
        if axes[1] == "z":
            expected |= {"z_spacing": 3.0}
        assert image.calibration == Calibration(0.5, 0.25, unit="micrometer", **expected)
        channels = np.moveaxis(pixels, axes.index("c"), -3) if "c" in axes else pixels[:, :, None]
        flat = channels.reshape(pages, -1, 37, 45)
        for page in range(pages):
            np.testing.assert_array_equal(image.read(page, 3, 36, 5, 45), flat[page, :, 3:36, 5:45])
        assert image.notes == ()


@settings(max_examples=25)
@given(data=st.data())
def test_any_region_of_any_chunks(tmp_path_factory, data):
    shape = data.draw(st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 30)] * 2))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    array = np.arange(1, np.prod(shape) + 1, dtype=">u4").reshape(shape)
    version = data.draw(st.sampled_from(["0.4", "0.5"]))
    path = make(tmp_path_factory.mktemp("z") / "a.zarr", array, "zcyx", version, chunks=chunks)
    with open_image(path) as image:
        page = data.draw(st.integers(0, shape[0] - 1))
        y0, x0 = (data.draw(st.integers(0, n - 1)) for n in shape[2:])
        y1, x1 = data.draw(st.integers(y0 + 1, shape[2])), data.draw(st.integers(x0 + 1, shape[3]))
        region = image.read(page, y0, y1, x0, x1)
    np.testing.assert_array_equal(region, array[page, :, y0:y1, x0:x1])
    assert region.dtype == np.dtype("=u4")


def test_shards_big_endian_and_separators(tmp_path, pixels):
    sharded = make(
        tmp_path / "s.zarr",
        pixels[0],
        "czyx"[1:],
        "0.5",
        chunks=(1, 8, 8),
        shards=(1, 16, 48),
        unit="nanometer",
    )
    nested = make(
        tmp_path / "n.zarr", pixels[0], "zyx", chunks=(1, 8, 8),
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )  # fmt: skip
    for path in (sharded, nested):
        with open_image(path) as image:
            np.testing.assert_array_equal(image.read(1, 7, 30, 3, 44)[0], pixels[0, 1, 7:30, 3:44])
            assert image.notes == ()


def test_the_transformations_of_level_and_image_multiply(tmp_path, pixels):
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", scale=[1.0, 2.0, 3.0], translation=[0.0, 5.0, 7.0])
    metadata(
        path,
        lambda m: m["multiscales"][0].update(
            coordinateTransformations=[{"type": "scale", "scale": [4.0, 0.5, 0.5]}]
        ),
    )
    with open_image(path) as image:
        found = image.calibration
        assert (found.z_spacing, found.pixel_size_y, found.pixel_size_x) == (4.0, 1.0, 1.5)
        assert image.origin == {"Y": 2.5, "X": 3.5}


@pytest.mark.parametrize(
    ("units", "places"),
    [
        (("nanometer", "micrometer", "micrometer"), {"Z": 3.0, "Y": 10.0, "X": 20.0}),
        (("millimeter", "nanometer", "micrometer"), {"Z": 3e6, "Y": 0.01, "X": 20.0}),
        (("furlong", "micrometer", "micrometer"), {"Y": 10.0, "X": 20.0}),
        (("furlong", "furlong", "furlong"), {"Z": 3000.0, "Y": 10.0, "X": 20.0}),
    ],
)
def test_the_place_of_the_first_pixel_is_in_the_unit_of_its_size(tmp_path, pixels, units, places):
    scale, translation = [500.0, 0.2, 0.2], [3000.0, 10.0, 20.0]
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", scale=scale, translation=translation)
    for axis, unit in enumerate(units):
        metadata(path, lambda m, a=axis, u=unit: m["multiscales"][0]["axes"][a].update(unit=u))
    with open_image(path) as image:
        assert image.origin == pytest.approx(places)
        assert any("furlong" in note for note in image.notes) == (len(set(units)) > 1 and "Z" not in places)
    with open_image(path, axes="TYX") as image:
        assert "T" not in image.origin, "of another axis than declared it is not known what it is in"


def test_lengths_come_in_one_unit_and_none_is_made_up(tmp_path, pixels, same_calibration):
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", scale=[2000.0, 0.5, 0.25])
    metadata(path, lambda m: m["multiscales"][0]["axes"][0].update(unit="nanometer"))
    with open_image(path) as image:
        assert same_calibration(image.calibration, Calibration(0.5, 0.25, 2.0, unit="micrometer"))
    with open_image(make(tmp_path / "b.zarr", pixels[0], "zyx", unit=None)) as image:
        assert image.calibration == Calibration()


def test_only_the_chunks_of_a_region_are_read(tmp_path, pixels):
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", chunks=(1, 8, 8))
    for chunk in (path / "0").iterdir():
        if chunk.name not in (".zarray", ".zattrs", "0.1.1"):
            chunk.write_bytes(b"damaged")
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 8, 16, 9, 15)[0], pixels[0, 0, 8:16, 9:15])
        with pytest.raises(ImageReadError, match=r"chunk .* cannot be read.*copy the image again"):
            image.read(0, 8, 16, 9, 17)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("compressors", ["auto", None])
def test_a_chunk_cut_short_is_an_error(tmp_path, pixels, version, compressors):
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", version, compressors=compressors)
    (chunk,) = [file for file in (path / "0").rglob("*0") if file.is_file()]
    chunk.write_bytes(chunk.read_bytes()[:-9])
    with open_image(path) as image, pytest.raises(ImageReadError, match="cannot be read"):
        image.read(0, 0, 9, 0, 9)


def test_a_missing_chunk_reads_as_the_fill_value_and_is_told(tmp_path, pixels):
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", "0.5", chunks=(1, 37, 45), fill_value=7)
    (path / "0" / "c" / "1" / "0" / "0").unlink()
    with open_image(path) as image:
        assert (image.read(1, 0, 37, 0, 45) == 7).all()
        (note,) = image.notes
        assert "1 of 2 chunks are not there and read as 7" in note
    shutil.rmtree(path / "0" / "c")
    with pytest.raises(ImageReadError, match=r"array 0 of shape .* none of its chunks"):
        open_image(path)


def test_a_missing_chunk_without_a_fill_value_is_an_error(tmp_path, pixels):
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", chunks=(1, 37, 45))
    array = path / "0" / ".zarray"
    array.write_text(json.dumps(json.loads(array.read_text()) | {"fill_value": None}))
    (path / "0" / "1.0.0").unlink()
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 0, 37, 0, 45)[0], pixels[0, 0])
        with pytest.raises(ImageReadError, match=r"chunk 1\.0\.0 is not there"):
            image.read(1, 0, 37, 0, 45)


def _set(**values):
    return lambda m: m["multiscales"][0].update(values)


BAD = {
    "no multiscales": (lambda m: m.pop("multiscales"), "no OME-Zarr metadata"),
    "two images": (lambda m: m["multiscales"].append(m["multiscales"][0]), "declare 2"),
    "no list": (lambda m: m.update(multiscales="yes"), "no list"),
    "a plate": (lambda m: (m.pop("multiscales"), m.update(plate={})), "plate of many images"),
    "a collection": (
        lambda m: (m.pop("multiscales"), m.update({"bioformats2raw.layout": 3})),
        "IMAGE.zarr/0",
    ),
    "labels": (lambda m: (m.pop("multiscales"), m.update(labels=["cells"])), "cells"),
    "no arrays": (_set(datasets=[]), "declare no array"),
    "no axes": (lambda m: m["multiscales"][0].pop("axes"), "'axes' is missing"),
    "names only": (_set(axes=["z", "y", "x"]), "damaged"),
    "absent array": (
        lambda m: m["multiscales"][0]["datasets"][0].update(path="1"),
        "declare array 1, but it",
    ),
    "outside": (lambda m: m["multiscales"][0]["datasets"][0].update(path="../b"), "not in this image"),
    "too few axes": (lambda m: m["multiscales"][0]["axes"].pop(0), "expected 2 numbers"),
    "too short a scale": (
        lambda m: m["multiscales"][0]["datasets"][0]["coordinateTransformations"][0].update(scale=[1, 1]),
        "expected 3 numbers above zero",
    ),
    "strange step": (
        lambda m: m["multiscales"][0]["datasets"][0]["coordinateTransformations"][0].update(type="affine"),
        "affine",
    ),
}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("case", BAD)
def test_contradicting_metadata(tmp_path, pixels, version, case):
    change, words = BAD[case]
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", version)
    metadata(path, change)
    with pytest.raises(ImageReadError, match=words) as caught:
        open_image(path)
    assert str(path) in str(caught.value)


def test_versions_that_are_not_known(tmp_path, pixels):
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", "0.4")
    metadata(path, _set(version="0.3"))
    with pytest.raises(ImageReadError, match=r"expected OME-Zarr 0\.4 or 0\.5.*0\.3"):
        open_image(path)
    path = make(tmp_path / "b.zarr", pixels[0], "zyx", "0.5")
    metadata(path, lambda m: m.update(version="0.6"))
    with pytest.raises(ImageReadError, match=r"0\.6"):
        open_image(path)
    metadata(path, lambda m: m.update(version="0.4"))
    with pytest.raises(ImageReadError, match=r"0\.4 stands in Zarr 2"):
        open_image(path)


def test_arrays_that_contradict_the_metadata(tmp_path, pixels):
    path = make(tmp_path / "a.zarr", pixels[0], "zyx", "0.5")
    array = path / "0" / "zarr.json"
    whole = json.loads(array.read_text())
    array.write_text(json.dumps(whole | {"dimension_names": ["t", "y", "x"]}))
    with pytest.raises(ImageReadError, match="calls them t, y, x"):
        open_image(path)
    array.write_text(array.read_text()[:100])
    with pytest.raises(ImageReadError, match="array 0 cannot be read"):
        open_image(path)
    array.unlink()
    with pytest.raises(ImageReadError, match="declare array 0"):
        open_image(path)
    (path / "zarr.json").write_text("{")
    with pytest.raises(ImageReadError, match="metadata cannot be read"):
        open_image(path)
    (path / "zarr.json").unlink()
    with pytest.raises(ImageReadError, match=r"neither zarr\.json nor \.zgroup"):
        open_image(path)


def test_a_small_file_that_declares_much_is_read_in_regions_or_refused(tmp_path):
    path = make(tmp_path / "a.zarr", np.ones((8, 8), np.uint8), "yx", "0.5")
    array = path / "0" / "zarr.json"
    content = json.loads(array.read_text()) | {"shape": [10**6, 10**6]}
    array.write_text(json.dumps(content))
    with open_image(path) as image:
        assert image.read(0, 0, 10, 0, 10)[0].sum() == 64
    content["chunk_grid"]["configuration"]["chunk_shape"] = [10**6, 10**6]
    array.write_text(json.dumps(content))
    with pytest.raises(ImageReadError, match="bounded memory"):
        open_image(path)


def test_axes_that_are_none_of_an_image(tmp_path, pixels):
    path = make(tmp_path / "a.zarr", pixels, "tcxy", "0.4")
    with pytest.raises(AxesError, match="Y must come before X"):
        open_image(path)
    path = make(tmp_path / "b.zarr", pixels, "aczyx"[:2] + "yx", "0.4")
    metadata(path, lambda m: m["multiscales"][0]["axes"][0].update(type="angle"))
    with pytest.raises(AxesError, match=r"other kinds.*: a;.*--axes TCYX|other kinds"):
        open_image(path)
    with open_image(path, axes="ZCYX") as image:
        assert (image.axes, image.axes_source) == ("ZCYX", "--axes")
        np.testing.assert_array_equal(image.read(2, 0, 37, 0, 45), pixels[2])
    twice = make(tmp_path / "c.zarr", pixels, "tcyx", "0.4")
    metadata(twice, lambda m: m["multiscales"][0]["axes"][1].update(type="time"))
    with pytest.raises(AxesError, match="an axis twice"):
        open_image(twice)


def test_axes_given_may_leave_out_those_of_length_one(tmp_path, pixels):
    path = make(tmp_path / "a.zarr", pixels[:1], "tcyx", "0.5", translation=[0.0, 0.0, 1.0, 2.0])
    for axes, shape in (("ZYX", (2, 37, 45)), ("TZYX", (1, 2, 37, 45))):
        with open_image(path, axes=axes) as image:
            assert (image.axes, image.shape) == (axes, shape)
            assert image.origin == {"Y": 1.0, "X": 2.0}
            np.testing.assert_array_equal(image.read(1, 1, 30, 2, 40)[0], pixels[0, 1, 1:30, 2:40])
    with pytest.raises(AxesError):
        open_image(path, axes="YX")


def test_types_of_pixels_are_checked(tmp_path):
    path = make(tmp_path / "a.zarr", np.ones((4, 4), bool), "yx", "0.5")
    with pytest.raises(ImageReadError, match="bool"):
        open_image(path)


def test_a_zarr_group_is_one_image_and_not_a_folder_of_files(tmp_path, pixels):
    make(tmp_path / "b.ome.zarr", pixels[0], "zyx", "0.5")
    make(tmp_path / "named otherwise", pixels[0], "zyx", "0.4")
    make(tmp_path / ".hidden.zarr", pixels[0], "zyx", "0.4")
    make(tmp_path / "b.ome.zarr" / "labels" / "cells", pixels[0], "zyx", "0.5")
    (tmp_path / "a.tif").touch()
    (tmp_path / "other").mkdir()
    found = [tmp_path / name for name in ("a.tif", "b.ome.zarr", "named otherwise")]
    assert find_images([tmp_path]) == found
    assert find_images([tmp_path / "b.ome.zarr"]) == [tmp_path / "b.ome.zarr"]
    assert find_images([f"{tmp_path}/**"]) == found
    assert find_images([tmp_path / "b.ome.zarr" / "labels" / "cells"])
    (tmp_path / "empty.zarr").mkdir()
    (empty,) = find_images([tmp_path / "empty.zarr"])
    with pytest.raises(ImageReadError, match=r"neither zarr\.json"):
        open_image(empty)
    with pytest.raises(UsageError, match="image in this folder"):
        find_images([tmp_path / "other"])


def test_a_bare_array_is_refused(tmp_path, pixels):
    zarr.create_array(tmp_path / "a.zarr", data=pixels)
    with pytest.raises(ImageReadError, match="give the group"):
        open_image(tmp_path / "a.zarr")


def test_without_zarr_it_says_what_to_install(tmp_path, pixels, monkeypatch):
    path = make(tmp_path / "a.zarr", pixels[0], "zyx")
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(UsageError, match=r"unet2015\[zarr\]"):
        open_image(path)
