"""What a segmentation writes: a table of named products.

Each product declares the name of its file, its pixels, and how they are made from probabilities. A new one
needs a class here, a line in `PRODUCTS`, and its ending among `result_names.ENDINGS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from unet2015.errors import ModelError, UsageError
from unet2015.images import result_names
from unet2015.images.display import Display, display_of_classes
from unet2015.images.image import Image
from unet2015.images.writer import ImageWriter, Layout, RowWriter
from unet2015.images.zarr_layout import ZarrMap
from unet2015.tiling.classes import class_map, probability_map

if TYPE_CHECKING:  # torch comes with it
    from unet2015.models.model_file import ModelInfo


class Product(ABC):
    """One kind of result.

    Attributes
    ----------
    name : str
        In settings, bands and OME-Zarr.
    ending : str
        Ending of its file name, if results are TIFF.
    dtype : dtype
        Type of its pixels.
    """

    name: ClassVar[str]
    ending: ClassVar[str]
    dtype: ClassVar[npt.DTypeLike]

    def planes(self, classes: int) -> int | None:
        """Return the length of its axis C for a model of so many classes; None without such an axis."""
        return None

    @abstractmethod
    def render(self, probabilities: npt.NDArray[np.float32], threshold: float | None) -> npt.NDArray[Any]:
        """Return its pixels, (h, w) or (planes, h, w), for probabilities (classes, h, w)."""

    @abstractmethod
    def zarr_map(self, info: ModelInfo) -> ZarrMap:
        """Return its map in an OME-Zarr image."""

    def writer(
        self, path: Path, like: Image, classes: int, layout: Layout
    ) -> AbstractContextManager[RowWriter]:
        """Return a context manager that writes its TIFF; the file is whole or absent."""
        return ImageWriter(
            path, like, self.dtype, self.planes(classes), layout, display=self.display(classes)
        )

    def display(self, classes: int) -> Display | None:
        """Return how it is shown; None: as programs show it by themselves."""
        return None

    def pixel_bytes(self, classes: int) -> int:
        """Return the bytes of a pixel, over all planes."""
        return np.dtype(self.dtype).itemsize * (self.planes(classes) or 1)


class ClassMap(Product):
    """The class of each pixel."""

    name = "classes"
    ending = result_names.CLASSES
    dtype = np.uint8

    def render(
        self, probabilities: npt.NDArray[np.float32], threshold: float | None
    ) -> npt.NDArray[np.uint8]:
        """Return classes (h, w) for probabilities (classes, h, w)."""
        return class_map(probabilities, threshold)

    def display(self, classes: int) -> Display:
        """Return a range from the first class to the last: programs show 8 bits from 0 to 255."""
        return display_of_classes(classes)

    def zarr_map(self, info: ModelInfo) -> ZarrMap:
        """Return a label image whose values are the classes."""
        return ZarrMap(self.name, "class map", "uint8", None, label=True, names=tuple(info.class_names))


class ProbabilityMap(Product):
    """The probability of class 1 or, with more than two classes, of each class."""

    name = "probability"
    ending = result_names.PROBABILITY
    dtype = np.float32

    def planes(self, classes: int) -> int | None:
        """Return the length of its axis C: none with two classes."""
        return None if classes == 2 else classes

    def render(
        self, probabilities: npt.NDArray[np.float32], threshold: float | None
    ) -> npt.NDArray[np.float32]:
        """Return (h, w) with two classes, else (classes, h, w)."""
        return probability_map(probabilities)

    def zarr_map(self, info: ModelInfo) -> ZarrMap:
        """Return an image whose channels are the classes, or class 1 alone."""
        planes = self.planes(info.classes)
        names = tuple(info.class_names if planes else info.class_names[1:])
        return ZarrMap(self.name, "probability map", "float32", planes, label=False, names=names)


MAIN = ClassMap()
"""The product that is always made; if the output is one file, it is this product."""

PRODUCTS: dict[str, Product] = {product.name: product for product in (MAIN, ProbabilityMap())}
"""All maps, in the order in which they are written and listed."""


@dataclass(frozen=True)
class ObjectProduct:
    """A result that is made of the finished maps: labels or measures of objects.

    Attributes
    ----------
    name : str
        In settings and records.
    ending : str
        Ending of its file name.
    always : bool
        Whether it is made with all objects, or only where it is asked for.
    """

    name: str
    ending: str
    always: bool = False


LABELS = ObjectProduct("labels", result_names.LABELS, always=True)
TABLE = ObjectProduct("table", result_names.TABLE, always=True)
PARQUET = ObjectProduct("parquet", result_names.PARQUET)
IMAGEJ = ObjectProduct("imagej", result_names.ROIS)
GEOJSON = ObjectProduct("geojson", result_names.GEOJSON)
OVERLAY = ObjectProduct("overlay", result_names.OVERLAY)
OVERLAY_JPEG = ObjectProduct("overlay-jpeg", result_names.OVERLAY_JPEG)
LABEL_BYTES = 4
"""Most bytes of a pixel of instance labels."""
OBJECT_PRODUCTS = {
    product.name: product for product in (LABELS, TABLE, PARQUET, IMAGEJ, GEOJSON, OVERLAY, OVERLAY_JPEG)
}
"""All results that are made of objects, in the order in which they are listed."""
OBJECT_VIEWS = tuple(name for name, product in OBJECT_PRODUCTS.items() if not product.always)
"""The names of those that are made only where they are asked for."""
BESIDE_ZARR = tuple(name for name in OBJECT_PRODUCTS if name != LABELS.name)
"""The names of those that are files of their own where the results are an OME-Zarr image."""


def views_in_order(views: Collection[str]) -> tuple[str, ...]:
    """Return names of views in the order in which they are listed; raise `UsageError` for others."""
    if unknown := [name for name in views if name not in OBJECT_VIEWS]:
        raise UsageError(f"views of objects are {', '.join(OBJECT_VIEWS)}, not {unknown[0]!r}")
    return tuple(name for name in OBJECT_VIEWS if name in views)


def check_finite(probabilities: npt.NDArray[np.float32], name: str) -> None:
    """Raise a `ModelError` that names the image if probabilities are not finite."""
    with np.errstate(invalid="ignore"):
        total = probabilities.sum()  # not finite where a value is not; of probabilities it does not overflow
    if not np.isfinite(total):
        raise ModelError(
            f"{name}: the network's output is not finite; the model has diverged in training, or the image's "
            "intensities are far from those that it was trained on"
        )
