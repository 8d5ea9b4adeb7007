"""Class maps with colour palettes that are compared: colours that gainsay the numbers are said."""

import pytest
import tifffile

from tests.training.checks.test_palettes import BLACK, BLUE, GREEN, RED, WHITE, drawn, save
from unet2015.errors import DataSetError
from unet2015.metrics.em_files import read_em_files
from unet2015.metrics.object_folders import evaluate_objects
from unet2015.metrics.pixel_folders import evaluate_pixels

PLAIN, CROSSED = [BLACK, RED, GREEN], [BLACK, GREEN, RED]


@pytest.fixture
def sides(tmp_path):
    """Save files t0, t1, ... of truth and of results: pixels and palettes."""

    def make(*files):
        folders = tmp_path / "true", tmp_path / "found"
        for side, folder in enumerate(folders):
            folder.mkdir()
            for number, pair in enumerate(files):
                save(folder / f"t{number}.png", *pair[side])
        return folders

    return make


THREE, TWO = drawn(0, 1, 2), drawn(0, 1)


def test_a_colour_of_two_classes_is_refused(sides):
    folders = sides(((THREE, PLAIN), (THREE, CROSSED)))
    with pytest.raises(DataSetError) as caught:
        evaluate_pixels(*folders)
    first, second = (folder / "t0.png" for folder in folders)
    assert f"the colour #00ff00 is 2 in {first}, but 1 in {second} (and 1 more such)" in str(caught.value)
    assert evaluate_objects(*folders).comparison.complete, "numbers of cells mean nothing"


@pytest.mark.parametrize("side", [0, 1])
def test_files_of_one_side_are_compared(sides, side):
    given = [((THREE, None), (THREE, palette)) for palette in (PLAIN, CROSSED)]
    folders = sides(*[pair[:: -1 if side == 0 else 1] for pair in given])
    with pytest.raises(DataSetError, match=f"is 2 in {folders[side] / 't0.png'}"):
        evaluate_pixels(*folders)


def test_another_colour_of_a_class_is_said(sides, caplog):
    folders = sides(((THREE, PLAIN), (THREE, [BLACK, BLUE, GREEN])))
    found = evaluate_pixels(*folders)
    assert found.classes[1].dice == 1
    (note,) = found.as_dict()["notes"]
    assert f"the number 1 is #ff0000 in {folders[0] / 't0.png'}, but #0000ff in" in note
    assert caplog.text.count(note) == 1


@pytest.mark.parametrize(
    "pair",
    [
        ((THREE, PLAIN), (THREE, PLAIN)),
        ((THREE, PLAIN), (THREE, None)),
        ((THREE, PLAIN), (TWO, [BLACK, RED])),
        ((TWO, [BLACK, RED]), (TWO, [BLACK, WHITE])),  # the one class of a mask
        ((TWO * 255, [BLACK] * 255 + [WHITE]), (TWO, [BLACK, WHITE])),
        ((TWO, [BLACK, WHITE]), (TWO * 255, [BLACK] * 255 + [RED])),
    ],
)
def test_what_goes_together_says_nothing(sides, caplog, pair):
    folders = sides(pair)
    evaluate_pixels(*folders)
    assert "palette" not in caplog.text


def test_what_is_ignored_has_no_class(sides, caplog):
    folders = sides(
        ((drawn(0, 1, 2, 7), [*PLAIN, *[BLACK] * 4, WHITE]), (THREE, PLAIN)),
        ((drawn(0, 1, 2, 7), [*PLAIN, *[BLACK] * 4, BLUE]), (THREE, PLAIN)),
    )
    evaluate_pixels(*folders, ignore=7)
    assert "palette" not in caplog.text


def test_masks_as_foreground(sides):
    folders = sides(((TWO, [BLACK, WHITE]), (drawn(1, 0), [WHITE, BLACK])))
    with pytest.raises(DataSetError, match="the colour #ffffff is 1 in"):
        evaluate_pixels(*folders, foreground=True)


def test_numbers_of_cells_as_foreground_say_nothing(sides, caplog):
    evaluate_pixels(*sides(((THREE, PLAIN), (THREE, CROSSED))), foreground=True)
    assert "palette" not in caplog.text


def test_membranes(tmp_path):
    save(tmp_path / "a.png", drawn(1, 0), [BLACK, WHITE])
    save(tmp_path / "b.png", drawn(0, 1), [WHITE, BLACK])
    with pytest.raises(DataSetError, match="the colour #ffffff is 1 in"):
        read_em_files(tmp_path / "a.png", tmp_path / "b.png", None, None)
    save(tmp_path / "b.png", drawn(1, 0), [BLACK, RED])
    read_em_files(tmp_path / "a.png", tmp_path / "b.png", None, None)
    tifffile.imwrite(tmp_path / "b.tif", drawn(255, 0), photometric="minisblack")
    read_em_files(tmp_path / "a.png", tmp_path / "b.tif", None, None)
