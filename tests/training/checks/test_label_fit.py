"""Labels beside what they label, mirrored, turned, or of other pages are said; good ones never."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from unet2015.images.array_image import ArrayImage
from unet2015.settings import LabelSettings, TrainingSettings
from unet2015.synthetic import em_page
from unet2015.training.checks.label_fit import LabelFit
from unet2015.training.checks.placement import TURNS, Exchanged, Sums, misplaced
from unet2015.training.checks.seen_and_drawn import drawn_by, factor_for, seen_maps, window
from unet2015.training.checks.training_set import inspect_set
from unet2015.training.labels import make_targets

SIDE, CELLS = 200, LabelSettings(kind="instances", ignore=60000)
BESIDE, BETTER = "seem to lie beside what they label", "fit the images far better"
SAID = (BESIDE, BETTER, "the labels of other pages")


def drawn(seed, count=14, side=SIDE, contrast=1.0):
    """Draw cells that are bright, or rough, on a background with noise; return image and labels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.uint16)
    for number in range(1, count + 1):
        row, column, a, b = *rng.uniform(0, side, 2), *rng.uniform(9, 16, 2)
        labels[(((y - row) / a) ** 2 + ((x - column) / b) ** 2 < 1) & (labels == 0)] = number
    image = 100 + contrast * 40 * (labels > 0) + rng.normal(0, 15, labels.shape)
    return image.clip(0, 255).astype(np.uint8), labels


def moved(labels, down, right):
    """Return labels of which a part is lost, as in another crop."""
    return np.roll(np.pad(labels, 60), (down, right), (0, 1))[60:-60, 60:-60]


PAGES = [drawn(seed) for seed in range(5)]


def look(tmp_path, labels, images=None, kind="instances", stack=False):
    """Return what is said of the fit of a set of five files, or of two stacks."""
    images = images or [image for image, _ in PAGES]
    for name, arrays in (("i", images), ("l", labels)):
        (tmp_path / name).mkdir(exist_ok=True)
        for number, array in enumerate([np.stack(arrays)] if stack else arrays):
            tifffile.imwrite(tmp_path / name / f"t{number}.tif", array, photometric="minisblack")
    pairs = [(path, tmp_path / "l" / path.name) for path in sorted((tmp_path / "i").iterdir())]
    problems = inspect_set(pairs, TrainingSettings.model_validate({"labels": {"kind": kind}})).problems
    return [str(each) for each in problems if any(text in str(each) for text in SAID)]


@pytest.mark.parametrize("stack", [False, True])
def test_of_good_labels_nothing_is_said(tmp_path, stack):
    assert look(tmp_path, [labels for _, labels in PAGES], stack=stack) == []


@pytest.mark.parametrize("stack", [False, True])
@pytest.mark.parametrize(
    ("down", "right", "where"),
    [
        (12, 0, "12 px too low"),
        (-7, 20, "7 px too high and about 20 px too far right"),
        (0, -40, "40 px too far left"),
    ],
)
def test_labels_beside_their_cells_are_said_with_how_far(tmp_path, down, right, where, stack):
    (said,) = look(tmp_path, [moved(labels, down, right) for _, labels in PAGES], stack=stack)
    assert said.startswith(f"the labels {BESIDE}, about {where}: moved back they fit")
    assert "on top of each other" in said


@pytest.mark.parametrize("name", TURNS)
def test_mirrored_and_turned_labels_are_said(tmp_path, name):
    back = {"turned by 90 degrees to the left": "turned by 90 degrees to the right"}
    back |= {right: left for left, right in back.items()}
    turned = [np.ascontiguousarray(TURNS[back.get(name, name)](labels)) for _, labels in PAGES]
    (said,) = look(tmp_path, turned)
    assert said.startswith(f"the labels {BETTER} if they are {name}.")


def test_the_names_of_the_turns_are_true():
    page = np.arange(4).reshape(2, 2)
    assert TURNS["turned by 90 degrees to the left"](page).tolist() == np.rot90(page).tolist()
    assert TURNS["turned by 90 degrees to the right"](page).tolist() == np.rot90(page, -1).tolist()
    assert TURNS["turned by 180 degrees"](page).tolist() == np.rot90(page, 2).tolist()
    assert TURNS["turned upside down (the order of their rows)"](page).tolist() == [[2, 3], [0, 1]]


def test_one_file_whose_labels_are_wrong_is_named(tmp_path):
    labels = [labels for _, labels in PAGES]
    labels[3] = moved(labels[3], 20, 0)
    (said,) = look(tmp_path, labels)
    assert said.startswith(f"{tmp_path / 'l' / 't3.tif'}: its labels {BESIDE}, about 20 px too low")


@pytest.mark.parametrize("stack", [False, True])
def test_labels_of_other_pages_are_said(tmp_path, stack):
    labels = [labels for _, labels in PAGES]
    (said,) = look(tmp_path, labels[1:] + labels[:1], stack=stack)
    first = "t0.tif page 1 those of t0.tif page 0" if stack else "t1.tif those of t0.tif"
    assert said.startswith("5 pages fit the labels of other pages far better than their own (")
    assert first in said
    two = [labels[0], labels[2], labels[1], *labels[3:]]
    (said,) = look(tmp_path, two, stack=stack)
    assert said.startswith("2 pages fit")


def test_membranes_masks_and_rough_cells_are_judged_alike(tmp_path):
    pages = [em_page(SIDE, SIDE, seed=2, page=page) for page in range(5)]
    images, labels = [image for image, _ in pages], [(cells > 0).astype(np.uint8) for _, cells in pages]
    assert look(tmp_path, labels, images, kind="membrane") == []
    (said,) = look(tmp_path, [moved(page, 0, 10) for page in labels], images, kind="membrane")
    assert "about 10 px too far right" in said
    rng = np.random.default_rng(0)
    rough = [
        (100 + (5 + 30 * (page > 0)) * rng.normal(0, 1, page.shape)).astype(np.int16) for _, page in PAGES
    ]
    masks = [(page > 0).astype(np.uint8) for _, page in PAGES]
    assert look(tmp_path, masks, rough, kind="mask") == []
    (said,) = look(tmp_path, [np.ascontiguousarray(page[::-1]) for page in masks], rough, kind="mask")
    assert "upside down" in said


def test_nothing_is_said_where_nothing_fits(tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (SIDE, SIDE), np.uint8) for _ in PAGES]
    labels = [labels for _, labels in PAGES]
    assert look(tmp_path, labels, noise) == []
    assert look(tmp_path, labels, [np.full((SIDE, SIDE), 7, np.uint8)] * 5) == []
    assert look(tmp_path, [moved(page, 20, 0) for page in labels], noise) == []
    faint = [drawn(seed, contrast=0.02)[0] for seed in range(5)]
    assert look(tmp_path, labels, faint) == []


def test_cells_in_a_grid_fit_in_many_places_and_nothing_is_said(tmp_path):
    y, x = np.mgrid[:SIDE, :SIDE]
    grid = ((y % 40 - 20) ** 2 + (x % 40 - 20) ** 2 < 100).astype(np.uint8)
    images = [
        (100 + 50 * grid + np.random.default_rng(k).normal(0, 9, grid.shape)).astype(np.uint8)
        for k in range(5)
    ]
    assert look(tmp_path, [grid] * 5, images, kind="mask") == []


def test_small_pages_and_those_without_cells_take_no_part(tmp_path):
    small = [(image[:60], moved(labels, 12, 0)[:60]) for image, labels in PAGES]
    assert look(tmp_path, [labels for _, labels in small], [image for image, _ in small]) == []
    labels = [labels for _, labels in PAGES]
    labels[0], labels[3] = (np.zeros_like(labels[0]),) * 2
    assert look(tmp_path, labels) == []


def maps_of(image, labels, factor=None):
    targets = make_targets(labels, CELLS, "a", numbered=True)
    factor = factor or factor_for(targets)
    whole = ArrayImage(np.atleast_3d(image).transpose(2, 0, 1), "CYX")
    return seen_maps(whole, 0, window(*labels.shape, factor), factor), drawn_by(targets, factor)


def judged(pages):
    sums = [Sums.of(*maps_of(*page)) for page in pages]
    return misplaced(sum(sums[1:], sums[0]))


def test_what_is_not_annotated_says_nothing():
    parts = [(image, np.where(np.arange(SIDE) < 80, 60000, labels)) for image, labels in PAGES]
    assert judged(parts) is None
    beside = [(image, np.where(np.arange(SIDE) < 80, 60000, moved(labels, 15, 0))) for image, labels in PAGES]
    assert judged(beside).shift == (15, 0)
    maps = maps_of(*parts[0], factor=1)[1].maps
    assert np.abs(maps[:, :, :76]).max() < 1e-6
    assert maps[:, :, 84:].std(axis=(1, 2)).min() > 0.5


def test_of_fewer_than_ten_cells_nothing_is_said():
    image, labels = PAGES[0]
    sums = Sums.of(*maps_of(image, moved(labels, 15, 0)))
    assert sums.cells == np.unique(moved(labels, 15, 0)).size - 1 >= 10
    assert misplaced(replace(sums, cells=10)).shift == (15, 0)
    assert misplaced(replace(sums, cells=9)) is None


def test_contrast_sign_gain_type_and_channels_do_not_matter():
    for change in (
        lambda image: 255 - image,
        lambda image: image.astype(np.float64) * 1e300,
        lambda image: image.astype(np.uint16) * 200,
        lambda image: np.dstack([image, np.full_like(image, 3), image[::-1]]),
        lambda image: np.where(np.arange(image.size).reshape(image.shape) % 9973, image, 60000),
    ):
        good = [(change(image), labels) for image, labels in PAGES[:3]]
        assert judged(good) is None
        shifted = judged([(image, moved(labels, -14, 9)) for image, labels in good])
        assert shifted is not None
        assert np.abs(np.subtract(shifted.shift, (-14, 9))).max() <= 1
        assert shifted.better > 1.5 * shifted.given


def test_a_few_good_pages_and_parts_of_cells_are_never_said():
    for seed in range(4):
        image, labels = drawn(seed)
        third = np.where(labels % 3 == 0, labels, 0)
        for some in (labels, third, np.where(labels == labels.max(), labels, 0)):
            for part in (np.s_[:], np.s_[:100, :100], np.s_[90:, 60:]):
                if (some[part] > 0).any():
                    assert judged([(image[part], some[part])]) is None


def test_sums_of_pages_of_different_sizes_can_be_added():
    wide = [(image[:150], labels[:150]) for image, labels in PAGES[:2]]
    assert judged([*PAGES, *wide]) is None
    found = judged([(image, moved(labels, 0, 18)) for image, labels in [*PAGES, *wide]])
    assert found.shift == (0, 18)
    one, other = (Sums.of(*maps_of(*pages[0])) for pages in (PAGES, wide))
    assert set((one + other).turned) == set(list(TURNS)[:3])
    assert (one + other).most == 37


def test_pages_of_another_size_are_not_exchanged():
    found = Exchanged()
    for number, (image, labels) in enumerate([*PAGES[:2], PAGES[2]]):
        rows = np.s_[: 150 if number == 2 else SIDE]
        found.add(number, *maps_of(image[rows], PAGES[1 - number][1] if number < 2 else labels[rows]))
    assert sorted(found.pairs()) == [(0, 1), (1, 0)]


def test_large_pages_are_looked_at_in_their_middle_and_small_ones_not_at_all():
    assert window(512, 512, 2) == (slice(0, 512), slice(0, 512))
    assert window(520, 697, 3) == (slice(0, 519), slice(0, 696))
    rows, columns = window(9000, 400, 4)
    assert (rows.start, rows.stop, columns.stop) == (3476, 5524, 400)
    rows, columns = window(9000, 9000, 1)
    assert (rows.stop - rows.start, columns.start) == (512, 4244)
    assert window(63, 900, 1) is None
    labels = np.zeros((3000, 3000), np.uint16)
    assert factor_for(make_targets(labels, CELLS, "a", numbered=True)) is None
    labels[5:16, 5:16] = 1
    assert factor_for(make_targets(labels, CELLS, "a", numbered=True)) == 1
    labels[100:400, 100:400] = 1
    assert factor_for(make_targets(labels, CELLS, "a", numbered=True)) == 8


def test_of_many_pages_some_are_looked_at_in_runs():
    targets = make_targets(PAGES[0][1], CELLS, "a", numbered=True)
    fit = LabelFit([1] * 1000)
    chosen = [page for page in range(1000) if fit.draw(page, targets) is not None]
    assert len(chosen) == 128
    assert chosen[:5] == [0, 1, 2, 3, 32]
    assert chosen[-1] == 999
    assert sum(LabelFit([5, 3]).draw(page, targets) is not None for page in range(8)) == 8


@pytest.mark.parametrize("name", ["DIC-C2DH-HeLa", "PhC-C2DH-U373"])
def test_real_cells(data, name):
    """Nothing is said of the gold truth of four pages as it is; far less than half a cell beside is."""
    folder = data / "ctc" / name
    truth = sorted((folder / "01_GT" / "SEG").glob("*.tif"))[:4]
    labels = [tifffile.imread(path) for path in truth]
    images = [tifffile.imread(folder / "01" / f"t{path.stem.removeprefix('man_seg')}.tif") for path in truth]
    factor = factor_for(make_targets(labels[0], CELLS, "a", numbered=True))
    inner = window(*labels[0].shape, factor)

    def judged_with(change):
        pairs = zip(images, map(change, labels), strict=True)
        pages = [maps_of(image[inner], page[inner], factor) for image, page in pairs]
        return misplaced(sum((Sums.of(*page) for page in pages[1:]), Sums.of(*pages[0])))

    assert judged_with(lambda page: page) is None
    down, right = judged_with(lambda page: moved(page, 18, -15)).shift
    assert np.abs(np.subtract((factor * down, factor * right), (18, -15))).max() <= 2 * factor
    assert judged_with(lambda page: page[::-1]).turn.startswith("turned upside down")
