"""What a user sees of a segmentation in ImageJ, and that its regions and those for QuPath are the table's."""

import csv
import json

import numpy as np
import pytest

from tests.images.imagej_program import find_imagej, measure_with_imagej, open_with_imagej
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

OPTIONS = SegmentOptions(
    products=("probability",),
    objects=ObjectSettings(smallest=3, fill_holes=False),
    views=("imagej", "geojson"),
)


@pytest.fixture
def made(tmp_path, model, stack_file):
    """The results by their endings, and the rows of the table by page and label."""
    (result,) = segment_files([stack_file], tmp_path / "out", model, OPTIONS)
    assert result.error is None
    paths = {path.name.partition(".")[2]: path for path in result.outputs}
    with paths["objects.csv"].open(newline="", encoding="utf-8") as file:
        rows = {(int(row["page"]), int(row["label"])): row for row in csv.DictReader(file)}
    assert len({page for page, _ in rows}) > 1
    return paths, rows


@pytest.mark.slow
def test_imagej_shows_maps_labels_and_regions_of_a_segmentation(tmp_path, made):
    command = find_imagej()
    if command is None:
        pytest.skip("no ImageJ; install the Debian packages libij-java and default-jre-headless")
    paths, rows = made
    images = [paths[name] for name in ("classes.tif", "probability.tif", "labels.tif")]
    (tmp_path / "ij").mkdir()
    seen = open_with_imagej(command, images, tmp_path / "ij")
    for path in images:
        shown = seen[path]
        assert shown.sizes == (1, 3, 1)
        assert (shown.width, shown.height, shown.depth) == pytest.approx((0.25, 0.25, 2))
        assert shown.unit in ("um", "micron", "microns")
    classes, _, labels = (seen[path] for path in images)
    assert (classes.shown, classes.gray) == ((0, 1), True)
    assert (labels.shown, labels.gray) == ((0, 255), False)
    (tmp_path / "rois").mkdir()
    found = measure_with_imagej(command, paths["labels.tif"], paths["rois.zip"], tmp_path / "rois")
    assert len(found) == len(rows)
    for (page, label), row in rows.items():
        _, area, place = found[f"page{page}-{label}"]
        assert float(area) == pytest.approx(float(row["area_um2"]), rel=1e-4)
        assert str(page + 1) in place.split()


def test_areas_of_geojson_are_those_of_the_table(made):
    paths, rows = made
    features = json.loads(paths["geojson"].read_text(encoding="ascii"))["features"]
    assert len(features) == len(rows)
    holes = 0
    for feature in features:
        geometry = feature["geometry"]
        one = geometry["type"] == "Polygon"
        polygons = [geometry["coordinates"]] if one else geometry["coordinates"]
        row = rows[geometry["plane"]["z"], int(feature["properties"]["name"])]
        area = sum(
            enclosed(ring) * (1 if index == 0 else -1)
            for rings in polygons
            for index, ring in enumerate(rings)
        )
        assert area == int(row["area_px"]) == feature["properties"]["measurements"]["area_px"]
        holes += sum(len(rings) - 1 for rings in polygons)
    assert holes


def enclosed(ring):
    """The area within a ring, by the shoelace formula."""
    x, y = np.array(ring).T
    return abs(int((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())) / 2
