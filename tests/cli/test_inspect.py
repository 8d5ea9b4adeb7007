import json

import numpy as np
import pytest
import tifffile

from unet2015.segmentation.batch import segment_files


def test_a_file_is_described(cli, data):
    ended = cli("inspect", data / "images" / "a.tif")
    assert (ended.status, ended.err) == (0, "")
    for words in (
        str(data / "images" / "a.tif"),
        "ZYX (3 x 96 x 80), from the file's ImageJ header",
        "3 of 96 x 80 px",
        "uint8",
        "pixel height 0.2 micron, pixel width 0.25 micron, z spacing 0.5 micron",
    ):
        assert words in ended.out


def test_what_is_refused_is_listed_with_the_reason_and_the_rest_described(cli, data, cut_short):
    ended = cli("inspect", data / "images")
    assert ended.status == 1
    described, refused = ended.out.split(str(cut_short))
    assert "3 of 96 x 80 px" in described
    assert "refused" in refused
    assert "axes" not in refused.split("refused")[0]


def test_json(cli, data, cut_short):
    ended = cli("inspect", data / "images", "--json")
    assert ended.status == 1
    whole, cut = json.loads(ended.out)
    assert whole["file"] == str(data / "images" / "a.tif")
    assert whole["refused"] is None
    assert whole["shape"] == [3, 96, 80]
    assert (whole["axes"], whole["axes_source"], whole["pages"]) == ("ZYX", "imagej", 3)
    assert whole["calibration"]["z_spacing"] == pytest.approx(0.5)
    assert whole["calibration"]["unit"] == "micron"
    assert cut["file"] == str(cut_short)
    assert cut["refused"]


def test_declared_axes_win(cli, data):
    ended = cli("inspect", data / "images", "--axes", "TYX", "--json")
    assert ended.status == 0
    (image,) = json.loads(ended.out)
    assert (image["axes"], image["axes_source"]) == ("TYX", "--axes")


def test_axes_that_do_not_fit(cli, data):
    ended = cli("inspect", data / "images", "--axes", "YX")
    assert ended.status == 1
    assert "refused" in ended.out


def test_a_missing_file(cli, refused, tmp_path):
    refused(cli("inspect", tmp_path / "none.tif"), 2, tmp_path / "none.tif")


def test_a_folder_named_like_a_file(cli, tmp_path):
    (tmp_path / "a.tif").mkdir()
    ended = cli("inspect", tmp_path / "a.tif")
    assert ended.status == 1  # one of the inputs, as in a batch
    assert "expected an image file, but this is a folder" in ended.out


def test_an_ome_zarr_image(cli, tmp_path):
    import zarr

    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=3)
    array = group.create_array("0", shape=(4, 6), chunks=(2, 6), dtype="u1", dimension_names=["y", "x"])
    array[:2] = 1
    step = {"type": "scale", "scale": [0.5, 0.25]}
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [step]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    ended = cli("inspect", tmp_path / "x.zarr")
    assert ended.status == 0
    for words in ("YX (4 x 6)", "uint8", "pixel height 0.5 micrometer", "1 of 2 chunks are not there"):
        assert words in ended.out
    (tmp_path / "x.zarr" / "0" / "zarr.json").unlink()
    ended = cli("inspect", tmp_path / "x.zarr")
    assert ended.status == 1
    assert "refused" in ended.out
    assert "declare array 0" in ended.out


def test_every_pixel_is_read_where_it_is_wished(cli, tmp_path):
    """What segment would refuse for its pixels is then refused, for the same reason."""
    rng = np.random.default_rng(0)
    nan = rng.random((2, 20, 30)).astype(np.float32)
    nan[1, 3, 4] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", nan, photometric="minisblack")
    clear = rng.integers(0, 255, (20, 30, 4), np.uint8)
    tifffile.imwrite(tmp_path / "clear.tif", clear, photometric="rgb", extrasamples=["unassalpha"])
    tifffile.imwrite(tmp_path / "cut.tif", clear[..., 0], compression="zlib")
    with tifffile.TiffFile(tmp_path / "cut.tif") as tif:
        place = tif.pages[0].dataoffsets[0] + 30
    data = bytearray((tmp_path / "cut.tif").read_bytes())
    data[place : place + 9] = b"\xff" * 9
    (tmp_path / "cut.tif").write_bytes(bytes(data))
    tifffile.imwrite(tmp_path / "fine.tif", clear[..., 0])
    for name, said in (
        ("nan", "page 1: expected finite pixels"),
        ("clear", "transparent"),
        ("cut", "damaged"),
    ):
        path = tmp_path / f"{name}.tif"
        assert cli("inspect", path).status == 0
        ended = cli("inspect", "--pixels", path)
        assert ended.status == 1
        assert said in ended.out
        (result,) = segment_files([path], tmp_path / "o", "em-membrane")
        if name != "clear":  # the model takes one channel
            reason = str(result.error).removeprefix(f"{path}: ")
            assert reason[:40] in ended.out
    assert cli("inspect", "--pixels", tmp_path / "fine.tif").status == 0


def test_planes_so_narrow_that_they_may_be_channels_are_said(cli, tmp_path):
    for name, shape in (
        ("last", (40, 30, 2)),
        ("stack", (40, 30, 20)),
        ("few", (3, 30, 2)),
        ("seven", (40, 30, 7)),
        ("strip", (40, 20, 7)),
        ("rgb", (40, 30, 3)),
    ):
        kind = "rgb" if name == "rgb" else "minisblack"
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros(shape, np.uint8), photometric=kind)
        said = "planes of 30 x" in cli("inspect", tmp_path / f"{name}.tif").out
        assert said == (name in ("last", "seven"))
    assert "very narrow" not in cli("inspect", tmp_path / "last.tif", "--axes", "ZYX").out
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((40, 30, 3), np.uint8), photometric="rgb")
    assert "note" not in cli("inspect", tmp_path / "rgb.tif").out


def test_bits_that_the_file_declares_are_told_from_values_that_only_fit(cli, tmp_path):
    page = np.array([[7, 4011], [0, 9]], np.uint16)
    tifffile.imwrite(tmp_path / "fits.tif", page)
    tifffile.imwrite(tmp_path / "says.tif", page, bitspersample=12)
    tifffile.imwrite(tmp_path / "full.tif", page * 16)
    tifffile.imwrite(tmp_path / "signed.tif", page.astype(np.int16))
    tifffile.imwrite(tmp_path / "float.tif", (page / 4096).astype(np.float32))
    tifffile.imwrite(tmp_path / "blank.tif", page * 0)

    def type_of(name, *more):
        (line,) = [
            line for line in cli("inspect", tmp_path / name, *more).out.splitlines() if " type " in line
        ]
        return line.partition(" type ")[2].strip()

    for bits in (12, 16, 17, "x"):
        said = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
            'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="2" SizeY="2" SizeZ="1" SizeC="1" '
            f'SizeT="1" SignificantBits="{bits}"><TiffData/></Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / f"ome{bits}.ome.tif", page, description=said, metadata=None)
    used = "uint16, of which 12 are used, by its metadata, values 0 to 4011"
    assert type_of("ome12.ome.tif", "--pixels") == used
    assert type_of("ome16.ome.tif", "--pixels") == "uint16, values 0 to 4011"
    for nonsense in (17, "x"):
        assert type_of(f"ome{nonsense}.ome.tif", "--pixels").endswith(
            "that the camera has no more, nothing says"
        )
    assert type_of("fits.tif") == "uint16"
    assert type_of("says.tif") == "uint16, 12 bits of a pixel, as the file says"
    told = "uint16, values 0 to 4011, which fit into 12 bits; that the camera has no more, nothing says"
    assert type_of("fits.tif", "--pixels") == told
    assert type_of("says.tif", "--pixels").endswith("as the file says, values 0 to 4011")
    assert type_of("full.tif", "--pixels") == "uint16, values 0 to 64176"
    assert type_of("signed.tif", "--pixels") == "int16, values 0 to 4011"
    assert type_of("float.tif", "--pixels") == "float32, values 0 to 0.9792480469"
    assert type_of("blank.tif", "--pixels") == "uint16, values 0 to 0"
    (facts,) = json.loads(cli("inspect", tmp_path / "says.tif", "--pixels", "--json").out)
    assert (facts["bits"], facts["values"]) == (12, [0, 4011])
