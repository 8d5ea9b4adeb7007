"""Two folders of labels, masks or class maps: pairs, pages, failures, and figures computed by hand."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError, UsageError
from unet2015.metrics import evaluate_objects, evaluate_pixels, evaluate_seg
from unet2015.segmentation.label_files import measure_files


def write(folder: Path, **files: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in files.items():
        axes = {"metadata": {"axes": "IYX"}} if array.ndim == 3 else {}
        tifffile.imwrite(folder / f"{name}.tif", array, photometric="minisblack", **axes)
    return folder


CELLS = np.kron(np.array([[1, 0, 2], [0, 3, 3]], np.uint16), np.ones((10, 10), np.uint16))
"""Cells of 100, 100 and 200 px."""
MASK = (CELLS > 0).astype(np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Truth c0 and c1; results that split cell 3 into halves, or lose cell 1."""
    split, lost = CELLS.copy(), CELLS.copy()
    split[:, 20:][split[:, 20:] == 3] = 40
    lost[lost == 1] = 0
    truth = write(tmp_path / "truth", c0=CELLS, c1=CELLS)
    return truth, write(tmp_path / "result", c0_cells=split, c1_cells=lost)


def test_objects_are_counted_over_all_files(folders: tuple[Path, Path]) -> None:
    told: list[tuple[int, int]] = []
    found = evaluate_objects(*folders, progress=lambda done, count: told.append((done, count)))
    counts = found.scores.at(0.5)
    assert (counts.tp, counts.fp, counts.fn) == (3 + 2, 1, 1)  # one half of cell 3 has an IoU of 0.5
    assert counts.iou_sum == 4.5
    assert (found.scores.at(0.55).tp, found.scores.at(0.55).fp) == (4, 2)
    assert found.scores.seg == 4 / 6
    assert told == [(1, 2), (2, 2)]
    rows = found.per_image()
    assert [(Path(row["truth"]).name, Path(row["result"]).name, row["tp"]) for row in rows] == [
        ("c0.tif", "c0_cells.tif", 3),
        ("c1.tif", "c1_cells.tif", 2),
    ]
    said = json.loads(json.dumps(found.as_dict()))
    assert (said["f1"], said["complete"], said["files"], said["notes"]) == (10 / 12, True, 2, [])
    assert evaluate_objects(*folders, 0.3).as_dict()["threshold"] == 0.3


def test_pages_of_stacks_are_paired_in_order(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", s=np.stack([CELLS, 0 * CELLS, CELLS]))
    found = evaluate_objects(truth, write(tmp_path / "r", s=np.stack([CELLS, CELLS, 0 * CELLS])))
    assert [(row["page"], row["tp"], row["fp"], row["fn"]) for row in found.per_image()] == [
        (0, 3, 0, 0),
        (1, 0, 3, 0),
        (2, 0, 0, 3),
    ]


def test_what_fails_is_named_and_the_others_go_on(folders: tuple[Path, Path]) -> None:
    truth, result = folders
    write(truth, c2=CELLS, c3=CELLS, c4=CELLS, c5=CELLS, c6=CELLS)
    write(result, c2_cells=CELLS[:-1], c3_cells=np.stack([CELLS, CELLS]), c4_cells=CELLS / np.float32(2))
    (result / "c5_cells.tif").write_bytes(b"no image")
    write(result, c7_cells=CELLS)
    found = evaluate_objects(truth, result)
    assert not found.comparison.complete
    assert found.scores.at(0.5).tp == 5
    failures = [str(error) for error in found.comparison.failures]
    for said, *words in zip(
        failures,
        ("c2_cells.tif", "c3_cells.tif", "c4_cells.tif", "c5_cells.tif"),
        ("19 x 30 px", "2 pages of 20 x 30", "float32", "no image"),
        strict=True,
    ):
        assert all(word in said for word in words)
    said = found.as_dict()
    assert ([Path(path).name for path in said["truth_alone"]], len(said["result_alone"])) == (["c6.tif"], 1)
    pixels = evaluate_pixels(truth, result)
    assert [str(error) for error in pixels.comparison.failures] == failures


def test_folders_that_are_not_searched_are_named(folders: tuple[Path, Path]) -> None:
    """As soon as one image lies in a folder, those of its folders are not compared."""
    truth, result = folders
    assert evaluate_objects(truth, result).as_dict()["folders_not_searched"] == []
    write(truth / "day2", c0=CELLS)
    write(result / "day2", c0_cells=CELLS)
    said = evaluate_objects(truth, result).as_dict()
    assert (said["files"], said["folders_not_searched"]) == (2, [f"{truth / 'day2'}", f"{result / 'day2'}"])
    for name in ("c0", "c1"):
        (truth / f"{name}.tif").unlink()
    said = evaluate_objects(truth, result / "day2").as_dict()
    assert (said["files"], said["folders_not_searched"]) == (1, [])


def test_what_is_said_of_folders_is_what_json_has(folders: tuple[Path, Path], caplog) -> None:
    truth, result = folders
    caplog.set_level(logging.INFO, "unet2015")
    write(truth / "monday", c0=CELLS, c1=CELLS)
    said = evaluate_objects(truth, truth / "monday").as_dict()
    assert said["folders_not_searched"] == []
    assert "not searched" not in caplog.text
    write(truth / "day2", c0=CELLS)
    said = evaluate_objects(truth, result).as_dict()
    assert said["folders_not_searched"] == [f"{truth / 'day2'}", f"{truth / 'monday'}"]
    assert [str(truth / "day2") in line for line in caplog.messages if "not searched" in line] == [True]


def test_pairs_that_are_there_twice_are_said(tmp_path: Path) -> None:
    """Without a record beside them: truth and result are the same files again, by other names."""
    other, empty = np.roll(CELLS, 1), 0 * CELLS
    truth = write(tmp_path / "t", a=CELLS, b=CELLS, c=CELLS, d=empty, e=empty)
    result = write(tmp_path / "r", a=other, b=other, c=CELLS, d=empty, e=empty)
    (note,) = [text for text in evaluate_objects(truth, result).comparison.on_results if "pair" in text]
    assert note == (
        "1 pair is byte for byte another pair of truth and result, so that what is there counts again: "
        "b.tif as a.tif; leave one of each out"
    )


def test_no_pair_and_a_wrong_threshold_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    other = write(tmp_path / "other", x8=CELLS, x9=CELLS)
    with pytest.raises(DataSetError, match=r"c0\.tif.*x8\.tif"):
        evaluate_objects(folders[0], other)
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        evaluate_objects(*folders, 0)


def test_masks_given_as_objects_are_noticed(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", a=CELLS, b=CELLS)
    for value in (1, 255):
        result = write(tmp_path / f"r{value}", a=(CELLS % 3 > 0) * np.uint8(value), b=0 * MASK)
        (note,) = evaluate_objects(truth, result).notes
        assert "the result looks like masks" in note
    one = write(tmp_path / "one", a=(CELLS == 3).astype(np.uint8), b=0 * MASK)
    assert evaluate_objects(one, one).notes == []
    none = write(tmp_path / "none", a=0 * MASK, b=0 * MASK)
    assert evaluate_objects(none, truth).notes == ["the truth holds no object, so every measure is 0"]


def test_a_mask_among_labels_is_noticed(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", a=CELLS, b=CELLS, c=CELLS)
    mixed = write(tmp_path / "m", a=CELLS, b=(CELLS % 3 > 0) * np.uint8(255), c=(CELLS == 3).astype(np.uint8))
    for first, second, name in ((truth, mixed, "result"), (mixed, truth, "truth")):
        (note,) = evaluate_objects(first, second).notes
        assert f"the {name} is labels, but some pages look like masks ({mixed / 'b.tif'} page 0): " in note
    assert evaluate_objects(truth, truth).notes == []


def test_other_pixel_sizes_of_truth_and_result_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = np.kron(np.arange(4, dtype=np.uint16).reshape(2, 2), np.ones((9, 9), np.uint16))
    for name, width in (("truth", 1.0), ("result", 0.5), ("same", 1.0)):
        options = {"resolution": (1 / width, 1 / width), "metadata": {"unit": "um"}}
        tifffile.imwrite(tmp_path / f"{name}.tif", labels, imagej=True, **options)
    evaluate_objects(tmp_path / "truth.tif", tmp_path / "same.tif")
    assert "declares pixels" not in caplog.text
    evaluate_objects(tmp_path / "truth.tif", tmp_path / "result.tif")
    said = "declares pixels of 0.5 x 0.5 µm, but its truth has 1 x 1 µm; see which is right"
    assert f"{tmp_path / 'result.tif'}: {said}" in caplog.text


def test_the_same_difference_of_many_frames_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        for stem, width in (("man_seg", 1.0), ("mask", 0.5)):
            options = {"resolution": (1 / width, 1 / width), "metadata": {"unit": "um"}}
            tifffile.imwrite(tmp_path / f"{stem}{number}.tif", CELLS, imagej=True, **options)
    assert evaluate_seg(tmp_path, tmp_path).value == 1
    assert "mask0.tif: declares pixels of 0.5 x 0.5 µm, but its truth has 1 x 1 µm" in caplog.text
    assert caplog.text.count("declares pixels") == 2, "at first, and at the end with how many more"
    assert "(and 2 more files)" in caplog.text


@pytest.mark.parametrize("other", ["mask1.tif", "mask_01.tif", "mask001.tiff"])
def test_two_files_of_a_frame_are_refused(tmp_path: Path, other: str) -> None:
    truth = write(tmp_path / "t", man_seg001=CELLS)
    result = write(tmp_path / "r", mask001=CELLS)
    assert evaluate_seg(truth, result).value == 1
    tifffile.imwrite(result / other, CELLS)
    with pytest.raises(DataSetError, match="are of frame 1") as caught:
        evaluate_seg(truth, result)
    assert other in str(caught.value)
    assert "mask001.tif" in str(caught.value)


def test_a_map_of_several_classes_given_as_objects_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spots = np.zeros((60, 60), np.uint8)
    spots[::6, ::6] = 1
    spots[3::6, 3::6] = 2
    cells = np.kron(np.arange(9, dtype=np.uint8).reshape(3, 3), np.ones((20, 20), np.uint8))
    few = np.minimum(cells, 4)  # of which one has five pieces that touch
    write(tmp_path / "t", man_seg0=cells)
    for name, labels, said in (("spots", spots, True), ("few", few, False)):
        caplog.clear()
        result = write(tmp_path / name, mask0=labels)
        notes = evaluate_objects(tmp_path / "t" / "man_seg0.tif", result / "mask0.tif").notes
        assert [said] == [any("looks like masks" in note for note in notes)]
        evaluate_seg(tmp_path / "t", result)
        measure_files(result / "mask0.tif", tmp_path / "table")
        assert (f"{result / 'mask0.tif'}: looks like a mask" in caplog.text) == said
        assert ("all objects have the numbers 1, 2, in 200 separate pieces" in caplog.text) == said


def test_masks_are_noticed_by_seg(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    truth = write(tmp_path / "t", man_seg001=CELLS)
    evaluate_seg(truth, write(tmp_path / "r", mask001=CELLS))
    assert "looks like a mask" not in caplog.text
    evaluate_seg(truth, write(tmp_path / "m", mask001=(CELLS % 3 > 0) * np.uint8(255)))
    assert (
        f"{tmp_path / 'm' / 'mask001.tif'}: looks like a mask: one value, or few, in several pieces"
        in caplog.text
    )


@pytest.mark.parametrize("truth", [1, 255])
@pytest.mark.parametrize("result", [1, 255, 65535])
def test_masks_of_any_coding_are_alike(tmp_path: Path, truth: int, result: int) -> None:
    smaller = MASK.astype(np.uint16)
    smaller[:, :10] = 0  # 100 of 400 px are lost
    found = evaluate_pixels(
        write(tmp_path / "t", a=MASK * np.uint16(truth), b=0 * MASK),
        write(tmp_path / "r", a=smaller * result, b=0 * MASK),
    )
    assert list(found.classes) == [0, 1]
    one = found.classes[1]
    assert (one.tp, one.fp, one.fn, one.tn) == (300, 0, 100, 800)
    assert (one.iou, one.precision, one.recall, one.dice) == (0.75, 1, 0.75, 600 / 700)
    assert [(row["class"], row["true_pixels"]) for row in found.per_image()] == [(0, 200), (1, 400), (0, 600)]


def test_a_truth_that_is_ignored_everywhere_is_refused(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", a=MASK * 0 + 7, b=MASK)
    result = write(tmp_path / "r", a=MASK, b=MASK)
    assert evaluate_pixels(truth, result, ignore=7).classes[1].dice == 1
    with pytest.raises(DataSetError, match="every pixel has the value 7, that of --ignore: none is left"):
        evaluate_pixels(truth / "a.tif", result / "a.tif", ignore=7)


def test_a_class_that_is_left_out_has_no_row_and_is_an_error_where_it_is_found(tmp_path: Path) -> None:
    truth = write(tmp_path / "t", a=np.array([[0, 0, 1, 1, 2, 2, 3, 3]], np.uint8))
    result = write(tmp_path / "r", a=np.array([[0, 1, 1, 1, 2, 0, 2, 3]], np.uint8))
    found = evaluate_pixels(truth, result, ignore=2)
    assert {number: (o.tp, o.fp, o.fn) for number, o in found.classes.items()} == {
        0: (1, 0, 1), 1: (2, 1, 0), 3: (1, 0, 1)
    }  # fmt: skip
    assert [row["class"] for row in found.per_image()] == [0, 1, 3]


def test_class_maps_go_by_value_and_instance_labels_by_foreground(tmp_path: Path) -> None:
    classes = np.array([[0, 0, 1, 1, 2, 2, 255, 255]], np.uint8)
    found = np.array([[0, 1, 1, 1, 2, 0, 2, 0]], np.uint8)
    truth, result = write(tmp_path / "t", a=classes), write(tmp_path / "r", a=found)
    by_class = evaluate_pixels(truth, result, ignore=255).classes
    assert {number: (o.tp, o.fp, o.fn) for number, o in by_class.items()} == {
        0: (1, 1, 1), 1: (2, 1, 0), 2: (1, 0, 1)
    }  # fmt: skip
    assert list(evaluate_pixels(truth, result).classes) == [0, 1, 2, 255]
    many = write(tmp_path / "m", a=np.arange(400, dtype=np.uint16)[None])
    assert "--foreground" in str(evaluate_pixels(many, many).comparison.failures[0])
    assert evaluate_pixels(many, many, foreground=True).classes[1].tp == 399


def test_instance_labels_beside_a_class_map_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels, classes = write(tmp_path / "labels", a=CELLS), write(tmp_path / "classes", a=MASK)
    two = write(tmp_path / "two", a=CELLS % 3)
    for pair in ((labels, classes), (classes, labels)):
        caplog.clear()
        evaluate_pixels(*pair)
        assert f"{labels} holds 0, 1, 2, 3, but {classes} only 0 and 1" in caplog.text
    caplog.clear()
    evaluate_pixels(labels, classes, foreground=True)
    evaluate_pixels(two, classes)
    evaluate_pixels(labels, labels)
    assert caplog.text == ""


def test_masks_against_classes_are_refused(tmp_path: Path) -> None:
    masks, classes = write(tmp_path / "masks", a=MASK * np.uint8(255)), write(tmp_path / "classes", a=CELLS)
    both = write(tmp_path / "both", a=np.where(CELLS == 3, 255, CELLS))
    for others in (classes, both):
        for pair in ((masks, others), (others, masks)):
            with pytest.raises(DataSetError, match=r"masks holds masks of 0 and 255.*--foreground"):
                evaluate_pixels(*pair)
        assert evaluate_pixels(masks, others, foreground=True).classes[1].iou == 1


@pytest.mark.parametrize("name", ["man_seg_001_001.tif", "man_seg1b.tif", "man_seg001.png", "MAN_SEG-1.TIF"])
def test_truth_that_seg_would_leave_out_is_refused(tmp_path: Path, name: str) -> None:
    truth = write(tmp_path / "GT" / "SEG", man_seg0=CELLS)
    result = write(tmp_path / "r", mask0=CELLS, mask2=CELLS * 0)
    tifffile.imwrite(truth / "man_seg2.TIF", CELLS)
    assert evaluate_seg(truth.parent, result).value == 1 / 2
    tifffile.imwrite(truth / name, CELLS)
    for place in (truth, truth.parent):
        with pytest.raises(DataSetError, match=f"{name}: expected man_segTTT.tif, one file a frame"):
            evaluate_seg(place, result)


def test_seg_takes_results_of_any_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    truth = write(tmp_path / "01_GT" / "SEG", man_seg002=CELLS, man_seg005=CELLS)
    usual = write(tmp_path / "usual", mask002=CELLS, mask005=CELLS * (CELLS > 1), mask007=CELLS)
    other = write(tmp_path / "other", t002_cells=CELLS, t005_cells=CELLS * (CELLS > 1), t007_cells=CELLS)
    assert evaluate_seg(truth, other) == evaluate_seg(truth.parent, usual)
    caplog.set_level("INFO", "unet2015")
    assert evaluate_seg(truth, other).value == 5 / 6
    said = "frames were paired by their names, such as "
    assert f"{said}{truth / 'man_seg002.tif'} with {other / 't002_cells.tif'}" in caplog.text
    (other / "t005_cells.tif").unlink()
    with pytest.raises(DataSetError, match=r"man_seg005\.tif"):
        evaluate_seg(truth, other)


@pytest.mark.parametrize("name", ["DIC-C2DH-HeLa", "PhC-C2DH-U373"])
def test_real_truth_against_itself_and_what_was_done_to_it(data: Path, tmp_path: Path, name: str) -> None:
    files = sorted((data / "ctc" / name / "01_GT" / "SEG").iterdir())[:3]
    halved, fewer, cells, first, second = {}, {}, 0, 0.0, 0
    for file in files:
        labels = tifffile.imread(file)
        halves, rest = labels.astype(np.uint32), labels.copy()
        ids = [int(label) for label in np.unique(labels) if label]
        for label in ids:
            rows, columns = np.nonzero(labels == label)
            cut = rows < np.median(rows)
            halves[rows[cut], columns[cut]] += 1000
            share = max(int(cut.sum()), int((~cut).sum())) / len(rows)  # the IoU of the larger half
            first, second = first + share * (share >= 0.5), second + (share >= 0.5)
        rest[labels == ids[0]] = 0
        cells += len(ids)
        halved[file.stem.replace("man_seg", "mask")], fewer[f"{file.stem}_fewer"] = halves, rest
    truth = write(tmp_path / "truth", **{file.stem: tifffile.imread(file) for file in files})
    same = evaluate_objects(truth, truth)
    assert same.scores.true_objects == same.scores.found_objects == cells > 10
    assert all(one.average_precision == one.panoptic_quality == 1 for one in same.scores.by_threshold)
    assert same.scores.mean_average_precision == same.scores.seg == 1
    assert same.comparison.with_themselves == 3
    counts = evaluate_objects(truth, write(tmp_path / "halved", **halved)).scores.at(0.5)
    assert (counts.tp, counts.fp, counts.fn) == (second, 2 * cells - second, cells - second)
    assert counts.iou_sum == pytest.approx(first)
    scores = evaluate_objects(truth, write(tmp_path / "fewer", **fewer)).scores
    assert scores.mean_average_precision == pytest.approx((cells - 3) / cells)
    assert scores.seg == pytest.approx((cells - 3) / cells)


def test_of_all_results_of_a_segmentation_those_are_meant_that_can_be_compared(tmp_path: Path) -> None:
    truth = write(tmp_path / "SEG", man_seg000=CELLS, man_seg001=CELLS)
    result = tmp_path / "result"
    for name in ("t000", "t001", "t002"):
        write(result, **{f"{name}.classes": MASK, f"{name}.labels": CELLS, f"{name}.probability": MASK * 0.5})
        (result / f"{name}.overlay.png").write_bytes(b"no image at all")
    assert evaluate_objects(truth, result).scores.seg == 1
    assert evaluate_seg(truth, result).value == 1
    whole = evaluate_pixels(truth, result, foreground=True)
    assert whole.classes[1].dice == 1
    assert {page.result.name for page in whole.comparison.pages} == {"t000.classes.tif", "t001.classes.tif"}
    masks = write(tmp_path / "masks", man_seg000=MASK, man_seg001=MASK)
    found = evaluate_pixels(masks, result)
    assert found.classes[1].dice == 1
    assert [path.name for path in found.comparison.pairing.second_alone] == ["t002.classes.tif"]
    # A class map without labels is no result that is meant; a file that has a name of its own stays.
    write(result, **{"t003.classes": CELLS, "t004": CELLS, "t5.labels.ome": CELLS, "t5.classes.ome": MASK})
    alone = evaluate_objects(truth, result).comparison.pairing.second_alone
    names = [path.name for path in alone]
    assert names == ["t002.labels.tif", "t004.tif", "t5.labels.ome.tif"]


def test_frames_whose_pages_are_in_another_order_are_refused(tmp_path: Path) -> None:
    pages = np.stack([np.roll(CELLS, k, 0) for k in range(6)]).reshape(2, 3, *CELLS.shape)
    for name, axes, array in (("man_seg0", "IZYX", pages), ("mask0", "ZIYX", pages.swapaxes(0, 1).copy())):
        tifffile.imwrite(tmp_path / f"{name}.tif", array, metadata={"axes": axes}, photometric="minisblack")
    with pytest.raises(DataSetError, match="save both with their axes in the same order"):
        evaluate_seg(tmp_path, tmp_path)


def moving() -> np.ndarray:
    """Return 3 times of 2 slices, in which cells move between times and slices."""
    return np.stack([np.roll(CELLS, (5 * k, 7 * k), (0, 1)) for k in range(6)]).reshape(3, 2, *CELLS.shape)


def stacked(folder: Path, pages: np.ndarray, axes: str | None) -> Path:
    """Write a stack; without axes as one of pages alone."""
    folder.mkdir()
    metadata = None if axes is None else {"axes": axes}
    flat = pages.reshape(-1, *pages.shape[-2:]) if axes is None else pages
    tifffile.imwrite(folder / "a.tif", flat, metadata=metadata, photometric="minisblack")
    return folder


OTHERWISE = "fit far better with the two axes counted in the other order"


@pytest.mark.parametrize("evaluate", [evaluate_objects, lambda *two: evaluate_pixels(*two, foreground=True)])
@pytest.mark.parametrize("side", [0, 1])
def test_pages_of_some_kind_that_fit_in_another_order_are_said(tmp_path, caplog, evaluate, side) -> None:
    named = stacked(tmp_path / "named", moving(), "TZYX")
    turned = stacked(tmp_path / "turned", moving().swapaxes(0, 1), None)
    evaluate(*(named, turned)[:: 1 - 2 * side])
    (said,) = [message for message in caplog.messages if OTHERWISE in message]
    pages = (
        "its pages are I 6, those of its truth T 3 x Z 2",
        "its pages are T 3 x Z 2, those of its truth I 6",
    )
    assert pages[side] in said
    assert "100% of what is not 0 lies on each other then, now " in said


@pytest.mark.parametrize("axes", ["TZYX", "ZTYX"])
def test_pages_of_some_kind_that_fit_by_their_number_are_not_said_to_fit_otherwise(
    tmp_path, caplog, axes
) -> None:
    pages = moving() if axes == "TZYX" else moving().swapaxes(0, 1)
    named, plain = stacked(tmp_path / "named", pages, axes), stacked(tmp_path / "plain", pages, None)
    evaluate_objects(named, plain)
    poor = stacked(tmp_path / "poor", np.roll(pages, 9, -1), None)
    evaluate_objects(named, poor)
    none = stacked(tmp_path / "none", 0 * pages, None)
    evaluate_objects(named, none)
    evaluate_objects(none, named)
    still = [stacked(tmp_path / f"still {one}", pages[:1].repeat(3, 0), one) for one in (axes, None)]
    evaluate_objects(*still)
    assert OTHERWISE not in caplog.text


def an_image(seed: int = 0, kind: type = np.uint8) -> np.ndarray:
    """Return cells on background with noise, as a microscope sees them."""
    noise = np.random.default_rng(seed).normal(0, 5, CELLS.shape)
    return (60.0 + 80 * MASK + noise).astype(kind)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("evaluate", [evaluate_objects, lambda *two: evaluate_pixels(*two, foreground=True)])
def test_an_image_is_neither_truth_nor_result(tmp_path: Path, side: int, evaluate) -> None:
    pair = [write(tmp_path / "cells", a=CELLS), write(tmp_path / "image", a=an_image())]
    found = evaluate(*pair[:: 1 - 2 * side])
    assert not found.comparison.pages
    name = ("result", "truth")[side]
    assert f"values of the {name} are scattered over many pieces; is it an image?" in str(
        found.comparison.failures[0]
    )


def test_an_image_is_no_frame_of_seg(tmp_path: Path) -> None:
    truth, result = write(tmp_path / "t", man_seg0=CELLS), write(tmp_path / "r", mask0=an_image(1, np.uint16))
    with pytest.raises(DataSetError, match=r"mask0.tif: most of the .* is it an image\?"):
        evaluate_seg(truth, result)


def test_touching_cells_in_pieces_are_no_image(tmp_path: Path) -> None:
    tiled = np.kron(np.arange(1, 26, dtype=np.uint16).reshape(5, 5), np.ones((3, 3), np.uint16))
    tiled[::4, ::4] = 3  # one cell in many pieces
    one = write(tmp_path / "t", a=tiled)
    assert evaluate_objects(one, one).scores.seg == 1


def test_classes_counted_from_one_are_not_compared_with_those_from_zero(tmp_path: Path, caplog) -> None:
    zero, one = write(tmp_path / "zero", a=MASK), write(tmp_path / "one", a=MASK + 1)
    for pair in ((zero, one), (one, zero)):
        with pytest.raises(
            DataSetError, match=r"one holds 1, 2 and no 0, but .*zero 0, 1: one counts classes from 1"
        ):
            evaluate_pixels(*pair)
    assert evaluate_pixels(one, one).classes[2].dice == 1
    # A map without background beside one with it.
    assert evaluate_pixels(write(tmp_path / "full", a=MASK * 0 + 1), zero).classes[1].recall == MASK.mean()
    assert "no 0" not in caplog.text
    evaluate_pixels(one, zero, foreground=True)
    assert f"{one} has no 0 on any page, so that every pixel counts as foreground" in caplog.text
    caplog.clear()
    evaluate_pixels(zero, write(tmp_path / "whole", a=MASK * 0 + 1), foreground=True)
    assert not caplog.text
