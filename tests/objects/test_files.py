"""Label images and tables of whole images: against regionprops, read back from the files."""

import csv
import warnings

import numpy as np
import pytest
from pyarrow import parquet
from scipy import ndimage
from skimage.measure import regionprops_table

from unet2015.errors import DataSetError, ImageValueError, UsageError
from unet2015.images.array_image import ArrayImage
from unet2015.images.axes import Calibration
from unet2015.images.pixel_size import pixel_size
from unet2015.images.reader import open_image
from unet2015.images.writer import ImageWriter
from unet2015.objects import strips
from unet2015.objects.files import Intensities, measure_labels
from unet2015.objects.instances import label_objects
from unet2015.objects.labelling import MapPage, Maps, number_image
from unet2015.objects.stored_labels import StoredLabels
from unet2015.objects.table import describe_columns, describe_summary, summary_of, write_table
from unet2015.settings.objects import MarkerSettings, ObjectSettings

MICRONS = Calibration(pixel_size_y=0.65, pixel_size_x=0.65, unit="micron")


@pytest.fixture
def maps():
    """Three pages of blobs, from 0 to 1."""
    noise = ndimage.gaussian_filter(np.random.default_rng(3).random((3, 70, 90)), (0, 2, 2))
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    monkeypatch.setattr(strips, "STRIP_PIXELS", 90 * 16)


def made(maps, settings=None, calibration=MICRONS):
    image = ArrayImage(maps, "IYX", calibration, name="cells/a.tif")
    return image, number_image(Maps(image, threshold=0.5), settings or ObjectSettings())


@pytest.mark.parametrize("markers", [None, MarkerSettings(level=0.6, blur=1)])
def test_the_label_image_holds_the_objects_of_each_page(maps, tmp_path, markers):
    image, labels = made(maps, ObjectSettings(smallest=5, markers=markers))
    with ImageWriter(tmp_path / "a.labels.tif", image, labels.dtype) as writer:
        tables = measure_labels(labels, image, writer=writer, dtype=labels.dtype)
    with open_image(tmp_path / "a.labels.tif") as written:
        assert (written.axes, written.dtype) == ("IYX", np.uint16)
        assert written.calibration.pixel_size_y == pytest.approx(0.65)
        for page, values in enumerate(maps):
            expected = label_objects(values, 0.5, smallest=5, markers=markers)
            assert np.array_equal(written.read(page, 0, 70, 0, 90)[0], expected)
            assert tables[page]["label"].tolist() == list(range(1, expected.max() + 1))


MEASURES = {  # the name in scikit-image, and ours with the unit left out
    "label": "label",
    "bbox-0": "bbox_top",
    "bbox-1": "bbox_left",
    "bbox-2": "bbox_bottom",
    "bbox-3": "bbox_right",
    "area": "area_{}",
    "centroid-0": "centroid_y_{}",
    "centroid-1": "centroid_x_{}",
    "perimeter": "perimeter_{}",
    "axis_major_length": "axis_major_{}",
    "axis_minor_length": "axis_minor_{}",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
}
INTENSITIES = {"intensity_mean": "mean", "intensity_min": "min", "intensity_max": "max", "total": "sum"}


def test_every_column_of_the_table_has_the_values_of_regionprops(maps, tmp_path):
    image, labels = made(maps)
    colour = np.random.default_rng(4).integers(0, 255, (3, 2, 70, 90)).astype(np.uint8)
    measured = [
        Intensities.of(ArrayImage(colour, "ICYX"), "intensity"),
        Intensities(image, (0,), ("probability",)),
    ]
    write_table(tmp_path / "a.csv", measure_labels(labels, image, measured))
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    compared = {"image", "page"}

    def compare(ours, name, theirs):
        assert [float(row[name]) for row in ours] == pytest.approx(list(theirs), rel=1e-6, abs=1e-6), name
        compared.add(name)

    wanted = ["label", "area", "bbox", "centroid", *list(MEASURES)[8:]]
    for page in range(3):
        ours = [row for row in rows if row["page"] == str(page)]
        whole = label_objects(maps[page], 0.5)
        for unit, spacing in (("px", (1, 1)), ("um", (0.65, 0.65))):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of hulls of objects that are a line
                theirs = regionprops_table(whole, spacing=spacing, properties=wanted)
            for their, our in MEASURES.items():
                compare(ours, our.format("um2" if (unit, their) == ("um", "area") else unit), theirs[their])
        for values, name in (
            (colour[page, 0], "intensity_0"),
            (colour[page, 1], "intensity_1"),
            (maps[page], "probability"),
        ):
            theirs = regionprops_table(whole, values, list(INTENSITIES)[:3], extra_properties=[total])
            for their, our in INTENSITIES.items():
                compare(ours, f"{name}_{our}", theirs[their])
        borders = set(np.concatenate([whole[0], whole[-1], whole[:, 0], whole[:, -1]]).tolist())
        assert [row["touches_border"] == "True" for row in ours] == [
            int(row["label"]) in borders for row in ours
        ]
        assert {row["image"] for row in ours} == {"a.tif"}
    assert {row["touches_border"] for row in rows} == {"True", "False"}
    assert set(rows[0]) - compared == {"touches_border"}


def total(inside, values):
    return values[inside].sum(dtype=np.float64)


def test_parquet_holds_what_csv_holds(maps, tmp_path):
    image, labels = made(maps)
    tables = measure_labels(labels, image)
    write_table(tmp_path / "a.csv", tables)
    tables[0]["image"][:] = "ü\udcff.tif"  # a name with a byte that is no text
    write_table(tmp_path / "b.parquet", tables)
    assert parquet.read_table(tmp_path / "b.parquet")["image"][0].as_py() == "ü\\udcff.tif"
    tables[0]["image"][:] = "a.tif"
    write_table(tmp_path / "a.parquet", tables)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "a.parquet").to_pydict()
    assert list(table) == list(rows[0])
    for name, values in table.items():
        assert [str(value) for value in values] == [row[name] for row in rows]


@pytest.mark.parametrize(
    ("axes", "shape", "columns"),
    [
        ("ZYX", (6,), []),
        ("TZYX", (1, 6), []),  # some formats cannot tell a single time
        ("TZYX", (2, 3), ["t", "z"]),
        ("ZTYX", (3, 2), ["t", "z"]),
        ("ITZYX", (3, 1, 2), ["z", "i"]),
    ],
)
def test_a_table_has_the_place_of_a_page_along_several_axes(maps, tmp_path, axes, shape, columns):
    pages = np.concatenate([maps, maps[::-1]])
    pages[4] = 0  # a page without objects has the columns, too
    image = ArrayImage(pages.reshape(*shape, 70, 90), axes, name="a.tif")
    tables = measure_labels(number_image(Maps(image, threshold=0.5), ObjectSettings()), image)
    assert all([name for name in table if name in ("t", "z", "i")] == columns for table in tables)
    write_table(tmp_path / "a.csv", tables)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["page"] for row in rows} == set("01235")
    for row in rows:
        place = dict(zip(axes.lower(), np.unravel_index(int(row["page"]), shape), strict=False))
        assert {name: int(row[name]) for name in columns} == {name: place[name] for name in columns}


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


@pytest.mark.parametrize("dtype", [np.uint64, np.int64])
def test_whole_numbers_that_double_precision_would_round_are_refused(dtype):
    labels = np.zeros((9, 9), np.uint8)
    labels[2:4, 2:6] = 1
    values = np.full((9, 9), 2**53, dtype)
    values[0, 0] = 2**53 + 1  # of no object
    stored, image = StoredLabels(ArrayImage(labels)), ArrayImage(values, name="b.tif")
    (table,) = measure_labels(stored, image, [Intensities.of(image, "intensity")])
    assert table["intensity_max"].tolist() == [2**53]
    values[3, 5] = 2**53 + 1
    said = rf"b\.tif: page 0: .* \(2\*\*53\).* from {2**53} to {2**53 + 1}; .* or measure shapes alone"
    with pytest.raises(ImageValueError, match=said):
        measure_labels(stored, image, [Intensities.of(image, "intensity")])
    values[3, 5] = 2**53 if dtype == np.uint64 else -(2**53) - 1
    if dtype == np.int64:
        with pytest.raises(ImageValueError, match=f"from {-(2**53) - 1} to {2**53}"):
            measure_labels(stored, image, [Intensities.of(image, "intensity")])


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


@pytest.mark.parametrize(
    ("height", "width", "side"),
    [(0.65, 0.65, 0.65), (0.325, 0.3251, (0.325 * 0.3251) ** 0.5), (1.0, 1.01, 1.01**0.5), (1.0, 1.02, None)],
)
def test_perimeters_are_in_micrometres_where_pixels_are_square_but_for_rounding(maps, height, width, side):
    """As sizes up to 1 % apart are one elsewhere: the side of a square of the same area is taken."""
    for size in ((height, width), (width, height)):
        image, labels = made(maps[:1], calibration=Calibration(*size, unit="micron"))
        (table,) = measure_labels(labels, image)
        if side is None:
            assert np.isnan(table["perimeter_um"]).all()
        else:
            assert table["perimeter_um"] == pytest.approx(table["perimeter_px"] * side, rel=1e-12)
        assert (describe_columns(size) is None) == (side is not None)


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


def test_large_areas_are_said_in_digits():
    summary = {"objects": 2, "total_area_px": 12345678, "median_area_px": 10312.5}
    assert describe_summary(summary) == "2 objects, 12345678 px in all, median 10312 px"
    summary |= {"total_area_um2": 445.51, "median_area_um2": 0.37223}
    assert describe_summary(summary) == "2 objects, 445.5 µm² in all, median 0.3722 µm²"


def test_what_is_no_number_is_an_empty_cell_of_a_table(tmp_path):
    table = {
        "image": np.array(["a,1", "=b"], object),
        "label": np.array([1, 2]),
        "solidity": np.array([np.nan, 0.5]),
        "touches_border": np.array([True, False]),
    }
    write_table(tmp_path / "t.csv", [table, {"label": np.array([3])}])
    expected = 'image,label,solidity,touches_border\r\n"a,1",1,,True\r\n\'=b,2,0.5,False\r\n,3,,\r\n'
    assert (tmp_path / "t.csv").read_bytes() == expected.encode()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64])
def test_stored_labels_are_numbered_in_rising_order_and_background_has_no_number(dtype):
    page = np.array([[0, 7, 7, 0], [3, 3, 0, 100], [100, 0, 0, 0]], dtype)
    labels = StoredLabels(ArrayImage(page))
    assert labels.names(0).tolist() == [3, 7, 100]
    ((row, strip),) = labels.strips(0)
    assert (row, strip.tolist()) == (0, [[0, 2, 2, 0], [1, 1, 0, 3], [3, 0, 0, 0]])
