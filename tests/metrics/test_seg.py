from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unet2015.errors import DataSetError, ImageReadError, LabelError
from unet2015.metrics.seg import SEGObject, seg_score
from unet2015.metrics.seg_folders import evaluate_seg

frames = hnp.arrays(
    np.uint16, st.tuples(st.just(2), st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 4)
)


PAGES = np.ones((6, 4, 4), np.uint16)


def by_sets(truth: np.ndarray, result: np.ndarray) -> list[float]:
    scores = []
    for label in sorted(set(truth.ravel()) - {0}):
        r = truth == label
        scores.append(0.0)
        for other in set(result.ravel()) - {0}:
            s = result == other
            if (r & s).sum() > r.sum() / 2:
                scores[-1] = (r & s).sum() / (r | s).sum()
    return scores


@settings(deadline=None)
@given(frames)
def test_equals_the_definition(pair: np.ndarray) -> None:
    pair[0, 0, 0] = 1
    score = seg_score([(3, *pair)])
    expected = by_sets(*pair)
    assert [found.jaccard for found in score.objects] == pytest.approx(expected)
    assert score.value == pytest.approx(sum(expected) / len(expected))
    assert 0 <= score.value <= 1


@settings(deadline=None)
@given(frames, st.permutations([7, 65535, 40000, 2]))
def test_numbers_and_orientation_do_not_matter(pair: np.ndarray, numbers: list[int]) -> None:
    pair[0, 0, 0] = 1
    renumber = np.array([0, *numbers], np.uint32)
    value = seg_score([(0, *pair)]).value
    assert seg_score([(0, renumber[pair[0]], renumber[pair[1]])]).value == pytest.approx(value)
    for turned in (pair[:, ::-1], pair[:, :, ::-1], pair.transpose(0, 2, 1)):
        assert seg_score([(0, *turned)]).value == pytest.approx(value)
    assert seg_score([(0, pair[0], pair[0])]).value == 1


def test_exactly_half_is_no_match_and_huge_labels_cost_no_memory() -> None:
    truth = np.array([[1, 1, 4_000_000_000, 4_000_000_000]], np.uint32)
    result = np.array([[5, 0, 3_999_999_999, 3_999_999_999]], np.uint32)
    assert seg_score([(0, truth, result)]).objects == (
        SEGObject(0, 1, None, 0.0),
        SEGObject(0, 4_000_000_000, 3_999_999_999, 1.0),
    )


def test_objects_are_pooled_over_the_frames() -> None:
    one, three = np.array([[1]]), np.array([[1, 2, 3]])
    score = seg_score([(0, one, one), (5, three, np.zeros((1, 3), int)), (7, 0 * three, three)])
    assert score.value == 0.25
    assert score.as_dict() == {"seg": 0.25, "objects": 4, "notes": []}
    assert score.per_frame() == [
        {"frame": 0, "objects": 1, "matched": 1, "seg": 1.0},
        {"frame": 5, "objects": 3, "matched": 0, "seg": 0.0},
    ]


def test_says_what_is_wrong() -> None:
    with pytest.raises(DataSetError, match="at least one"):
        seg_score([(0, np.zeros((2, 2), int), np.ones((2, 2), int))])
    with pytest.raises(DataSetError, match=r"frame 4.*\(2, 2\).*\(2, 3\)"):
        seg_score([(4, np.ones((2, 2), int), np.ones((2, 3), int))])
    with pytest.raises(LabelError, match=r"frame 4: truth: expected whole numbers .*0\.5"):
        seg_score([(4, np.full((2, 2), 0.5), np.ones((2, 2), int))])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    truth, result = tmp_path / "01_GT", tmp_path / "01_RES"
    (truth / "SEG").mkdir(parents=True)
    result.mkdir()
    for number in (3, 12):
        tifffile.imwrite(truth / "SEG" / f"man_seg{number:03d}.tif", np.full((4, 4), 1, np.uint16))
    for number in range(13):
        tifffile.imwrite(result / f"mask{number:03d}.tif", np.full((4, 4), 9, np.uint16))
    (result / "res_track.txt").write_text("9 0 12 0\n")
    return truth, result


def test_finds_the_files_and_leaves_frames_without_truth(folders: tuple[Path, Path]) -> None:
    truth, result = folders
    told: list[tuple[int, int]] = []
    score = evaluate_seg(truth, result, progress=lambda done, count: told.append((done, count)))
    assert score == evaluate_seg(truth / "SEG", result)
    assert [(found.frame, found.match) for found in score.objects] == [(3, 9), (12, 9)]
    assert told == [(1, 2), (2, 2)]


def test_results_whose_frames_begin_with_1_are_asked_about(folders: tuple[Path, Path]) -> None:
    truth, result = folders

    def asked() -> bool:
        return any("the challenge counts from 0" in note for note in evaluate_seg(truth, result).notes)

    assert not asked()
    (result / "mask000.tif").rename(result / "mask013.tif")
    assert asked()
    for number in (1, 2, *range(4, 12), 13):  # frames without truth
        (result / f"mask{number:03d}.tif").unlink()
    assert not asked()


def test_a_truth_of_two_folders_is_asked_about(folders: tuple[Path, Path]) -> None:
    truth, result = folders
    (truth / "man_seg003.tif").write_bytes((truth / "SEG" / "man_seg003.tif").read_bytes())
    with pytest.raises(DataSetError, match="both it and its folder SEG hold"):
        evaluate_seg(truth, result)


@pytest.mark.parametrize("side", [0, 1])
def test_pages_of_a_frame_are_slices_and_a_film_is_refused(folders: tuple[Path, Path], side: int) -> None:
    for axes in ("ZYX", "TYX"):
        for number in (3, 12):
            files = folders[0] / f"SEG/man_seg{number:03d}.tif", folders[1] / f"mask{number:03d}.tif"
            for other, path in enumerate(files):
                about = {"axes": axes} if other == side else None
                tifffile.imwrite(path, PAGES, imagej=other == side, metadata=about, photometric="minisblack")
        if axes == "ZYX":
            assert len(evaluate_seg(*folders).objects) == 2
    with pytest.raises(DataSetError, match=rf"{files[side].stem[:4]}.*it has 6 times \(axis T\)"):
        evaluate_seg(*folders)


def test_names_what_is_missing_or_damaged(folders: tuple[Path, Path]) -> None:
    truth, result = folders
    (result / "mask012.tif").unlink()
    with pytest.raises(DataSetError, match=r"01_RES.*man_seg012\.tif"):
        evaluate_seg(truth, result)
    (result / "mask012.tif").write_bytes(b"no image")
    with pytest.raises(ImageReadError, match=r"mask012\.tif"):
        evaluate_seg(truth, result)
    with pytest.raises(DataSetError, match="man_segTTT"):
        evaluate_seg(result, result)
