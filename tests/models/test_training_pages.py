"""Which pages a model was trained on is known by its record, and by those of the models before it."""

import pytest

from unet2015.models.training_pages import (
    ImageFile,
    chosen_pages,
    files_of,
    names_files,
    page_sizes,
    to_show,
    trained_pages,
    why_too_good,
    why_unknown,
)


def record(*held_out, files=(("a.tif", "1"), ("b.tif", "2")), **more):
    named = [{"image": name, "image_sha256": digest} for name, digest in files]
    return {"files": named, "held_out": list(held_out), "settings": {}, **more}


def test_pages_are_known_by_the_digest_of_their_file():
    of = record("a.tif page 1", "b.tif")
    assert trained_pages(of, ImageFile("1", 3)) == {0, 2}
    assert trained_pages(of, ImageFile("2", 1)) == set(), "it was held out"
    assert trained_pages(of, ImageFile("3", 1)) == set(), "another file"
    assert [chosen_pages(of, ImageFile(digest, 3)) for digest in "123"] == [{1}, {0, 1, 2}, set()]
    again = record("b.tif", start={"model": "first", "sha256": "f"} | files_of(of))
    assert chosen_pages(again, ImageFile("1", 3)) == set(), "trained on later"


def test_a_file_that_was_there_twice_counts_once_it_was_trained_on():
    for files in ((("a.tif", "1"), ("copy.tif", "1")), (("copy.tif", "1"), ("a.tif", "1"))):
        assert trained_pages(record("a.tif", files=files), ImageFile("1", 1)) == {0}


def with_pixels(*digests, **more):
    of = record(files=(("a.tif", "1"),), **more)
    of["files"][0]["pixels"] = {"height": 40, "width": 50, "digests": [*digests]}
    return of


def test_pages_of_other_files_are_known_by_their_pixels():
    of = with_pixels("p", "q", None, "r") | {"held_out": ["a.tif page 1"]}
    other = ImageFile("9", 5, None, ("q", "x", "r", None, "p"))
    assert (trained_pages(of, other), chosen_pages(of, other)) == ({2, 4}, {0})
    assert trained_pages(of, other._replace(scene="3")) == {2, 4}, "pixels are the same in any scene"
    assert trained_pages(of, ImageFile("9", 5)) == set()
    assert trained_pages(of, ImageFile("1", 2, None, ("x", "x"))) == {0}, "the file itself"
    later = record(start={"model": "first", "sha256": "f"} | files_of(of))
    assert trained_pages(later, other) == {2, 4}
    assert page_sizes(of) == page_sizes(later) == {(40, 50), (50, 40)}
    assert page_sizes(record()) == set()
    assert "digests" in str(later)
    assert "digests" not in str(to_show(of)) + str(to_show(later))
    assert to_show(later)["start"]["files"] == [{"image": "a.tif", "image_sha256": "1"}]
    assert "digests" in str(of), "it is left as it is"


def test_the_models_before_count_too():
    first = record("a.tif page 0")
    second = record("a.tif page 1", start={"model": "first", "sha256": "f"} | files_of(first))
    third = record("a.tif", start={"model": "second", "sha256": "s"} | files_of(second))
    assert trained_pages(first, ImageFile("1", 2)) == {1}
    assert trained_pages(second, ImageFile("1", 2)) == trained_pages(third, ImageFile("1", 2)) == {0, 1}
    assert all(map(names_files, (first, second, third)))
    unknown = record("a.tif", start={"model": "of an earlier version", "sha256": "e"})
    assert not names_files(unknown)


@pytest.mark.parametrize(
    ("then", "now", "other"),
    [
        ("1", "0", True),
        ("1", "1:left", False),
        ("1:left", "left", False),
        ("1:left", "2:left", True),
        ("left", "right", True),
        ("left", "1", False),  # it may be
        (None, "1", False),
    ],
)
def test_another_scene_of_a_file_is_another_image(then, now, other):
    assert trained_pages(record(scene=then), ImageFile("1", 1, now)) == (set() if other else {0})


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"files": 3, "held_out": []},
        {"files": [], "held_out": "a.tif"},
        {"files": [{}], "held_out": []},
        {"files": [3, {"image_sha256": ["1"]}], "held_out": [{}, None]},
        {"files": [{"pixels": 3}, {"pixels": {"digests": 3, "width": "a"}}], "held_out": []},
        {"files": [{"pixels": {"digests": [None, 3, {}, "d"], "height": 4}}], "held_out": []},
        {"start": [], "held_out_trained_on": {"a": 1}},
    ],
)
def test_a_damaged_record_tells_nothing(damaged):
    assert trained_pages(damaged, ImageFile("1", 4, None, ("3", None))) == set()
    assert page_sizes(damaged) == set()
    assert to_show(damaged).keys() == damaged.keys()
    assert why_too_good(damaged) == ""
    assert files_of(damaged).keys() <= {"files", "held_out"}


def test_it_is_said_where_a_start_does_not_tell() -> None:
    start = {"model": "old", "sha256": "e"}
    assert why_unknown(record("a.tif", start=start)) == (
        "whether old was trained on these pages, too, is not known by its record"
    )
    for known in (record("a.tif"), record(start=start), record("a.tif", start=start | files_of(record()))):
        assert why_unknown(known) == ""


def test_what_is_too_good_is_counted():
    said = why_too_good(record(*"abcdefg", held_out_trained_on=[*"abcdef"]))
    assert "what was measured on its held-out pages is too good" in said
    assert said.endswith("was trained on 6 of 7 of them, wholly or in part: a, b, c, d, e and 1 more")
    assert why_too_good(record("a")) == why_too_good(record("a", held_out_trained_on=[])) == ""
