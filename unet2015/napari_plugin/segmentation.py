"""Segments a layer, with the engine of the command and the same pixels. Knows nothing of windows."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.device import usual_torch
from unet2015.errors import UsageError
from unet2015.images.array_image import ArrayImage
from unet2015.images.image import Image
from unet2015.images.pixel_size import pixel_size
from unet2015.models import load_model
from unet2015.models.doubts import doubts_of_objects
from unet2015.models.unlike import notes_on_image
from unet2015.napari_plugin.layers import Layer, LayerImage, check_channels
from unet2015.objects.files import measure_labels
from unet2015.objects.labelling import number_image
from unet2015.objects.table import Table, describe_summary, summary_of
from unet2015.objects.too_small import describe_left_out, summary_of_left_out
from unet2015.segmentation.in_memory import to_arrays
from unet2015.segmentation.object_output import maps_to_label, measured_under
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import MAIN, ProbabilityMap
from unet2015.segmentation.segmenter import Segmenter
from unet2015.settings.choices import MapEach
from unet2015.settings.objects import ObjectSettings
from unet2015.tiling.progress import reporting, unnamed

Progress = Callable[[int, int], object]
"""Called with the number of tiles that are done, and of all; raises `Cancelled` to end the work."""

_log = logging.getLogger("unet2015")


class Cancelled(BaseException):
    """The user wants no result any more. No `Exception`: nothing on the way takes it for an error."""


class ClassNeededError(UsageError):
    """The model has several classes, and none was chosen.

    Attributes
    ----------
    names : tuple of str
        Of all classes; 0 is background.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__("the model has several classes; choose which one objects are, and segment again")
        self.names = names


@dataclass(frozen=True, eq=False)
class Segmented:
    """What becomes of a layer; arrays have its axes without channels.

    Attributes
    ----------
    classes : ndarray of uint8
        The class map.
    probability : ndarray of float32
        Of class 1 or, with more than two classes, of each class, along an axis before the rows.
    class_names : tuple of str
        Of all classes.
    labels : ndarray of uint16 or uint32, or None
        The instance labels, if objects were wanted.
    features : dict of ndarray, or None
        The table of objects, with a column ``index``: the label or, where labels of several pages have the
        same numbers, page and label (``page0-12``), as regions for ImageJ are named.
    notes : tuple of str
        What the user should know.
    summary : str
        The objects in one line.
    """

    classes: NDArray[np.uint8]
    probability: NDArray[np.float32]
    class_names: tuple[str, ...]
    labels: NDArray[Any] | None
    features: Table | None
    notes: tuple[str, ...]
    summary: str


@usual_torch()
def segment_layer(
    layer: Layer,
    model: str,
    objects: ObjectSettings | None,
    threshold: float | None = None,
    progress: Progress = lambda done, tiles: None,
    *,
    map_each: MapEach | None = None,
) -> Segmented:
    """Segment a layer.

    Parameters
    ----------
    layer : Layer
        An image layer.
    model : str
        A model file, the folder of a training, or the name of a model that comes with the package.
    objects : ObjectSettings or None
        Also find objects; what is not set is as the model says.
    threshold : float, optional
        Probability above which a pixel is of class 1, with two classes. Default: the model's own.
    progress : callable
        Called while it works.
    map_each : {"file", "page"}, optional
        What is mapped by itself, where the model maps each image by itself: the whole layer, or each page of
        it. Default: as the model says.

    Raises
    ------
    ClassNeededError
        The model has several classes, and the settings do not say which one objects are.
    UNet2015Error
        The model cannot be read, or does not go with the layer.
    """
    with _said() as notes:
        loaded = load_model(model)
        if objects is not None and objects.of_class is None and loaded.info.classes > 2:
            raise ClassNeededError(loaded.info.class_names)
        image = LayerImage(layer)
        check_channels(layer, image, loaded.info.in_channels)
        notes += notes_on_image(image, loaded.info)
        segmenter = Segmenter(loaded, SegmentOptions(objects=objects, threshold=threshold, map_each=map_each))
        with reporting(unnamed(progress)):
            made = to_arrays(segmenter, image, (MAIN.name, ProbabilityMap.name))
        labels, tables = None, None
        if objects is not None:
            notes += doubts_of_objects(loaded.info.training)
            labels, tables = _objects(image, segmenter, made, lambda: progress(1, 1))
    classes, probability = made[MAIN.name], made[ProbabilityMap.name]
    summary = "" if tables is None else describe_summary(summary_of(tables))
    features = None if tables is None else _features(tables, image.pages)
    names = loaded.info.class_names
    return Segmented(classes, probability, names, labels, features, tuple(notes), summary)


def _objects(
    image: Image, segmenter: Segmenter, made: dict[str, NDArray[Any]], check: Callable[[], object]
) -> tuple[NDArray[Any], list[Table]]:
    """Return instance labels and the tables of the pages, as the command makes them of its files."""
    settings = segmenter.options.objects
    assert settings is not None
    several = made[ProbabilityMap.name].ndim > made[MAIN.name].ndim
    lead = image.page_axes
    probability = ArrayImage(made[ProbabilityMap.name], lead + ("C" if several else "") + "YX")
    classes = ArrayImage(made[MAIN.name], f"{lead}YX")
    maps = maps_to_label(segmenter, settings, probability, classes)
    found = number_image(maps, settings, segmenter.options.max_memory, lambda pages: check())
    measured = measured_under(maps, image)
    rows = _Rows(image, found.dtype)
    tables = measure_labels(
        found, image, measured, writer=rows, dtype=found.dtype, progress=lambda pages: check()
    )
    left = summary_of_left_out(found.too_small, settings.smallest)
    if note := describe_left_out(left, found.pages):
        _log.warning("%s: %s", image.name, note)
    if pixel_size(image.calibration) is None:
        _log.warning(
            "%s: the layer has no unit of length, no scale that is a pixel size, or is transformed (affine, "
            "shear), so the table is in pixels; for micrometres set its scale and units alone first",
            image.name,
        )
    return rows.array.reshape(made[MAIN.name].shape), tables


class _Rows:
    """Takes the rows of instance labels into an array."""

    def __init__(self, image: Image, dtype: np.dtype[Any]) -> None:
        self.array = np.empty((image.pages * image.height, image.width), dtype)
        self._next = 0

    def write(self, rows: NDArray[Any]) -> None:
        """Take the next rows."""
        self.array[self._next : self._next + len(rows)] = rows
        self._next += len(rows)


def _features(tables: list[Table], pages: int) -> Table:
    """Return the rows of all pages, in the form in which napari finds those of a label."""
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    del columns["image"]
    places = zip(columns["page"], columns["label"], strict=True)
    named = [f"page{page}-{label}" for page, label in places]
    return {"index": columns["label"] if pages == 1 else np.array(named, object)} | columns


@contextmanager
def _said() -> Iterator[list[str]]:
    """Collect what the package warns of, in this thread; there is no terminal on which it would be seen."""
    notes: list[str] = []
    here = threading.get_ident()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == here:
                notes.append(record.getMessage())

    collector = Collector(logging.WARNING)
    _log.addHandler(collector)
    try:
        yield notes
    finally:
        _log.removeHandler(collector)
