import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from tests.conftest import write_small_set
from tests.segmentation.test_fields_of_plates import field
from unet2015 import train
from unet2015.errors import DataSetError, ModelError
from unet2015.images.array_image import ArrayImage
from unet2015.models.model_file import read_model_file, save_model
from unet2015.report.run import _segment, _segmented, report_run
from unet2015.settings import load_settings

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
pytestmark = pytest.mark.usefixtures("small_figures")

LITTLE = {
    "checkpoint_interval": 3,
    "labels": {"kind": "membrane"},
    "network": {"width": 2, "depth": 2},
    "optimisation": {"steps": 4, "warmup": 1, "tile": 60},
    "validation": {"fraction": 0.5, "interval": 2},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A set and a finished training as they were: the record of the training names the places in `run`."""
    folder = tmp_path_factory.mktemp("trained")
    pair = write_small_set(folder / "now")
    # Less cell on the last page, so that the held-out pages differ even where nothing is learned.
    labels = tifffile.imread(pair[1])
    labels[-1, :20] = 0
    tifffile.imwrite(pair[1], labels, photometric="minisblack")
    train(*pair, folder / "now" / "run", settings=load_settings(None, LITTLE), device="cpu")
    (folder / "now").rename(folder / "before")
    return folder


@pytest.fixture
def run(trained):
    """The folder of a finished training, beside its images: each test has all of it as it was."""
    shutil.rmtree(trained / "now", ignore_errors=True)
    shutil.copytree(trained / "before", trained / "now")
    return trained / "now" / "run"


@pytest.mark.slow
def test_a_report_holds_curves_measures_overlays_and_the_record(run):
    out = report_run(run, device="cpu")
    text = out.read_text(encoding="utf-8")
    assert out == run / "report.html"
    assert text.count("data:image/png") >= 2  # the curves; best (and median) and worst page
    for words in (
        "Training run",
        "images.tif page 2",
        "images.tif page 3",
        "Best and median",
        "Worst",
        "learning_rate",
    ):
        assert words in text
    for words in ("torch", "sha256", "training_pages", "cross-entropy", "on the 2 held-out pages"):
        assert words in text
    assert "digests" not in text
    assert "not drawn" not in text
    assert "was changed after the training" not in text


@pytest.mark.slow
def test_pages_of_fields_of_a_plate_are_drawn_and_named_as_tables_name_them(run, tmp_path):
    """Fields of every well are named 0."""
    images, labels = (tifffile.imread(run.with_name(f"{name}.tif")) for name in ("images", "labels"))
    for well in (0, 1):
        field(tmp_path / "plate.zarr", f"A/{well}/0", images[well], cells=labels[well])
    fields = str(tmp_path / "plate.zarr" / "A" / "*" / "0")
    settings = load_settings(None, LITTLE)
    train(fields, f"{fields}/labels/cells", tmp_path / "run", settings=settings, device="cpu")
    text = report_run(tmp_path / "run", device="cpu").read_text(encoding="utf-8")
    assert "not drawn" not in text
    assert "orst: plate.zarr/A/" in text


def of_other_files(path):
    """Let a model say that it was trained on other files."""
    model = read_model_file(path)
    files = [pair | {"image_sha256": "0" * 64} for pair in model.info.training["files"]]
    training = model.info.training | {"files": files}
    save_model(path, model.network, model.info.model_copy(update={"training": training}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda images, run: images.unlink(), "images.tif is not there any more"),
        (lambda images, run: images.write_bytes(images.read_bytes() + b"\0"), "images.tif has changed since"),
        (lambda images, run: shutil.rmtree(run / "checkpoints"), "says where the images are"),
        (lambda images, run: (run / "model.safetensors").unlink(), "There is no model yet"),
        (lambda images, run: (run / "settings.json").unlink(), "Best"),
        (lambda images, run: of_other_files(run / "model.safetensors"), "was trained on other files than"),
        (lambda images, run: (run / "settings.json").write_text("{}"), "settings.json was changed after"),
    ],
)
def test_what_is_missing_is_said_and_the_rest_is_there(run, change, why):
    change(run.with_name("images.tif"), run)
    text = report_run(run, device="cpu").read_text(encoding="utf-8")
    assert why in text
    assert "data:image/png" in text
    assert "the last validation" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("log.jsonl", "no log\n", DataSetError),
        ("log.jsonl", "", DataSetError),
        ("settings.json", "{", DataSetError),
        ("settings.json", "[]", DataSetError),
        ("model.safetensors", "x", ModelError),
    ],
)
def test_damage_is_named_and_no_report_is_left(run, name, content, error):
    (run / name).write_text(content)
    with pytest.raises(error, match=name):
        report_run(run, device="cpu")
    assert not (run / "report.html").exists()


def test_pages_are_segmented_as_the_validation_did(run):
    """Pixel error at the threshold of best F1 and cross-entropy, of all pages, are those of the record."""
    from unet2015.report.run import _segmented

    model = read_model_file(run / "model.safetensors")
    assert model.info.threshold == model.info.thresholds["rand"]
    best = model.info.model_copy(update={"threshold": model.info.thresholds["f1"]})
    pages = _segmented(run, replace(model, info=best), "cpu")
    hits = sum(int(((page.classes == 1) & (page.targets.classes == 1)).sum()) for page in pages)
    both = sum(int((page.classes == 1).sum() + (page.targets.classes == 1).sum()) for page in pages)
    known = model.info.training["validation"]
    assert 1 - 2 * hits / both == pytest.approx(known["pixel_error"], abs=1e-12)
    right = [np.where(page.targets.classes == 1, page.probability, 1 - page.probability) for page in pages]
    assert -np.log(np.stack(right)).mean() == pytest.approx(known["cross_entropy"], rel=1e-5)
    between = float(np.median(pages[0].probability))
    model = replace(model, info=model.info.model_copy(update={"threshold": between}))
    for page in _segmented(run, model, "cpu"):
        assert np.array_equal(page.classes, page.probability > between)


def test_axes_that_were_given_are_kept_and_used(tmp_path):
    values = np.random.default_rng(0)
    for folder in ("i", "l"):
        (tmp_path / folder).mkdir()
    for name in ("a.tif", "b.tif"):
        planes = values.integers(0, 255, (3, 3, 60, 60), np.uint8)
        for folder, pixels in (("i", planes), ("l", (planes[:, 0] > 90).astype(np.uint8))):
            tifffile.imwrite(tmp_path / folder / name, pixels, photometric="minisblack")
    given = {"settings": load_settings(None, LITTLE), "device": "cpu"}
    out = tmp_path / "run"
    model = train(tmp_path / "i", tmp_path / "l", out, axes="zcyx", **given)
    assert model.info.training["axes"] == "ZCYX"
    assert [page.name for page in _segmented(out, model, "cpu")] == model.info.training["held_out"]
    with pytest.raises(DataSetError, match="other axes of the images"):
        train(tmp_path / "i", tmp_path / "l", out, axes="CZYX", resume=True, **given)
    image = SimpleNamespace(image=ArrayImage(np.zeros((3, 60, 60), np.uint8), "ZYX"))
    with pytest.raises(DataSetError, match="the labels of "):
        _segment(None, model, given["settings"], image, np.ones((1, 60, 60), np.uint8), 1)


def test_a_report_shows_where_phases_begin(small_set, tmp_path):
    phases = {"phase": [{"steps": 2}, {"steps": 2, "learning_rate": 1e-4}]}
    train(*small_set, tmp_path / "run", settings=load_settings(None, LITTLE | phases), device="cpu")
    text = report_run(tmp_path / "run", device="cpu").read_text(encoding="utf-8")
    assert "from the weights of step" in text
    assert "Phases" in text


def test_pictures_show_the_objects_of_the_model(run, monkeypatch):
    """Its own threshold and settings of objects, and pixels that nobody annotated are none."""
    from unet2015.report import overlays
    from unet2015.report import run as module
    from unet2015.report.measures import objects_chosen
    from unet2015.settings.objects import ObjectSettings
    from unet2015.training.labels import Targets
    from unet2015.training.object_maps import PARTS

    probability = np.full((20, 30), 0.1, np.float32)
    probability[2:8, 2:8], probability[12:18, 2:20], probability[2, 28] = 0.4, 0.9, 0.9
    classes = (probability > 0.5).astype(np.uint8)
    classes[:, :5] = 255
    targets = Targets(classes, np.zeros(classes.shape, np.int32))
    page = module._Page("a", probability, targets, probability, classes, 2)
    model = read_model_file(run / "model.safetensors")
    drawn = []
    monkeypatch.setattr(overlays, "overlay_instances", lambda *parts: drawn.append(parts[2]) or b"")
    said = []
    for objects in (None, ObjectSettings(threshold=0.3, smallest=2)):
        training = model.info.training | {"objects": {"panoptic_quality": 0.8, "plain": 0.5}}
        changes = {"class_names": ("background", "cell"), "objects": objects, "training": training}
        one = replace(model, info=model.info.model_copy(update=changes))
        module._overlay(page, one, membrane=False)
        said.append(objects_chosen(one.info))
    assert [np.bincount(found.ravel())[1:].tolist() for found in drawn] == [[1, 90], [18, 90]]
    assert said[0] == ""
    assert said[1].startswith(
        "Objects: threshold 0.3, smaller than 2 px left out; panoptic quality 0.8, with "
    )
    training["objects"]["truth"] = PARTS
    of_parts = objects_chosen(one.info.model_copy(update={"training": training}))
    assert "panoptic quality 0.8, of which the connected parts count as true objects" in of_parts


def test_the_pixel_error_of_a_page_is_that_of_the_validation():
    """Of several classes 1 - the mean F1 of those from 1 on that occur, over annotated pixels."""
    from unet2015.report.run import _Page
    from unet2015.training.labels import IGNORED, Targets
    from unet2015.training.pooled_pixels import PooledPixels

    random = np.random.default_rng(0)
    truth, probabilities = random.integers(0, 3, (30, 40)).astype(np.uint8), random.random((4, 30, 40))
    truth[:3] = IGNORED
    probabilities = (probabilities / probabilities.sum(axis=0)).astype(np.float32)
    probabilities[3] = 0
    targets = Targets(truth, np.zeros(truth.shape, np.int32))
    page = _Page("a", probabilities[0], targets, probabilities[1], probabilities.argmax(axis=0), 4)
    pooled = PooledPixels(4, 16)
    pooled.add(probabilities, truth)
    assert page.error == pytest.approx(1 - pooled.f1()[0], rel=1e-12)
    assert page.f1 == tuple(f1 for f1, _ in pooled.of_classes()[1:])
    assert page.f1[2] is None
