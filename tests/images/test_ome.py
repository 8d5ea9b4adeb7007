"""OME-TIFF as other programs write it: companion files, sets of files, encodings, old schemas."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.axes import Calibration
from unet2015.images.descriptions import decode_description
from unet2015.images.ome_metadata import LARGEST_COMPANION
from unet2015.images.reader import open_image

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
STACK = np.random.default_rng(0).integers(0, 255, (6, 16, 12), np.uint8)
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
LENGTHS = ' PhysicalSizeX="0.1" PhysicalSizeY="0.2" PhysicalSizeZ="0.5"'
FOUND = Calibration(0.2, 0.1, 0.5, None, "µm")


def pixels(blocks="<TiffData/>", sizes=(3, 1, 2), more=LENGTHS):
    z, c, t = sizes
    return (
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="12" SizeY="16" '
        f'SizeZ="{z}" SizeC="{c}" SizeT="{t}"{more}>{blocks}</Pixels></Image>'
    )


def ome(*images, uuid="", schema=f' xmlns="{SCHEMA}"', head=HEAD):
    uuid = f' UUID="{uuid}"' if uuid else ""
    return f"{head}<OME{schema}{uuid}>{''.join(images)}</OME>"


def block(name, uuid="", ifd=None, count=None, **first):
    attributes = "".join(f' First{key.upper()}="{value}"' for key, value in first.items())
    attributes += "" if ifd is None else f' IFD="{ifd}"'
    attributes += "" if count is None else f' PlaneCount="{count}"'
    return f'<TiffData{attributes}><UUID FileName="{name}">{uuid}</UUID></TiffData>'


def write(path, description, stack=STACK, **options):
    tifffile.imwrite(path, stack, description=description, metadata=None, photometric="minisblack", **options)
    return path


def reads(path, axes="TZYX", shape=(2, 3, 16, 12), calibration=FOUND, stack=STACK, given=None):
    """The image has these axes and these planes in order; return its notes in one line."""
    with open_image(path, given) as image:
        assert (image.axes, image.shape) == (axes, shape)
        assert image.calibration == calibration
        found = [image.read(page, 0, 16, 0, 12)[0] for page in range(image.pages)]
        np.testing.assert_array_equal(found, stack)
        return "; ".join(image.notes)


def refused(path, *words, axes=None):
    with pytest.raises(ImageReadError) as caught:
        open_image(path, axes).close()
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message) < 1000
    assert "\n" not in message
    for word in words:
        assert word in message


# Companion files


def pointer(name="set.companion.ome", uuid="urn:uuid:1"):
    return ome(f'<BinaryOnly MetadataFile="{name}" UUID="urn:uuid:2"/>', uuid=uuid)


def test_metadata_in_another_ome_tiff(tmp_path):
    path, found = write(tmp_path / "n.ome.tif", pointer("m.ome.tif")), []
    for uuid in ("urn:uuid:2", "urn:uuid:3"):
        said = ome(pixels(block("n.ome.tif", "urn:uuid:1", 0, 6)), uuid=uuid)
        master = write(tmp_path / "m.ome.tif", said)
        assert reads(path) == ""
        with open_image(path) as image:
            assert (image.kind, image.axes_source) == ("ome", "ome")
            found.append(image.companion)
    assert len({*found} - {None}) == 2
    for damaged in (write(tmp_path / "plain.tif", None).read_bytes(), b"II*\0"):
        master.write_bytes(damaged)
        with open_image(path) as image:
            assert "m.ome.tif, which cannot be read (it is a TIFF without metadata" in "".join(image.notes)


def test_metadata_in_a_companion_file(tmp_path):
    path = write(tmp_path / "set.ome.tif", pointer())
    (tmp_path / "set.companion.ome").write_text(ome(pixels(block("set.ome.tif", "urn:uuid:1", 0, 6))))
    assert reads(path) == ""
    with open_image(path) as image:
        assert (image.kind, image.axes_source) == ("ome", "ome")
    path.rename(tmp_path / "renamed.ome.tif")
    assert reads(tmp_path / "renamed.ome.tif") == ""


@pytest.mark.parametrize("name", ["other.ome.tif", "renamed.ome.tif"])
def test_a_companion_file_of_another_image_is_not_read(tmp_path, name):
    path = write(tmp_path / "a.ome.tif", pointer())  # which wants the UUID 2
    companion = tmp_path / "set.companion.ome"
    for uuid, block_of in (("urn:uuid:2", block(name, "urn:uuid:1", 0, 6)), ("URN:UUID:2", "<TiffData/>")):
        companion.write_text(ome(pixels(block_of), uuid=uuid))
        assert reads(path) == ""
    companion.write_text(ome(pixels(block(name, "urn:uuid:6", 0, 6)), uuid="urn:uuid:5"))
    notes = reads(path, "IYX", (6, 16, 12), Calibration())
    assert "set.companion.ome, which has that name, is of another image" in notes
    companion.write_text(ome(pixels(block("a.ome.tif", "urn:uuid:6", 0, 6)), uuid="urn:uuid:5"))
    assert reads(path) == ""


def test_a_companion_file_of_several_images_tells_each_file_its_own(tmp_path):
    blocks = [block(f"{i}.tif", f"urn:uuid:{i}", 0, 6) for i in (1, 3)]
    more = [LENGTHS, LENGTHS.replace("0.1", "0.3")]
    images = [pixels(inner, more=one) for inner, one in zip(blocks, more, strict=True)]
    (tmp_path / "set.companion.ome").write_text(ome(*images))
    for i, size in ((1, 0.1), (3, 0.3)):
        path = write(tmp_path / f"{i}.tif", pointer(uuid=f"urn:uuid:{i}"))
        reads(path, calibration=Calibration(0.2, size, 0.5, None, "µm"))


def test_a_companion_file_that_is_not_there_is_named(tmp_path):
    path = write(tmp_path / "set.ome.tif", pointer())
    notes = reads(path, "IYX", (6, 16, 12), Calibration())
    assert "set.companion.ome" in notes
    assert "not there" in notes
    with open_image(path, "ZYX") as image:
        assert "set.companion.ome" in image.notes[0]


@pytest.mark.parametrize("name", ["../set.companion.ome", "/etc/passwd", "..", "", "a\\b", "C:a", "x" * 300])
def test_a_companion_file_is_read_from_the_same_folder_only(tmp_path, name):
    (tmp_path / "set.companion.ome").write_text(ome(pixels()))
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in" / "set.ome.tif", pointer(name))
    assert "no name of a file beside it" in reads(path, "IYX", (6, 16, 12), Calibration())


def test_a_companion_file_that_is_none(tmp_path):
    path, other = write(tmp_path / "set.ome.tif", pointer()), tmp_path / "set.companion.ome"
    other.mkdir()
    assert "no regular file" in reads(path, "IYX", (6, 16, 12), Calibration())
    other.rmdir()
    with other.open("wb") as file:
        file.truncate(LARGEST_COMPANION + 1)
    assert "64 MiB" in reads(path, "IYX", (6, 16, 12), Calibration())
    other.write_text(pointer())
    assert "declares no image" in reads(path, "IYX", (6, 16, 12), Calibration())
    other.write_text("<OME><Image>")
    refused(path, "set.companion.ome", "damaged")
    assert "damaged" in reads(path, "ZYX", (6, 16, 12), Calibration(), given="ZYX")


# Sets of files, and renamed files


def test_of_several_files_each_has_its_own_planes(tmp_path):
    blocks = "".join(block(f"t{t}.tif", f"urn:uuid:{t}", 0, 3, t=t) for t in range(2))
    for t in range(2):
        path = write(
            tmp_path / f"t{t}.tif", ome(pixels(blocks), uuid=f"urn:uuid:{t}"), STACK[3 * t : 3 * t + 3]
        )
        notes = reads(path, "ZYX", (3, 16, 12), stack=STACK[3 * t : 3 * t + 3])
        assert "one of several files" in notes
        assert "SizeT=2" in notes
        assert "SizeT=1" in notes


def test_a_file_of_a_set_that_lacks_its_own_planes_is_cut_short(tmp_path):
    blocks = "".join(block(f"t{t}.tif", f"urn:uuid:{t}", 0, 3, t=t) for t in range(2))
    refused(
        write(tmp_path / "t0.tif", ome(pixels(blocks), uuid="urn:uuid:0"), STACK[:2]), "3 planes", "only 2"
    )


def test_planes_that_are_no_block_are_refused(tmp_path):
    blocks = block("a.tif", "urn:uuid:0", 0, 4) + block("b.tif", "urn:uuid:1", 0, 2, z=1, t=1)
    refused(write(tmp_path / "a.tif", ome(pixels(blocks), uuid="urn:uuid:0"), STACK[:4]), "several files")


def test_images_in_other_files_do_not_count(tmp_path):
    images = [pixels(block(f"{p}.tif", f"urn:uuid:{p}", 0, 6)) for p in range(3)]
    reads(write(tmp_path / "1.tif", ome(*images, uuid="urn:uuid:1")))
    refused(write(tmp_path / "b.tif", ome(*images, uuid="urn:uuid:7")), "not among the files", "name back")


@pytest.mark.parametrize("uuid", ["", "urn:uuid:1", "urn:uuid:7"])
@pytest.mark.parametrize("name", ["a.ome.tif", "day3.ome.tif"])
def test_a_file_that_holds_all_planes_is_read_whatever_its_name(tmp_path, name, uuid):
    blocks = "".join(
        block("a.ome.tif", "urn:uuid:1", z + 3 * t, 1, z=z, t=t) for z in range(3) for t in range(2)
    )
    path = write(tmp_path / name, ome(pixels(blocks), uuid=uuid))
    assert reads(path) == ""
    write(path, ome(pixels(blocks), uuid=uuid), STACK[:5])
    refused(path, "only 5")


def test_a_file_whose_planes_lie_in_another_beside_it_is_not_that_one_renamed(tmp_path):
    inside = pixels(block("b.tif", "urn:uuid:2", 0, 6))
    path = write(tmp_path / "a.tif", ome(inside, uuid="urn:uuid:1"), STACK + 1)
    reads(path, stack=STACK + 1)  # it may have got another UUID with its name
    reads(write(tmp_path / "b.tif", ome(inside, uuid="urn:uuid:2")))
    refused(path, "not among the files that the OME-XML names", "give the files that it names")
    reads(write(tmp_path / "c.tif", ome(inside, uuid="urn:uuid:2")))  # a copy of b.tif


def test_first_channel_counts_the_samples_of_a_pixel(tmp_path):
    blocks = '<TiffData FirstC="0" IFD="1"/><TiffData FirstC="3" IFD="0"/>'
    colour = np.stack([STACK[:3], STACK[3:]]).transpose(0, 2, 3, 1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, colour, description=ome(pixels(blocks, (1, 6, 1))), metadata=None, photometric="rgb"
    )
    with open_image(path) as image:
        assert image.channels == 6
        np.testing.assert_array_equal(image.read(0, 0, 16, 0, 12), np.concatenate([STACK[3:], STACK[:3]]))


@pytest.mark.parametrize(
    "attributes", ['IFD="-1"', 'IFD="0" PlaneCount="-2"', f'IFD="{"9" * 40}"', 'FirstZ="7"']
)
def test_tiffdata_that_is_damaged(tmp_path, attributes):
    refused(write(tmp_path / "a.tif", ome(pixels(f"<TiffData {attributes}/>"))), "OME-XML")


# How the text is written


MICRO = ' PhysicalSizeX="0.1" PhysicalSizeXUnit="µm" PhysicalSizeY="0.2" PhysicalSizeYUnit="µm"'
MICRO += ' PhysicalSizeZ="500" PhysicalSizeZUnit="nm"'


@pytest.mark.parametrize(
    ("declared", "stored"),
    [
        ("UTF-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("ISO-8859-1", "utf-8"),
        ("UTF-8", "latin-1"),
        ("utf-16", "utf-8"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-le"),
        ("utf-16", "utf-16-be"),
        ("no-such-encoding", "utf-8"),
        ("no-such-encoding", "latin-1"),
        ("Shift_JIS", "shift_jis"),
    ],
)
def test_every_encoding(tmp_path, declared, stored):
    micro = MICRO.replace("µ", "μ") if stored == "shift_jis" else MICRO
    text = ome(pixels(more=micro), head=f'<?xml version="1.0" encoding="{declared}"?>')
    found = FOUND if "µ" in micro else Calibration(0.2, 0.1, 0.5, None, "μm")
    assert reads(write(tmp_path / "a.tif", text.encode(stored)), calibration=found) == ""


def test_a_description_of_another_type_than_text(tmp_path):
    data = ome(pixels()).encode()
    path = tmp_path / "a.tif"
    tags = [(270, 1, len(data), data, True)]
    tifffile.imwrite(path, STACK, description=None, metadata=None, photometric="minisblack", extratags=tags)
    assert reads(path) == ""


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"\0\0", ""),
        (b" a\nb \0c", "a\nb"),
        (b"\xb5m", "µm"),
        (b"\xff", "ÿ"),
        (b"\xc2\xb5m\0\xff", "µm"),
        (b"\x81", "\x81"),
        (b"\xff\xfea\0b\0\0", "ab"),
        (b"<\0a\0\0\0c\0", "<a"),
        (b"\0<\0a", "<a"),
        (b'<?xml encoding="utf-16"?>\xb5', '<?xml encoding="utf-16"?>µ'),
        (b'<?xml encoding="rot13"?>\xb5', '<?xml encoding="rot13"?>µ'),
    ],
)
def test_bytes_become_text(data, text):
    assert decode_description(data) == text


@pytest.mark.parametrize(
    "text",
    [
        ome(pixels()) + "\0\0garbage",
        ome(pixels()) + "\n\n  ",
        ome(pixels()) + "garbage > of an older <header",
        "\n  " + ome(pixels(), head=""),
        ome(pixels(), schema=""),
        ome(pixels(), schema=' xmlns="http://www.openmicroscopy.org/Schemas/OME/2008-09"'),
        ome(pixels(), schema=' xmlns="http://www.openmicroscopy.org/Schemas/OME/2030-01"'),
        ome("<!-- Warning -->", pixels(), head=HEAD + "<!-- this is an OME-XML block -->"),
        f'{HEAD}<ome:OME xmlns:ome="{SCHEMA}">'
        + pixels().replace("</", "</ome:").replace("<", "<ome:").replace("<ome:/ome:", "</ome:")
        + "</ome:OME>",
    ],
)
def test_every_form_of_the_text(tmp_path, text):
    assert reads(write(tmp_path / "a.tif", text.encode())) == ""


def test_the_pixel_sizes_of_the_oldest_schema(tmp_path):
    image = pixels(more="").replace("<Image", '<Image PixelSizeX="0.1" PixelSizeY="0.2" PixelSizeZ="0.5"')
    schema = ' xmlns="http://www.openmicroscopy.org/XMLschemas/OME/FC/ome.xsd"'
    assert reads(write(tmp_path / "a.tif", ome(image, schema=schema))) == ""


@pytest.mark.parametrize(
    ("more", "calibration", "word"),
    [
        (LENGTHS.replace("0.5", "0,5"), Calibration(0.2, 0.1, None, None, "µm"), "PhysicalSizeZ is '0,5'"),
        (LENGTHS.replace("0.5", "0"), Calibration(0.2, 0.1, None, None, "µm"), "PhysicalSizeZ"),
        (LENGTHS.replace("0.5", ""), Calibration(0.2, 0.1, None, None, "µm"), ""),
        (LENGTHS + ' TimeIncrement="NaN"', FOUND, "TimeIncrement"),
        (LENGTHS + ' PhysicalSizeZUnit="pixel"', Calibration(0.2, 0.1, None, None, "µm"), "'pixel'"),
        (LENGTHS.replace("0.1", "x"), Calibration(0.2, None, 0.5, None, "µm"), "PhysicalSizeX"),
        (MICRO.replace("µm", "Âµm"), FOUND, ""),
    ],
)
def test_a_size_that_is_none_is_told(tmp_path, more, calibration, word):
    notes = reads(write(tmp_path / "a.tif", ome(pixels(more=more)).encode()), calibration=calibration)
    assert word in notes
    assert bool(word) == bool(notes)


# What is refused, or has no image


BOMB = '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("head", "inside"),
    [
        (BOMB + "]>", "&i;"),
        ('<!DOCTYPE OME SYSTEM "http://localhost:1/ome.dtd">', ""),
        ('<!DOCTYPE OME [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"),
    ],
)
def test_nothing_is_expanded_or_loaded(tmp_path, head, inside):
    text = ome(pixels(), inside, head=HEAD + head)
    refused(write(tmp_path / "a.tif", text.encode()), "document type")
    write(tmp_path / "b.tif", pointer())
    (tmp_path / "set.companion.ome").write_text(text)
    refused(tmp_path / "b.tif", "document type")


@pytest.mark.parametrize("end", [20, 200, -3])
def test_text_that_is_cut_short_is_refused_or_left_aside_on_request(tmp_path, end):
    text = ome(pixels())[len(HEAD) :][:end]
    path = write(tmp_path / "a.tif", text.encode())
    refused(path, "damaged", "--axes")
    assert "damaged" in reads(path, "ZYX", (6, 16, 12), Calibration(), given="ZYX")


@pytest.mark.parametrize("text", [ome(), ome("<StructuredAnnotations/>"), f"<OME xmlns='{SCHEMA}'/>"])
def test_without_an_image_it_is_a_plain_file(tmp_path, text):
    path = write(tmp_path / "a.tif", text.encode())
    assert "no image" in reads(path, "IYX", (6, 16, 12), Calibration())


@pytest.mark.parametrize("begin", ["<vendor>", "<!-- <OME> -->" * 40 + "<x>", "<OMERO>", "OME <OME>"])
def test_other_text_that_has_an_ome_inside_is_not_ome(tmp_path, begin):
    path = write(tmp_path / "a.tif", f"{begin}{ome(pixels(), head='')}</x>")
    assert reads(path, "IYX", (6, 16, 12), Calibration()) == ""


TYPES = [
    ("uint8", np.uint8),
    ("int8", np.int8),
    ("uint16", np.uint16),
    ("int32", np.int32),
    ("float", np.float32),
    ("double", np.float64),
]


@pytest.mark.parametrize("said", [name for name, _ in TYPES])
@pytest.mark.parametrize(("name", "dtype"), TYPES)
@pytest.mark.parametrize("key", ["Type", "PixelType"])
def test_pixels_of_another_type_than_is_declared_are_read_and_said(tmp_path, said, name, dtype, key):
    xml = ome(pixels()).replace('Type="uint8"', f'{key}="{said if key == "Type" else said.title()}"')
    path = write(tmp_path / "a.ome.tif", xml, STACK.astype(dtype))
    notes = reads(path, stack=STACK.astype(dtype))
    assert ("declares pixels of type" in notes) == (said != name)
    if said != name:
        assert np.dtype(dtype).name in notes


def test_a_type_of_one_bit_or_none(tmp_path):
    xml = ome(pixels())
    assert reads(write(tmp_path / "a.tif", xml.replace(' Type="uint8"', ""))) == ""
    assert "'bit'" in reads(write(tmp_path / "a.tif", xml.replace('"uint8"', '"bit"')))
    write(tmp_path / "a.tif", xml.replace('"uint8"', '"bit"'), STACK > 9)
    with open_image(tmp_path / "a.tif", labels=True) as image:
        assert image.notes == ()


@pytest.mark.parametrize("name", ["PlaneCount", "NumPlanes"])
def test_the_number_of_planes_by_its_names_in_all_schemas(tmp_path, name):
    old = ' xmlns="http://www.openmicroscopy.org/XMLschemas/OME/FC/ome.xsd"'
    reads(write(tmp_path / "a.ome.tif", ome(pixels(f'<TiffData IFD="0" {name}="6"/>'), schema=old)))
