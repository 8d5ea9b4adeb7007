"""One channel of an image is an image of one channel, whatever the file; by number or by name."""

import numpy as np
import pytest
import tifffile
import zarr

from unet2015.errors import ImageReadError, ImageValueError
from unet2015.images.array_image import ArrayImage
from unet2015.images.reader import open_image

STACK = np.random.default_rng(0).integers(0, 255, (2, 3, 16, 12), np.uint8)
"""Two pages of three channels."""
NAMES = ["DAPI", "GFP", "Cy5"]
LENGTHS = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}


def ome(path, names=NAMES, axes="ZCYX", stack=STACK):
    order = ["ZCYX".index(letter) for letter in axes]
    metadata = {"axes": axes, "Channel": {"Name": names}, **LENGTHS}
    tifffile.imwrite(path, stack.transpose(order), ome=True, metadata=metadata, photometric="minisblack")
    return path


def imagej(path):
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZCYX"})
    return path


def samples(path, planar="contig"):
    pixels = np.moveaxis(STACK, 1, -1) if planar == "contig" else STACK
    tifffile.imwrite(path, pixels, photometric="rgb", planarconfig=planar, tile=(16, 16), compression="zlib")
    return path


def ngff(path, version=3, labels=NAMES):
    group = zarr.open_group(path, mode="w", zarr_format=version)
    group.create_array("0", data=STACK, chunks=(1, 1, 8, 8))
    kinds = {"t": "time", "c": "channel", "y": "space", "x": "space"}
    scale = [
        {"type": "scale", "scale": [1, 1, 0.5, 0.25]},
        {"type": "translation", "translation": [0, 0, 3, 0]},
    ]
    described = {
        "axes": [{"name": name, "type": kind} for name, kind in kinds.items()],
        "datasets": [{"path": "0", "coordinateTransformations": scale}],
    }
    omero = {"channels": [{"label": label, "color": "FF0000"} for label in labels]}
    if version == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [described], "omero": omero}
    else:
        group.attrs["multiscales"] = [{"version": "0.4", **described}]
        group.attrs["omero"] = omero
    return path


FILES = {
    "ome": (ome, True),
    "ome-channels-first": (lambda path: ome(path, axes="CZYX"), True),
    "imagej": (imagej, False),
    "samples": (samples, False),
    "planar-samples": (lambda path: samples(path, "separate"), False),
    "ngff-0.5": (ngff, True),
    "ngff-0.4": (lambda path: ngff(path, 2), True),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_channel_is_an_image_of_one_channel(tmp_path, kind):
    write, named = FILES[kind]
    path = write(tmp_path / ("a.zarr" if "ngff" in kind else "a.tif"))
    with open_image(path) as whole:
        assert whole.channel_names == (tuple(NAMES) if named else ())
        for number, name in enumerate(NAMES):
            for given in (number, str(number), *((name, f"{number}:{name}") if named else ())):
                with open_image(path, channel=given) as image:
                    assert (image.axes, image.channels) == (whole.axes.replace("C", ""), 1)
                    assert image.shape == tuple(
                        n for n, axis in zip(whole.shape, whole.axes, strict=True) if axis != "C"
                    )
                    assert image.channel_names == whole.channel_names[number : number + 1]
                    for what in (
                        "dtype",
                        "bits",
                        "calibration",
                        "kind",
                        "axes_source",
                        "notes",
                        "origin",
                        "name",
                        "path",
                    ):
                        assert getattr(image, what) == getattr(whole, what), what
                    for page in range(2):
                        np.testing.assert_array_equal(
                            image.read(page, 2, 15, 1, 12), STACK[page, number, 2:15, 1:12][None]
                        )


def test_several_channels_in_planes_of_several_samples(tmp_path):
    stack = np.random.default_rng(1).integers(0, 255, (2, 16, 12, 3), np.uint8)
    description = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels '
        'DimensionOrder="XYCZT" Type="uint8" SizeX="12" SizeY="16" SizeC="6" SizeZ="1" SizeT="1">'
        '<Channel Name="bright" SamplesPerPixel="3"/><Channel Name="stain" SamplesPerPixel="3"/><TiffData/>'
        "</Pixels></Image></OME>"
    )
    tifffile.imwrite(tmp_path / "b.tif", stack, photometric="rgb", description=description, metadata=None)
    for number in range(6):
        with open_image(tmp_path / "b.tif", channel=number) as image:
            assert image.channel_names == ()
            np.testing.assert_array_equal(image.read(0, 0, 16, 0, 12)[0], stack[number // 3, ..., number % 3])


def test_the_names_of_a_file_of_a_set_are_those_of_its_planes(tmp_path):
    head = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="u{0}">'
    blocks = "".join(
        f'<TiffData FirstC="{n}" IFD="0"><UUID FileName="c{n}.ome.tif">u{n}</UUID></TiffData>'
        for n in range(3)
    )
    body = (
        '<Image><Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="12" SizeY="16" '
        'SizeC="3" SizeZ="1" SizeT="1">' + "".join(f'<Channel Name="{name}"/>' for name in NAMES)
    )
    for number in range(3):
        text = head.format(number) + body + blocks + "</Pixels></Image></OME>"
        path = tmp_path / f"c{number}.ome.tif"
        tifffile.imwrite(path, STACK[0, number], description=text, metadata=None)
        with open_image(path, channel=NAMES[number]) as image:
            np.testing.assert_array_equal(image.read(0, 0, 16, 0, 12)[0], STACK[0, number])
        with pytest.raises(ImageValueError, match=f"not 'other'; it has one channel: 0:{NAMES[number]}"):
            open_image(path, channel="other")


def refused(path, channel, axes=None):
    with pytest.raises(ImageValueError) as caught:
        open_image(path, axes, channel=channel)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_what_is_not_there_lists_what_there_is(tmp_path):
    path = ome(tmp_path / "a.tif")
    for channel in ("3", "-1", "gfp", "", "1:DAPI", "0:"):
        said = refused(path, channel)
        assert f"not {str(channel)!r}; it has 3 channels: 0:DAPI, 1:GFP, 2:Cy5 (axes ZCYX, from ome)" in said
    assert "not '3'; it has 3 channels: 0 to 2 (axes" in refused(imagej(tmp_path / "b.tif"), 3)
    tifffile.imwrite(tmp_path / "c.tif", STACK[0], photometric="minisblack")
    assert "not '1'; it has one channel: 0 (axes IYX, from file)" in refused(tmp_path / "c.tif", 1)
    with open_image(tmp_path / "c.tif", channel=0) as image:
        assert image.pages == 3
    with open_image(tmp_path / "c.tif", "CYX", channel=1) as image:
        np.testing.assert_array_equal(image.read(0, 0, 16, 0, 12)[0], STACK[0, 1])


def test_a_name_that_may_mean_several_is_refused_and_number_with_name_is_not(tmp_path):
    path = ome(tmp_path / "a.tif", ["1", "GFP", "GFP"])
    for channel in ("1", "GFP"):
        assert f"2 are meant by {channel!r}; give number and name: 0:1, 1:GFP, 2:GFP" in refused(
            path, channel
        )
    for number, channel in enumerate(("0:1", "1:GFP", "2:GFP")):
        with open_image(path, channel=channel) as image:
            np.testing.assert_array_equal(image.read(1, 0, 16, 0, 12)[0], STACK[1, number])
    with open_image(ome(tmp_path / "b.tif", ["405", "488", "561"]), channel="488") as image:
        np.testing.assert_array_equal(image.read(0, 0, 16, 0, 12)[0], STACK[0, 1])


def test_names_that_are_none_are_left_out(tmp_path):
    for i, labels in enumerate(([1, None, {"a": 1}], NAMES[:2], ["x" * 201] * 3)):
        with open_image(ngff(tmp_path / f"{i}.zarr", labels=labels)) as image:
            assert image.channel_names == ()
    with open_image(ngff(tmp_path / "b.zarr", labels=["a\x1b[31m\nb", "", "c"]), channel="a[31m b") as image:
        assert image.channel_names == ("a[31m b",)
    with open_image(ome(tmp_path / "a.tif"), "ZCYX") as image:  # what the user calls C may be another axis
        assert image.channel_names == ()


def test_only_the_planes_and_chunks_of_the_channel_are_read(tmp_path):
    path = ngff(tmp_path / "a.zarr")
    for damaged in (path / "0" / "c").glob("*/1/*/*"):
        damaged.write_bytes(b"damaged")
    with open_image(path, channel=2) as image:
        np.testing.assert_array_equal(image.read(0, 0, 16, 0, 12)[0], STACK[0, 2])
    with open_image(path, channel=1) as image, pytest.raises(ImageReadError, match="cannot be read"):
        image.read(0, 0, 16, 0, 12)


def test_a_file_that_is_not_used_is_closed(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(
        "unet2015.images.tiff.TiffImage.close", lambda self: closed.append(self._file.close())
    )
    refused(ome(tmp_path / "a.tif"), "none")
    assert closed == [None]
    open_image(tmp_path / "a.tif", channel=0).close()
    assert closed == [None, None]


def test_an_array_has_channels_too():
    from unet2015.images.channel import ChannelImage

    image = ChannelImage(ArrayImage(STACK, "TCYX"), "2")
    np.testing.assert_array_equal(image.read(1, 0, 16, 0, 12)[0], STACK[1, 2])


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (NAMES * 2, NAMES),
        ([f"c:{c + 1}/3 z:{z + 1}/2 - {NAMES[c]}" for z in range(2) for c in range(3)], NAMES),
        ([*NAMES, "DAPI", "GFP", "another"], []),  # two labels of one channel
        (["one", "one", "two"] * 2, []),
        (NAMES, []),  # fewer than planes
        ([f"c:{c + 1}/3 z:{z + 1}/2" for z in range(2) for c in range(3)], []),
    ],
)
def test_channels_of_imagej_are_called_as_the_labels_of_their_planes(tmp_path, labels, names):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZCYX", "Labels": labels})
    with open_image(path) as image:
        assert list(image.channel_names) == names


def test_labels_of_imagej_that_are_damaged_are_left_out(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZCYX", "Labels": NAMES * 2})
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].tags[50839].valueoffset
    whole = bytearray(path.read_bytes())
    for junk in (b"\0" * 12, b"\xff" * 12, b"IJIJlabl\xff\xff\xff\xff"):
        whole[offset : offset + 12] = junk
        path.write_bytes(whole)
        with open_image(path) as image:
            assert image.channel_names == ()
