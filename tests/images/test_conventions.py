"""However two sides are named, no pair is wrong: what names do not settle is refused or left out.

A side is named by one thing before and one after the names of its samples. Its numbers may have leading
zeros, and its spaces may be underscores. The files of some samples may be missing on either side.
"""

import re
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from unet2015.errors import DataSetError
from unet2015.images.name_words import Words, exact_words
from unet2015.images.pairs import pair_by_name

numbers = st.integers(0, 12).map(str)
words = st.sampled_from(
    ["a", "b", "cell", "left", "right", "drugA", "drugB", "copy", "old", "A1", "B02", "s1", "t"]
)
odd = st.sampled_from(
    ["-1", "1-", "+", "a+", "a-", "--1", "(1)", "(2)", "0.5", "0.05", "1.5", "0p5", "ä", "2x"]
)
dividers = st.sampled_from(["_", "_", " ", "-", ".", ""])
any_part = st.one_of(numbers, words, odd)
before = st.sampled_from(
    [
        "",
        "",
        "img_",
        "IMG-",
        "t",
        "s1_",
        "man_seg",
        "mask",
        "m",
        "2_",
        "exp2_",
        "copy ",
        "cell_",
        "left-",
        "(1) ",
    ]
)
after = st.sampled_from(
    [
        "",
        "",
        "_mask",
        "_2_mask",
        " copy",
        "_gt2",
        "+",
        "-",
        " (1)",
        "_left",
        ".labels",
        "_m",
        "_1",
        "-2x",
        "_cell",
    ]
)


@st.composite
def samples(draw: st.DrawFn) -> list[str]:
    """Draw the names of samples: all built alike, or each in its own way from few parts."""
    count = draw(st.integers(2, 6))
    if draw(st.booleans()):
        parts = st.sampled_from([draw(st.one_of(numbers, words)) for _ in range(count)])
        return [f"{draw(parts)}{draw(dividers)}{draw(any_part)}" for _ in range(count)]
    kinds = draw(st.lists(st.sampled_from([numbers, words, any_part]), min_size=1, max_size=3))
    divider = draw(dividers)
    return [divider.join(draw(kind) for kind in kinds) for _ in range(count)]


def written(sample: str, width: int, space: str) -> str:
    """Return the name of a sample with leading zeros, up to a width, in its whole numbers."""

    def padded(found: re.Match[str]) -> str:
        fraction = re.search(r"[0-9][.,p]\Z", found.string[: found.start()])
        return found[0] if fraction else found[0].zfill(width)

    return re.sub("[0-9]+", padded, sample).replace(" ", space)


@st.composite
def sides(draw: st.DrawFn) -> tuple[dict[Path, str], dict[Path, str]]:
    """Draw the files of two sides with their samples, of which at least one is on both."""
    names = draw(samples())
    common, found = draw(st.sampled_from(names)), []
    for folder in "ab":
        some = dict.fromkeys([*draw(st.lists(st.sampled_from(names), unique=True)), common])
        start, end = draw(before), draw(after)
        width, space = draw(st.integers(1, 3)), draw(st.sampled_from(" _"))
        found.append({Path(folder, start + written(one, width, space) + end): one for one in some})
    return found[0], found[1]


def words_in(text: str) -> Words:
    (cut,) = exact_words({Path(): text})
    return cut[Path()]


def stands_alone(sample: str, name: str) -> bool:
    """Whether a name has the words of a sample, so that none has grown together with what is added."""
    part, whole = words_in(sample), words_in(name)
    return any(whole[start : start + len(part)] == part for start in range(len(whole)))


@settings(deadline=None, max_examples=300)
@given(sides())
def test_no_pair_is_wrong(drawn: tuple[dict[Path, str], dict[Path, str]]) -> None:
    first, second = drawn
    by_name = {path.name: sample for path, sample in first.items()}
    # Equal names are meant to be pairs, and samples to differ in more than zeros, spaces and underscores.
    assume(all(by_name.get(path.name, sample) == sample for path, sample in second.items()))
    different = {*first.values(), *second.values()}
    assume(len(set(map(words_in, different))) == len(different))
    assume(all(stands_alone(sample, path.name) for side in drawn for path, sample in side.items()))
    try:
        found = pair_by_name(*({path: path.name for path in side} for side in drawn))
    except DataSetError:
        return
    assert not [(one, other) for one, other in found.pairs if first[one] != second[other]]


@given(
    st.lists(any_part, min_size=2, max_size=6, unique=True),
    dividers,
    st.sampled_from(["_mask", ".labels", "_gt"]),
)
def test_all_files_have_their_partners_where_one_side_adds_a_word(parts, divider, added) -> None:
    names = [f"{one}{divider}{other}" for one, other in zip(parts, parts[::-1], strict=True)]
    assume(len(set(map(words_in, names))) == len(names))
    assume("cell" not in parts)  # it may say what a file is: then 0_cell and cell_0 are of one sample
    found = pair_by_name({Path("a", n): n for n in names}, {Path("b", n): n + added for n in names})
    assert found.pairs
    assert all(one.name == other.name for one, other in found.pairs)
    assert not found.first_alone + found.second_alone
