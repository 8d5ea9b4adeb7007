"""What becomes of a layer: the pixels, objects and measures that the command gives."""

import csv
import sys

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageValueError, ModelError, UsageError
from unet2015.images.reader import read_pages
from unet2015.models import load_model
from unet2015.models.model_file import save_model
from unet2015.napari_plugin.segmentation import Cancelled, ClassNeededError, segment_layer
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import MarkerSettings, ObjectSettings

OBJECTS = ObjectSettings(smallest=3)
MICROMETRES = {"units": ("micrometer",) * 3, "scale": np.array([2.0, 0.25, 0.25])}


@pytest.mark.parametrize(
    ("objects", "threshold"),
    [(OBJECTS, None), (ObjectSettings(markers=MarkerSettings(level=0.6, blur=1)), None), (OBJECTS, 0.45)],
)
def test_all_is_as_the_command_gives_it(tmp_path, layer, model, stack, stack_file, objects, threshold):
    options = SegmentOptions(products=("probability",), objects=objects, threshold=threshold)
    (result,) = segment_files([stack_file], tmp_path / "out", model, options)
    found = segment_layer(layer(stack, **MICROMETRES), str(model), objects, threshold)
    maps = [read_pages(path) for path in result.outputs[:3]]
    for made, expected in zip((found.classes, found.probability, found.labels), maps, strict=True):
        assert made.dtype == expected.dtype
        assert np.array_equal(made, expected)
    with result.outputs[3].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 3
    assert list(found.features) == ["index", *list(rows[0])[1:]]
    for name, column in found.features.items():
        if name == "index":
            assert column.tolist() == [f"page{row['page']}-{row['label']}" for row in rows]
            continue
        said = [row[name] for row in rows]
        if column.dtype.kind == "f":
            assert column == pytest.approx([float(text or "nan") for text in said], nan_ok=True)
        else:
            assert [str(value) for value in column.tolist()] == said
    assert found.summary.startswith(f"{len(rows)} objects, ")
    assert found.notes == ()


@pytest.mark.parametrize("each", [None, "file", "page"])
def test_each_page_is_mapped_as_the_command_maps_it(tmp_path, layer, make_model, stack, each):
    path = make_model(tmp_path / "m2.safetensors", method="standardise")
    film = (stack // np.array([1, 3, 9])[:, None, None]).astype(np.uint8)
    tifffile.imwrite(tmp_path / "film.tif", film, imagej=True, metadata={"axes": "TYX"})
    options = SegmentOptions(products=("probability",), map_each=each)
    (result,) = segment_files([tmp_path / "film.tif"], tmp_path / "out", path, options)
    found = segment_layer(layer(film, axis_labels=("t", "y", "x")), str(path), None, map_each=each)
    expected = tifffile.imread(result.outputs[1])
    assert np.array_equal(found.probability, expected)
    other = segment_layer(
        layer(film, axis_labels=("t", "y", "x")), str(path), None, map_each=None if each == "page" else "page"
    )
    assert abs(other.probability - expected).max() > 0.01
    bleached = [note for note in found.notes if "the frames differ in brightness" in note]
    assert bool(bleached) == (each != "page")


def test_pages_are_not_mapped_by_a_model_that_maps_all_alike(layer, model, stack):
    with pytest.raises(UsageError, match="map_each: this model maps all images alike"):
        segment_layer(layer(stack), str(model), None, map_each="page")


def test_the_labels_of_one_page_are_the_index(layer, model, stack):
    found = segment_layer(layer(stack[0]), str(model), OBJECTS)
    assert found.labels.shape == stack[0].shape
    assert found.features["index"].tolist() == list(range(1, int(found.labels.max()) + 1))
    assert [note for note in found.notes if "no unit of length" in note] == list(found.notes)


def test_without_objects_there_are_maps_alone(layer, model, stack):
    found = segment_layer(layer(stack), str(model), None)
    assert (found.labels, found.features, found.summary, found.notes) == (None, None, "", ())
    assert found.classes.shape == found.probability.shape == stack.shape


def test_of_several_classes_one_must_be_chosen(tmp_path, make_model, layer, stack, stack_file):
    path = make_model(tmp_path / "m3.safetensors", classes=3)
    with pytest.raises(ClassNeededError) as caught:
        segment_layer(layer(stack), str(path), ObjectSettings())
    assert caught.value.names == ("a", "b", "c")
    objects = ObjectSettings(of_class=2)
    found = segment_layer(layer(stack), str(path), objects)
    assert found.probability.shape == (3, 3, 61, 75)
    options = SegmentOptions(objects=objects)
    (result,) = segment_files([stack_file], tmp_path / "out", path, options)
    assert np.array_equal(found.labels, tifffile.imread(result.outputs[1]))


def test_work_ends_where_the_user_wants_it(layer, model, stack):
    seen = []

    def progress(done, tiles):
        seen.append((done, tiles))
        raise Cancelled

    with pytest.raises(Cancelled):
        segment_layer(layer(stack), str(model), OBJECTS, progress=progress)
    assert seen
    seen.clear()
    segment_layer(layer(stack), str(model), OBJECTS, progress=lambda *step: seen.append(step))
    assert seen[-1][0] == seen[-1][1]


def test_what_the_package_warns_of_is_a_note(tmp_path, layer, model, stack):
    read = load_model(model)
    save_model(tmp_path / "bad.safetensors", read.network, read.info.model_copy(update={"learned": False}))
    found = segment_layer(layer(stack, **MICROMETRES), str(tmp_path / "bad.safetensors"), OBJECTS)
    assert len(found.notes) == 1
    assert "learned" in found.notes[0]


def test_what_is_said_of_an_image_for_a_model_is_a_note(tmp_path, layer, model, stack):
    read = load_model(model)
    trained = read.info.model_copy(update={"training": {"channel": "1:DAPI"}})
    save_model(tmp_path / "one.safetensors", read.network, trained)
    found = segment_layer(layer(stack, **MICROMETRES), str(tmp_path / "one.safetensors"), OBJECTS)
    assert len(found.notes) == 1
    assert "1:DAPI" in found.notes[0]


def test_mistakes_are_errors_of_the_package(layer, model, stack):
    with pytest.raises(ModelError, match="em-membrane"):
        segment_layer(layer(stack), "em-membran", OBJECTS)
    with pytest.raises(ImageValueError, match="Split RGB"):
        segment_layer(layer(stack[:, :, :3], rgb=True), str(model), OBJECTS)


def test_a_window_without_a_terminal_is_no_obstacle(monkeypatch, layer, model, stack):
    monkeypatch.setattr(sys, "stderr", None)  # as of a program without a console
    assert segment_layer(layer(stack), str(model), None).classes.shape == stack.shape
