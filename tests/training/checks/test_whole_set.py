"""What is said about a set as a whole."""

import re

import numpy as np
import pytest
import tifffile

from unet2015.errors import SettingsError
from unet2015.settings import TrainingSettings
from unet2015.training.checks.training_set import inspect_set
from unet2015.training.pairing import pair_images
from unet2015.training.pool import Reading

RNG = np.random.default_rng(0)
BLANK = np.zeros((20, 24), np.uint8)
CELLS = BLANK.copy()
CELLS[2:9, 2:9], CELLS[11:18, 4:20] = 1, 2


def noise(*shape):
    return RNG.integers(0, 256, shape or BLANK.shape, np.uint8)


@pytest.fixture
def report(tmp_path):
    """Look at a set of images t0.tif, t1.tif, ... with the given labels."""

    def look(labels, images=None, /, **sections):
        for folder, arrays in (("i", images or [noise(*page.shape) for page in labels]), ("l", labels)):
            (tmp_path / folder).mkdir(exist_ok=True)
            for number, array in enumerate(arrays):
                tifffile.imwrite(tmp_path / folder / f"t{number}.tif", array, photometric="minisblack")
        pairs = pair_images([tmp_path / "i"], [tmp_path / "l"])
        return inspect_set(pairs, TrainingSettings.model_validate(sections))

    return look


def said(report, severity, *words):
    """The messages of a severity that hold all of the words."""
    return [
        problem.message
        for problem in report.problems
        if problem.severity == severity and all(word in problem.message for word in words)
    ]


def test_a_sound_set(report):
    found = report([CELLS] * 5)
    assert (found.problems, found.held_out) == ([], ["t4.tif"])


def sized(width, unit="um"):
    return {"imagej": True, "resolution": (1 / width, 1 / width), "metadata": {"unit": unit}}


def test_images_and_labels_that_declare_other_pixel_sizes_are_said(report, tmp_path):
    widths = [0.5, 0.5, 1.0, 0.5, 0.502]
    report([CELLS] * 5)
    for number, width in enumerate(widths):
        tifffile.imwrite(tmp_path / "i" / f"t{number}.tif", noise(), **sized(width))
    tifffile.imwrite(tmp_path / "l" / "t1.tif", CELLS, **sized(1.0))
    tifffile.imwrite(tmp_path / "l" / "t3.tif", CELLS, **sized(500.0, "nm"))
    found = inspect_set(pair_images([tmp_path / "i"], [tmp_path / "l"]), TrainingSettings())
    (sizes,) = said(found, "warning", "the images differ in the size of a pixel")
    first, third = (tmp_path / "i" / f"t{number}.tif" for number in (0, 2))
    assert f"(0.5 x 0.5 µm ({first}), 1 x 1 µm ({third}))" in sizes
    assert sizes.endswith("; the model will not know which scale it is for")
    assert said(found, "warning", "declares pixels of 1 x 1 µm, but", "t1.tif has 0.5 x 0.5 µm")
    assert len(found.problems) == 2


@pytest.mark.parametrize("unknown", [0, 2, 3, 5])
def test_a_model_that_will_not_know_its_scale_as_too_few_images_do_is_said(report, tmp_path, unknown):
    report([CELLS] * 5)
    for number in range(5):
        tifffile.imwrite(
            tmp_path / "i" / f"t{number}.tif", noise(), **(sized(0.5) if number >= unknown else {})
        )
    found = inspect_set(pair_images([tmp_path / "i"], [tmp_path / "l"]), TrainingSettings())
    messages = said(found, "warning", "the model will not know which scale it is for")
    assert len(messages) == (unknown == 3)
    if messages:
        names = ", ".join(str(tmp_path / "i" / f"t{number}.tif") for number in range(3))
        assert messages[0].startswith(f"3 of 5 images do not say the size of a pixel ({names}), so")


@pytest.mark.parametrize("channel", [None, "1"])
def test_images_that_name_a_channel_otherwise_are_said(report, tmp_path, channel):
    report([CELLS] * 5)
    for number in range(5):
        names = ["DAPI", "GFP"][:: -1 if number == 3 else 1]
        metadata = {"axes": "CYX", "Channel": {"Name": names}}
        path = tmp_path / "i" / f"t{number}.ome.tif"
        tifffile.imwrite(path, noise(2, *BLANK.shape), ome=True, metadata=metadata, photometric="minisblack")
        (tmp_path / "i" / f"t{number}.tif").unlink()
    pairs = pair_images([tmp_path / "i"], [tmp_path / "l"])
    found = inspect_set(pairs, TrainingSettings(), Reading(channel=channel))
    ours, theirs = ("DAPI", "GFP") if channel else ("GFP, DAPI", "DAPI, GFP")
    (message,) = said(found, "warning", "its channels are named")
    assert f"named {ours}, but those of {tmp_path / 'i' / 't0.ome.tif'} {theirs}; see that each" in message


def test_images_that_use_other_bits_of_their_pixels_are_said(report, tmp_path):
    report([CELLS] * 5)
    for number in range(5):
        used = {} if number == 1 else {"SignificantBits": 14 if number == 3 else 12}
        path = tmp_path / "i" / f"t{number}.ome.tif"
        tifffile.imwrite(path, noise().astype(np.uint16), ome=True, metadata={"axes": "YX"} | used)
        (tmp_path / "i" / f"t{number}.tif").unlink()
    found = inspect_set(pair_images([tmp_path / "i"], [tmp_path / "l"]), TrainingSettings())
    (message,) = said(found, "warning", "compare")
    first, third = (tmp_path / "i" / f"t{number}.ome.tif" for number in (0, 3))
    assert message == (
        f"the images differ in bits of a pixel that are used (12 ({first}), 14 ({third})); see that their "
        "intensities compare"
    )


def test_images_that_name_no_channels_beside_others_that_do_are_said(report, tmp_path):
    """Saved again by another program, their channels may be in another order."""
    report([CELLS] * 5)
    for number in range(5):
        names = {} if number == 3 else {"Channel": {"Name": ["DAPI", "GFP"]}}
        path = tmp_path / "i" / f"t{number}.ome.tif"
        tifffile.imwrite(
            path, noise(2, *BLANK.shape), ome=True, metadata={"axes": "CYX"} | names, photometric="minisblack"
        )
        (tmp_path / "i" / f"t{number}.tif").unlink()
    pairs = pair_images([tmp_path / "i"], [tmp_path / "l"])
    third, first = (tmp_path / "i" / f"t{number}.ome.tif" for number in (3, 0))
    for channel, names, see in (
        (None, "DAPI, GFP", "all have them in this order"),
        ("1", "GFP", "the channel is the same in all"),
    ):
        found = inspect_set(pairs, TrainingSettings(), Reading(channel=channel))
        (message,) = said(found, "warning", "do not name their channels")
        assert message.endswith(f"({third}), but {first} does: {names}; see that {see}")


def test_names_that_are_numbers_are_like_none(report, tmp_path):
    report([CELLS] * 5)
    for number in range(5):
        names = {} if number == 3 else {"Channel": {"Name": ["Channel:0:0", "Channel:0:1"]}}
        path = tmp_path / "i" / f"t{number}.ome.tif"
        about = {"axes": "CYX"} | names
        tifffile.imwrite(path, noise(2, *BLANK.shape), ome=True, metadata=about, photometric="minisblack")
        (tmp_path / "i" / f"t{number}.tif").unlink()
    pairs = pair_images([tmp_path / "i"], [tmp_path / "l"])
    for channel in (None, "1"):
        assert not said(
            inspect_set(pairs, TrainingSettings(), Reading(channel=channel)), "warning", "channel"
        )


def test_held_out_pages_without_cells(report):
    found = report([CELLS] * 4 + [BLANK] * 2, validation={"fraction": 0.34})
    (message,) = said(found, "warning", "no held-out page holds a cell")
    assert "held out: t4.tif, t5.tif (2 pages)" in message
    assert "--validate" in message
    assert not said(found, "error")
    # One with cells is enough.
    assert not said(report([CELLS] * 5 + [BLANK], validation={"pages": "4-5"}), "warning", "held-out")


def test_held_out_pages_of_cells_alone(report):
    found = report([CELLS] * 3 + [np.ones_like(CELLS)])
    assert said(found, "warning", "no held-out page holds a pixel of background")


@pytest.mark.parametrize("kind", ["instances", "membrane"])
def test_training_pages_of_one_class_while_the_other_is_held_out(report, kind):
    found = report([BLANK] * 3 + [CELLS], labels={"kind": kind})
    only = {"instances": "background", "membrane": "membrane"}[kind]
    (message,) = said(found, "error", "all labels of the training pages are of one class")
    assert f"one class, {only}: the others are on held-out pages alone (held out: t3.tif (1 page))" in message
    assert found.held_out == ["t3.tif"]


@pytest.mark.parametrize("kind", ["instances", "mask", "membrane", "classes"])
def test_a_set_whose_other_class_is_ignored_says_why_there_is_one_class(report, kind):
    masks = [np.where(CELLS, 255, 0).astype(np.uint8), BLANK]
    found = report(masks, labels={"kind": kind, "ignore": 255})
    means = "is a class" if kind == "classes" else "means cells"
    assert said(found, "error") == [
        "all labels of the set are of one class; all other pixels have the ignore value 255, and are left "
        f"out: if 255 {means}, leave out --ignore 255"
    ]
    assert said(report([BLANK] * 2, labels={"kind": kind, "ignore": 255}), "error") == [
        "all labels of the set are of one class; there is nothing to tell apart"
    ]


def test_one_of_several_classes_on_one_side_alone(report):
    pages, coding = [CELLS, CELLS, CELLS % 2, CELLS], {"kind": "classes", "classes": 3}
    found = report(pages, labels=coding, validation={"pages": "t2.tif"})
    assert said(found, "warning", "no held-out page holds a pixel of class 2 (held out: t2.tif")
    found = report(pages, labels=coding, validation={"pages": "0-1,3"})
    (message,) = said(found, "warning", "no training page holds a pixel of class 2")
    assert "but held-out pages do (held out: t0.tif, t1.tif, t3.tif (3 pages))" in message
    assert not said(report(pages, labels=coding, validation={"pages": "3"}), "warning", "class 2")


def test_cells_that_the_border_erases_do_not_count_as_held_out(report):
    lines = BLANK.copy()
    lines[5] = 1 + np.arange(24)  # of one pixel each: one cell of 24 is left
    assert said(report([CELLS] * 3 + [lines]), "warning", "the separation border erases 23 of 24 cells")


def test_nothing_annotated_on_one_side(report):
    ignored = np.full_like(CELLS, 9)
    found = report([CELLS] * 3 + [ignored], labels={"ignore": 9})
    assert said(found, "warning", "no pixel of the held-out pages is annotated (held out: t3.tif")
    found = report([ignored] * 3 + [CELLS], labels={"ignore": 9})
    assert said(found, "error", "no pixel of the training pages is annotated")


@pytest.mark.parametrize(("empty", "warned"), [(3, False), (4, True)])
def test_a_set_whose_pages_are_mostly_empty(report, empty, warned):
    found = report(
        [BLANK] * empty + [CELLS] * 3, validation={"pages": "0,6"} if empty > 3 else {"pages": "5"}
    )
    messages = said(found, "warning", "pages hold no cell")
    assert bool(messages) == warned
    if warned:
        assert (
            "4 of 7 pages hold no cell (t0.tif, t1.tif, t2.tif, t3.tif): annotated so, or not annotated?"
            in messages[0]
        )
        assert "ignore" in messages[0]


def test_empty_pages_of_a_stack_are_few_words_and_ignored_pages_do_not_count(report):
    stack = np.zeros((30, 20, 24), np.uint8)
    stack[[3, 14, 22, 28]] = CELLS
    (message,) = said(report([stack]), "warning", "hold no cell")
    assert message.startswith("26 of 30 pages hold no cell (pages 0-2, pages 4-13, ")
    stack[4:] = np.where(stack[4:] == 0, 9, stack[4:])
    (message,) = said(report([stack], labels={"ignore": 9}), "warning", "hold no cell")
    assert message.startswith("3 of 30 pages hold no cell (pages 0-2): ")
    stack[:3] = 9
    assert not said(report([stack], labels={"ignore": 9}), "warning", "hold no cell")


@pytest.mark.parametrize(
    ("labels", "cells", "words"),
    [
        ({"kind": "instances"}, CELLS, "hold no cell"),
        ({"kind": "mask"}, CELLS, "hold no cell"),
        ({"kind": "membrane"}, CELLS, "hold nothing but membrane"),
        ({"kind": "classes", "classes": 3, "separation_border": False}, CELLS, "hold nothing but class 0"),
    ],
)
def test_a_blank_page_of_a_stack_is_asked_for_as_a_blank_file_is(report, labels, cells, words):
    stack = np.stack([cells, BLANK, cells, BLANK, cells])
    found = report([stack, cells], [noise(5, 20, 24), noise()], labels=labels)
    (message,) = said(found, "warning", words)
    assert message.startswith(f"2 of 5 pages {words} (page 1, page 3): annotated so, or not annotated?")
    # The value to ignore must not be that of the background, or the background were ignored, too.
    assert "a value that nothing else has" in message
    found = report([np.stack([cells] * 5), cells], [noise(5, 20, 24), noise()], labels=labels)
    assert not said(found, "warning", words)


@pytest.mark.parametrize(
    ("shares", "named"),
    [
        ((8, 9, 10, 1), ["t3.tif"]),
        ((8, 9, 1, 10, 9, 8, 2, 9), ["t2.tif", "t6.tif"]),
        ((10, 6, 4, 2), []),  # the number of cells varies
        ((8, 9, 1), []),  # too few pages to know what is usual
        ((8, 9, 10, 0), []),  # nothing there is another thing, often true
    ],
)
def test_pages_on_which_perhaps_not_every_cell_was_annotated(report, shares, named):
    pages = [np.where(np.arange(24) < share, np.uint8(1), BLANK) for share in shares]
    messages = said(report(pages), "warning", "is every cell annotated?")
    assert len(messages) == bool(named)
    if named:
        assert messages[0].startswith(f"on {', '.join(named)} cells cover ")
        assert f"{min(shares) / 24:.1%}" in messages[0]
        assert f"on the other pages 33.3% to {max(shares) / 24:.1%}" in messages[0]
        assert not said(
            report([*pages[:-1], np.ones_like(BLANK)], labels={"kind": "membrane"}), "warning", "every cell"
        )


def test_the_same_image_on_both_sides_of_the_split(report):
    images = [noise() for _ in range(6)]
    images[5] = images[4] = images[1]
    split = report([CELLS] * 6, images, validation={"pages": "4,3,0"})
    (message,) = said(split, "warning", "the same image is trained on and held out")
    assert "t1.tif and t4.tif" in message
    assert "t5.tif" not in message  # is trained on, as is t1.tif
    whole = report([CELLS] * 6, images, validation={"pages": "1,4-5"})
    assert not said(whole, "warning", "the same image is trained on and held out")


def test_copies_on_one_side_are_said_to_count_again(report):
    images = [noise() for _ in range(8)]
    images[1] = images[0]
    images[7] = images[6]
    found = report([CELLS] * 8, images, validation={"pages": "6-7"})
    assert said(found, "warning", "the same image") == [
        f"the same image is {side} more than once, and counts again each time: {names}; leave its copies out"
        for side, names in (("trained on", "t0.tif and t1.tif"), ("held out", "t6.tif and t7.tif"))
    ]


def test_copies_that_teach_nothing_or_are_mirrored_on_purpose_are_no_news(report):
    images = [noise(20, 20) for _ in range(8)]
    images[1] = np.fliplr(images[0])
    images[2] = images[3] = np.full((20, 20), 7, np.uint8)
    cells = [CELLS[:20, :20].copy() for _ in range(8)]
    images[5] = images[4]
    cells[5][:] = 255  # nobody annotated it
    found = report(cells, images, labels={"ignore": 255}, validation={"pages": "6-7"})
    assert not said(found, "warning", "the same image")


def test_copies_of_held_out_pages_are_held_out_with_them(report):
    images = [noise(20, 20) for _ in range(10)]
    images[0], images[4] = np.rot90(images[9]), images[3]
    found = report([CELLS[:20, :20]] * 10, images)
    assert found.held_out == ["t0.tif", "t8.tif", "t9.tif"]
    assert (found.held_out_seen, found.held_out_pages) == ([], [0, 8, 9])
    together, again = said(found, "warning", "the same image")
    assert "where one copy is held out, all are" in together
    assert "too good: t0.tif and t9.tif; " in together
    assert "trained on more than once, and counts again each time: t3.tif and t4.tif;" in again


def test_a_set_of_one_image_and_its_copies_holds_out_none(report):
    found = report([CELLS] * 5, [noise()] * 5)
    assert found.held_out == []
    assert said(found, "warning", "no page is held out")
    assert said(found, "warning", "t0.tif and t1.tif and t2.tif and t3.tif and t4.tif")


@pytest.mark.parametrize(
    "turn", [np.fliplr, np.flipud, np.rot90, np.transpose, lambda page: page[::-1, ::-1]]
)
def test_a_mirrored_or_turned_copy_is_held_out_beside_its_page(report, turn):
    """As in sets that were augmented before: the loop mirrors and turns tiles itself."""
    images = [noise(20, 20) for _ in range(4)]
    images[3] = turn(images[1])
    cells = [CELLS[:20, :20]] * 4
    (message,) = said(report(cells, images, validation={"pages": "3"}), "warning", "mirrored or turned")
    assert "t1.tif and t3.tif" in message
    assert not said(report(cells, images, validation={"pages": "0"}), "warning", "mirrored or turned")


def test_the_same_page_in_a_stack_and_in_a_file_and_blank_pages(report):
    stack = noise(3, 20, 24)
    stack[0] = 0
    images = [stack, stack[2].copy(), BLANK]
    found = report([np.stack([CELLS] * 3), CELLS, CELLS], images, validation={"pages": "t1,t2"})
    (message,) = said(found, "warning", "same image")
    assert "good: t0.tif page 2 and t1.tif; leave" in message  # two blank pages are alike, but no image


@pytest.mark.parametrize("method", ["image-percentiles", "training-percentiles", "standardise", "auto"])
def test_percentiles_that_make_a_sparse_image_blank(report, method):
    sparse = [np.where(RNG.random((40, 60)) < 1e-3, 9000, 0).astype(np.uint16) for _ in range(5)]
    for image in sparse:
        image[0, 0] = 9000
    labels = np.zeros((40, 60), np.uint8)
    labels[3:9, 3:9], labels[20:30, 3:9] = 1, 2
    found = report([labels] * 5, sparse, mapping={"method": method, "high": 99})
    messages = said(found, "warning", "blank image")
    assert len(messages) == {"training-percentiles": 1, "standardise": 0}.get(method, 5)
    for message in messages:
        assert "percentiles 1 and 99" in message
        assert "standardise" in message


def test_percentiles_of_each_page_name_the_pages_that_they_make_blank(report):
    stack = RNG.integers(20, 90, (3, *CELLS.shape)).astype(np.uint16)
    stack[1] = np.where(RNG.random(CELLS.shape) < 1e-3, 9000, 50)
    stack[1, 0, 0] = 9000
    rule = {"method": "image-percentiles", "high": 99}
    found = report([np.stack([CELLS] * 3)], [stack], mapping=rule | {"each": "page"})
    (message,) = said(found, "warning", "blank image")
    assert "the percentiles 1 and 99 are both 50 on page 1, so" in message
    assert not said(report([np.stack([CELLS] * 3)], [stack], mapping=rule), "warning", "blank image")


def test_images_of_any_size_go_together(report):
    large = np.zeros((200, 150), np.uint8)
    large[20:60, 20:60], large[90:140, 30:80] = 1, 2
    assert report([CELLS, large, CELLS, large]).problems == []


@pytest.mark.parametrize("alone", [255, 254])
def test_a_file_with_one_cell_may_give_it_any_id(report, alone):
    single = np.where(CELLS == 2, alone, 0).astype(np.uint8)
    found = report([single, CELLS, CELLS, CELLS])
    assert not said(found, "error")
    assert len(said(found, "warning", "a single cell")) == 1


def test_a_mask_of_cells(report):
    mask = np.where(CELLS, 255, 0).astype(np.uint8)
    assert report([mask] * 4, labels={"kind": "mask"}).problems == []
    dense = np.where(CELLS, 0, 255).astype(np.uint8)
    assert (
        len(said(report([dense] * 4, labels={"kind": "mask"}), "warning", "is not 0, which means cells")) == 4
    )
    assert len(said(report([mask] * 4, labels={"kind": "membrane"}), "warning", "--label-kind mask")) == 4
    gray = np.where(CELLS, 0, np.where(np.arange(CELLS.shape[1]) % 2, 90, 255)).astype(np.uint8)
    cut = report([gray] * 4, labels={"kind": "mask", "threshold": 80})
    assert len(said(cut, "warning", "of it is 80 or more, which means cells")) == 4
    faint = np.where(mask, 255, np.arange(CELLS.shape[1]) % 2 * 9).astype(np.uint8)
    cut = report([faint] * 4, labels={"kind": "membrane", "threshold": 10})
    assert len(said(cut, "warning", "of it is below 10, which means membrane", "--label-kind mask")) == 4
    several = report([np.where(mask, CELLS + 3, 0).astype(np.uint8)] * 4, labels={"kind": "mask"})
    assert len(said(several, "warning", "2 different values", "all read as cells")) == 4
    blank = report([mask, mask, mask, BLANK], labels={"kind": "mask"})
    assert said(blank, "warning", "no held-out page holds a cell")


def test_a_mask_among_instances_is_still_refused(report):
    mask = np.where(CELLS, 255, 0).astype(np.uint8)
    (message,) = said(report([CELLS, mask, CELLS, CELLS]), "error")
    assert "0 and 255" in message
    assert len(said(report([mask] * 3), "error", "0 and 255")) == 3


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ("t7", "not 't7'; the nearest name is t"),
        ("3", "there is no page 3"),
        ("2-1", "runs backwards; write 1-2"),
        ("0-2", "leave some for training"),
    ],
)
def test_pages_to_hold_out_that_cannot_be_are_wrong_usage_not_a_wrong_set(report, pages, words):
    with pytest.raises(SettingsError, match=re.escape(words)):
        report([CELLS] * 3, validation={"pages": pages})
    # What is wrong with the files is said first.
    found = report([CELLS, np.where(CELLS, 255, 0).astype(np.uint8), CELLS], validation={"pages": pages})
    assert said(found, "error", "0 and 255")
    assert found.held_out == []


def test_labels_whose_pages_are_in_another_order_are_refused(tmp_path):
    pages = np.zeros((6, 40, 50), np.uint8)
    pages[:, 5:20, 5:20] = 255
    pair = []
    for name, axes, shape in (("i", "TZYX", (2, 3)), ("l", "ZTYX", (3, 2))):
        pair.append(tmp_path / f"{name}.ome.tif")
        array = pages.reshape(*shape, 40, 50)
        tifffile.imwrite(pair[-1], array, metadata={"axes": axes}, ome=True, photometric="minisblack")
    problems = inspect_set([tuple(pair)], TrainingSettings()).problems
    assert any("its pages are Z 3 x T 2" in problem.message for problem in problems)


@pytest.mark.parametrize(("kind", "meant"), [("instances", "background"), ("membrane", "membrane")])
def test_ignoring_the_value_of_the_background_is_said_once_and_why(report, kind, meant):
    found = report([CELLS] * 4, labels={"kind": kind, "ignore": 0})
    (error,) = [problem.message for problem in found.problems if problem.severity == "error"]
    assert f"the ignore value is 0, which means {meant}" in error
    assert "leave out --ignore 0" in error
    warnings = {problem.message for problem in found.problems if problem.severity == "warning"}
    assert all("the ignore value is 0" in one for one in warnings if "cells" in one), warnings
    assert not any("numbered 1" in one for one in warnings)
