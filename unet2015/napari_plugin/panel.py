"""The panel in napari: choose a layer and a model, segment, and see the results as layers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from unet2015.errors import UNet2015Error, failure_of
from unet2015.models import model_names
from unet2015.napari_plugin.layers import placement
from unet2015.napari_plugin.segmentation import (
    Cancelled,
    ClassNeededError,
    Segmented,
    segment_layer,
)
from unet2015.settings.objects import ObjectSettings

_OWN = "the model's"
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Refused:
    """Why there is no result. A thread of napari that returns an error would raise it."""

    error: UNet2015Error


class SegmentPanel(QWidget):
    """The panel.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Whose layers are segmented; results become layers of it.
    """

    stepped = Signal(int, int)
    """Emitted while it works, from another thread: tiles that are done, and all tiles."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._worker: Any = None
        self._cancelled = False
        self._make_fields()
        self._lay_out()
        self.stepped.connect(self._step)
        events = napari_viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._list_layers)
        self._list_layers()
        self._rest()

    def _make_fields(self) -> None:
        self.layer, self.model, self.of_class = QComboBox(), QComboBox(), QComboBox()
        self.model.setEditable(True)
        self.model.addItems(model_names())
        self.model.setToolTip(
            "A model that comes with the package, a model file, or the folder of a training"
        )
        self.model.currentTextChanged.connect(self._forget_classes)
        self.threshold = QDoubleSpinBox(minimum=-0.01, maximum=1, singleStep=0.01, value=-0.01)
        self.threshold.setSpecialValueText(_OWN)
        self.smallest = QSpinBox(minimum=-1, maximum=_LARGEST, value=-1)
        self.smallest.setSpecialValueText(_OWN)
        self.smallest.setSuffix(" px")
        self.map_each = QComboBox()
        for words, value in ((_OWN, None), ("the whole layer", "file"), ("each page by itself", "page")):
            self.map_each.addItem(words, value)
        self.map_each.setToolTip(
            "Over what brightness is measured: each page by itself for a film that bleaches; --map-each"
        )
        self.objects = QCheckBox("objects and their table", checked=True)
        self.classes = QCheckBox("class map", checked=True)
        self.probability = QCheckBox("probability map")
        self.file, self.folder = QPushButton("File..."), QPushButton("Folder...")
        self.file.clicked.connect(self._choose_file)
        self.folder.clicked.connect(self._choose_folder)
        self.start, self.cancel = QPushButton("Segment"), QPushButton("Cancel")
        self.start.clicked.connect(self.segment)
        self.cancel.clicked.connect(self.stop)
        self.progress = QProgressBar()

    def _lay_out(self) -> None:
        self._form = QFormLayout()
        self._form.addRow("Image layer", self.layer)
        self._form.addRow("Model", self.model)
        self._form.addRow("", _row(self.file, self.folder))
        self._form.addRow("Class of objects", self.of_class)
        self._form.addRow("Threshold", self.threshold)
        self._form.addRow("Smallest object", self.smallest)
        self._form.addRow("Intensities over", self.map_each)
        for box in (self.objects, self.classes, self.probability):
            self._form.addRow("", box)
        whole = QVBoxLayout(self)
        whole.addLayout(self._form)
        whole.addWidget(_row(self.start, self.cancel))
        whole.addWidget(self.progress)
        whole.addStretch()
        self._forget_classes()

    def segment(self) -> None:
        """Segment the chosen layer with the chosen model, in a thread."""
        layer, model = self.layer.currentData(), self.model.currentText().strip()
        if self._worker is not None:
            return
        if layer is None:
            show_error("There is no image layer; open an image first")
            return
        if not model:
            show_error("Choose a model: a name, a model file, or the folder of a training")
            return
        if not (self.objects.isChecked() or self.classes.isChecked() or self.probability.isChecked()):
            show_error("Nothing is wanted; tick at least one of objects, class map and probability map")
            return
        self._cancelled = False
        self.start.setEnabled(False)
        self.cancel.setEnabled(True)
        self.progress.setRange(0, 0)  # busy: the number of tiles is not known yet
        self.progress.show()
        threshold = self.threshold.value()
        work = partial(
            _segmented,
            layer,
            partial(
                segment_layer,
                model=model,
                objects=self._settings(),
                threshold=None if threshold < 0 else threshold,
                progress=self._report,
                map_each=self.map_each.currentData(),
            ),
        )
        self._worker = create_worker(work)
        self._worker.returned.connect(partial(self._show, layer))
        self._worker.finished.connect(self._rest)
        self._worker.start()

    def stop(self) -> None:
        """End the work after the tiles that are being computed; there are no results then."""
        self._cancelled = True
        self.cancel.setEnabled(False)

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """End the work when the panel is closed."""
        self.stop()
        super().closeEvent(event)

    def _settings(self) -> ObjectSettings | None:
        if not self.objects.isChecked():
            return None
        given: dict[str, Any] = {}
        if self.smallest.value() >= 0:
            given["smallest"] = self.smallest.value()
        if self.of_class.currentData() is not None:
            given["of_class"] = self.of_class.currentData()
        return ObjectSettings(**given)

    def _report(self, done: int, tiles: int) -> None:
        """Say how far the work is; called from its thread."""
        if self._cancelled:
            raise Cancelled
        self.stepped.emit(done, tiles)

    def _step(self, done: int, tiles: int) -> None:
        self.progress.setRange(0, tiles)
        self.progress.setValue(done)

    def _show(self, layer: Any, result: Segmented | Refused | None) -> None:
        """Add what came out as layers, or say why nothing did."""
        if isinstance(result, Refused):
            if isinstance(result.error, ClassNeededError):
                self._ask_class(result.error.names)
            show_error(str(result.error))
        elif result is not None:
            self._add(layer, result)
            for note in result.notes:
                show_warning(note)
            if result.summary:
                show_info(f"{layer.name}: {result.summary}")

    def _add(self, layer: Any, result: Segmented) -> None:
        place, name = placement(layer), layer.name
        if self.probability.isChecked():
            channels = result.probability.ndim > result.classes.ndim
            title: Any = f"{name} probability"
            if channels:
                title = [f"{title} {one}" for one in result.class_names]
            axis = result.classes.ndim - 2 if channels else None
            limits = (0, 1)
            self._viewer.add_image(
                result.probability,
                name=title,
                channel_axis=axis,
                contrast_limits=limits,
                visible=False,
                **place,
            )
        if self.classes.isChecked():
            self._viewer.add_labels(
                result.classes, name=f"{name} classes", visible=result.labels is None, **place
            )
        if result.labels is not None:
            self._viewer.add_labels(result.labels, name=f"{name} labels", features=result.features, **place)

    def _rest(self) -> None:
        self._worker = None
        self.start.setEnabled(True)
        self.cancel.setEnabled(False)
        self.progress.hide()

    def _list_layers(self, event: Any = None) -> None:
        """List the image layers, and keep the choice."""
        chosen = self.layer.currentData()
        layers = [layer for layer in self._viewer.layers if layer._type_string == "image"]
        self.layer.clear()
        for layer in layers:
            self.layer.addItem(layer.name, layer)
        if chosen in layers:
            self.layer.setCurrentIndex(layers.index(chosen))

    def _ask_class(self, names: tuple[str, ...]) -> None:
        self.of_class.clear()
        self.of_class.addItem("choose", None)
        for number, name in enumerate(names[1:], 1):
            self.of_class.addItem(f"{number} ({name})", number)
        self._form.setRowVisible(self.of_class, True)

    def _forget_classes(self, model: str = "") -> None:
        """Another model has other classes."""
        self.of_class.clear()
        self._form.setRowVisible(self.of_class, False)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Model file", filter="Models (*.safetensors)")
        if path:
            self.model.setCurrentText(path)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Folder of a training")
        if path:
            self.model.setCurrentText(path)


def _row(*widgets: Any) -> Any:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        line.addWidget(widget)
    return row


def _segmented(layer: Any, segment: Callable[[Any], Segmented]) -> Segmented | Refused | None:
    """Return what became of a layer; None if it was cancelled."""
    try:
        return segment(layer)
    except Cancelled:
        return None
    except Exception as error:
        return Refused(failure_of(error, layer.name))
