"""Palettes, alpha, single bits: as labels the stored numbers count, as images only what is an intensity."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from unet2015.errors import ImageReadError, LabelError
from unet2015.images.reader import open_image, read_pages
from unet2015.settings import LabelSettings
from unet2015.training.labels import make_targets

IDS = (np.arange(19 * 23).reshape(19, 23) % 200).astype(np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 255, (256, 3), dtype=np.uint8)
GRAYS = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(256, 3)


def paletted(path, ids, colours, **options):
    image = Pillow.fromarray(ids, mode="P")
    image.putpalette(colours.tobytes())
    image.save(path, **options)
    return path


def refusal(path, **options):
    with pytest.raises(ImageReadError) as caught, open_image(path, **options) as image:
        image.read(0, 0, image.height, 0, image.width)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_the_indices_of_a_palette_are_the_labels(tmp_path, ending):
    path = paletted(tmp_path / f"a.{ending}", IDS, COLOURS)
    np.testing.assert_array_equal(read_pages(path)[0], IDS)
    assert read_pages(path).dtype == np.uint8


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("mode", ["P", "L"])
def test_labels_of_few_bits_keep_their_numbers(tmp_path, bits, mode):
    ids = IDS % 2**bits
    path = tmp_path / "a.png"
    if mode == "P":
        paletted(path, ids, COLOURS[: 2**bits], bits=bits)
    else:  # as tools that know no palette write class numbers
        data = paletted(path, ids, COLOURS[: 2**bits], bits=bits).read_bytes()
        path.write_bytes(without_palette(data))
    pages = read_pages(path)
    np.testing.assert_array_equal(pages[0], ids)
    assert pages.dtype == (bool if bits == 1 else np.uint8)
    if mode == "L":
        assert f"{bits} bit" in refusal(path)


def without_palette(data):
    from unet2015.images.png import _as_gray

    return _as_gray(data)


def test_a_palette_with_transparency_changes_no_label(tmp_path):
    path = paletted(tmp_path / "a.png", IDS, COLOURS, transparency=3)
    np.testing.assert_array_equal(read_pages(path)[0], IDS)


@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}])
def test_labels_of_many_pages_and_layouts(tmp_path, layout):
    stack = np.stack([IDS, IDS.T.copy().reshape(IDS.shape)])
    colours = np.random.default_rng(0).integers(0, 2**16, (3, 256), np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, photometric="palette", colormap=colours, compression="zlib", **layout)
    np.testing.assert_array_equal(read_pages(path), stack)


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_as_an_image_a_palette_is_its_colours(tmp_path, ending):
    path = paletted(tmp_path / f"a.{ending}", IDS, COLOURS)
    with open_image(path) as image:
        assert (image.axes, image.shape, image.dtype) == ("YXC", (19, 23, 3), np.uint8)
        assert "palette" in image.notes[0]
        np.testing.assert_array_equal(
            image.read(0, 3, 17, 5, 20), np.moveaxis(COLOURS[IDS], -1, 0)[:, 3:17, 5:20]
        )
        np.testing.assert_array_equal(image.read_channel(1, 0, 0, 19, 0, 23)[0], COLOURS[IDS][..., 1])
    with open_image(path, channel="2") as image:
        np.testing.assert_array_equal(image.read(0, 0, 19, 0, 23)[0], COLOURS[IDS][..., 2])


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_a_palette_of_grays_is_gray(tmp_path, ending):
    for name, grays in (("a", GRAYS), ("b", GRAYS[::-1].copy()), ("c", GRAYS // 3)):
        with open_image(paletted(tmp_path / f"{name}.{ending}", IDS, grays)) as image:
            assert (image.axes, image.channels) == ("YX", 1)
            assert bool(image.notes) == (name != "a")  # which shows each index as itself
            np.testing.assert_array_equal(image.read(0, 0, 19, 0, 23)[0], grays[IDS][..., 0])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_colours_in_few_bits(tmp_path, bits):
    ids = IDS % 2**bits
    with open_image(paletted(tmp_path / "a.png", ids, COLOURS[: 2**bits], bits=bits)) as image:
        np.testing.assert_array_equal(image.read(0, 0, 19, 0, 23), np.moveaxis(COLOURS[ids], -1, 0))


@pytest.mark.parametrize("factor", [1, 256, 257])
def test_stacks_with_a_palette_of_8_or_16_bits(tmp_path, factor):
    path, stack = tmp_path / "a.tif", np.stack([IDS, IDS[::-1], IDS[:, ::-1]])
    table = (COLOURS.T * np.uint32(factor)).astype(np.uint16)
    tifffile.imwrite(path, stack, photometric="palette", colormap=table, metadata={"axes": "ZYX"})
    with open_image(path, "ZYX") as image:
        assert (image.page_axes, image.pages, image.channels) == ("Z", 3, 3)
        for page in range(3):
            expected = np.moveaxis(COLOURS[stack[page]], -1, 0)
            np.testing.assert_array_equal(image.read(page, 0, 19, 0, 23), expected)


def test_pages_with_different_palettes_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for colours in (COLOURS, COLOURS[::-1]):
            table = (colours.T * np.uint16(257)).astype(np.uint16)
            tif.write(IDS, photometric="palette", colormap=table, metadata=None)
    with pytest.raises(ImageReadError, match="different colour palettes"):
        open_image(tmp_path / "a.tif", "IYX")
    np.testing.assert_array_equal(read_pages(tmp_path / "a.tif", "IYX"), [IDS, IDS])


def test_an_index_without_a_colour_is_damage(tmp_path):
    path = paletted(tmp_path / "a.png", IDS, COLOURS)
    data = path.read_bytes()
    start = data.index(b"PLTE") - 4
    length = int.from_bytes(data[start : start + 4], "big")
    few = b"PLTE" + data[start + 8 : start + 8 + 30]
    short = (30).to_bytes(4, "big") + few + zlib.crc32(few).to_bytes(4, "big")
    path.write_bytes(data[:start] + short + data[start + 12 + length :])
    assert "the palette has 10 colours" in refusal(path)


def test_gray_of_a_palette_whose_pixels_are_transparent_is_refused(tmp_path):
    """As gray and RGB are; what no pixel has is no matter."""
    used = sorted(set(IDS.ravel().tolist()))
    for alphas in (bytes(used[0] + 1), bytes([255] * used[-1] + [254])):
        path = paletted(tmp_path / "a.png", IDS, GRAYS, transparency=alphas)
        assert "transparent pixels" in refusal(path)
        np.testing.assert_array_equal(read_pages(path)[0], IDS)
    unused = next(i for i in range(256) if i not in used)
    for alphas in (bytes([255] * 256), bytes([255] * unused + [0])):
        path = paletted(tmp_path / "a.png", IDS, GRAYS, transparency=alphas)
        np.testing.assert_array_equal(read_pages(path, labels=False)[0], IDS)


@pytest.mark.parametrize("factor", [1, 256, 257])
def test_gray_ramps_of_16_bits(tmp_path, factor):
    colours = np.tile(np.arange(256, dtype=np.uint32) * factor, (3, 1)).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IDS, photometric="palette", colormap=colours)
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 0, 19, 0, 23)[0], IDS)


@pytest.mark.parametrize("photometric", ["minisblack"])
def test_one_bit_is_a_mask_and_no_image(tmp_path, photometric):
    mask = IDS % 3 == 0
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, mask, photometric=photometric)
    pages = read_pages(path)
    assert pages.dtype == bool
    np.testing.assert_array_equal(pages[0], mask)
    assert "1 bit" in refusal(path)
    targets = make_targets(pages[0], LabelSettings(kind="membrane"), "a.tif")
    np.testing.assert_array_equal(targets.classes, mask)
    with pytest.raises(LabelError, match="membrane"):
        make_targets(pages[0], LabelSettings(kind="instances"), "a.tif")


@pytest.mark.parametrize("highest", [1, 255])
def test_a_mask_may_be_coded_as_0_and_1_or_255(highest):
    mask = (IDS % 3 == 0).astype(np.uint8)
    targets = make_targets(mask * np.uint8(highest), LabelSettings(kind="membrane"), "a.tif")
    np.testing.assert_array_equal(targets.classes, mask)


ALPHA = [("unassalpha", 1), ("assocalpha", 1), ("unassalpha", 3), ("assocalpha", 3)]


def with_alpha(path, pixels, alpha, kind, planar="contig", **options):
    """Write gray or RGB pixels (height, width, samples) with an alpha sample."""
    every = np.concatenate([pixels, np.broadcast_to(alpha, (*pixels.shape[:2], 1)).astype(pixels.dtype)], -1)
    if planar == "separate":
        every = np.moveaxis(every, -1, 0)
    photometric = "minisblack" if pixels.shape[-1] == 1 else "rgb"
    tifffile.imwrite(
        path, every, photometric=photometric, planarconfig=planar, extrasamples=[kind], **options
    )
    return path


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("kind", "samples"), ALPHA)
def test_opaque_alpha_is_dropped(tmp_path, kind, samples, dtype, planar):
    pixels = np.random.default_rng(0).integers(0, 255, (19, 23, samples)).astype(dtype)
    opaque = 1 if dtype == "float32" else np.iinfo(dtype).max
    options = {} if dtype == "float32" else {"tile": (16, 16), "compression": "zlib"}
    path = with_alpha(tmp_path / "a.tif", pixels, opaque, kind, planar, metadata=None, **options)
    with open_image(path) as image:
        assert image.axes == ("YX" if samples == 1 else "CYX" if planar == "separate" else "YXC")
        assert image.channels == samples
        np.testing.assert_array_equal(image.read(0, 2, 18, 3, 20), np.moveaxis(pixels, -1, 0)[:, 2:18, 3:20])


@pytest.mark.parametrize("options", [{"metadata": None}, {}, {"ome": True, "metadata": {"axes": "ZYXS"}}])
@pytest.mark.parametrize("samples", [1, 3])
def test_opaque_alpha_in_every_flavour_and_with_pages(tmp_path, samples, options):
    pixels = np.random.default_rng(0).integers(0, 255, (2, 19, 23, samples), np.uint8)
    every = np.concatenate([pixels, np.full((2, 19, 23, 1), 255, np.uint8)], -1)
    path = tmp_path / "a.tif"
    photometric = "minisblack" if samples == 1 else "rgb"
    tifffile.imwrite(
        path, every, photometric=photometric, planarconfig="contig", extrasamples=["unassalpha"], **options
    )
    with open_image(path) as image:
        assert (image.pages, image.channels) == (2, samples)
        np.testing.assert_array_equal(image.read(1, 0, 19, 0, 23), np.moveaxis(pixels[1], -1, 0))


@pytest.mark.parametrize(("kind", "samples"), ALPHA)
def test_alpha_that_is_not_opaque_is_refused(tmp_path, kind, samples):
    pixels = np.full((19, 23, samples), 7, np.uint8)
    alpha = np.full((19, 23, 1), 255)
    alpha[5, 6] = 254
    message = refusal(with_alpha(tmp_path / "a.tif", pixels, alpha, kind, metadata=None))
    assert "transparent" in message
    assert "-alpha off" in message
    assert ("--axes YXC" in message) == (samples == 1)


@pytest.mark.parametrize("axes", ["YXC", "yxs"])
def test_the_user_may_say_that_alpha_is_a_channel(tmp_path, axes):
    pixels = np.full((19, 23, 1), 7, np.uint8)
    path = with_alpha(tmp_path / "a.tif", pixels, 3, "unassalpha", metadata=None)
    with open_image(path, axes) as image:
        assert image.read(0, 0, 1, 0, 1).ravel().tolist() == [7, 3]


@pytest.mark.parametrize("order", [("unassalpha", "unspecified"), ("unspecified", "unassalpha")])
@pytest.mark.parametrize("samples", [1, 3])
def test_pages_that_differ_in_what_is_alpha_are_refused(tmp_path, order, samples):
    """Real data would be dropped, or alpha be taken for a channel."""
    path = tmp_path / "a.tif"
    pixels = np.full((19, 23, samples + 1), 255, np.uint8)
    with tifffile.TiffWriter(path) as writer:
        for kind in (order[0], *order):
            photometric = "minisblack" if samples == 1 else "rgb"
            options = {"photometric": photometric, "planarconfig": "contig", "metadata": None}
            writer.write(pixels, extrasamples=[kind], contiguous=False, **options)
    said = [f"{'none' if kind == 'unspecified' else samples} of page {2 * i}" for i, kind in enumerate(order)]
    assert f"so of samples {' and '.join(said)}" in refusal(path)
    if samples == 1:  # the user says that they are channels
        with open_image(path, "IYXC") as image:
            assert image.channels == 2


def test_samples_that_are_not_said_to_be_alpha_are_channels(tmp_path):
    pixels = np.full((19, 23, 1), 7, np.uint8)
    path = with_alpha(tmp_path / "a.tif", pixels, 255, "unspecified", metadata=None)
    with open_image(path) as image:
        assert image.channels == 2


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_labels_with_opaque_alpha_are_labels(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "tif":
        with_alpha(path, IDS[..., None], 255, "unassalpha", metadata=None)
    else:
        path.write_bytes(imagecodecs.png_encode(np.stack([IDS, np.full_like(IDS, 255)], -1)))
    np.testing.assert_array_equal(read_pages(path)[0], IDS)


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_compression_of_one_bit_is_no_compression_of_others(tmp_path, damaged):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((2, 24, 20), np.uint16), metadata=None, photometric="minisblack")
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[damaged].tags["Compression"].overwrite(2)
    with pytest.raises(ImageReadError, match=f"page {damaged} has a compression for pixels of one bit"):
        open_image(path)


def of_24_bits(values, order):
    """Return a gray TIFF of whole numbers of three bytes each; `order` is that of the file."""
    height, width = values.shape
    name = {"<": "little", ">": "big"}[order]
    data = b"".join(int(value).to_bytes(3, name) for value in values.ravel())
    tags = {256: width, 257: height, 258: 24, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8 + len(data))
    return head + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("order", "<>")
def test_whole_numbers_of_24_bits_are_refused(tmp_path, order):
    # tifffile and imagecodecs read their bytes in another order than the file's.
    path = tmp_path / "gray.tif"
    path.write_bytes(of_24_bits(np.arange(20000, 20048).reshape(6, 8), order))
    assert "gray.tif: whole numbers of 24 bits are not supported; save a copy" in refusal(path)


def test_colours_of_three_bytes_are_no_numbers_of_24_bits(tmp_path):
    path = tmp_path / "colour.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (8, 9, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb")
    with open_image(path) as image:
        assert (image.channels, image.dtype) == (3, np.uint8)


@pytest.mark.parametrize("count", [1, 2, 300, 767])
def test_labels_whose_palette_is_damaged_are_read(tmp_path, count):
    path = tmp_path / "a.tif"
    colours = np.ones((3, 256), np.uint16)
    tifffile.imwrite(path, IDS, photometric="palette", colormap=colours, byteorder="<", metadata=None)
    with tifffile.TiffFile(path) as tif:
        tag = tif.pages[0].tags[320]
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, tag.offset + 4, count)
    path.write_bytes(data)
    with open_image(path, labels=True) as image:
        np.testing.assert_array_equal(image.read(0, 0, 19, 0, 23)[0], IDS)
        assert image.label_colours(0) is None or len(image.label_colours(0)) == count // 3


def test_labels_know_their_palette(tmp_path):
    for ending in ("png", "tif"):
        path = paletted(tmp_path / f"a.{ending}", IDS, COLOURS)
        with open_image(path, labels=True) as image:
            np.testing.assert_array_equal(image.label_colours(0), COLOURS)
        with open_image(path) as image:
            assert image.label_colours(0) is None
