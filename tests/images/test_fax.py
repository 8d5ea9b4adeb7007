"""Strips of fax compressions (CCITT): whole ones are read as they are, damaged ones are refused."""

import io
import struct
from itertools import pairwise

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from unet2015.errors import ImageReadError
from unet2015.images.fax import GROUP_3, GROUP_4, RLE, decode_fax
from unet2015.images.fax_codes import words_of_modes, words_of_runs
from unet2015.images.reader import open_image

WRITTEN = [
    ("tiff_ccitt", 0),
    *(("group3", options) for options in (0, 1, 4, 5)),  # 1: lines of two dimensions; 4: fill bits
    ("group4", 0),
]
"""Compressions of Pillow (libtiff), and the options of Group 3 (tag 292)."""
BOTH = [words_of_runs("white"), words_of_runs("black")]
MODES = words_of_modes()
END_OF_LINE = "000000000001"
ROWS, COLUMNS = np.indices((96, 120))
CENTRES = np.random.default_rng(0).integers(0, 120, (9, 2))
DISKS = np.any([(ROWS - y) ** 2 + (COLUMNS - x) ** 2 < 90 for y, x in CENTRES], axis=0)


def written(mask, compression, options, rows=2**16, low_bit_first=False):
    """Return the bytes of a TIFF as Pillow writes it, with strips of so many rows."""
    tags = ImageFileDirectory_v2()
    tags[278] = rows
    if compression == "group3":
        tags[292] = options
    if low_bit_first:
        tags[266] = 2
    out = io.BytesIO()
    Pillow.fromarray(mask).save(out, "TIFF", compression=compression, tiffinfo=tags)
    return out.getvalue()


def first_strip(data):
    """Return place and number of bytes of the first strip, and its compression."""
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        page = tif.pages[0]
        return page.dataoffsets[0], page.databytecounts[0], int(page.compression)


def strip_of(mask, compression, options):
    data = written(mask, compression, options)
    place, count, code = first_strip(data)
    return data[place : place + count], code


def read(path):
    with open_image(path, labels=True) as image:
        return image.read(0, 0, image.height, 0, image.width)[0]


def packed(bits):
    """Return a text of 0 and 1 as bytes."""
    return np.packbits([int(bit) for bit in bits]).tobytes()


def runs(*lengths):
    """Return the code words of runs, the first of white."""
    words = []
    for i, run in enumerate(lengths):
        while run > 63:
            more = min(run // 64 * 64, 2560)
            words.append(BOTH[i % 2][more])
            run -= more
        words.append(BOTH[i % 2][run])
    return "".join(words)


@st.composite
def masks(draw):
    width, height = draw(st.integers(1, 200)), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from([0, 0.02, 0.5, 0.98, 1]))
    coarse = draw(st.sampled_from([1, 3, 11]))
    noise = rng.random((height, width)) < density
    mask = np.repeat(np.repeat(noise, coarse, 0), coarse, 1)[:height, :width]
    for value in draw(st.lists(st.booleans(), max_size=4)):  # lines of one colour
        mask[rng.integers(height)] = value
    return mask


@given(mask=masks(), rows=st.integers(1, 60), how=st.sampled_from(WRITTEN), low_bit_first=st.booleans())
def test_what_libtiff_writes_is_read(mask, rows, how, low_bit_first, tmp_path_factory):
    path = tmp_path_factory.mktemp("fax") / "a.tif"
    path.write_bytes(written(mask, *how, rows, low_bit_first))
    assert np.array_equal(read(path), mask)
    assert np.array_equal(tifffile.imread(path).astype(bool), mask)


@pytest.mark.parametrize("how", WRITTEN)
def test_runs_of_every_length(how):
    width = 5300  # which takes two of the longest code words
    mask = np.arange(width) >= np.arange(0, width, 3)[:, None]
    mask[::2] = ~mask[::2]
    data, code = strip_of(mask, *how)
    assert np.array_equal(decode_fax(data, code, *mask.shape, how[1]), mask)


@pytest.mark.parametrize("words", [*BOTH, MODES])
def test_no_code_word_begins_as_another(words):
    assert len(words) in (64 + 27 + 13, 7 + 4)
    ordered = sorted(words.values())
    assert not any(b.startswith(a) for a, b in pairwise(ordered))


@pytest.mark.parametrize("how", WRITTEN)
def test_a_lost_part_is_refused(tmp_path, how):
    data = written(DISKS, *how)
    place, count, _ = first_strip(data)
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    assert np.array_equal(read(path), DISKS)
    for start, stop in ((count // 3, count // 3 + 40), (count * 7 // 10, count), (0, 40), (0, count)):
        path.write_bytes(data[: place + start] + bytes(stop - start) + data[place + stop :])
        with pytest.raises(
            ImageReadError, match=r"strip or tile 0 cannot be decoded: line .* of 96 .*copy it"
        ):
            read(path)


@pytest.mark.parametrize("how", WRITTEN)
def test_a_strip_that_was_cut_is_refused(how):
    data, code = strip_of(DISKS, *how)
    whole = next(n for n in range(1, len(data) + 1) if is_read(data[:n], code, how[1]))
    assert len(data) - whole <= 4  # what may follow the last line
    for end in range(whole):
        with pytest.raises(ValueError, match=r"^line \d+ of 96 "):
            decode_fax(data[:end], code, *DISKS.shape, how[1])
    with pytest.raises(ValueError, match=r"^line 96 of 97 "):
        decode_fax(data, code, 97, 120, how[1])


def is_read(data, code, options):
    try:
        decode_fax(data, code, *DISKS.shape, options)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("how", "unseen"), list(zip(WRITTEN, [8, 10, 63, 10, 79, 175], strict=True)))
def test_single_wrong_bits(how, unseen):
    """`unseen` is in how many of 1,000 cases the pixels are others and all code words still fit.

    libtiff says nothing of these, either.
    """
    mask = DISKS[:64, :90]
    data, code = strip_of(mask, *how)
    others = 0
    for bit in range(8 * len(data)):
        wrong = bytearray(data)
        wrong[bit // 8] ^= 1 << bit % 8
        try:
            others += not np.array_equal(decode_fax(bytes(wrong), code, *mask.shape, how[1]), mask)
        except ValueError:
            continue
    assert round(1000 * others / (8 * len(data))) == unseen


LINES = np.array([[0, 0, 0, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 1]], bool)
CODED = [runs(3, 2, 3), runs(0, 2, 5, 1)]
FILLED = "0" * 9


@pytest.mark.parametrize(
    "bits",
    [
        END_OF_LINE + CODED[0] + END_OF_LINE + CODED[1],
        END_OF_LINE + CODED[0] + FILLED + END_OF_LINE + CODED[1] + 6 * END_OF_LINE,  # with no option for it
        END_OF_LINE + CODED[0] + END_OF_LINE + runs(0, 1, 0, 1, 2, 0, 3, 1),  # runs without pixels
        END_OF_LINE + CODED[0] + runs(0)[:8] + END_OF_LINE + CODED[1],  # one more than is needed
        "".join(CODED),  # no line has an end
    ],
)
def test_lines_of_group_3_as_libtiff_takes_them(bits):
    assert np.array_equal(decode_fax(packed(bits), GROUP_3, 2, 8), LINES)


def test_a_long_run_may_lack_its_last_code_word():
    bits = 2 * (END_OF_LINE + BOTH[0][64]) + END_OF_LINE
    assert not decode_fax(packed(bits), GROUP_3, 2, 64).any()
    with pytest.raises(ValueError, match=r"^line 0 of 2 has 64 px, not 65"):
        decode_fax(packed(bits), GROUP_3, 2, 65)
    with pytest.raises(ValueError, match=r"^line 0 of 1 has a code word that does not exist"):
        decode_fax(packed(END_OF_LINE + BOTH[0][64] + "000000000111"), GROUP_3, 1, 64)


def test_lines_of_modified_huffman_begin_on_a_byte():
    aligned = b"".join(map(packed, CODED))
    assert np.array_equal(decode_fax(aligned, RLE, 2, 8), LINES)
    with pytest.raises(ValueError, match=r"^line 1 of 2 "):
        decode_fax(packed("".join(CODED)), RLE, 2, 8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["V3", "0001"], "has 11 px, not 8"),
        (["H", runs(5, 4)], "has 9 px, not 8"),
        (["H", runs(3, 2), "L2", "V0"], None),
        (["H", runs(0, 2), "L3"], "has 5 px"),
        (["H", "000000001"], "has a code word that does not exist"),
        (["E", "111"], "has a code word that does not exist"),
    ],
)
def test_words_of_group_4(words, said):
    short = {"V0": MODES[0], "V3": MODES[3], "L2": MODES[-2], "L3": MODES[-3], "H": MODES[4], "E": MODES[6]}
    data = packed("".join(short.get(word, word) for word in words) + 2 * END_OF_LINE)
    if said is None:
        assert decode_fax(data, GROUP_4, 1, 8).tolist() == [[0, 0, 0, 1, 1, 0, 1, 1]]
    else:
        with pytest.raises(ValueError, match=f"^line 0 of 1 {said}"):
            decode_fax(data, GROUP_4, 1, 8)


def test_changes_do_not_go_back():
    above = MODES[4] + runs(1, 7)
    with pytest.raises(ValueError, match=r"^line 1 of 2 has a change before the one before it"):
        decode_fax(packed(above + MODES[-2]), GROUP_4, 2, 8)


def test_pixels_that_are_not_coded_are_not_supported():
    """Only where the file says that there may be some; else a bit of it is wrong."""
    data = packed(MODES[6] + "111" + 24 * "0")
    with pytest.raises(NotImplementedError, match="pixels without compression"):
        decode_fax(data, GROUP_4, 1, 8, options=2)


def tiff(*pages):
    """Return a TIFF of pages, each a dictionary of tags and its strips or tiles; tags are as of one bit."""
    out, link = bytearray(b"II*\0" + bytes(4)), 4
    for tags, parts in pages:
        where, counts = (324, 325) if 322 in tags else (273, 279)
        starts = [len(out) + sum(map(len, parts[:i])) for i in range(len(parts))]
        out += b"".join(parts) + bytes(sum(map(len, parts)) % 2)
        lists = len(out)
        sizes = list(map(len, parts))
        out += struct.pack(f"<{2 * len(parts)}I", *starts, *sizes)
        one = len(parts) == 1
        entries = {258: (1, 1), 262: (1, 1), 277: (1, 1)} | {tag: (1, value) for tag, value in tags.items()}
        entries[where] = (len(parts), starts[0] if one else lists)
        entries[counts] = (len(parts), sizes[0] if one else lists + 4 * len(parts))
        struct.pack_into("<I", out, link, len(out))
        out += struct.pack("<H", len(entries))
        for tag, (number, value) in sorted(entries.items()):
            out += struct.pack("<HHII", tag, 4, number, value)
        link = len(out)
        out += bytes(4)
    return bytes(out)


def ordered(parts, low_bit_first):
    return [bytes(imagecodecs.bitorder_decode(part)) if low_bit_first else bytes(part) for part in parts]


@pytest.mark.parametrize("low_bit_first", [False, True])
def test_tiles(tmp_path, low_bit_first):
    mask = np.pad(DISKS[:80, :48], ((0, 16), (0, 16)))
    parts = [strip_of(mask[y : y + 32, x : x + 32], "group4", 0)[0] for y in (0, 32, 64) for x in (0, 32)]
    tags = {256: 48, 257: 80, 259: GROUP_4, 266: 1 + low_bit_first, 322: 32, 323: 32}
    (tmp_path / "a.tif").write_bytes(tiff((tags, ordered(parts, low_bit_first))))
    assert np.array_equal(read(tmp_path / "a.tif"), DISKS[:80, :48])


def test_each_page_has_its_own_options(tmp_path):
    pages = [DISKS, ~DISKS, DISKS[::-1]]
    coded = [
        (options, strip_of(page, "group3", options)[0])
        for page, options in zip(pages, (0, 1, 0), strict=True)
    ]
    tags = {256: 120, 257: 96, 259: GROUP_3, 278: 96}
    (tmp_path / "a.tif").write_bytes(tiff(*((tags | {292: options}, [strip]) for options, strip in coded)))
    with open_image(tmp_path / "a.tif", labels=True) as image:
        for number, page in enumerate(pages):
            assert np.array_equal(image.read(number, 0, 96, 0, 120)[0], page)


@pytest.mark.parametrize("low_bit_first", [False, True])
def test_packbits_of_more_bytes_than_a_full_strip(tmp_path, low_bit_first):
    """Where a pixel is a bit: of others tifffile says it itself."""
    rows = np.packbits(DISKS, axis=1)
    tags = {256: 120, 257: 96, 259: 32773, 266: 1 + low_bit_first, 278: 64}
    path = tmp_path / "a.tif"
    for more, said in ((0, None), (32 * 15, None), (32 * 15 + 1, "it holds 961 bytes of pixels")):
        parts = [rows[:64].tobytes(), rows[64:].tobytes() + bytes(more)]
        path.write_bytes(tiff((tags, ordered(map(imagecodecs.packbits_encode, parts), low_bit_first))))
        if said is None:
            assert np.array_equal(read(path), DISKS)
        else:
            with pytest.raises(ImageReadError, match=f"strip or tile 1 cannot be decoded: {said}"):
                read(path)
