"""Which label file belongs to which image: equal names, names with something added, and what is left out."""

import numpy as np
import pytest
import tifffile
import zarr

from unet2015.errors import DataSetError, UsageError
from unet2015.training.pairing import find_pairs, pair_images

PAGE = np.zeros((4, 5), np.uint8)


@pytest.fixture
def make(tmp_path):
    """Write files of these names; return the folder."""

    def write(folder, *names):
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, PAGE)
        return tmp_path / folder

    return write


def names(pairs):
    return [(image.name, label.name) for image, label in pairs]


def test_a_single_image_goes_with_a_single_label_file_whatever_their_names(make):
    images, labels = make("i", "volume.tif"), make("l", "truth.tif")
    expected = [(images / "volume.tif", labels / "truth.tif")]
    assert pair_images([images], [labels]) == expected
    assert pair_images([images / "volume.tif"], [str(labels / "*.tif")]) == expected
    assert find_pairs([images], [labels]).by_likeness == ""


def test_the_only_pair_of_several_files_is_told_where_its_names_differ(make, caplog):
    images, labels = make("i", "img1.tif", "img2.tif"), make("l", "mask1.tif")
    caplog.set_level("INFO", "unet2015")
    assert names(pair_images([images], [labels])) == [("img1.tif", "mask1.tif")]
    assert "paired by what their names have in common: img1.tif with mask1.tif" in caplog.text


def test_labels_inside_ome_zarr_are_told_with_the_image_around_them(tmp_path):
    for name in ("one", "two"):
        zarr.create_group(tmp_path / f"{name}.zarr/labels/cells")
    found = find_pairs([str(tmp_path / "*.zarr")], [str(tmp_path / "*.zarr/labels/cells")])
    said = "one.zarr with one.zarr/labels/cells, two.zarr with two.zarr/labels/cells"
    assert found.by_likeness == f"paired by what their names have in common: {said}"


def test_several_go_together_by_name(make, caplog):
    images, labels = make("i", "b.tif", "a.tif", "c.tif"), make("l", "c.tif", "a.tiff", "b.tif")
    expected = [("a.tif", "a.tiff"), ("b.tif", "b.tif"), ("c.tif", "c.tif")]
    assert names(pair_images([images], [labels])) == expected
    assert not caplog.records


def test_the_order_is_that_of_the_images(make):
    numbers = [f"t{number}.tif" for number in (1, 2, 9, 10, 11, 20, 100)]
    images, labels = make("i", *numbers), make("l", *numbers)
    assert names(pair_images([images], [labels])) == [(name, name) for name in numbers]
    some = [images / numbers[k] for k in (5, 0, 3)]
    assert [image for image, _ in pair_images(some, [labels])] == some


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (["c0.tif", "c1.tif", "c10.tif"], ["c0_mask.tif", "c1_mask.tif", "c10_mask.tif"]),
        (["t002.tif", "t010.tif"], ["man_seg002.tif", "man_seg010.tif"]),
        (["img_a.tif", "img_b.tif"], ["lab_a.png.tif", "lab_b.png.tif"]),
        (["a.tif", "b.tif"], ["a.labels.tif", "b.labels.tif"]),
    ],
)
def test_what_names_have_in_common_pairs_them_and_is_said(make, caplog, images, labels):
    caplog.set_level("INFO", "unet2015")
    expected = list(zip(images, labels, strict=True))
    assert names(pair_images([make("i", *images)], [make("l", *labels)])) == expected
    assert f"in common: {images[0]} with {labels[0]}, {images[1]} with {labels[1]}" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_files_without_a_partner_are_left_out_and_named(make, caplog):
    images, labels = make("i", "a.tif", "b.tif", "x.tif", "y.tif"), make("l", "a.tif", "b.tif", "z.tif")
    found = find_pairs([images], [labels])
    assert names(found.pairs) == [("a.tif", "a.tif"), ("b.tif", "b.tif")]
    assert found.left_out == (
        f"left out: 2 images without labels: {images / 'x.tif'}, y.tif",
        f"left out: 1 labels without an image: {labels / 'z.tif'}",
    )
    assert pair_images([images], [labels]) == found.pairs
    assert [record.message for record in caplog.records] == list(found.left_out)


def test_none_with_labels_is_an_error(make):
    with pytest.raises(
        DataSetError, match=r"2 images without labels: .*a.tif, .*b.tif, and 2 labels .*: .*c.tif"
    ):
        pair_images([make("i", "a.tif", "b.tif")], [make("l", "c.tif", "d.tif")])
    with pytest.raises(DataSetError, match="without"):
        pair_images([make("j", "a.tif")], [make("l")])


def test_images_and_masks_in_one_folder(make):
    folder = make("d", "c0.tif", "c0_mask.tif", "c1.tif", "c1_mask.tif")
    expected = [("c0.tif", "c0_mask.tif"), ("c1.tif", "c1_mask.tif")]
    for images in (folder, folder / "*.tif", folder / "c?.tif"):
        assert names(pair_images([images], [folder / "*_mask.tif"])) == expected
    one = make("e", "c0.tif", "c0_mask.tif")
    assert names(pair_images([one], [one / "*_mask.tif"])) == expected[:1]


@pytest.mark.parametrize("files", [["a.tif"], ["a.tif", "b.tif"]])
def test_an_image_is_not_its_own_labels(make, files):
    folder = make("i", *files)
    with pytest.raises(DataSetError, match="same file"):
        pair_images([folder], [folder])


def test_what_is_left_after_the_labels_is_not_paired_whatever_its_name(make):
    folder = make("i", "a.tif", "b.tif")
    with pytest.raises(
        DataSetError,
        match=r"a.tif: the same file is given as image and as labels; .* '.*/\*_img.tif' and '.*_mask.tif'",
    ):
        pair_images([folder], [folder / "a.tif"])


def test_one_name_twice_is_told_apart_by_folders_or_refused(make):
    make("i", "x/a.tif", "y/a.tif")
    images = make("i", "x/b.tif")
    labels = make("l", "x/a.tif", "y/a.tif", "x/b.tif")
    found = pair_images([images / "**" / "*"], [labels / "**" / "*"])
    relative = [(image.relative_to(images), label.relative_to(labels)) for image, label in found]
    assert [one for one, _ in relative] == [other for _, other in relative]
    assert len(found) == 3
    with pytest.raises(DataSetError, match=r"two images have the name 'a': .*x/a.tif and .*y/a.tif, and"):
        pair_images([images / "**" / "a.tif"], [labels / "x" / "a.tif"])


def test_labels_that_may_belong_to_one_image_are_refused(make):
    with pytest.raises(DataSetError, match=r"2 images without labels: .*with the same words added to"):
        pair_images(
            [make("i", "a.tif", "b.tif")],
            [make("l", *(f"{a}_{b}.tif" for a in "ab" for b in ("left", "right")))],
        )


def test_labels_beside_images_are_no_images_and_images_beside_labels_no_labels(make):
    mixed = make("m", "a.tif", "a_cp_masks.png", "b.tif", "b_cp_masks.png")
    images, masks, labels = (
        make("i", "a.tif", "b.tif"),
        make("c", "a_cp_masks.png", "b_cp_masks.png"),
        make("l", "a.png", "b.png"),
    )
    for pair in ((mixed, masks), (images, mixed)):
        with pytest.raises(DataSetError, match="could belong to each of"):
            pair_images([pair[0]], [pair[1]])
    for pair in ((images, masks), (mixed / "?.tif", mixed / "*_masks.png")):
        assert names(pair_images([pair[0]], [pair[1]])) == [
            ("a.tif", "a_cp_masks.png"),
            ("b.tif", "b_cp_masks.png"),
        ]
    # Of images, those are left out that are named as the labels of others.
    assert names(pair_images([mixed], [labels])) == [("a.tif", "a.png"), ("b.tif", "b.png")]


def test_nothing_there_is_wrong_usage(make, tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        pair_images([tmp_path / "nowhere"], [make("l", "a.tif")])


def test_sets_with_folders_of_images_and_of_labels_are_paired_set_by_set(make, tmp_path):
    """exp1/images with exp1/labels, whatever these folders are called; files have the same names."""
    for exp, files in (("exp1", "012"), ("exp2", "13")):
        make(f"set/{exp}/images", *(f"t{number}.tif" for number in files))
        make(f"set/{exp}/truth/drawn", *(f"t{number}.tif" for number in files))
    root = tmp_path / "set"
    for images in ([root / "exp1/images", root / "exp2/images"], [root / "exp*" / "images" / "*.tif"]):
        found = find_pairs(images, [root / "exp*" / "truth" / "drawn" / "*.tif"])
        assert not found.left_out
        assert len(found.pairs) == 5
        for image, label in found.pairs:
            assert (image.parts[-3], image.name) == (label.parts[-4], label.name)
    with pytest.raises(UsageError, match=r"it matches folders, such as .*exp1/images.*; give '.*images/\*'"):
        find_pairs([root / "exp*" / "images"], [root / "exp*" / "truth" / "drawn" / "*.tif"])


def test_sets_whose_folders_differ_are_not_paired_and_the_advice_keeps_all_of_them(make, tmp_path):
    for place in ("a/images", "b/images", "c/labels", "d/labels"):
        make(f"set/{place}", "t0.tif", "t1.tif")
    with pytest.raises(DataSetError, match="if all are meant, give the folders of both sides the same names"):
        find_pairs([tmp_path / "set/?/images/*"], [tmp_path / "set/?/labels/*"])


def test_a_stack_and_its_pages_as_files_get_advice_that_helps(make):
    frames = make("drawn", "man_seg001.tif", "man_seg004.tif")
    with pytest.raises(DataSetError, match=r"if film.tif is a stack, .* no name helps: .* \(--ignore\)"):
        find_pairs([make("i", "film.tif")], [frames])
    with pytest.raises(DataSetError) as caught:
        find_pairs([make("several", "film.tif", "more.tif")], [frames])
    assert "is a stack" not in str(caught.value)
