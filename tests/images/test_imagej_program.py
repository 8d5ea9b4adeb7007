"""Files, and class maps made of them, as ImageJ sees them; skipped where there is no ImageJ."""

import itertools

import numpy as np
import pytest
import tifffile

from tests.images.flavours import FLAVOURS, PAGES, STACK
from tests.images.imagej_program import find_imagej, open_with_imagej
from unet2015.images.axes import unit_factor
from unet2015.images.display import colours_of_labels, display_of_classes, display_of_labels
from unet2015.images.reader import open_image
from unet2015.images.writer import ImageWriter

pytestmark = pytest.mark.slow
NAMES = {"microns": "µm", "um": "µm", "inches": "in"}  # as ImageJ spells them
PLANE = PAGES[0]
ENDS = (".tif", ".classes.tif")


def header(*lines):
    return "ImageJ=1.53t\n" + "".join(f"{line}\n" for line in lines)


def written(pixels=PLANE, resolution=(4, 2), unit="NONE", **options):
    options = {"photometric": "minisblack", "metadata": None, **options}
    return lambda path: tifffile.imwrite(path, pixels, resolution=resolution, resolutionunit=unit, **options)


HYPER = {"imagej": True, "metadata": {"axes": "TZCYX", "unit": "um", "spacing": 2, "finterval": 2.5}}
DOWN = header("images=3", "slices=3", "spacing=-1.5", "unit=micron", "loop=false")
ALIKE = {
    "hyperstack": FLAVOURS["ImageJ"].write,
    "nih": FLAVOURS["NIH Image"].write,
    "zlib": written(STACK, **HYPER, compression="zlib"),
    "uint16": written(STACK.astype(np.uint16) * 257, **HYPER),
    "float32": written(STACK.astype(np.float32) / 8, **HYPER),
    "down": written(PAGES[:3], description=DOWN),
    "centimetres": written(unit="CENTIMETER", resolution=(40000, 20000)),
    "um beside centimetres": written(
        unit="CENTIMETER", resolution=(15313.94, 7656), description=header("unit=um")
    ),
    "inch beside um": written(unit="INCH", description=header("unit=um")),
    "rough um beside centimetres": written(unit="CENTIMETER", description=header("unit=um")),
    "printer": written(unit="INCH", resolution=(300, 300)),
    "72": written(unit="INCH", resolution=(72, 72)),
    "ratio": written(),
    "white": written(photometric="miniswhite", resolution=(40000, 20000), unit="CENTIMETER"),
    "white 16": written(PLANE.astype(np.uint16), photometric="miniswhite", resolution=(72, 72), unit="INCH"),
    "imagej white": written(photometric="miniswhite", description=header("unit=um")),
    **{
        f"unit {i}": written(description=header(f"unit={unit}"))
        for i, unit in enumerate(("um", "micron", "\\u00B5m", "nm", "mm", "cm", "inch"))
    },
}
"""Files of which ImageJ knows as much as is read here."""

OTHERWISE = {
    "micron beside centimetres": written(
        unit="CENTIMETER", resolution=(15313.94, 7656), description=header("unit=micron")
    ),
    "screen": written(unit="INCH", resolution=(96, 96)),
    "screen beside um": written(unit="INCH", resolution=(96, 96), description=header("unit=um")),
    "screen in um": written(resolution=(72 / 25400, 72 / 25400), description=header("unit=um")),
    "no unit in the header": written(unit="CENTIMETER", resolution=(40000, 20000), description=header()),
}
"""Files that are read in another way on purpose: docs/files.md says why."""


LABELS = {
    "few labels": ("hyperstack", np.uint16, 7),
    "many labels": ("hyperstack", np.uint16, 3000),
    "labels in OME-TIFF": ("OME", np.uint16, 7),
    "labels of 32 bits": ("hyperstack", np.uint32, 70000),
    "labels in plain TIFF": ("centimetres", np.uint16, 7),
}
"""Names of label images; like which image, of which type, and the largest label."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Path, and what ImageJ sees, of every file and of the class map that is made of it."""
    command = find_imagej()
    if command is None:
        pytest.skip("no ImageJ; install the Debian packages libij-java and default-jre-headless")
    folder = tmp_path_factory.mktemp("files")
    paths = {}
    for name, write in (ALIKE | OTHERWISE).items():
        path, made = paths[name], paths[f"{name}, class map"] = [folder / f"{name}{end}" for end in ENDS]
        write(path)
        with (
            open_image(path) as image,
            ImageWriter(made, image, np.uint8, display=display_of_classes(2)) as writer,
        ):
            for page in range(image.pages):
                writer.write(classes(image, page))
    write, paths["OME"] = FLAVOURS["OME-TIFF"].write, folder / "input.ome.tif"
    write(paths["OME"])
    for name, (like, dtype, largest) in LABELS.items():
        with open_image(paths[like]) as image:
            paths[name] = folder / f"{name}.tif"
            write_labels(paths[name], image, dtype, largest)
    with open_image(paths.pop("OME")) as image:
        paths["classes in OME-TIFF"] = folder / "classes.ome.tif"
        write_labels(paths["classes in OME-TIFF"], image, np.uint8, 1, display_of_classes(2))
    found = open_with_imagej(command, list(paths.values()), tmp_path_factory.mktemp("imagej"))
    return {name: (path, found[path]) for name, path in paths.items()}


def write_labels(path, image, dtype, largest, display=None):
    """Labels 1 and `largest` over a whole page each, and background above them."""
    with ImageWriter(path, image, dtype, display=display or display_of_labels(largest)) as writer:
        for page in range(image.pages):
            rows = np.full((image.height, image.width), largest if page % 2 == 0 else 1, dtype)
            rows[0] = 0
            writer.write(rows)


def classes(image, page):
    return (image.read(page, 0, image.height, 0, image.width)[0] > 100).astype(np.uint8)


def micrometres(length, unit):
    factor = unit_factor(NAMES.get(unit, unit), "µm")
    return None if length is None or factor is None else length * factor


def same_calibration(image, imagej):
    """Whether ImageJ shows the pixel size, spacing and interval that are read here."""
    found = image.calibration
    lengths = (found.pixel_size_x, found.pixel_size_y, found.z_spacing)
    for length, shown in zip(lengths, (imagej.width, imagej.height, imagej.depth), strict=True):
        if length is not None:
            assert micrometres(shown, imagej.unit) == pytest.approx(micrometres(length, found.unit), rel=1e-6)
    if found.pixel_size_x is None:
        assert micrometres(1, imagej.unit) is None
    assert imagej.interval == (found.time_interval or 0)


def same_planes(image, imagej, inverted=False):
    """Whether ImageJ has the same planes along the same axes; without its own header it has slices."""
    axes = {letter: image.size(letter) for letter in "CZT"}
    if set(image.page_axes) & {"I"} or image.kind in ("plain", "ome"):
        axes = {"C": image.channels, "Z": image.pages, "T": 1}
    assert imagej.sizes == tuple(axes.values())
    top = 2**image.bits - 1 if inverted else 0
    places = itertools.product(range(image.pages), range(image.channels))
    expected = []
    for page, channel in places:
        pixels = abs(top - image.read(page, 0, image.height, 0, image.width)[channel].astype(float))
        expected.append([pixels[0, 0], pixels[0, -1], pixels[-1, 1]])
    assert imagej.pixels == expected


@pytest.mark.parametrize("name", ALIKE)
def test_what_imagej_sees(seen, name):
    path, imagej = seen[name]
    with open_image(path) as image:
        same_calibration(image, imagej)
        # ImageJ shows other programs' files inverted too, but by a lookup table.
        same_planes(image, imagej, inverted=imagej.inverting and image.kind == "plain")


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_imagej_sees_otherwise(seen, name):
    path, imagej = seen[name]
    with open_image(path) as image:
        assert image.notes or name == "no unit in the header"
        with pytest.raises(AssertionError):
            same_calibration(image, imagej)
        same_planes(image, imagej)


@pytest.mark.parametrize("name", ALIKE | OTHERWISE)
def test_what_imagej_sees_of_a_class_map(seen, name):
    (path, _), (made, imagej) = seen[name], seen[f"{name}, class map"]
    with open_image(path) as image, open_image(made) as result:
        assert (result.axes, result.kind) == (image.axes.replace("C", ""), image.kind)
        same_calibration(result, imagej)
        same_planes(result, imagej)
        # Class 1 is white, and the image stays one that ImageJ counts in.
        assert imagej.gray
        assert imagej.shown == ((0, 1) if image.kind == "imagej" else (0, 255))
        assert imagej.second_colour == ([1] * 3 if image.kind == "imagej" else [255] * 3)
        for field in ("pixel_size_x", "pixel_size_y", "z_spacing"):
            before, after = getattr(image.calibration, field), getattr(result.calibration, field)
            before, after = (
                micrometres(before, image.calibration.unit),
                micrometres(after, result.calibration.unit),
            )
            assert (before is None) == (after is None)
            assert before is None or after == pytest.approx(before, rel=1e-6)
        np.testing.assert_array_equal(result.read(0, 0, 9, 0, 16)[0], classes(image, 0))


@pytest.mark.parametrize("name", LABELS)
def test_imagej_shows_labels_in_colours(seen, name):
    path, imagej = seen[name]
    like, dtype, largest = LABELS[name]
    with open_image(path) as result:
        kind = "ome" if dtype == np.uint32 else {"hyperstack": "imagej", "OME": "ome"}.get(like, "plain")
        assert (result.kind, result.dtype) == (kind, dtype)
        same_planes(result, imagej)
    # Without ImageJ's header it shows the range that occurs in the first page.
    assert imagej.shown == (0, max(255, largest) if kind == "imagej" else largest)
    assert imagej.second_colour == colours_of_labels()[1].tolist()


def test_imagej_shows_class_maps_of_ome_tiff_as_black_and_white(seen):
    path, imagej = seen["classes in OME-TIFF"]
    with open_image(path) as result:
        assert result.kind == "ome"
        same_planes(result, imagej)
    assert (imagej.gray, imagej.shown, imagej.second_colour) == (True, (0, 255), [255] * 3)
