"""Folders of masks that are not coded alike."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError
from unet2015.metrics.pixel_folders import evaluate_pixels


def test_masks_of_two_codings_in_one_folder_are_refused(tmp_path):
    for folder, values in (("truth", (255, 1)), ("result", (1, 255))):
        (tmp_path / folder).mkdir()
        for name, value in zip("ab", values, strict=True):
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", np.eye(9, dtype=np.uint8) * value)
    with pytest.raises(DataSetError, match="masks of 0 and 1 beside masks of 0 and 255, or classes"):
        evaluate_pixels(tmp_path / "truth", tmp_path / "result")
    assert evaluate_pixels(tmp_path / "truth", tmp_path / "result", foreground=True)


def write_pair(folder, truth, result):
    for name, page in (("t.tif", truth), ("r.tif", result)):
        tifffile.imwrite(folder / name, page)
    return folder / "t.tif", folder / "r.tif"


@pytest.mark.parametrize(("dtype", "mark"), [(np.uint8, 255), (np.uint16, 65535)])
def test_masks_with_a_value_for_what_nobody_annotated_are_sent_to_ignore(tmp_path, caplog, dtype, mark):
    """With --foreground these pixels would count as cells, so it is not the first advice, and is said."""
    result = np.eye(9, dtype=np.uint8)
    truth = result.astype(dtype)
    truth[:4] = mark
    pair = write_pair(tmp_path, truth, result)
    with pytest.raises(DataSetError, match=f"holds 0, 1, {mark} on one page: if {mark} .*--ignore {mark} "):
        evaluate_pixels(*pair)
    assert evaluate_pixels(*pair, ignore=mark).classes[1].dice == 1
    assert not caplog.text
    evaluate_pixels(*pair, foreground=True)
    assert f"if {mark} marks what nobody annotated, give --ignore {mark}" in caplog.text
    assert "else it counts as foreground" in caplog.text


def test_a_value_beside_classes_that_the_result_lacks_is_asked_about(tmp_path, caplog):
    result = np.arange(81, dtype=np.uint8).reshape(9, 9) % 3
    truth = result.copy()
    truth[:4] = 255
    found = evaluate_pixels(*write_pair(tmp_path, truth, result))
    assert set(found.classes) == {0, 1, 2, 255}
    assert caplog.text.count("--ignore 255 (from Python ignore=255), else it is compared as a class") == 1
    caplog.clear()
    evaluate_pixels(*write_pair(tmp_path, truth, truth))  # the network has this class
    evaluate_pixels(*write_pair(tmp_path, result, result))
    assert "--ignore" not in caplog.text


def test_negative_values_of_the_truth_are_sent_to_ignore(tmp_path):
    result = np.eye(9, dtype=np.uint8)
    truth = result.astype(np.int16)
    truth[:4] = -1
    pair = write_pair(tmp_path, truth, result)
    assert "give this value as --ignore" in str(evaluate_pixels(*pair).comparison.failures[0])
    assert evaluate_pixels(*pair, ignore=-1).classes[1].dice == 1


def test_results_of_several_sets_go_with_the_truth_of_their_set(tmp_path):
    for exp, value in (("exp1", 1), ("exp2", 0)):
        for side in ("truth", "result"):
            (tmp_path / exp / side).mkdir(parents=True)
            tifffile.imwrite(tmp_path / exp / side / "a.tif", np.eye(9, dtype=np.uint8) * value)
            tifffile.imwrite(tmp_path / exp / side / "b.tif", np.eye(9, dtype=np.uint8)[::-1] * value)
    found = evaluate_pixels(tmp_path / "exp*" / "truth" / "*.tif", tmp_path / "exp*" / "result" / "*.tif")
    assert len(found.comparison.pages) == 4
    assert found.classes[1].dice == 1


def test_results_in_several_folders_go_with_a_truth_in_one_where_names_tell_which(tmp_path):
    for name, value in (("truth/a", 1), ("truth/b", 0), ("result/x/a", 1), ("result/y/b", 0)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / f"{name}.tif", np.eye(9, dtype=np.uint8) * value)
    found = evaluate_pixels(tmp_path / "truth", tmp_path / "result")
    assert (len(found.comparison.pages), found.classes[1].dice) == (2, 1)
    assert [one.name for one, _ in found.comparison.pairing.unlike] == ["a.tif", "b.tif"]
    (tmp_path / "result" / "y" / "a.tif").write_bytes((tmp_path / "truth" / "a.tif").read_bytes())
    with pytest.raises(
        DataSetError, match=r"truth/a.tif: .* each of .*x/a.tif, .*y/a.tif; give the files of"
    ):
        evaluate_pixels(tmp_path / "truth", tmp_path / "result")


def test_a_stack_and_its_pages_as_files_get_advice_that_helps(tmp_path):
    for name in ("truth/man_seg1.tif", "truth/man_seg2.tif", "film.labels.tif"):
        (tmp_path / "truth").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / name, np.eye(9, dtype=np.uint8))
    with pytest.raises(DataSetError, match=r"if film.labels.tif is a stack, .* no name helps"):
        evaluate_pixels(tmp_path / "truth", tmp_path / "film.labels.tif")
