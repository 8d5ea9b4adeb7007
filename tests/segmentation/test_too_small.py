"""What is left out as too small is counted, and said where it may have been objects."""

import csv
import json

import numpy as np
import pytest
import tifffile

from unet2015.objects import strips
from unet2015.objects.too_small import TooSmall
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.tiling import plan as plan_module


def squares(*sides, shape=(64, 200)):
    """A probability map of squares beside each other."""
    page, left = np.zeros(shape, np.float32), 2
    for side in sides:
        page[2 : 2 + side, left : left + side] = 1
        left += side + 2
    return page


def labelled(tmp_path, *pages, smallest=100, **settings):
    tifffile.imwrite(tmp_path / "film.tif", np.stack(pages), metadata={"axes": "TYX"})
    (result,) = label_files(
        [tmp_path / "film.tif"], tmp_path / "out", objects=ObjectSettings(smallest=smallest, **settings)
    )
    assert result.error is None
    return result, [note for note in result.notes if "left out" in note]


def test_an_object_that_shrinks_below_the_least_size_is_said_and_counted(tmp_path):
    film = [squares(40), squares(20), squares(9), squares(8, 2), squares(1)]
    result, notes = labelled(tmp_path, *film)
    assert notes == [
        "pages 2, 3: 2 parts of 145 px in all were left out as smaller than 100 px, and no object was kept; "
        "where objects may be so small, as when they shrink, give a smaller --smallest"
    ]
    left = {
        "smaller_than_px": 100,
        "parts": 4,
        "total_area_px": 150,
        "pages": [
            {"page": 2, "parts": 1, "total_area_px": 81, "objects_area_px": 0},
            {"page": 3, "parts": 1, "total_area_px": 64, "objects_area_px": 0},
        ],
    }
    assert result.objects["left_out"] == left
    assert result.objects["objects"] == 2
    record = json.loads((tmp_path / "out" / "film.labels.record.json").read_text())
    assert record["left_out"] == left


def test_it_is_said_beside_what_was_kept(tmp_path):
    _, notes = labelled(tmp_path, squares(12, 9, 6))
    assert notes[0].startswith(
        "2 parts of 117 px in all were left out as smaller than 100 px, and the objects that were kept have"
    )
    _, notes = labelled(tmp_path, squares(10, 8))
    assert notes[0].startswith("a part of 64 px was left out as smaller than 100 px, and the objects")


@pytest.mark.parametrize(
    "sides",
    [
        (40, 9, 9, 9),  # little beside what was kept
        (4,) * 20,  # many specks, also on a page without objects
        (6, *(4,) * 20),  # a part that is no speck beside them
        (6, 6),  # a quarter of the least size each, and together not the whole of it
        (12,),
    ],
)
def test_specks_are_counted_and_not_said(tmp_path, sides):
    result, notes = labelled(tmp_path, squares(*sides))
    assert not notes
    small = [side**2 for side in sides if side < 10]
    assert result.objects["left_out"] == {
        "smaller_than_px": 100,
        "parts": len(small),
        "total_area_px": sum(small),
        "pages": [],
    }


def test_parts_of_a_few_pixels_are_specks_whatever_the_least_size_is():
    assert not TooSmall.of(np.array([9, 9, 9]), kept=0, smallest=10).matters(10)
    assert TooSmall.of(np.array([16]), kept=0, smallest=20).matters(20)


def test_without_a_least_size_nothing_is_said(tmp_path):
    assert "left_out" not in labelled(tmp_path, squares(9), smallest=0)[0].objects


def test_what_lies_outside_the_frame_is_not_too_small(tmp_path):
    result, notes = labelled(tmp_path, squares(9), frame=20)
    assert (result.objects["left_out"]["parts"], notes) == (0, [])


@pytest.mark.parametrize("markers", [None, MarkerSettings(level=0.6, blur=1)])
def test_tiles_strips_and_a_second_run_do_not_change_it(
    tmp_path, model, stack_file, stack, markers, monkeypatch
):
    settings = ObjectSettings(smallest=60, markers=markers)

    def segmented(name, **more):
        options = SegmentOptions(products=("probability",), objects=settings, **more)
        (result,) = segment_files([stack_file], tmp_path / name, model, options)
        assert result.error is None
        record = json.loads((tmp_path / name / "stack.record.json").read_text())
        assert record["objects"] == result.objects
        assert [note for note in record["notes"] if "left out" in note] == said(result)
        return result

    def said(result):
        return [note for note in result.notes if "left out as smaller than 60 px" in note]

    whole = segmented("whole")
    maps = tifffile.imread(whole.outputs[1])
    assert whole.objects["left_out"]["parts"] > 0
    assert len(said(whole)) == (1 if whole.objects["left_out"]["pages"] else 0)
    if markers is None:
        every = segment_files(
            [stack_file],
            tmp_path / "every",
            model,
            SegmentOptions(objects=settings.model_copy(update={"smallest": 0})),
        )[0].objects
        assert every["objects"] == whole.objects["objects"] + whole.objects["left_out"]["parts"]
        kept = whole.objects["total_area_px"] + whole.objects["left_out"]["total_area_px"]
        assert every["total_area_px"] == kept
    monkeypatch.setattr(strips, "STRIP_PIXELS", 7 * maps.shape[-1])
    monkeypatch.setattr(plan_module, "PART_PIXELS", 5000)
    parts = segmented("parts", tile=60)
    assert parts.objects["left_out"] == whole.objects["left_out"]
    again = segmented("parts", tile=60)
    assert (again.objects, said(again)) == (parts.objects, said(parts))
    (labels,) = label_files([parts.outputs[1]], tmp_path / "labels", objects=settings)
    assert labels.objects["left_out"] == whole.objects["left_out"]


def test_a_segmentation_says_it_and_again_where_all_was_done_before(tmp_path, model, stack_file):
    def segmented(name, smallest):
        options = SegmentOptions(objects=ObjectSettings(smallest=smallest))
        (result,) = segment_files([stack_file], tmp_path / name, model, options)
        return result, [note for note in result.notes if "left out as smaller" in note]

    every, notes = segmented("every", 0)
    assert not notes
    with every.outputs[-1].open() as file:
        largest = max(int(row["area_px"]) for row in csv.DictReader(file))
    result, notes = segmented("none", largest + 1)
    assert result.objects["objects"] == 0
    assert result.objects["left_out"]["total_area_px"] == every.objects["total_area_px"]
    (note,) = notes
    assert note.startswith("page")
    assert f"left out as smaller than {largest + 1} px, and no object was kept; where objects" in note
    assert note in json.loads((tmp_path / "none" / "stack.record.json").read_text())["notes"]
    assert segmented("none", largest + 1) == (result, notes)
