"""Label images and tables of whole images: against regionprops, read back from the files."""

import csv
import warnings

import numpy as np
import pytest
from pyarrow import parquet
from scipy import ndimage
from skimage.measure import regionprops_table

from unet2015.errors import DataSetError, ImageValueError, UsageError
from unet2015.images.axes import Calibration
from unet2015.images.image import ArrayImage
from unet2015.images.reader import open_image
from unet2015.objects import labelling
from unet2015.objects.files import Intensities, measure_labels, write_labels
from unet2015.objects.instances import label_objects
from unet2015.objects.labelling import MapPage, Maps, StoredLabels, number_image
from unet2015.objects.table import pixel_size, summary_of, write_table
from unet2015.settings.objects import MarkerSettings, ObjectSettings

MICRONS = Calibration(pixel_size_y=0.65, pixel_size_x=0.65, unit="micron")


@pytest.fixture
def maps():
    """Three pages of blobs, from 0 to 1."""
    noise = ndimage.gaussian_filter(np.random.default_rng(3).random((3, 70, 90)), (0, 2, 2))
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    monkeypatch.setattr(labelling, "STRIP_PIXELS", 90 * 16)


def made(maps, settings=None, calibration=MICRONS):
    image = ArrayImage(maps, "IYX", calibration, name="cells/a.tif")
    return image, number_image(Maps(image, threshold=0.5), settings or ObjectSettings())


@pytest.mark.parametrize("markers", [None, MarkerSettings(level=0.6, blur=1)])
def test_the_label_image_holds_the_objects_of_each_page(maps, tmp_path, markers):
    image, labels = made(maps, ObjectSettings(smallest=5, markers=markers))
    tables = write_labels(tmp_path / "a.labels.tif", labels, image)
    with open_image(tmp_path / "a.labels.tif") as written:
        assert (written.axes, written.dtype) == ("IYX", np.uint16)
        assert written.calibration.pixel_size_y == pytest.approx(0.65)
        for page, values in enumerate(maps):
            expected = label_objects(values, 0.5, smallest=5, markers=markers)
            assert np.array_equal(written.read(page, 0, 70, 0, 90)[0], expected)
            assert tables[page]["label"].tolist() == list(range(1, expected.max() + 1))


def test_the_table_has_the_values_of_regionprops(maps, tmp_path):
    image, labels = made(maps)
    colour = np.random.default_rng(4).integers(0, 255, (3, 2, 70, 90)).astype(np.uint8)
    under = ArrayImage(colour, "ICYX")
    tables = write_labels(tmp_path / "a.labels.tif", labels, image, [Intensities.of(under, "intensity")])
    write_table(tmp_path / "a.csv", tables)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = [
        "label",
        "area",
        "centroid",
        "perimeter",
        "axis_major_length",
        "axis_minor_length",
        "eccentricity",
    ]
    same = {"area": "area", "centroid-0": "centroid_y", "centroid-1": "centroid_x", "perimeter": "perimeter"}
    same |= {"axis_major_length": "axis_major", "axis_minor_length": "axis_minor"}
    for page in range(3):
        ours = [row for row in rows if row["page"] == str(page)]
        whole = label_objects(maps[page], 0.5)
        for unit, spacing in (("px", None), ("um", (0.65, 0.65))):
            theirs = regionprops_table(whole, spacing=spacing, properties=columns)
            for their, our in same.items():
                name = "area_um2" if (our, unit) == ("area", "um") else f"{our}_{unit}"
                assert [float(row[name]) for row in ours] == pytest.approx(list(theirs[their])), name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = regionprops_table(
                whole, colour[page, 1], properties=["intensity_mean", "solidity", "bbox"]
            )
        assert [float(row["intensity_1_mean"]) for row in ours] == pytest.approx(
            list(theirs["intensity_mean"])
        )
        assert [float(row["solidity"]) for row in ours] == pytest.approx(list(theirs["solidity"]))
        assert [int(row["bbox_right"]) for row in ours] == list(theirs["bbox-3"])
        assert {row["image"] for row in ours} == {"a.tif"}
    assert {row["touches_border"] for row in rows} == {"True", "False"}


def test_parquet_holds_what_csv_holds(maps, tmp_path):
    image, labels = made(maps)
    tables = measure_labels(labels, image)
    write_table(tmp_path / "a.csv", tables)
    write_table(tmp_path / "a.parquet", tables)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "a.parquet").to_pydict()
    assert list(table) == list(rows[0])
    for name, values in table.items():
        assert [str(value) for value in values] == [row[name] for row in rows]


def test_any_numbers_are_labels_and_stay_what_they_are(maps):
    stored = np.stack([label_objects(page, 0.5) for page in maps]).astype(np.uint32)
    renamed = np.where(stored > 0, stored * 1_000_003, 0).astype(np.uint32)
    one, other = (StoredLabels(ArrayImage(array, "IYX")) for array in (stored, renamed))
    for first, second in zip(
        measure_labels(one, ArrayImage(stored, "IYX")),
        measure_labels(other, ArrayImage(renamed, "IYX")),
        strict=True,
    ):
        assert np.array_equal(first["label"] * 1_000_003, second["label"])
        assert np.array_equal(first["perimeter_px"], second["perimeter_px"])


def test_only_integers_of_one_channel_are_labels():
    with pytest.raises(ImageValueError, match="expected instance labels"):
        StoredLabels(ArrayImage(np.zeros((5, 5), np.float32)))
    with pytest.raises(ImageValueError, match="expected instance labels"):
        StoredLabels(ArrayImage(np.zeros((2, 5, 5), np.uint8), "CYX"))
    with pytest.raises(ImageValueError, match="labels are 0 or more, not -1"):
        StoredLabels(ArrayImage(np.full((5, 5), -1, np.int16))).names(0)


def test_an_image_of_another_size_is_refused(maps):
    image, labels = made(maps)
    under = ArrayImage(np.zeros((3, 70, 91), np.uint8), "IYX", name="b.tif")
    with pytest.raises(DataSetError, match=r"b\.tif: expected 3 pages of 70 x 90 pixels"):
        measure_labels(labels, image, [Intensities.of(under, "intensity")])


def test_a_class_map_has_objects_of_its_class_and_cannot_be_divided(maps):
    classes = (maps > 0.5).astype(np.uint8) * 2
    image = ArrayImage(classes, "IYX")

    labels = number_image(Maps(classes=image, wanted=2), ObjectSettings())
    found = np.concatenate([strip for _, strip in labels.strips(0)])
    assert np.array_equal(found, label_objects(maps[0], 0.5))
    with pytest.raises(UsageError, match="give the probability map, or leave out the markers"):
        number_image(Maps(classes=image, wanted=2), ObjectSettings(markers=MarkerSettings()))


def test_the_threshold_cuts_a_map_where_the_class_map_is_cut():
    values = np.full((4, 4), 0.7, np.float32)  # float32(0.7) < 0.7 < the next float32
    image = ArrayImage(values)
    assert not MapPage(Maps(image, threshold=0.7), 0).inside(0, 4, 0, 4).any()


@pytest.mark.parametrize(
    ("calibration", "size"),
    [
        (MICRONS, (0.65, 0.65)),
        (Calibration(pixel_size_y=4, pixel_size_x=5, unit="nm"), (0.004, 0.005)),
        (Calibration(pixel_size_y=4, pixel_size_x=5, unit="furlong"), None),
        (Calibration(pixel_size_x=5, unit="nm"), None),
        (Calibration(), None),
    ],
)
def test_lengths_are_in_micrometres_where_the_unit_is_known(maps, calibration, size):
    found = pixel_size(calibration)
    assert found == (None if size is None else pytest.approx(size))
    image, labels = made(maps[:1], calibration=calibration)
    (table,) = measure_labels(labels, image)
    assert ("area_um2" in table) == (size is not None)
    if size is not None:
        assert table["area_um2"] == pytest.approx(table["area_px"] * size[0] * size[1])
        assert np.isnan(table["perimeter_um"]).all() == (size[0] != size[1])


def test_a_summary_has_count_and_areas(maps):
    image, labels = made(maps)
    tables = measure_labels(labels, image)
    found, areas = summary_of(tables), np.concatenate([table["area_px"] for table in tables])
    assert found["objects"] == len(areas)
    assert (found["total_area_px"], found["median_area_px"]) == (areas.sum(), np.median(areas))
    assert found["total_area_um2"] == pytest.approx(areas.sum() * 0.65**2)
    empty = summary_of(measure_labels(*made(maps[:1] * 0)[::-1]))
    assert (empty["objects"], empty["total_area_px"], empty["median_area_px"]) == (0, 0, None)


def test_a_table_of_another_ending_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"ends in .csv or .parquet"):
        write_table(tmp_path / "a.xlsx", [])
