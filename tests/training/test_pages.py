"""What is loaded of a training set."""

import hashlib
import json
from contextlib import closing

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError, LabelError
from unet2015.images.reader import pages_of
from unet2015.settings import TrainingSettings
from unet2015.training import labelled
from unet2015.training.checks import label_file
from unet2015.training.checks.training_set import check_pairs
from unet2015.training.labels import make_targets
from unet2015.training.pages import load_training_set
from unet2015.training.pairing import pair_images
from unet2015.training.pool import Reading
from unet2015.training.weight_map import target_weights

RNG = np.random.default_rng(0)
CELLS = np.zeros((20, 24), np.uint16)
CELLS[2:9, 2:9], CELLS[9:18, 4:20] = 1, 2


def settings(**sections):
    return TrainingSettings.model_validate(sections)


@pytest.fixture
def pairs(tmp_path):
    """Three images t1, t2, t10 of one, one and three pages, with labels that all differ."""
    for folder in ("i", "l"):
        (tmp_path / folder).mkdir()
    for name, pages in (("t10", 3), ("t1", 1), ("t2", 1)):
        image = RNG.integers(0, 60_000, (pages, 20, 24)).astype(np.uint16)
        labels = np.stack([np.roll(CELLS, RNG.integers(0, 9), 1) for _ in range(pages)])
        tifffile.imwrite(tmp_path / "i" / f"{name}.tif", image, photometric="minisblack")
        tifffile.imwrite(tmp_path / "l" / f"{name}.tif", labels, photometric="minisblack")
    return pair_images([tmp_path / "i"], [tmp_path / "l"])


def load(pairs, **sections):
    data = load_training_set(pairs, settings(**sections))
    data.close()
    return data


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_held_out_pages_are_named(pairs):
    data = load(pairs, validation={"pages": "t2,t10 page 1"})
    assert data.held_out == ["t2.tif", "t10.tif page 1"]
    assert [page.name.split("/")[-1] for page in data.validation] == ["t2.tif page 0", "t10.tif page 1"]
    assert len(data.training) == 3
    assert load(pairs, validation={"fraction": 0.4}).held_out == ["t10.tif page 1", "t10.tif page 2"]


def test_the_identity_is_of_pairs_in_order_and_of_the_split(pairs):
    data = load(pairs, validation={"pages": "1,3"})
    assert data.identity == {
        "pairs": [[sha(image), sha(labels)] for image, labels in pairs],
        "pages": [1, 1, 3],
        "held_out": [1, 3],
        "axes": ["YX", "YX", "IYX"],
    }
    assert json.loads(json.dumps(data.identity)) == data.identity
    assert list(data.hashes.items()) == [(str(path), sha(path)) for pair in pairs for path in pair]
    assert data.identity != load(pairs, validation={"pages": "1,4"}).identity
    assert data.identity != load(pairs[::-1], validation={"pages": "1,3"}).identity


def test_the_identity_has_the_axes_of_the_whole_file(tmp_path):
    """Also where one channel is used alone: which planes these are follows from the place of C."""
    tifffile.imwrite(tmp_path / "i.tif", RNG.integers(0, 255, (2, 2, 20, 24)).astype(np.uint8))
    tifffile.imwrite(tmp_path / "l.tif", np.stack([CELLS, CELLS]))
    pairs = [(tmp_path / "i.tif", tmp_path / "l.tif")]
    for axes, channel in (("zcyx", None), ("zcyx", "1"), ("CZYX", "1")):
        with closing(load_training_set(pairs, settings(), Reading(axes, channel))) as data:
            assert (data.axes, data.identity["axes"]) == (axes.upper(), [axes.upper()])
            assert data.identity.get("channel") == channel


def test_labels_of_two_images_exchanged_are_another_set(pairs):
    before = load(pairs).identity
    (_, one), (_, other), _ = pairs
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    after = load(pairs)
    assert sorted(digest for pair in before["pairs"] for digest in pair) == sorted(after.hashes.values())
    assert after.identity != before


def test_other_names_in_the_same_order_are_the_same_set(pairs):
    before = load(pairs).identity
    renamed = [tuple(path.rename(path.with_name(f"x{path.name}")) for path in pair) for pair in pairs]
    assert load(renamed).identity == before


def test_weights_are_those_of_each_page_by_itself(pairs):
    data = load(pairs, validation={"pages": "4"})
    chosen = settings()
    pages = [page for _, labels in pairs for page in np.atleast_3d(tifffile.imread(labels).T).T]
    for page, labels in zip(data.training, pages[:4], strict=True):
        targets = make_targets(labels, chosen.labels, "")
        expected = target_weights(targets, chosen.weight_map, data.class_weights)
        np.testing.assert_array_equal(page.weights, expected)
        np.testing.assert_array_equal(page.classes, targets.classes)
    assert data.validation[0].weights.size == 0


@pytest.mark.parametrize(
    "labels", [{}, {"separation_border": False}, {"ignore": 2}, {"kind": "membrane"}], ids=str
)
def test_a_checked_set_is_not_read_again_and_the_same(pairs, labels, monkeypatch):
    """Each label file is read once and the targets of each page are made once, by the check."""
    chosen = settings(labels=labels, validation={"pages": "t2,t10 page 1"})
    expected = load(pairs, labels=labels, validation={"pages": "t2,t10 page 1"})
    made, read = [], []

    def make(page, *args, **options):
        made.append(page)
        return make_targets(page, *args, **options)

    def pages(opened):
        read.append(opened.path)
        return pages_of(opened)

    for module in (label_file, labelled):
        monkeypatch.setattr(module, "make_targets", make)
    monkeypatch.setattr("unet2015.training.checks.labels_beside.pages_of", pages)
    monkeypatch.delattr(labelled, "read_labels")
    checked = check_pairs(pairs, chosen)
    assert set(checked.labelled.cells) == {0, 2, 4}
    with closing(load_training_set(pairs, chosen, None, checked)) as data:
        assert (data.identity, data.hashes, data.class_weights, data.held_out) == (
            expected.identity, expected.hashes, expected.class_weights, expected.held_out,
        )  # fmt: skip
        for page, other in zip(
            [*data.training, *data.validation], [*expected.training, *expected.validation], strict=True
        ):
            assert (page.name, page.annotated) == (other.name, other.annotated)
            assert (page.classes.dtype, page.weights.dtype) == (other.classes.dtype, other.weights.dtype)
            np.testing.assert_array_equal(page.classes, other.classes)
            np.testing.assert_array_equal(page.weights, other.weights)
    assert (len(made), len(read)) == (5, 3)
    assert not checked.labelled.cells


@pytest.mark.parametrize("method", ["standardise", "integer-range", "image-percentiles"])
def test_pages_say_how_much_their_image_varies_as_the_network_sees_it(pairs, method):
    data = load(pairs, mapping={"method": method}, validation={"pages": "0"})
    for page in data.training:
        image = page.source.image
        whole = np.stack([image.read(n, 0, 20, 0, 24) for n in range(image.image.pages)])
        assert page.deviation == pytest.approx((whole.std(),), rel=1e-4)
    data.close()


@pytest.mark.parametrize("method", ["standardise", "image-percentiles"])
def test_pages_that_are_mapped_by_themselves_vary_by_themselves(pairs, method):
    path = pairs[2][0]
    stack = tifffile.imread(path)
    faded = (stack // np.array([1, 4, 9])[:, None, None]).astype(stack.dtype)
    tifffile.imwrite(path, faded, photometric="minisblack")
    data = load(pairs, mapping={"method": method, "each": "page"}, validation={"pages": "0"})
    assert data.mapping.of_each_page
    found = []
    for page in data.training:
        values = page.source.read(0, 0, 20, 0, 24)
        assert page.deviation == pytest.approx((values.std(),), rel=1e-4)
        found.append(values)
    data.close()
    assert len(found) == 4
    whole = load(pairs, mapping={"method": method}, validation={"pages": "0"})
    same = [
        np.array_equal(page.source.read(0, 0, 20, 0, 24), values)
        for page, values in zip(whole.training, found, strict=True)
    ]
    whole.close()
    assert same == [True, False, False, False]  # a file of one page, and the three pages of a stack


def test_annotated_pixels_are_counted_and_pages_without_any_are_not_drawn(pairs):
    path = pairs[2][1]
    labels = tifffile.imread(path)
    labels[0, :5], labels[1] = 9, 9
    tifffile.imwrite(path, labels, photometric="minisblack")
    data = load(pairs, labels={"ignore": 9}, validation={"pages": "0"})
    assert [page.name.split("/")[-1] for page in data.training] == [
        "t2.tif page 0", "t10.tif page 0", "t10.tif page 2",
    ]  # fmt: skip
    assert [page.annotated for page in data.training] == [480, 480 - 5 * 24, 480]
    assert all(page.annotated == np.count_nonzero(page.classes != 255) for page in data.training)
    with pytest.raises(DataSetError, match="no pixel of the training pages is annotated"):
        load(pairs, labels={"ignore": 9}, validation={"pages": "0-2,4"})


def test_percentiles_over_the_set_are_those_of_the_training_pages(pairs):
    rule = {"method": "training-percentiles", "low": 5, "high": 90}
    data = load(pairs, mapping=rule, validation={"pages": "t1,t10 page 1"})
    image = tifffile.imread(pairs[2][0])
    pixels = np.concatenate([tifffile.imread(pairs[1][0]).ravel(), image[[0, 2]].ravel()])
    assert data.mapping.low == pytest.approx((np.percentile(pixels, 5),))
    assert data.mapping.high == pytest.approx((np.percentile(pixels, 90),))


@pytest.mark.parametrize("value", [255, 254])
def test_an_image_with_one_cell_may_give_it_any_id(pairs, value):
    path = pairs[0][1]
    tifffile.imwrite(path, np.where(CELLS == 2, value, 0).astype(np.uint8))
    data = load(pairs, validation={"pages": "1"})
    np.testing.assert_array_equal(data.training[0].classes, CELLS == 2)


def test_a_set_of_masks_is_no_set_of_instances(pairs):
    for _, path in pairs:
        mask = np.where(tifffile.imread(path), 255, 0).astype(np.uint8)
        tifffile.imwrite(path, mask, photometric="minisblack")
    with pytest.raises(LabelError, match="0 and 255"):
        load(pairs)


def test_labels_of_another_size_are_refused(pairs):
    tifffile.imwrite(pairs[1][1], CELLS[:-1])
    with pytest.raises(DataSetError, match=r"t2\.tif.* 19 x 24 px"):
        load(pairs)


def test_a_file_that_changes_after_loading_stops_reads(pairs):
    with closing(load_training_set(pairs, settings())) as data:
        source = data.training[0].source
        assert source.read(0, 0, 20, 0, 24).shape == (1, 20, 24)
        tifffile.imwrite(pairs[0][0], np.zeros((20, 24), np.uint16))
        with pytest.raises(DataSetError, match=r"t1\.tif: the file was changed"):
            source.read(0, 0, 20, 0, 24)
