"""The panel within napari, and files as napari opens them. Run by `make napari`, which brings napari and Qt.

The model of a viewer stands for its window, whose canvas needs OpenGL.
"""

from threading import Event

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.plugins import _initialize_plugins
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, PluginManifest

from unet2015.napari_plugin import panel as panel_module
from unet2015.napari_plugin.panel import SegmentPanel
from unet2015.objects.table import describe_summary
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

# napari, npe2 and Qt warn of what is not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")
WAIT = 60_000
MICROMETRES = {"units": ("micrometer",) * 3, "scale": (2, 0.25, 0.25)}


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def panel(qtbot, viewer):
    made = SegmentPanel(viewer)
    qtbot.addWidget(made)
    return made


@pytest.fixture
def said(monkeypatch):
    """What the user is told: severity and words."""
    told = []
    monkeypatch.setattr(notification_manager, "records", [])

    def take(notification):
        told.append((str(notification.severity), notification.message))

    notification_manager.notification_ready.connect(take)
    yield told
    notification_manager.notification_ready.disconnect(take)


def press(qtbot, panel, model):
    panel.model.setCurrentText(str(model))
    panel.start.click()
    qtbot.waitUntil(lambda: panel.start.isEnabled(), timeout=WAIT)


def test_napari_finds_the_plug_in_by_its_manifest():
    manager = PluginManager.instance()
    manager.discover(include_npe1=False)
    manifest = manager.get_manifest("unet2015")
    PluginManifest.from_distribution("unet2015").validate_imports()
    (widget,) = manifest.contributions.widgets
    assert widget.get_callable() is SegmentPanel


def test_labels_and_table_are_those_of_the_command(qtbot, panel, viewer, said, tmp_path, model, stack_file):
    source = viewer.add_image(tifffile.imread(stack_file), name="cells", translate=(1, 2, 3), **MICROMETRES)
    panel.smallest.setValue(3)
    panel.probability.setChecked(True)
    press(qtbot, panel, model)
    kinds = {layer.name: type(layer) for layer in viewer.layers}
    results = {"cells probability": Image, "cells classes": Labels, "cells labels": Labels}
    assert kinds == {"cells": Image} | results
    options = SegmentOptions(products=("probability",), objects=ObjectSettings(smallest=3))
    (result,) = segment_files([stack_file], tmp_path / "out", model, options)
    names = ["cells classes", "cells probability", "cells labels"]
    for name, path in zip(names, result.outputs[:3], strict=True):
        assert np.array_equal(viewer.layers[name].data, tifffile.imread(path))
        assert viewer.layers[name].data.dtype == tifffile.imread(path).dtype
    for name in results:
        layer = viewer.layers[name]
        assert layer.units == source.units
        for place in ("scale", "translate", "rotate"):
            assert np.array_equal(getattr(layer, place), getattr(source, place))
    labels = viewer.layers["cells labels"]
    assert len(labels.features) == result.objects["objects"]
    assert labels.features["area_um2"].sum() == pytest.approx(result.objects["total_area_um2"])
    assert said == [("info", f"cells: {describe_summary(result.objects)}")]


def test_napari_shows_the_measures_of_the_object_under_the_mouse(qtbot, panel, viewer, model, stack):
    viewer.add_image(stack[0], name="page")
    press(qtbot, panel, model)
    labels = viewer.layers["page labels"]
    for number in range(1, labels.data.max() + 1):
        place = np.argwhere(labels.data == number)[0]
        area = int((labels.data == number).sum())
        assert f"area_px: {area}" in labels._get_properties(place, view_direction=None, dims_displayed=[0, 1])


def test_the_list_follows_the_layers(panel, viewer):
    listed = lambda: [panel.layer.itemText(i) for i in range(panel.layer.count())]  # noqa: E731
    first = viewer.add_image(np.zeros((8, 8)), name="first")
    viewer.add_labels(np.zeros((8, 8), int), name="labels")
    viewer.add_image(np.zeros((8, 8)), name="second")
    assert listed() == ["first", "second"]
    panel.layer.setCurrentIndex(1)
    first.name = "other"
    assert (listed(), panel.layer.currentText()) == (["other", "second"], "second")
    viewer.layers.remove(first)
    assert (listed(), panel.layer.currentText()) == (["second"], "second")


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("no layer", "open an image"),
        ("no model", "Choose a model"),
        ("nothing", "tick at least one"),
        ("name", "did you mean em-membrane"),
        ("folder", "holds no model.safetensors"),
        ("rgb", "Split RGB"),
        ("type", "expected integers or floats"),
        ("threshold", "needs a model of two classes"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    qtbot, panel, viewer, said, tmp_path, make_model, model, stack, mistake, words
):
    if mistake != "no layer":
        page = (
            stack[0].astype(bool) if mistake == "type" else stack[:, :, :3] if mistake == "rgb" else stack[0]
        )
        viewer.add_image(page, rgb=mistake == "rgb")
    if mistake == "threshold":
        panel.threshold.setValue(0.5)
        panel.objects.setChecked(False)
        model = make_model(tmp_path / "m3.safetensors", classes=3)
    if mistake == "nothing":
        panel.objects.setChecked(False)
        panel.classes.setChecked(False)
    given = {"no model": " ", "name": "em-membran", "folder": tmp_path}
    press(qtbot, panel, given.get(mistake, model))
    ((severity, message),) = said
    assert severity == "error"
    assert words in message
    assert "Traceback" not in message
    assert len(viewer.layers) == (mistake != "no layer")


def test_a_model_of_several_classes_asks_which_one(qtbot, panel, viewer, said, tmp_path, make_model, stack):
    path = make_model(tmp_path / "m3.safetensors", classes=3)
    viewer.add_image(stack[0], name="page")
    assert not panel.of_class.isVisibleTo(panel)
    press(qtbot, panel, path)
    assert said[0][0] == "error"
    assert "choose which one objects are" in said[0][1]
    assert panel.of_class.isVisibleTo(panel)
    assert [panel.of_class.itemText(i) for i in range(3)] == ["choose", "1 (b)", "2 (c)"]
    panel.of_class.setCurrentIndex(2)
    panel.probability.setChecked(True)
    press(qtbot, panel, path)
    probabilities = [f"page probability {name}" for name in "abc"]
    assert [layer.name for layer in viewer.layers] == ["page", *probabilities, "page classes", "page labels"]
    panel.model.setCurrentText("em-membrane")
    assert not panel.of_class.isVisibleTo(panel)


def test_work_can_be_cancelled_and_goes_on_in_a_thread(qtbot, panel, viewer, said, monkeypatch, model, stack):
    begun, cancelled, steps = Event(), Event(), []
    segment = panel_module.segment_layer

    def slow(layer, **given):
        begun.set()
        cancelled.wait(WAIT)
        return segment(layer, **given)

    viewer.add_image(stack[0])
    panel.stepped.connect(lambda *step: steps.append(step))
    panel.model.setCurrentText(str(model))
    monkeypatch.setattr(panel_module, "segment_layer", slow)
    panel.start.click()
    qtbot.waitUntil(begun.is_set, timeout=WAIT)
    assert not panel.start.isEnabled()
    panel.cancel.click()
    cancelled.set()
    qtbot.waitUntil(lambda: panel.start.isEnabled(), timeout=WAIT)
    assert (len(viewer.layers), said, steps) == (1, [], [])
    monkeypatch.setattr(panel_module, "segment_layer", segment)
    press(qtbot, panel, model)
    assert len(viewer.layers) == 3
    qtbot.waitUntil(lambda: bool(steps), timeout=WAIT)
    assert steps[-1][0] == steps[-1][1]


@pytest.mark.parametrize("each", ["the model's", "the whole layer", "each page by itself"])
def test_each_page_can_be_mapped_by_itself(qtbot, panel, viewer, said, tmp_path, make_model, stack, each):
    path = make_model(tmp_path / "m2.safetensors", method="standardise")
    film = (stack // np.array([1, 3, 9])[:, None, None]).astype(np.uint8)
    viewer.add_image(film, name="film", axis_labels=("t", "y", "x"))
    panel.objects.setChecked(False)
    panel.probability.setChecked(True)
    assert panel.map_each.currentText() == "the model's"
    panel.map_each.setCurrentText(each)
    press(qtbot, panel, path)
    tifffile.imwrite(tmp_path / "film.tif", film, imagej=True, metadata={"axes": "TYX"})
    page = each == "each page by itself"
    options = SegmentOptions(products=("probability",), map_each="page" if page else None)
    (result,) = segment_files([tmp_path / "film.tif"], tmp_path / "out", path, options)
    assert np.array_equal(viewer.layers["film probability"].data, tifffile.imread(result.outputs[1]))
    assert any("the frames differ in brightness" in words for _, words in said) != page


def test_a_model_that_maps_all_images_alike_says_so(qtbot, panel, viewer, said, model, stack):
    viewer.add_image(stack, name="film")
    panel.map_each.setCurrentText("each page by itself")
    press(qtbot, panel, model)
    ((severity, message),) = said
    assert (severity, "maps all images alike" in message) == ("error", True)


def test_what_is_unsure_is_a_warning(qtbot, panel, viewer, said, model, stack):
    viewer.add_image(stack[0])
    press(qtbot, panel, model)
    assert [kind for kind, _ in said] == ["warning", "info"]
    assert "no unit of length" in said[0][1]


def test_an_unforeseen_error_is_told(qtbot, panel, viewer, said, monkeypatch, model, stack):
    def broken(*_, **given):
        raise ZeroDivisionError("three")

    viewer.add_image(stack[0], name="page")
    monkeypatch.setattr(panel_module, "segment_layer", broken)
    press(qtbot, panel, model)
    ((severity, message),) = said
    assert severity == "error"
    assert message.startswith("page: unexpected error, please report it: ZeroDivisionError: three")


@pytest.mark.parametrize("probability", [True, False])
def test_napari_opens_results_in_ome_zarr_with_their_labels(viewer, tmp_path, model, stack_file, probability):
    """With the reader that napari's users have, which is a plug-in of its own."""
    _initialize_plugins()
    objects = ObjectSettings(smallest=3) if probability else None
    options = SegmentOptions(products=("probability",) if probability else (), objects=objects)
    segment_files([stack_file], tmp_path / "r.zarr", model, options)
    viewer.open(tmp_path / "r.zarr", plugin="napari-ome-zarr")
    segment_files([stack_file], tmp_path / "tiff", model, options)
    shown = {layer.name.rpartition("/")[2]: layer for layer in viewer.layers}
    found = {name: layer for name, layer in shown.items() if isinstance(layer, Labels)}
    assert found.keys() == ({"classes", "labels"} if probability else {"classes"})
    assert [type(layer) for layer in viewer.layers].count(Image) == 1
    for name, layer in found.items():
        expected = tifffile.imread(tmp_path / "tiff" / f"stack.{name}.tif")
        assert np.array_equal(np.asarray(layer.data), expected)
        assert layer.dtype == expected.dtype
    for layer in viewer.layers:
        assert layer.scale.tolist() == [2, 0.25, 0.25]
        assert {str(unit) for unit in layer.units} == {"micrometer"}
        assert layer.axis_labels == ("z", "y", "x")
