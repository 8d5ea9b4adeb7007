"""CZI, ND2 and LIF files as images: the pixels that were written, and all that the files declare."""

import subprocess
import sys

import numpy as np
import pytest

from tests.images import microscope_files
from tests.images.microscope_files import (
    NAMES,
    SCALE,
    pixels,
    write_czi,
    write_lif,
    write_mosaic,
    write_nd2,
)
from unet2015.errors import AxesError, ImageReadError, ImageValueError
from unet2015.images import scenes
from unet2015.images.reader import find_images, open_image

SHAPE = (2, 3, 2, 20, 30)  # T, Z, C, Y, X
ENDINGS = ("czi", "lif", "nd2")


def write(path, images, names=()):
    """Write images of shape (T, Z, C, Y, X) as the format that the name ends in."""
    if path.suffix == ".czi":
        write_czi(path, [image[..., None] for image in images], names=names)
    elif path.suffix == ".lif":
        write_lif(path, list(zip(names or "ab", images, strict=False)))
    else:
        write_nd2(path, images)


@pytest.fixture(params=ENDINGS)
def path(request, tmp_path):
    return tmp_path / f"a.{request.param}"


def test_pixels_axes_channels_and_scales_are_those_that_were_written(path):
    array = pixels(SHAPE)
    write(path, [array])
    with open_image(path) as image:
        assert (image.axes, image.shape, image.dtype) == ("TZCYX", SHAPE, np.uint16)
        assert (image.axes_source, image.channel_names, image.notes) == ("file", NAMES, ())
        for page in range(6):
            whole = image.read(page, 0, 20, 0, 30)
            assert np.array_equal(whole, array[page // 3, page % 3])
            assert whole.dtype == image.dtype
        assert np.array_equal(image.read(4, 3, 9, 7, 8), array[1, 1, :, 3:9, 7:8])
        found = image.calibration
    height, width = (SCALE[1], SCALE[1]) if path.suffix == ".nd2" else SCALE[:2]  # which has one for both
    assert (found.pixel_size_y, found.pixel_size_x) == (pytest.approx(height), pytest.approx(width))
    assert (found.z_spacing, found.unit) == (pytest.approx(SCALE[2]), "µm")
    if path.suffix != ".czi":
        assert (found.time_interval, found.time_unit) == (pytest.approx(3), "s")


@pytest.mark.parametrize("shape", [(1, 1, 1, 5, 7), (1, 1, 3, 6, 1), (4, 1, 1, 1, 8), (1, 2, 1, 9, 4)])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_axes_of_length_1_are_left_out(path, shape, dtype, monkeypatch):
    monkeypatch.setattr("tests.images.microscope_files.NAMES", ("a", "b", "c"))
    array = pixels(shape, dtype)
    write(path, [array])
    with open_image(path) as image:
        expected = "".join(k for k, n in zip("TZC", shape, strict=False) if n > 1) + "YX"
        assert (image.axes, image.dtype) == (expected, np.dtype(dtype))
        got = [image.read(page, 0, *shape[3:4], 0, *shape[4:]) for page in range(image.pages)]
        assert np.array_equal(np.stack(got).ravel(), array.ravel())


def test_one_channel_by_name_reads_that_channel(path):
    array = pixels(SHAPE)
    write(path, [array])
    with open_image(path, channel="GFP") as image:
        assert (image.axes, image.channel_names, image.reader) == ("TZYX", ("GFP",), image._image.reader)
        assert np.array_equal(image.read(5, 2, 20, 0, 30)[0], array[1, 2, 1, 2:])


def test_several_scenes_are_never_chosen_silently(path):
    both = [pixels(SHAPE, seed=1), pixels(SHAPE, seed=2)]
    write(path, both, names=("A1", "B2"))
    names = ("well 0", "well 1") if path.suffix == ".nd2" else ("A1", "B2")
    listed = rf"it holds 2 images \(scenes\): 0:{names[0]}, 1:{names[1]}; .*--scene"
    with pytest.raises(ImageValueError, match=listed):
        open_image(path)
    for number, name in enumerate(names):
        for scene in (number, str(number), name, f"{number}:{name}"):
            with open_image(path, scene=scene) as image:
                assert np.array_equal(image.read(4, 0, 20, 0, 30), both[number][1, 1])
    for scene in (2, "-1", "", "C3", f"1:{names[0]}"):
        with pytest.raises(ImageValueError, match=r"--scene: none is .*; it holds 2 images"):
            open_image(path, scene=scene)


@pytest.mark.parametrize("ending", ["czi", "lif"])
def test_scenes_may_have_other_sizes_and_no_names(tmp_path, ending):
    both, path = [pixels((1, 1, 2, 20, 30)), pixels((1, 1, 2, 25, 33), seed=2)], tmp_path / f"a.{ending}"
    write(path, both, names=("a", "a") if ending == "lif" else ())
    for scene, array in enumerate(both):
        with open_image(path, scene=scene) as image:
            assert np.array_equal(image.read(0, 0, image.height, 0, image.width), array[0, 0])
    if ending == "lif":
        with pytest.raises(ImageValueError, match="2 are meant by 'a': give number and name"):
            open_image(path, scene="a")


def test_other_formats_hold_one_image(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8))
    with pytest.raises(ImageValueError, match=r"a\.tif: --scene: expected a CZI, ND2 or LIF file"):
        open_image(tmp_path / "a.tif", scene=0)


def test_the_first_bytes_decide_not_the_name(path):
    write(path, [pixels(SHAPE)])
    other = path.with_name("b.tif")
    path.rename(other)
    with open_image(other) as image:
        assert image.axes == "TZCYX"
        assert image.reader.split()[0] in ("pylibCZIrw", "liffile", "nd2")


@pytest.mark.parametrize("module", ["pylibCZIrw.czi", "liffile", "nd2"])
def test_without_the_libraries_it_says_what_to_install(tmp_path, module, monkeypatch):
    ending = {"pylibCZIrw.czi": "czi"}.get(module, module[:3])
    path = tmp_path / f"a.{ending}"
    write(path, [pixels(SHAPE)])
    monkeypatch.setitem(sys.modules, module, None)
    said = rf"a\.{ending}: .*; pip install 'unet2015\[microscopes\]', or export"
    with pytest.raises(ImageReadError, match=said):
        open_image(path)


def test_the_libraries_are_loaded_when_such_a_file_is_read():
    code = (
        "import sys, unet2015.images.reader as _; print({'pylibCZIrw', 'nd2', 'liffile'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def all_pages(path):
    with open_image(path) as image:
        return np.stack([image.read(page, 0, image.height, 0, image.width) for page in range(image.pages)])


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_what_was_cut_short_is_an_error_that_names_the_file(path, share):
    write(path, [pixels(SHAPE)])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageReadError, match=r"^\S*a\.\w{3}: "):
        all_pages(path)


def test_damage_of_the_header_is_an_error_that_names_the_file(path):
    generator, errors = np.random.default_rng(3), []
    write(path, [pixels(SHAPE)])
    data = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(25):
        damaged = data.copy()
        damaged[generator.integers(0, 500, 5)] ^= 0xFF
        path.write_bytes(damaged.tobytes())
        try:
            all_pages(path)
        except (ImageReadError, AxesError) as error:
            errors.append(str(error))
    assert errors
    assert all(error.startswith(f"{path}: ") and "report it" not in error for error in errors)


def test_frames_that_are_not_there_are_said(tmp_path):
    array = pixels(SHAPE)
    write_nd2(tmp_path / "a.nd2", [array], missing=3)
    with open_image(tmp_path / "a.nd2") as image:
        assert image.notes == ("1 of 6 planes are not in the file and read as 0",)
        assert not image.read(3, 0, 20, 0, 30).any()
        assert np.array_equal(image.read(4, 0, 20, 0, 30), array[1, 1])


@pytest.mark.parametrize("number", [0, 2])
def test_a_frame_shorter_than_its_pixels_is_an_error(tmp_path, number):
    array = pixels((3, 1, 1, 5, 6))
    write_nd2(tmp_path / "a.nd2", [array])
    whole = (tmp_path / "a.nd2").read_bytes()
    place = whole.rindex(b"ImageDataSeq|%d!" % number) + len("ImageDataSeq|0!") + 8  # in the map of parts
    size = int.from_bytes(whole[place : place + 8], "little")
    assert size == 8 + array[0].nbytes
    for less in (1, array[0].nbytes // 2):
        cut = whole[:place] + (size - less).to_bytes(8, "little") + whole[place + 8 :]
        (tmp_path / "a.nd2").write_bytes(cut)
        with pytest.raises(ImageReadError, match=f"frame {number} has {size - less} bytes, .* take {size};"):
            open_image(tmp_path / "a.nd2")


@pytest.mark.parametrize(("times", "declared"), [(1, 3), (2, 6)])
def test_frames_that_no_loop_counts_are_said(tmp_path, times, declared):
    """Such as those of a JOBS recording, whose loops the library does not know."""
    write_nd2(tmp_path / "a.nd2", [pixels((3, *SHAPE[1:]))], times=times)
    with open_image(tmp_path / "a.nd2") as image:
        (note,) = image.notes
        assert note.startswith(f"it declares {declared} frames, but the file holds {9 - declared} more")
        assert image.pages == declared


def test_planes_that_are_not_there_are_said(tmp_path):
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for t, c in ((0, 0), (0, 1), (1, 1)):
            file.write(data=pixels((4, 5, 1)), plane={"T": t, "C": c})
    with open_image(tmp_path / "a.czi") as image:
        assert (image.axes, image.shape) == ("TCYX", (2, 2, 4, 5))
        (note,) = image.notes
        assert note.startswith("1 of 4 planes are not in the file and read as 0; ")
        assert image.calibration.unit is None


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (
            {"data": pixels((4, 5, 1)), "plane": {"T": 10**6}},
            "2 planes of 40 pixels in all, for 1000001 places",
        ),
        ({"data": pixels((4, 5, 1)), "location": (2**23, 0)}, "for 1 places of 4 x 8388613 pixels"),
        ({"data": pixels((4, 5, 1), "u1"), "plane": {"C": 1}}, "pixels of the kinds Gray16, Gray8"),
    ],
)
def test_a_directory_that_cannot_be_is_refused_before_anything_is_read(tmp_path, second, said):
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        file.write(data=pixels((4, 5, 1)), plane={"C": 0})
        file.write(**second)
    with pytest.raises(ImageReadError, match=rf"a\.czi: .*{said}"):
        open_image(tmp_path / "a.czi")


def test_a_mosaic_is_put_together_by_the_places_of_its_tiles(tmp_path):
    places = ((100, -20, 20), (128, -20, 20), (100, 0, 15))
    tiles = [(x, y, pixels((rows, 30), "u1", seed=x + y)) for x, y, rows in places]
    write_mosaic(tmp_path / "a.czi", tiles)
    with open_image(tmp_path / "a.czi") as image:
        assert (image.axes, image.shape) == ("YX", (35, 58))
        whole = image.read(0, 0, 35, 0, 58)[0]
        assert np.array_equal(image.read(0, 10, 30, 20, 40)[0], whole[10:30, 20:40])
        assert "a mosaic: 3 tiles for 1 planes" in image.notes[0]
    assert np.array_equal(whole[:20, :28], tiles[0][2][:, :28])
    assert np.array_equal(whole[:20, 30:], tiles[1][2][:, 2:])
    assert np.array_equal(whole[20:, :30], tiles[2][2])
    assert not whole[20:, 30:].any()


def test_colours_are_red_green_blue(tmp_path):
    array = pixels((1, 1, 1, 6, 7, 3), "u1")
    write_czi(tmp_path / "a.czi", [array[..., ::-1]])  # the library takes blue first
    with open_image(tmp_path / "a.czi") as image:
        assert (image.axes, image.shape, image.channel_names) == ("YXC", (6, 7, 3), ())
        assert np.array_equal(image.read(0, 0, 6, 0, 7), array[0, 0, 0].transpose(2, 0, 1))
        assert np.array_equal(image.read_channel(2, 0, 0, 6, 0, 7)[0], array[0, 0, 0, ..., 2])


def test_other_kinds_of_axes_are_pages_until_they_are_named(tmp_path):
    tiles = pixels((4, 1, 1, 5, 6))[:, 0, 0]
    write_lif(tmp_path / "a.lif", [("a", tiles[:, None, None])], tiles=4)
    with open_image(tmp_path / "a.lif") as image:
        assert (image.axes, image.shape) == ("IYX", (4, 5, 6))
        assert "not put together" in image.notes[0]
        assert np.array_equal(image.read(2, 0, 5, 0, 6)[0], tiles[2])
    with open_image(tmp_path / "a.lif", "CYX") as image:
        assert np.array_equal(image.read(0, 0, 5, 0, 6), tiles)
    with pytest.raises(AxesError):
        open_image(tmp_path / "a.lif", "TZCYX")


def test_without_calibration_there_is_no_pixel_size(tmp_path):
    write_nd2(tmp_path / "a.nd2", [pixels((1, 1, 1, 5, 6))], calibrated=False)
    with open_image(tmp_path / "a.nd2") as image:
        assert image.calibration.pixel_size_x is None


def test_pixels_of_half_a_metre_are_no_calibration(path, monkeypatch):
    """As where metres were written for micrometres."""
    monkeypatch.setattr(microscope_files, "SCALE", (5e5, 5e5, 2.0))
    write(path, [pixels((1, 2, 1, 5, 6))])
    with open_image(path) as image:
        assert (image.calibration.pixel_size_y, image.calibration.pixel_size_x) == (None, None)
        assert image.calibration.z_spacing == pytest.approx(2)
        (note,) = image.notes
    assert note == "the file says that a pixel is 500000 µm wide: taken as no calibration"


def test_large_planes_count_as_memory_before_they_are_read(tmp_path, monkeypatch):
    write_czi(tmp_path / "a.czi", [pixels((1, 1, 1, 50, 60, 1))])
    monkeypatch.setattr("unet2015.images.decoded.KEPT_BYTES", 1000)
    with open_image(tmp_path / "a.czi") as image:
        assert image.decoding_bytes == 2 * 50 * 60 * 2 - 1000


def test_a_folder_stands_for_them_too_but_not_beside_an_export(tmp_path, caplog):
    for name in ("a.czi", "b.czi", "b.tif", "c.nd2", "c.jpg", "d.LIF"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_images([tmp_path])] == ["a.czi", "b.tif", "c.nd2", "d.LIF"]
    assert "files of microscopes beside images of the same name are left out" in caplog.text
    assert "(1): b.czi" in caplog.text


def test_a_scene_of_a_file_without_images(tmp_path):
    with pytest.raises(ImageReadError, match="the file holds no image"):
        scenes.choose_scene([], None, tmp_path / "a.lif")


def test_the_order_of_colours_in_nd2_is_said_to_be_unsure(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.images.microscope_files.NAMES", ("a", "b", "c"))
    array = pixels((1, 1, 3, 5, 6))
    write_nd2(tmp_path / "a.nd2", [array], colours=True)
    with open_image(tmp_path / "a.nd2") as image:
        assert (image.axes[-1], image.channels, image.channel_names) == ("C", 3, ())
        assert np.array_equal(image.read(0, 0, 5, 0, 6), array[0, 0])
        assert any("taken as they are stored, which may be blue first" in note for note in image.notes)
    write_nd2(tmp_path / "b.nd2", [array])
    with open_image(tmp_path / "b.nd2") as image:
        assert not any("blue first" in note for note in image.notes)
