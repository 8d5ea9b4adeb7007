"""Label files with colour palettes: the numbers count, and colours that gainsay them are said."""

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

import unet2015
from unet2015.errors import DataSetError
from unet2015.settings import TrainingSettings
from unet2015.training.checks.training_set import inspect_set
from unet2015.training.pairing import pair_images
from unet2015.training.pool import Reading

BLACK, WHITE, RED, GREEN, BLUE = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)
CLASSES = {"labels": {"kind": "classes", "classes": 3}}
RAMP = [(v, v, v) for v in range(256)]
RNG = np.random.default_rng(0)


def drawn(*numbers):
    """Labels of these numbers, most of the first: fields with gaps."""
    page = np.full((20, 40), numbers[0], np.uint8)
    for place, number in enumerate(numbers[1:]):
        page[2:8, 2 + 12 * place : 12 + 12 * place] = number
        page[12:18, 2 + 12 * place : 12 + 12 * place] = number
    return page


def save(path, page, colours):
    if colours is None:
        tifffile.imwrite(path.with_suffix(".tif"), page, photometric="minisblack")
        return
    picture = Pillow.fromarray(page, mode="P")
    picture.putpalette(np.array(colours, np.uint8).tobytes())
    picture.save(path)


@pytest.fixture
def saved(tmp_path):
    """Save images t0, t1, ... with labels and their palettes; return the two folders."""

    def make(*labels, ending="png"):
        folders = tmp_path / "i", tmp_path / "l"
        for folder in folders:
            folder.mkdir()
        for number, (page, colours) in enumerate(labels):
            noise = RNG.integers(0, 256, page.shape, np.uint8)
            tifffile.imwrite(folders[0] / f"t{number}.tif", noise, photometric="minisblack")
            save(folders[1] / f"t{number}.{ending}", page, colours)
        return folders

    return make


def said(folders, sections=CLASSES):
    pairs = pair_images([folders[0]], [folders[1]])
    found = inspect_set(pairs, TrainingSettings.model_validate(sections)).problems
    return [(one.severity, str(one)) for one in found if "palette" in one.message]


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_colour_under_two_numbers_is_an_error(saved, ending):
    folders = saved(
        (drawn(0, 1, 2), [BLACK, RED, GREEN]), (drawn(0, 1, 2), [BLACK, GREEN, RED]), ending=ending
    )
    ((severity, message),) = said(folders)
    first, second = (folders[1] / f"t{number}.{ending}" for number in (0, 1))
    assert severity == "error"
    assert f"#00ff00 is 2 in {first}, but 1 in {second} (and 1 more such): labels are read by" in message
    assert "one palette" in message


def test_another_colour_of_a_number_is_a_warning(saved):
    folders = saved((drawn(0, 1), [BLACK, RED]), (drawn(0, 1), [BLACK, GREEN]), (drawn(0, 2), [BLACK] * 3))
    ((severity, message),) = said(folders)
    assert severity == "warning"
    assert (
        f"the number 1 is #ff0000 in {folders[1] / 't0.png'}, but #00ff00 in {folders[1] / 't1.png'}"
        in message
    )


@pytest.mark.parametrize(
    "palettes",
    [
        ([BLACK, RED, GREEN], [BLACK, RED, GREEN]),
        ([BLACK, RED, GREEN], [BLACK, RED, GREEN, BLUE]),  # cut after what is used
        ([BLACK, RED, GREEN], [BLACK, (250, 2, 2), GREEN]),  # as quantising leaves it
        ([BLACK, RED, GREEN], None),
        ([BLACK, RED, GREEN], RAMP),
        ([BLACK, RED, GREEN], [(17 * v,) * 3 for v in range(16)]),
        (RAMP, RAMP),
        (RAMP, None),
    ],
    ids=["same", "longer", "nearly", "gray", "ramp", "ramp of 4 bits", "ramps", "ramp and gray"],
)
def test_palettes_that_agree_or_are_no_colours_say_nothing(saved, palettes):
    assert not said(saved(*[(drawn(0, 1, 2), colours) for colours in palettes]))


def test_colours_of_numbers_that_no_pixel_has_say_nothing(saved):
    assert not said(saved((drawn(0, 1), [BLACK, RED, GREEN]), (drawn(0, 2), [BLACK, GREEN, GREEN])))


def test_a_common_palette_with_a_colour_twice_says_nothing(saved):
    palette = [BLACK, RED, BLACK]
    assert not said(saved((drawn(0, 1), palette), (drawn(1, 2), palette), (drawn(0, 2), palette)))


def test_numbers_of_cells_are_no_classes(saved):
    palettes = [[BLACK, RED, GREEN], [BLACK, GREEN, RED], [WHITE, RED, GREEN]]
    folders = saved(*[(drawn(0, 1, 2), palette) for palette in palettes])
    assert not said(folders, {})


def test_cells_that_have_the_colour_of_the_background_are_an_error(saved):
    """As where colours are numbered by how many pixels they have, and cells cover most of a file."""
    folders = saved((drawn(0, 1, 2), [BLACK, RED, GREEN]), (drawn(1, 0, 2), [RED, BLACK, GREEN]))
    ((severity, message),) = said(folders, {})
    assert (severity, "is 1 in" in message, "but 0 in" in message) == ("error", True, True)


@pytest.mark.parametrize("kind", ["mask", "membrane"])
def test_masks_are_compared_by_what_is_a_cell(saved, kind):
    folders = saved((drawn(0, 1), [BLACK, WHITE]), (drawn(1, 0), [WHITE, BLACK]))
    ((severity, message),) = said(folders, {"labels": {"kind": kind}})
    assert severity == "error"
    assert f"the colour #ffffff is 1 in {folders[1] / 't0.png'}, but 0 in" in message


def test_masks_of_other_colours_on_the_same_background_say_nothing(saved):
    folders = saved((drawn(0, 1, 2), [BLACK, RED, GREEN]), (drawn(0, 1, 2), [BLACK, GREEN, RED]))
    assert not said(folders, {"labels": {"kind": "mask"}})


def test_masks_on_other_backgrounds_are_a_warning(saved):
    folders = saved((drawn(0, 1), [BLACK, RED]), (drawn(0, 1), [WHITE, GREEN]))
    ((severity, message),) = said(folders, {"labels": {"kind": "mask"}})
    assert (severity, "0 is #000000 in" in message) == ("warning", True)


def test_what_is_not_annotated_is_no_class(saved):
    sections = {"labels": {"kind": "classes", "classes": 3, "ignore": 7}}
    palettes = [[BLACK, RED, GREEN, *[BLACK] * 4, colour] for colour in (WHITE, BLUE)]
    folders = saved(*[(drawn(0, 1, 7), palette) for palette in palettes])
    assert not said(folders, sections)
    save(folders[1] / "t1.png", drawn(0, 1, 2), [BLACK, RED, WHITE])
    ((severity, message),) = said(folders, sections)
    assert (severity, "#ffffff is 7 in" in message) == ("error", True)


def test_a_mask_whose_cells_have_the_colour_of_what_is_not_annotated(saved):
    marked = [BLACK, RED, *[BLACK] * 5, WHITE]
    folders = saved((drawn(0, 1, 7), marked), (drawn(0, 1), [BLACK, WHITE]))
    ((severity, message),) = said(folders, {"labels": {"kind": "mask", "ignore": 7}})
    assert (severity, "#ffffff is 7 in" in message) == ("error", True)


def test_grays_that_rise_in_both_files_may_be_a_way_of_display(saved):
    """As of masks of 0 and 1 beside masks of 0, 1 and 2, each drawn from black to white."""
    folders = saved((drawn(0, 1), [BLACK, WHITE]), (drawn(0, 1, 2), [BLACK, (127,) * 3, WHITE]))
    assert [severity for severity, _ in said(folders)] == ["warning"]


def test_pages_of_one_file_with_palettes_of_their_own(saved):
    folders = saved((drawn(0, 1, 2), None))
    noise = RNG.integers(0, 256, (3, 20, 40), np.uint8)
    tifffile.imwrite(folders[0] / "t0.tif", noise, photometric="minisblack", metadata={"axes": "ZYX"})
    path = folders[1] / "t0.tif"
    with tifffile.TiffWriter(path) as tif:
        for palette in ([BLACK, RED, GREEN], [BLACK, RED, GREEN], [BLACK, GREEN, RED]):
            table = np.zeros((3, 256), np.uint16)
            table[:, :3] = np.array(palette, np.uint16).T * 257
            tif.write(drawn(0, 1, 2), photometric="palette", colormap=table, metadata=None)
    pairs = pair_images([folders[0]], [folders[1]])
    found = inspect_set(pairs, TrainingSettings.model_validate(CLASSES), Reading("ZYX")).problems
    (message,) = [str(one) for one in found if "palette" in one.message]
    assert f"#00ff00 is 2 in {path}, page 0, but 1 in {path}, page 2 (and" in message


def test_imagejs_lookup_tables_are_a_way_of_display(saved):
    folders = saved((drawn(0, 1, 2), None), (drawn(0, 1, 2), None))
    for number, palette in enumerate(([BLACK, RED, GREEN], [BLACK, GREEN, RED])):
        table = np.zeros((3, 256), np.uint8)
        table[:, :3] = np.array(palette, np.uint8).T
        tifffile.imwrite(folders[1] / f"t{number}.tif", drawn(0, 1, 2), imagej=True, colormap=table)
    assert not said(folders)


def test_a_training_is_refused(saved, tmp_path):
    folders = saved((drawn(0, 1, 2), [BLACK, RED, GREEN]), (drawn(0, 1, 2), [BLACK, GREEN, RED]))
    settings = TrainingSettings.model_validate(CLASSES | {"optimisation": {"steps": 1}})
    with pytest.raises(DataSetError, match="#00ff00 is 2 in"):
        unet2015.train(*folders, out=tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()
