"""Files of two folders are paired by what their names have in common; what is unsure is refused."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
import zarr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from unet2015.errors import DataSetError, UsageError
from unet2015.images.folder_pairs import stack_advice
from unet2015.images.pairs import named_files, pair_by_name
from unet2015.training.pairing import pair_images


def side(folder: str, names: list[str]) -> dict[Path, str]:
    return {Path(folder, name): str(Path(name).with_suffix("")) for name in names}


def names_in(text: str) -> list[str]:
    return re.split(r"(?<=\.tif|\.png) ", text) if text else []


def paired(first: list[str], second: list[str]) -> list[tuple[str, str]]:
    """Return the pairs in order, after checking that nobody is lost and that the sides can change places."""
    one, other = side("a", first), side("b", second)
    pairing, turned = pair_by_name(one, other), pair_by_name(other, one)
    assert set(pairing.pairs) == {(a, b) for b, a in turned.pairs}
    assert sorted([*(a for a, _ in pairing.pairs), *pairing.first_alone]) == sorted(one)
    assert sorted([*(b for _, b in pairing.pairs), *pairing.second_alone]) == sorted(other)
    return [(str(a.relative_to("a")), str(b.relative_to("b"))) for a, b in pairing.pairs]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("c0.tif c1.tif c10.tif", "c0_mask.tif c1_mask.tif c10_mask.tif", [0, 1, 2]),
        ("t002.tif t005.tif", "man_seg002.tif man_seg005.tif", [0, 1]),
        ("man_seg002.tif man_seg005.tif", "mask000.tif mask002.tif mask005.tif", [1, 2]),
        ("man_seg002.tif", "mask000.tif mask002.tif mask005.tif", [1]),
        ("a.labels.tif b.labels.tif", "a_gt.tif b_gt.png", [0, 1]),
        ("x/0001.png y/0001.png", "x/0001.png y/0001.png", [0, 1]),
        ("x/0001.png y/0001.png", "x_0001_cp_masks.png y_0001_cp_masks.png", [0, 1]),
        ("a.ome.tif b.ome.tif", "a.classes.tif b.classes.tif", [0, 1]),
        ("i_1_ch00.tif i_2_ch00.tif", "i_1_mask.tif i_2_mask.tif", [0, 1]),
        ("t1.tif t2.tif t10.tif", "t001_gt.tif t002_gt.tif t010_gt.tif", [0, 1, 2]),
        ("t1.tif t001.tif", "t1.tif t001.tif", [0, 1]),
        ("x1y1_gt.tif x1y2_gt.tif", "x1y1.tif x1y2.tif x2y1.tif x2y2.tif", [0, 1]),
        ("a_mask.tif b_labels.tif c.tif", "a.tif b.tif c.tif", [0, 1, 2]),
        ("one.tif", "other.tif", [0]),
        ("exp3_pos_2_mask.tif", "exp3_pos_1.tif exp3_pos_2.tif exp3_pos_3.tif", [1]),
        ("image2_mask.tif", "image1_ch2.tif image2_ch2.tif image3_ch2.tif", [1]),
        ("2_mask.tif", "exp2_1.tif exp2_2.tif exp2_3.tif", [1]),
        ("2_mask.tif", "2.tif 21.tif 3.tif", [0]),
        (
            "2024-01-02_p_0003_cp_masks.png",
            "2024-01-02_p_0001.tif 2024-01-02_p_0002.tif 2024-01-02_p_0003.tif",
            [2],
        ),
        ("___.tif +.tif", "___.tif +.tif", [1, 0]),
        ("zellen-ä1.tif zellen-ä2.tif", "ä1.tif ä2.tif", [0, 1]),
        ("a+.tif a-.tif", "a-_m.tif a+_m.tif", [1, 0]),
        ("dose-1.tif dose1.tif", "dose1_m.tif dose-1_m.tif", [1, 0]),
        ("img-1.tif img-2.tif", "img_1_m.tif img2_m.tif", [0, 1]),
        ("2020-01-02_a.tif 2020-01-02_b.tif", "2020_01_02_a_m.tif 2020_01_02_b_m.tif", [0, 1]),
        ("e-1_t-1.tif e-1_t-2.tif", "e_1_t_1_m.tif e_1_t_2_m.tif", [0, 1]),
        ("s1_t2.tif s1_t3.tif", "t2_mask.tif t3_mask.tif", [0, 1]),
        ("exp2_1.tif exp2_2.tif exp2_3.tif", "1_mask.tif 2_mask.tif 3_mask.tif", [0, 1, 2]),
        ("a_m.tif b_m.tif", "a.tif b.tif a_old.tif", [0, 1]),
        ("c1.tif c1_2.tif", "c1_m.tif c1_2_m.tif", [0, 1]),
        ("X1.tif X2.tif", "Y1.tif Y2.tif", [0, 1]),
        ("nuclei_1.tif nuclei_3.tif", "frame_1.tif frame_2.tif frame_3.tif", [0, 2]),
        ("Mask_1.tif Mask_3.tif", "DAPI_1.tif DAPI_2.tif DAPI_3.tif", [0, 2]),
        ("pos1_ch00.tif pos2_ch00.tif", "pos1_ch00_seg.tif pos2_ch00_seg.tif", [0, 1]),
        ("left_1.tif left_2.tif", "green_1.tif green_2.tif", [0, 1]),
        ("d0.05.tif d0.5.tif d0p05.tif", "d0.05_m.tif d0.5_m.tif d0p05_m.tif", [0, 1, 2]),
        ("की.tif का.tif", "का_m.tif की_m.tif", [1, 0]),
        ("a١.tif a٢.tif", "a٢_m.tif a١_m.tif", [1, 0]),
    ],
)
def test_pairs_are_found(first: str, second: str, expected: list[int]) -> None:
    ones, others = names_in(first), names_in(second)
    found = dict(paired(ones, others))
    if first == "___.tif +.tif":
        assert found == {name: name for name in ones}
    else:
        assert [found[name] for name in ones] == [others[place] for place in expected]


@pytest.mark.parametrize(
    ("first", "second", "pairs", "first_alone", "second_alone"),
    [
        ("t1.tif t2.tif", "r1.tif r3.tif", "t1.tif r1.tif", "t2.tif", "r3.tif"),
        ("i_1.tif", "i_2.tif i_3.tif", "", "i_1.tif", "i_2.tif i_3.tif"),
        ("i_t1.tif i_t2.tif", "i_r1.tif i_r3.tif", "i_t1.tif i_r1.tif", "i_t2.tif", "i_r3.tif"),
        ("c_a.tif c_b.tif", "c_c.tif c_d.tif", "", "c_a.tif c_b.tif", "c_c.tif c_d.tif"),
        ("s1_t1.tif s1_t2.tif", "s2_t1.tif s2_t2.tif", "", "s1_t1.tif s1_t2.tif", "s2_t1.tif s2_t2.tif"),
        ("a.tif b.tif x.tif", "a.tif b.tif y.tif", "a.tif a.tif b.tif b.tif", "x.tif", "y.tif"),
        ("x/a.png y/b.png", "x/b.png y/a.png", "", "x/a.png y/b.png", "x/b.png y/a.png"),
        ("s1_t2.tif s2_t2.tif", "t2_m.tif t3_m.tif", "", "s1_t2.tif s2_t2.tif", "t2_m.tif t3_m.tif"),
        ("s1_t3.tif s2_t3.tif", "t1_m.tif t2_m.tif", "", "s1_t3.tif s2_t3.tif", "t1_m.tif t2_m.tif"),
        ("a+.tif b.tif", "a-_m.tif b_m.tif", "b.tif b_m.tif", "a+.tif", "a-_m.tif"),
        ("a+.tif b+.tif", "a-_m.tif b-_m.tif", "", "a+.tif b+.tif", "a-_m.tif b-_m.tif"),
        ("d-1.tif d2.tif", "d1_m.tif d-2_m.tif", "", "d-1.tif d2.tif", "d1_m.tif d-2_m.tif"),
        ("d-1.tif d-2.tif d2.tif", "d1_m.tif d2_m.tif", "d2.tif d2_m.tif", "d-1.tif d-2.tif", "d1_m.tif"),
        ("a1.tif d0.05.tif", "a1_m.tif d0.5_m.tif", "a1.tif a1_m.tif", "d0.05.tif", "d0.5_m.tif"),
        ("a1.tif x1p05.tif", "a1_m.tif x1p5_m.tif", "a1.tif a1_m.tif", "x1p05.tif", "x1p5_m.tif"),
        ("B3_2.tif B1_3.tif", "A1_3_m.tif", "", "B3_2.tif B1_3.tif", "A1_3_m.tif"),
        ("C1_3.tif", "B2_3_m.tif B1_3_m.tif", "", "C1_3.tif", "B2_3_m.tif B1_3_m.tif"),
        ("A1-0.tif A2-1.tif", "C2-1_m.tif C2-5_m.tif", "", "A1-0.tif A2-1.tif", "C2-1_m.tif C2-5_m.tif"),
        ("m1_left.tif m1_right.tif m3_right.tif", "m1_left_a.tif m1_right_a.tif m3_left_a.tif",
         "m1_left.tif m1_left_a.tif m1_right.tif m1_right_a.tif", "m3_right.tif", "m3_left_a.tif"),
        ("ctrl_1.tif drugB_1.tif drugB_2.tif", "drugA_2_m.tif", "", "ctrl_1.tif drugB_1.tif drugB_2.tif",
         "drugA_2_m.tif"),
        ("pre_1.tif pre_3.tif", "post_1_mask.tif", "", "pre_1.tif pre_3.tif", "post_1_mask.tif"),
        ("A1.tif A2.tif A3.tif", "B02_m.tif B03_m.tif", "", "A1.tif A2.tif A3.tif", "B02_m.tif B03_m.tif"),
        ("β1.tif β2.tif", "α2_m.tif", "", "β1.tif β2.tif", "α2_m.tif"),
        ("1-2_a.tif 1_3_b.tif", "1_2_a_m.tif 1_3_b_m.tif", "1_3_b.tif 1_3_b_m.tif", "1-2_a.tif",
         "1_2_a_m.tif"),
        ("cell (1).tif x.tif", "cell_1_m.tif x_m.tif", "x.tif x_m.tif", "cell (1).tif", "cell_1_m.tif"),
        ("cell copy.tif x.tif", "cell_m.tif x_m.tif", "x.tif x_m.tif", "cell copy.tif", "cell_m.tif"),
        ("d--1.tif x.tif", "d-1_m.tif x_m.tif", "x.tif x_m.tif", "d--1.tif", "d-1_m.tif"),
        ("t-1.tif x.tif", "t1_m.tif x_m.tif", "x.tif x_m.tif", "t-1.tif", "t1_m.tif"),
        ("d1.5.tif x.tif", "d1_5_m.tif x_m.tif", "x.tif x_m.tif", "d1.5.tif", "d1_5_m.tif"),
        ("t0.tif t1.tif", "t0.tif old_t1.tif", "t0.tif t0.tif", "t1.tif", "old_t1.tif"),
        ("p_a.tif p_b.tif p_c.tif", "a_m.tif b_mask.tif c_gt.tif",
         "p_b.tif b_mask.tif p_c.tif c_gt.tif", "p_a.tif", "a_m.tif"),
        ("a_gt.tif b_gt.tif", "a_x.tif b_x.tif a_y.tif", "", "a_gt.tif b_gt.tif", "a_x.tif b_x.tif a_y.tif"),
        ("DAPI_1.tif GFP_1.tif GFP_2.tif", "m_1.tif m_2.tif", "", "DAPI_1.tif GFP_1.tif GFP_2.tif",
         "m_1.tif m_2.tif"),
        ("SEG/seg2.tif TRA/tra2.tif", "m2.tif m3.tif", "", "SEG/seg2.tif TRA/tra2.tif", "m2.tif m3.tif"),
        ("gt_1.tif gt_2.tif wt_1.tif wt_2.tif", "man_segwt_1.tif man_segwt_2.tif", "",
         "gt_1.tif gt_2.tif wt_1.tif wt_2.tif", "man_segwt_1.tif man_segwt_2.tif"),
        ("c1_image.tif c2_image.tif d_image.tif", "c1~_label.tif c2_label.tif d_label.tif",
         "c2_image.tif c2_label.tif d_image.tif d_label.tif", "c1_image.tif", "c1~_label.tif"),
        ("cre-_image.tif wt_image.tif", "cre+_label.tif wt_label.tif", "wt_image.tif wt_label.tif",
         "cre-_image.tif", "cre+_label.tif"),
        ("C1_s3_w1.tif C1_s2_w1.tif", "A1_s3_m.tif", "", "C1_s3_w1.tif C1_s2_w1.tif", "A1_s3_m.tif"),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_stays_alone(
    first: str, second: str, pairs: str, first_alone: str, second_alone: str
) -> None:
    assert " ".join(" ".join(pair) for pair in paired(names_in(first), names_in(second))) == pairs
    pairing = pair_by_name(side("a", names_in(first)), side("b", names_in(second)))
    assert [str(path.relative_to("a")) for path in pairing.first_alone] == names_in(first_alone)
    assert [str(path.relative_to("b")) for path in pairing.second_alone] == names_in(second_alone)


VARIANTS = [
    ("a", "b"),
    ("l", "r"),
    ("i", "j"),
    ("left", "right"),
    ("cells", "nuclei"),
    ("A", "B"),
    ("+", "-"),
]
PATTERNS = ["{f}_{v}", "{v}_{f}", "{f}{v}", "pos{f}{v}", "pos{f}_{v}_x"]


@pytest.mark.parametrize("variants", [*VARIANTS, ("raw", "gt"), ("1", "2"), ("a", "b", "c")])
@pytest.mark.parametrize(
    "added", [("{}", "{}_mask"), ("{}", "m_{}"), ("{}", "{}"), ("i_{}", "m_{}"), ("{}_img", "{}_mask")]
)
def test_what_tells_files_of_both_sides_apart_pairs_none(
    variants: tuple[str, ...], added: tuple[str, str]
) -> None:
    """Each field has several files, one of the last field is missing on each side, and not the same one."""
    for pattern in PATTERNS:
        meant: dict[Path, tuple[int, str]] = {}
        for folder, form, missing in zip("ab", added, variants, strict=False):
            for which in ((field, variant) for field in (1, 2, 3) for variant in variants):
                name = form.format(pattern.format(f=which[0], v=which[1]))
                meant |= {} if which == (3, missing) else {Path(folder, name): which}
        first, second = ({path: path.name for path in meant if path.parent.name == side} for side in "ab")
        pairs: tuple[tuple[Path, Path], ...] = ()
        with suppress(DataSetError):  # refused with the candidates
            pairs = pair_by_name(first, second).pairs
        assert [(one.name, other.name) for one, other in pairs if meant[one] != meant[other]] == []


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ("a_gt.tif b_gt.tif", "a.classes.tif a.probability.tif b.classes.tif b.probability.tif",
         ["a/a_gt.tif", "a.classes.tif", "a.probability.tif"]),
        ("a_gt.tif b_gt.tif", "a.tif b.tif a_mask.tif b_mask.tif", ["a_gt.tif", "a.tif", "a_mask.tif"]),
        ("a.tif b.tif", "a.tif a.png b.tif", ["a/a.tif", "b/a.png, a.tif"]),
        ("c0.tif c1.tif", "c0_cells.tif c1_cells.tif c0_probability.tif c1_probability.tif",
         ["a/c0.tif", "b/c0_cells.tif, c0_probability.tif"]),
        ("a_b.tif", "a.tif b.tif", ["a_b.tif", "b/a.tif, b.tif"]),
        ("t2.tif t002.tif", "m2.tif m5.tif", ["t2.tif", "t002.tif", "m2.tif"]),
        ("a.tif b.tif", "a.tif b.tif a_mask.tif b_mask.tif", ["a/a.tif", "a.tif, a_mask.tif"]),
        ("a.png c.tif", "a.tif b.tif a_cp_masks.png", ["a/a.png", "a.tif, a_cp_masks.png"]),
        ("1_gt.tif 2_gt.tif", "1.tif 2.tif 1_mask.tif 2_mask.tif", ["1_gt.tif", "1.tif", "1_mask.tif"]),
        ("w1.tif w2.tif s1_w1.tif s1_w2.tif", "man_segs1_w1.tif man_segs1_w2.tif",
         ["man_segs1_w1.tif", "s1_w1.tif, w1.tif"]),
        ("a_b_gt.tif", "a_b.tif a.tif b.tif", ["a_b_gt.tif", "b/a.tif, a_b.tif, b.tif"]),
        ("cell copy_gt.tif", "cell.tif cell copy.tif", ["cell copy_gt.tif", "cell copy.tif, cell.tif"]),
        ("1 (2)_m.tif 2 (2)_m.tif", "1.tif 1 (2).tif 2.tif 2 (2).tif", ["1 (2)_m.tif", "1 (2).tif, 1.tif"]),
        ("a.tif b.tif a_mask.tif b_mask.tif", "a_mask.tif b_mask.tif", ["a.tif, a_mask.tif"]),
        ("C1-1-00.tif C1-1-02.tif", "1 0 2x.tif 1 1 2x.tif 1 2 2x.tif", ["1 1 2x.tif, 1 2 2x.tif"]),
        ("image2_mask.tif", "image2_ch00.tif image2_ch01.tif image2_ch02.tif",
         ["image2_mask.tif", "image2_ch00.tif, image2_ch01.tif, image2_ch02.tif"]),
        ("1.tif", "1_1.tif 1_2.tif", ["1.tif", "1_1.tif, 1_2.tif"]),
        ("mask2.tif", "img2_t1.tif img2_t2.tif", ["mask2.tif", "img2_t1.tif, img2_t2.tif"]),
        ("2_mask.tif", "ch1_pos2.tif ch2_pos2.tif", ["2_mask.tif", "ch1_pos2.tif, ch2_pos2.tif"]),
    ],
)  # fmt: skip
def test_what_is_unsure_is_refused_with_the_candidates(first: str, second: str, named: list[str]) -> None:
    ones, others = side("a", names_in(first)), side("b", names_in(second))
    for sides in ((ones, others), (others, ones)):
        with pytest.raises(DataSetError, match="could belong to each of") as caught:
            pair_by_name(*sides)
        assert all(name in str(caught.value) for name in named)


def test_names_that_two_rules_pair_in_two_ways_are_refused() -> None:
    with pytest.raises(
        DataSetError, match=r"in several ways: a/d--1.tif with d-1_m.tif or a/d-2.tif with d-2_m"
    ):
        pair_by_name(side("a", ["d--1.tif", "d-2.tif"]), side("b", ["d-1_m.tif", "d-2_m.tif"]))
    inside = {Path(f"{name}.zarr/labels/cells"): name for name in ("d-1_m", "d-2_m")}
    with pytest.raises(DataSetError, match=r"d--1.tif with d-1_m.zarr/labels/cells or"):
        pair_by_name(side("a", ["d--1.tif", "d-2.tif"]), inside)


words = st.lists(st.sampled_from(["a", "gt", "mask", "1", "2", "10", "img"]), min_size=1, max_size=4)
names = st.lists(words.map(lambda parts: "_".join(parts) + ".tif"), min_size=2, max_size=6, unique=True)


@settings(deadline=None, max_examples=80)
@given(names, names)
def test_numbers_of_a_pair_never_contradict_each_other(first: list[str], second: list[str]) -> None:
    try:
        pairs = paired(first, second)
    except DataSetError:
        return
    for one, other in pairs:
        a, b = ([word for word in Path(name).stem.split("_") if word.isdigit()] for name in (one, other))
        short, long = sorted((a, b), key=len)
        assert any(long[k : k + len(short)] == short for k in range(len(long) - len(short) + 1))
    for name in {*first} & {*second}:
        assert (name, name) in pairs


numbers = st.integers(0, 3)
samples = st.tuples(numbers, numbers).map(lambda place: "s{}_t{}".format(*place))
doses = st.tuples(st.sampled_from(["dose", "dose-", "a+", "a-", "GFP_", "DAPI_"]), numbers).map(
    lambda parts: f"{parts[0]}{parts[1]}"
)
some_cores = st.one_of(
    st.lists(cores, min_size=2, max_size=6, unique=True)
    for cores in (samples, doses, st.one_of(samples, doses), words.map("_".join))
)


@settings(deadline=None, max_examples=150)
@given(some_cores, st.data())
def test_files_whose_names_are_changed_all_alike_only_go_with_themselves(
    cores: list[str], data: st.DataObject
) -> None:
    before, after = (
        data.draw(st.sampled_from(some)) for some in (["", "man_"], ["_mask", "_gt2", "+", " (1)"])
    )
    named = {core: f"{before}{core}{after}.tif" for core in data.draw(st.permutations(cores))}
    # Equal names go together, so a new name is none of the old ones.
    assume(not {f"{core}.tif" for core in cores} & set(named.values()))
    try:
        pairs = paired([f"{core}.tif" for core in cores], list(named.values()))
    except DataSetError:
        return
    for one, other in pairs:
        assert other == named[one.removesuffix(".tif")]


def test_files_are_named_by_the_folders_that_tell_them_apart(tmp_path: Path) -> None:
    for name in ("flat/a.tif", "flat/below/c.tif", "deep/x/1.png", "deep/y/1.png", "[odd]/x/2.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(named_files(tmp_path / "flat").values()) == ["a"]
    assert list(named_files(tmp_path / "deep").values()) == ["x/1", "y/1"]
    assert list(named_files(tmp_path / "[odd]").values()) == ["x/2"]
    assert list(named_files(tmp_path / "deep/*/1.png").values()) == ["x/1", "y/1"]
    assert list(named_files(tmp_path / "deep/x/1.png").values()) == ["1"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty: no image"):
        named_files(tmp_path / "empty")
    with pytest.raises(UsageError, match="none: no such"):
        named_files(tmp_path / "none")


@pytest.mark.parametrize(
    ("one", "other", "pairs"),
    [
        ("w_{:02}-2x", "{}_2_DAPI", 4),
        ("{}_2", "{}_2_mask", 4),
        ("t{}_2x", "{}", 4),
    ],
)
def test_a_number_that_all_files_of_a_side_have_is_not_that_of_one_file_of_the_other(one, other, pairs):
    names = [[form.format(number) for number in range(4)] for form in (one, other)]
    for one, other in (names, names[::-1]):
        found = paired([f"{name}.tif" for name in one], [f"{name}.tif" for name in other])
        expected = [(f"{x}.tif", f"{y}.tif") for x, y in zip(one, other, strict=True)]
        assert found == expected[:pairs]


def test_pairs_whose_names_differ_are_told() -> None:
    pairing = pair_by_name(side("a", ["t0.tif", "t1.tif"]), side("b", ["t0.tif", "mask_t1.tif"]))
    assert pairing.unlike == ((Path("a/t1.tif"), Path("b/mask_t1.tif")),)
    assert pair_by_name(side("a", ["x/t0.tif"]), side("b", ["x/t0.png"])).unlike == ()


def test_a_single_file_of_labels_inside_ome_zarr_is_named_with_the_image_around_it() -> None:
    alone, pages = [Path("im/one.zarr/labels/cells")], [Path("a/1.tif"), Path("a/2.tif")]
    assert "with as many pages as one.zarr/labels/cells" in stack_advice(alone, pages)


def test_an_ome_tiff_goes_with_the_file_of_its_name(tmp_path: Path) -> None:
    for folder, names in (("a", "b7.ome.tif b07c.ome.tif d.ome.tif"), ("b", "b7.tif b07c.tif d.zarr")):
        (tmp_path / folder).mkdir()
        for name in names.split():
            if name.endswith(".zarr"):
                zarr.create_group(tmp_path / folder / name)
            else:
                (tmp_path / folder / name).write_bytes(b"")
    pairing = pair_by_name(named_files(tmp_path / "a"), named_files(tmp_path / "b"))
    found = {one.name: other.name for one, other in pairing.pairs}
    assert found == {"b7.ome.tif": "b7.tif", "b07c.ome.tif": "b07c.tif", "d.ome.tif": "d.zarr"}
    images, labels = sorted((tmp_path / "a").iterdir())[:2], sorted((tmp_path / "b").iterdir())[:2]
    assert [(one.name, other.name) for one, other in pair_images(images, labels)] == [
        ("b07c.ome.tif", "b07c.tif"),
        ("b7.ome.tif", "b7.tif"),
    ]
