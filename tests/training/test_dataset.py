import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from unet2015.errors import DataSetError, SettingsError
from unet2015.settings import TrainingSettings, ValidationSettings
from unet2015.training.checks.training_set import check_pairs, inspect_set
from unet2015.training.dataset import pages_of_each, read_labels, split_pages
from unet2015.training.page_names import describe_held_out, page_names, select_pages
from unet2015.training.pairing import pair_images
from unet2015.training.pool import Reading

RNG = np.random.default_rng(0)
MASK = np.zeros((2, 20, 24), np.uint8)
MASK[:, 2:9, 2:9] = MASK[:, 12:18, 4:20] = 255
CELLS = np.where(np.arange(20)[:, None] < 10, MASK, 0) // 255 + np.uint8(2) * (
    np.where(np.arange(20)[:, None] >= 10, MASK, 0) // 255
)
FILES = [
    (Path(f"set/{name}.tif"), pages)
    for name, pages in (("t2", 1), ("t9", 1), ("t10", 1), ("stack", 3), ("7", 1))
]
IMAGE = RNG.integers(0, 256, MASK.shape, np.uint8)


def settings(**sections):
    return TrainingSettings.model_validate(sections)


@pytest.fixture
def save(tmp_path):
    """Write arrays as TIFF files below a folder; give the folder."""

    def write(folder, **arrays):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name, array in arrays.items():
            photometric = "rgb" if array.shape[-1] == 3 else "minisblack"
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", array, photometric=photometric)
        return tmp_path / folder

    return write


def found(image_folder, label_folder, **sections):
    """The problems of a set, as (severity, file name, message)."""
    problems = inspect_set(pair_images([image_folder], [label_folder]), settings(**sections)).problems
    return [(problem.severity, problem.file.split("/")[-1], problem.message) for problem in problems]


def errors(*args, **sections):
    return [(file, message) for severity, file, message in found(*args, **sections) if severity == "error"]


class TestPages:
    @given(st.sets(st.integers(0, 60), min_size=1))
    def test_a_list_of_numbers_is_what_it_says(self, pages):
        assert select_pages(",".join(map(str, pages)), 61) == sorted(pages)

    @given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), min_size=1))
    def test_ranges_include_both_ends(self, ranges):
        spec = ", ".join(f"{first}-{first + more}" for first, more in ranges)
        expected = {page for first, more in ranges for page in range(first, first + more + 1)}
        assert select_pages(spec, 50) == sorted(expected)

    @pytest.mark.parametrize("spec", ["", ",", "a", "3-", "-3", "1-2-3", "1;2", "1.5", "3 4", "²"])
    def test_other_texts_are_refused(self, spec):
        with pytest.raises(SettingsError, match="expected page numbers and ranges such as '24-29'"):
            select_pages(spec, 100)

    def test_a_page_beyond_the_end_is_named_with_the_last_one(self):
        assert select_pages("29", 30) == [29]
        with pytest.raises(SettingsError, match=r"no page 30; the set has 30 pages.* the last is 29"):
            select_pages("24-30", 30)

    def test_a_range_that_runs_backwards_is_refused(self):
        with pytest.raises(SettingsError, match="write 24-29"):
            select_pages("29-24", 30)

    @pytest.mark.parametrize(
        ("spec", "pages"),
        [
            ("t9.tif", [1]),
            ("t9", [1]),
            ("set/t10.tif", [2]),
            ("t10, t2.tif", [0, 2]),
            ("stack", [3, 4, 5]),
            ("stack.tif page 1", [4]),
            ("0,stack page 2,t9", [0, 1, 5]),
            ("4-5", [4, 5]),
            ("7.tif", [6]),  # and "7" would be a page
        ],
    )
    def test_files_are_named_with_or_without_suffix_beside_numbers(self, spec, pages):
        assert select_pages(spec, 7, FILES) == pages

    def test_what_is_a_number_is_a_page_and_no_name(self):
        assert select_pages("0", 7, [(Path("9.tif"), 6), (Path("0.tif"), 1)]) == [0]

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ("t99", "nearest name is t9.tif"),
            ("T10.png", "nearest name is t10.tif"),
            ("stak page 1", "nearest name is stack.tif"),
            ("stack page 3", "its last, counted from 0, is 2"),
            ("t9 page 1", "is 0"),
            ("0,,1", "expected page numbers"),
            ("t2-t9", "expected page numbers"),
        ],
    )
    def test_an_unknown_name_is_refused_with_the_nearest(self, spec, said):
        with pytest.raises(SettingsError, match=re.escape(said)):
            select_pages(spec, 7, FILES)

    def test_pages_have_the_names_that_select_them(self):
        names = page_names(FILES)
        assert names[:4] == ["t2.tif", "t9.tif", "t10.tif", "stack.tif page 0"]
        assert [select_pages(name, 7, FILES) for name in names] == [[page] for page in range(7)]

    @pytest.mark.parametrize(
        ("spec", "pages"),
        [
            ("stack.tif pages 1-2", [4, 5]),
            ("held out: t9.tif, stack.tif pages 0-2, 7.tif (5 pages)", [1, 3, 4, 5, 6]),
            ("held out: stack.tif page 0 (1 page)", [3]),
            ("t9.tif (1 page)", [1]),
            ("stack.tif pages 1-1", [4]),
        ],
    )
    def test_pages_are_named_as_messages_name_them(self, spec, pages):
        assert select_pages(spec, 7, FILES) == pages

    @given(st.sets(st.integers(0, 6), min_size=1))
    def test_what_is_said_of_held_out_pages_selects_them(self, pages):
        names = page_names(FILES)
        assert select_pages(describe_held_out([names[page] for page in sorted(pages)]), 7, FILES) == sorted(
            pages
        )

    def test_a_message_that_does_not_name_all_is_no_list_of_pages(self):
        files = [(Path(f"{letter}.tif"), 1) for letter in "abcdefghij"]
        said = describe_held_out(page_names(files))
        assert (
            said == "held out: a.tif, b.tif, c.tif, d.tif, e.tif, f.tif, g.tif, h.tif and 2 more (10 pages)"
        )
        for spec in (said, said.removesuffix(" (10 pages)"), "h.tif and 2 more"):
            with pytest.raises(SettingsError, match=r"does not say which the others are; .*check --json"):
                select_pages(spec, 10, files)

    @pytest.mark.parametrize(
        ("spec", "pages"),
        [
            ("x,1.tif", [0]),
            ("x,1", [0]),
            ("3, x,1.tif ,a,b, c.tif", [0, 2, 3, 4]),
            ("a,b, c.tif page 2,x,1", [0, 4]),
            ("a,b, c.tif pages 0-1, 1", [1, 2, 3]),
            ("set/0,1.tif", [5]),
            ("0,1", [0, 1]),  # numbers are pages
            ("1,0,1.tif", [1, 5]),
        ],
    )
    def test_names_may_have_commas(self, spec, pages):
        names = ("x,1.tif", "1.png", "a,b, c.tif", "set/0,1.tif")
        files = [(Path(name), 3 if "c" in name else 1) for name in names]
        assert select_pages(spec, 6, files) == pages
        assert [select_pages(name, 6, files) for name in page_names(files)] == [[page] for page in range(6)]

    def test_what_may_be_one_name_or_several_is_refused(self):
        files = [(Path(f"set/{name}"), 1) for name in ("0,a.tif", "a.tif", "b.tif", "a.tif,b.tif")]
        for spec, text in (("0,a.tif", "0,a.tif"), ("3,a.tif,b.tif", "a.tif,b.tif")):
            with pytest.raises(SettingsError, match=f": {text} may be one image, or several with commas"):
                select_pages(spec, 4, files)
        assert select_pages("set/0,a.tif", 4, files) == [0]
        assert select_pages("a.tif,0", 4, files) == [0, 1]

    def test_a_page_form_that_is_a_name(self):
        files = [(Path("cell page 3.tif"), 1), (Path("cell.tif"), 2)]
        assert select_pages("cell page 3.tif", 3, files) == [0]
        assert select_pages("cell page 3.tif, cell page 1", 3, files) == [0, 2]
        with pytest.raises(SettingsError, match="the range 1-0 runs backwards; write 0-1"):
            select_pages("cell.tif pages 1-0", 3, files)

    def test_a_name_that_several_images_have_is_refused_and_said_with_the_folder(self):
        files = [
            (Path(f"X/{name}"), 1) for name in ("A/t0.tif", "A/t1.tif", "B/t1.tif", "B/t2.png", "B/t2.tif")
        ]
        names = page_names(files)
        assert names == ["t0.tif", "A/t1.tif", "B/t1.tif", "t2.png", "t2.tif"]
        for known in (names, [f"X/{name}" for name in ("A/t0", "A/t1", "B/t1")]):
            assert [select_pages(name, 5, files) for name in known] == [[page] for page in range(len(known))]
        for name, both in (
            ("t1.tif", "X/A/t1.tif, X/B/t1.tif"),
            ("t1", "X/A/t1.tif, "),
            ("t2", "X/B/t2.png, "),
        ):
            with pytest.raises(SettingsError, match=f"2 images have the name {name}: {both}"):
                select_pages(name, 5, files)

    def test_the_pages_of_each_file(self):
        assert pages_of_each(FILES, [0, 2, 4, 5, 6]) == [[0], [], [0], [1, 2], [0]]

    def test_held_out_pages_in_few_words(self):
        assert describe_held_out([]) == "held out: no page"
        assert describe_held_out(["t9.tif"]) == "held out: t9.tif (1 page)"
        names = page_names([(Path("s.tif"), 30)])
        assert describe_held_out([names[3], *names[24:]]) == (
            "held out: s.tif page 3, s.tif pages 24-29 (7 pages)"
        )
        both = page_names([(Path("a.tif"), 2), (Path("b.tif"), 2)])
        assert describe_held_out(both) == "held out: a.tif pages 0-1, b.tif pages 0-1 (4 pages)"
        many = describe_held_out([f"t{number}.tif" for number in range(20)])
        assert many.startswith("held out: t0.tif, t1.tif, ")
        assert many.endswith(" and 12 more (20 pages)")

    @given(st.integers(1, 200), st.floats(0, 0.999))
    def test_a_share_is_taken_from_the_end(self, total, fraction):
        training, held_out = split_pages(ValidationSettings(fraction=fraction), total)
        assert training + held_out == list(range(total))
        assert training
        if total > 1:
            assert bool(held_out) == (fraction > 0)
            assert len(held_out) == pytest.approx(fraction * total, abs=1)

    @given(st.integers(1, 60), st.floats(0, 0.999), st.data())
    def test_copies_are_never_on_both_sides(self, total, fraction, data):
        copies = data.draw(st.lists(st.sampled_from([None, b"a", b"b", 0]), min_size=total, max_size=total))
        training, held_out = split_pages(ValidationSettings(fraction=fraction), total, (), copies)
        assert sorted([*training, *held_out]) == list(range(total))
        assert training
        sides = [{copies[page] for page in side} - {None} for side in (training, held_out)]
        assert not sides[0] & sides[1]
        images = len({*copies} - {None}) + copies.count(None)
        measured = len(sides[1]) + sum(copies[page] is None for page in held_out)
        if images > 1:
            assert bool(held_out) == (fraction > 0)
            assert measured == pytest.approx(fraction * images, abs=1)
        assert split_pages(ValidationSettings(fraction=fraction), total, (), [None] * total) == (
            split_pages(ValidationSettings(fraction=fraction), total)
        )

    @pytest.mark.parametrize(
        ("linked", "held_out"),
        [
            ([], [8, 9]),
            ([[8, 9]], [8, 9]),
            ([[0, 1]], [8, 9]),
            ([[0, 9]], [0, 9]),
            ([[7, 8, 9]], [5, 6]),
            ([[0, 1], [2, 3, 4, 5, 6, 7, 8, 9]], [0, 1]),
            ([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], [5, 6, 7, 8, 9]),  # too many, but half are left
            ([[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]], [3, 4, 5]),
            ([[0, 1, 2, 3], [4, 5, 6, 7, 8, 9]], [0, 1, 2, 3]),
            ([[1, 2, 3, 4, 5, 6, 7, 8, 9]], [0]),
            ([[*range(10)]], [8, 9]),  # no way
        ],
    )
    def test_pages_that_are_linked_are_on_one_side_as_near_to_the_share_as_may_be(self, linked, held_out):
        training, found = split_pages(ValidationSettings(fraction=0.2), 10, (), (), linked)
        assert found == held_out
        assert training == [page for page in range(10) if page not in held_out]
        assert split_pages(ValidationSettings(fraction=0), 10, (), (), linked)[1] == []

    def test_a_single_page_is_no_half_of_the_share(self):
        chain = [[*range(1, 20)]]
        assert split_pages(ValidationSettings(fraction=0.2), 20, (), (), chain)[1] == [16, 17, 18, 19]

    def test_a_large_group_is_never_held_out_where_little_would_be_left(self):
        most = ValidationSettings(fraction=0.7)
        assert split_pages(most, 10, (), (), [[*range(2, 10)]])[1] == [*range(3, 10)]

    @given(st.integers(2, 40), st.floats(0, 0.999), st.data())
    def test_linked_pages_are_on_both_sides_only_if_they_are_too_many(self, total, fraction, data):
        group_of = data.draw(st.lists(st.sampled_from(range(6)), min_size=total, max_size=total))
        groups = [[page for page in range(total) if group_of[page] == one] for one in range(6)]
        linked = [group for group in groups if len(group) > 1]
        validation = ValidationSettings(fraction=fraction)
        training, held_out = split_pages(validation, total, (), (), linked)
        assert sorted([*training, *held_out]) == [*range(total)]
        split = [group for group in linked if {*group} & {*training} and {*group} & {*held_out}]
        if split:
            assert (training, held_out) == split_pages(validation, total)

    def test_named_pages_are_held_out_though_they_are_copies(self):
        named = ValidationSettings(pages="0,2-3")
        assert split_pages(named, 6, (), [b"a", b"a"] * 3) == ([1, 4, 5], [0, 2, 3])

    def test_named_pages_are_held_out_from_anywhere(self):
        assert split_pages(ValidationSettings(pages="0,2-3"), 6) == ([1, 4, 5], [0, 2, 3])

    def test_holding_out_everything_is_refused(self):
        with pytest.raises(SettingsError, match="hold out all 3 pages"):
            split_pages(ValidationSettings(pages="0-2"), 3)


class TestProblems:
    def test_a_sound_set_has_none(self, save):
        files = {"a": IMAGE, "b": np.sort(IMAGE, axis=-1)}, {"a": CELLS, "b": CELLS}
        assert found(save("i", **files[0]), save("l", **files[1])) == []
        assert not errors(save("j", a=IMAGE), save("m", a=MASK), labels={"kind": "membrane"})

    def test_a_mask_read_as_instances(self, save):
        (file, message), *_ = errors(save("i", a=IMAGE), save("l", a=MASK))
        assert file == "a.tif"
        assert "0 and 255" in message
        assert "membrane" in message

    def test_sizes_that_differ(self, save):
        labels = save("l", a=CELLS, b=CELLS[:, :-1], c=CELLS[:1])
        found_errors = errors(save("i", a=IMAGE, b=IMAGE, c=IMAGE), labels)
        assert [file for file, _ in found_errors] == ["b.tif", "c.tif"]
        assert "2 pages of 19 x 24 px" in found_errors[0][1]
        assert "1 page of 20 x 24 px, but" in found_errors[1][1]

    def test_rgb_labels(self, save):
        labels = save("l", a=np.stack([MASK[0]] * 3, axis=-1))
        ((file, message),) = errors(save("i", a=IMAGE[0]), labels)
        assert file == "a.tif"
        assert "channel" in message

    def test_one_class_only(self, save):
        for value in (0, 1):
            ((_, message),) = errors(save("i", a=IMAGE), save("l", a=np.full_like(MASK, value)))
            assert "all labels of the set are of one class" in message

    def test_an_empty_file_beside_others_is_a_warning(self, save):
        images, labels = save("i", a=IMAGE, b=IMAGE), save("l", a=np.zeros_like(MASK), b=MASK)
        assert errors(images, labels, labels={"kind": "membrane"}) == []

    def test_labels_beyond_the_classes(self, save):
        labels = save("l", a=MASK)
        found_errors = errors(save("i", a=IMAGE), labels, labels={"kind": "classes", "classes": 3})
        assert all("0 to 2" in message and "255" in message for _, message in found_errors)
        ((_, message),) = found_errors  # one line, however many pages
        assert message.startswith("2 pages (0, 1): ")
        assert not errors(save("i", a=IMAGE), save("l", a=CELLS), labels={"kind": "classes", "classes": 3})

    def test_a_class_that_never_occurs(self, save):
        result = found(save("i", a=IMAGE), save("l", a=CELLS), labels={"kind": "classes", "classes": 4})
        assert ("warning", "", "no pixel of the set is of class 3") in result

    def test_nothing_annotated(self, save):
        labels = save("l", a=np.full_like(MASK, 9))
        ((file, message),) = errors(save("i", a=IMAGE), labels, labels={"ignore": 9})
        assert file == ""
        assert "no pixel of the set is annotated (ignore = 9)" in message

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_a_number_in_an_image(self, save, value):
        image = IMAGE.astype(np.float32)
        image[1, 4, 5] = value
        ((file, message),) = errors(save("i", a=image), save("l", a=CELLS))
        assert file == "a.tif"
        assert "1 pixels of page 1" in message

    def test_a_constant_image(self, save):
        result = found(save("i", a=np.full_like(IMAGE, 7)), save("l", a=CELLS))
        assert ("warning", "a.tif", "every pixel is 7: there is nothing to learn from it") in result

    def test_pixel_types_that_differ(self, save):
        images = save("i", a=IMAGE, b=np.sort(IMAGE, axis=-1).astype(np.uint16))
        ((severity, message),) = [
            (severity, message)
            for severity, file, message in found(images, save("l", a=CELLS, b=CELLS))
            if not file
        ]
        assert severity == "warning"
        assert "uint16" in message
        assert "b.tif" in message

    def test_channels_that_differ(self, save):
        images = save("i", a=IMAGE[0], b=np.stack([IMAGE[0]] * 3, axis=-1))
        ((file, message),) = errors(images, save("l", a=CELLS[0], b=CELLS[0]))
        assert file == ""
        assert "1 (" in message
        assert "3 (" in message

    def test_a_mapping_that_does_not_fit(self, save):
        image = IMAGE.astype(np.float32)
        ((_, message),) = errors(save("i", a=image), save("l", a=CELLS), mapping={"method": "integer-range"})
        assert "integer" in message

    def test_a_membrane_coding_that_looks_inverted(self, save):
        messages = [
            message
            for _, _, message in found(save("i", a=IMAGE), save("l", a=MASK), labels={"kind": "membrane"})
        ]
        assert any("inverted" in message for message in messages)

    def test_instances_read_as_membrane(self, save):
        result = found(save("i", a=IMAGE), save("l", a=CELLS), labels={"kind": "membrane"})
        assert any("2 different values" in message for _, _, message in result)

    def test_validation_pages_that_are_not_there(self, save):
        with pytest.raises(SettingsError, match="no page 7"):
            found(save("i", a=IMAGE), save("l", a=CELLS), validation={"pages": "7"})

    def test_too_few_pages(self, save):
        result = found(save("i", a=IMAGE[0]), save("l", a=CELLS[0]))
        assert [message.split(",")[0] for severity, file, message in result if not file] == [
            "only one page",
            "no page is held out",
        ]

    def test_every_bad_file_is_listed_and_the_others_are_looked_at(self, save, tmp_path):
        images, labels = save("i", a=IMAGE, b=IMAGE, c=IMAGE), save("l", a=CELLS, b=CELLS, c=MASK)
        (images / "a.tif").write_bytes(b"no image")
        whole = (labels / "b.tif").read_bytes()
        (labels / "b.tif").write_bytes(whole[: len(whole) // 2])
        problems = inspect_set(pair_images([images], [labels]), settings()).problems
        files = [problem.file for problem in problems if problem.severity == "error"]
        assert files[0] == str(images / "a.tif")
        assert set(files) == {str(images / "a.tif"), str(labels / "b.tif"), str(labels / "c.tif")}
        # The file is not named twice.
        assert all(problem.file not in problem.message for problem in problems if problem.file)

    def test_check_pairs_gives_warnings_and_raises_errors(self, save):
        pairs = pair_images([save("i", a=IMAGE)], [save("l", a=MASK)])
        assert all(
            problem.severity == "warning"
            for problem in check_pairs(pairs, settings(labels={"kind": "membrane"})).problems
        )
        with pytest.raises(DataSetError, match=r"1 error: .*a\.tif: 2 pages"):
            check_pairs(pairs, settings())


def test_labels_have_the_axes_of_their_image_without_channels(save):
    labels = save("l", a=CELLS) / "a.tif"
    np.testing.assert_array_equal(read_labels(labels, "ZCYX"), CELLS)
    np.testing.assert_array_equal(read_labels(labels), CELLS)


def test_links_in_a_circle_are_an_error_of_the_set_that_names_the_file(tmp_path):
    circle, image = tmp_path / "a.tif", tmp_path / "b.tif"
    circle.symlink_to(circle.name)
    tifffile.imwrite(image, np.zeros((8, 8), np.uint8))
    for pair in ((image, circle), (circle, image)):
        pairs = pair_images(pair[:1], pair[1:])
        problems = inspect_set(pairs, TrainingSettings(), Reading("YX")).problems
        assert any(str(circle) in str(problem) for problem in problems)
