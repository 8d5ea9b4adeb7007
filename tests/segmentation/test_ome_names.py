"""Names of results say which are OME-TIFF: what a file says of itself decides, and former names are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageWriteError
from unet2015.images.beside_results import is_result
from unet2015.images.reader import open_image, read_pages
from unet2015.images.result_names import stem_of
from unet2015.safe_files import hidden_prefix
from unet2015.segmentation import jobs as jobs_module
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings.objects import ObjectSettings

OPTIONS = SegmentOptions(products=("probability",), objects=ObjectSettings(smallest=3))
OME = {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}}
IMAGEJ = {"imagej": True, "metadata": {"axes": "ZYX"}}
PLAIN = {"ome": False, "metadata": {"axes": "QYX"}}


@pytest.fixture
def image(tmp_path, stack):
    def make(name, written=OME):
        tifffile.imwrite(tmp_path / name, stack[:2, :40, :44], photometric="minisblack", **written)
        return tmp_path / name

    return make


def names(folder):
    return {path.name for path in folder.iterdir()}


def kinds(folder):
    """The flavour of each TIFF of a folder."""
    found = {}
    for path in folder.glob("*.tif"):
        with open_image(path) as one:
            found[path.name] = one.kind
    return found


@pytest.mark.parametrize("name", ["x.tif", "x.OME.TIFF"])
def test_results_that_are_ome_tiff_say_so(tmp_path, model, image, name):
    (result,) = segment_files([image(name)], tmp_path / "out", model, OPTIONS)
    tiffs = {"x.classes.ome.tif", "x.probability.ome.tif", "x.labels.ome.tif"}
    beside = {"x.objects.csv", "x.record.json", "objects.csv", "objects.record.json"}
    assert names(tmp_path / "out") == tiffs | beside
    assert kinds(tmp_path / "out") == dict.fromkeys(tiffs, "ome")
    assert {path.name for path in result.outputs} == tiffs | {"x.objects.csv"}
    assert replay(tmp_path / "out" / "x.record.json").same


@pytest.mark.parametrize(("written", "kind"), [(IMAGEJ, "imagej"), (PLAIN, "plain")])
@pytest.mark.parametrize("name", ["x.tif", "x.ome.tif"])
def test_others_do_not_whatever_the_input_is_called(tmp_path, model, image, name, written, kind):
    segment_files([image(name, written)], tmp_path / "out", model, OPTIONS)
    made = ("x.classes.tif", "x.probability.tif", "x.labels.tif")
    assert kinds(tmp_path / "out") == dict.fromkeys(made, kind)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("x.ome.tif", "x"), ("x.OME.TIFF", "x"), ("x.ome.btf", "x"), ("x.ome.png", "x.ome"), ("ome.tif", "ome")],
)
def test_ome_before_the_ending_is_part_of_it(name, stem):
    assert stem_of(Path(name)) == stem


def test_a_layout_that_imagej_has_not_makes_ome_tiff(tmp_path, model, image):
    segment_files([image("x.tif", IMAGEJ)], tmp_path / "out", model, SegmentOptions(pyramid=True))
    assert kinds(tmp_path / "out") == {"x.classes.ome.tif": "ome"}


def test_a_plan_names_what_will_be_written(tmp_path, model, image):
    (plan,) = plan_files([image("x.tif")], tmp_path / "out", model)
    assert plan.outputs.main.name == "x.classes.ome.tif"


def test_an_input_that_cannot_be_opened_fails_by_itself(tmp_path, model, image):
    (tmp_path / "bad.ome.tif").write_bytes(b"II*\0")
    good = image("x.ome.tif")
    failed, done = segment_files([tmp_path / "bad.ome.tif", good], tmp_path / "out", model)
    assert (failed.error is None, done.error) == (False, None)
    assert kinds(tmp_path / "out") == {"x.classes.ome.tif": "ome"}


def test_a_given_name_stays_and_one_in_ome_tif_is_kept_to(tmp_path, model, image):
    segment_files([image("x.tif")], tmp_path / "out" / "r.tif", model, OPTIONS)
    assert kinds(tmp_path / "out") == {
        "r.tif": "ome",
        "r.probability.ome.tif": "ome",
        "r.labels.ome.tif": "ome",
    }
    segment_files([image("y.tif", IMAGEJ)], tmp_path / "two" / "r.ome.tif", model, OPTIONS)
    found = {"r.ome.tif": "ome", "r.probability.tif": "imagej", "r.labels.tif": "imagej"}
    assert kinds(tmp_path / "two") == found
    assert "r.record.json" in names(tmp_path / "two")
    (refused,) = segment_files([image("z.tif", PLAIN)], tmp_path / "three" / "r.ome.tif", model)
    assert isinstance(refused.error, ImageWriteError)
    assert "OME-TIFF cannot have axes IYX" in str(refused.error)
    assert not kinds(tmp_path / "three")


@pytest.fixture
def formerly(monkeypatch):
    """Results as they were named before."""

    def segment(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(jobs_module, "_known", lambda before, now, path: before)
            return segment_files(*arguments)

    return segment


@pytest.mark.parametrize("out", ["out", "out/r.ome.tif"])
def test_results_under_former_names_are_done(tmp_path, model, image, formerly, caplog, out):
    path = image("x.ome.tif")
    caplog.set_level("INFO", "unet2015")
    formerly([path], tmp_path / out, model, OPTIONS)
    results = {one for one in names(tmp_path / "out") if not one.startswith("objects.")}
    before = {one: (tmp_path / "out" / one).read_bytes() for one in results}
    main = "r.ome.tif" if out != "out" else "x.ome.classes.tif"
    assert main in before
    caplog.clear()
    (again,) = segment_files([path], tmp_path / out, model, OPTIONS)
    assert "done before, with the same model and settings" in caplog.text
    assert f"earlier results under their former names: {main}" in caplog.text
    assert again.outputs[0].name == main
    assert {one: (tmp_path / "out" / one).read_bytes() for one in results} == before
    segment_files([path], tmp_path / out, model, replace(OPTIONS, tile=60))  # other settings: replaced
    assert {one for one in names(tmp_path / "out") if not one.startswith("objects.")} == results


def test_an_interrupted_run_goes_on_under_former_names(tmp_path, model, image, caplog):
    path = image("x.ome.tif")
    caplog.set_level("INFO", "unet2015")
    (tmp_path / "out").mkdir()
    main = tmp_path / "out" / "x.ome.classes.tif"
    main.with_name(f"{hidden_prefix(main)}0123456789abcdef.parts").mkdir()
    (result,) = segment_files([path], tmp_path / "out", model)
    assert result.outputs[0].name == "x.ome.classes.tif"


def test_results_are_no_inputs_and_labels_find_their_images(tmp_path, model, image, stack):
    path, out = image("x.ome.tif"), tmp_path / "out"
    segment_files([path], out, model, OPTIONS)
    with_results = tmp_path / "all"
    segment_files([path], with_results, model, OPTIONS)
    path.rename(with_results / path.name)
    results = segment_files([with_results], tmp_path / "again", model)
    assert [one.input.name for one in results] == ["x.ome.tif"]
    labelled = label_files([out], tmp_path / "counted", OPTIONS.objects)
    assert [one.input.name for one in labelled] == ["x.probability.ome.tif"]
    assert {one.name for one in labelled[0].outputs} == {"x.labels.ome.tif", "x.objects.csv"}
    made = tmp_path / "counted" / "x.labels.ome.tif"
    assert is_result(made)
    assert np.array_equal(read_pages(made), read_pages(out / "x.labels.ome.tif"))
    for labels, images in ((out, with_results / "x.ome.tif"), (tmp_path / "counted", with_results)):
        (measured,) = measure_files(labels, tmp_path / f"measures-{labels.name}", images)
        assert measured.error is None
        assert [one.name for one in measured.outputs] == ["x.objects.csv"]


def test_labels_in_ome_tiff_go_with_images_in_any_form(tmp_path, model, image, stack):
    for number in range(2):
        segment_files([image(f"c{number}.ome.tif")], tmp_path / "out", model, OPTIONS)
    (tmp_path / "plain").mkdir()
    for number in range(2):
        tifffile.imwrite(
            tmp_path / "plain" / f"c{number}.tif", stack[:2, :40, :44], photometric="minisblack", **IMAGEJ
        )
    measured = measure_files(tmp_path / "out", tmp_path / "measures", tmp_path / "plain")
    assert [one.error for one in measured] == [None] * 2
