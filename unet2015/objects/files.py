"""From a map to files of its objects: instance labels and a table, in one pass over the strips."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import DataSetError, ImageValueError
from unet2015.images.checked_bands import EXACT, inexact
from unet2015.images.image import Image
from unet2015.images.page_order import other_order, places_of_pages
from unet2015.images.pixel_size import pixel_size
from unet2015.images.result_names import table_name
from unet2015.images.writer import RowWriter
from unet2015.objects.labelling import Counted, Labels
from unet2015.objects.measures import PageMeasures
from unet2015.objects.progress import Progress, nobody
from unet2015.objects.table import Table, table_of


@dataclass(frozen=True, eq=False)
class Intensities:
    """What is measured under the labels.

    Attributes
    ----------
    image : Image
        The image.
    channels : tuple of int
        Which of its channels are measured.
    names : tuple of str
        Of each of them, what the names of its columns begin with.
    """

    image: Image
    channels: tuple[int, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, image: Image, name: str) -> "Intensities":
        """Return all channels of an image, named `name` or, if there are several, `name`_0, `name`_1, ..."""
        channels = tuple(range(image.channels))
        return cls(image, channels, (name,) if len(channels) == 1 else tuple(f"{name}_{i}" for i in channels))

    def read(self, page: int, *region: int) -> list[NDArray[Any]]:
        """Return the pixels of a region, (rows, columns) for each channel."""
        planes = self.image.read(page, *region)
        return [planes[channel] for channel in self.channels]

    def read_exact(self, inside: NDArray[np.bool_], page: int, *region: int) -> list[NDArray[Any]]:
        """Return what `read` returns; raise `ImageValueError` if pixels of objects cannot be measured.

        These are NaN or infinite, whole numbers that double precision would round, or so large that sums
        would be infinite.
        """
        planes = self.read(page, *region)
        beyond = next((ends for plane in planes if (ends := inexact(plane, inside))), None)
        if beyond is not None:
            raise ImageValueError(
                f"{self.image.name}: page {page}: expected whole numbers up to {EXACT} (2**53), which double "
                f"precision tells apart, but those of objects, from row {region[0]} on, go from {beyond[0]} "
                f"to {beyond[1]}; subtract what all have in common, or measure shapes alone"
            )
        if self.image.dtype.kind == "f":
            bad = int(np.count_nonzero([~np.isfinite(plane) & inside for plane in planes]))
            if bad:
                raise ImageValueError(
                    f"{self.image.name}: page {page}: {bad} pixels of objects, from row {region[0]} on, are "
                    "NaN or infinite; replace them, or measure shapes alone"
                )
        if self.image.dtype.itemsize == 8 and self.image.dtype.kind == "f":  # others are far from it
            self._check_sums(planes, inside, page, region[0])
        return planes

    def _check_sums(
        self, planes: Sequence[NDArray[Any]], inside: NDArray[np.bool_], page: int, row: int
    ) -> None:
        """Raise `ImageValueError` if the sum of a page's pixels of objects might be no number any more."""
        most = float(np.finfo(np.float64).max) / (self.image.height * self.image.width)
        for plane in planes:
            if (far := np.abs(plane[inside], dtype=np.float64)).size and (largest := float(far.max())) > most:
                raise ImageValueError(
                    f"{self.image.name}: page {page}: expected intensities whose sums double precision "
                    f"holds, up to {most:.3g}, but among pixels of objects, from row {row} on, is one of "
                    f"{largest:.6g}; if it marks what was not measured, replace it, or measure shapes alone"
                )


def measure_labels(
    labels: Labels,
    like: Image,
    intensities: Sequence[Intensities] = (),
    *,
    writer: RowWriter | None = None,
    dtype: np.dtype[Any] | None = None,
    progress: Progress = nobody,
) -> list[Table]:
    """Measure the objects of all pages, and write their labels in the same pass.

    Parameters
    ----------
    labels : Labels
        The instance labels.
    like : Image
        Whose name and pixel size the tables have.
    intensities : sequence of Intensities
        Images of the same size whose values are measured.
    writer : RowWriter, optional
        Takes the labels, as `dtype`.
    dtype : dtype
        The type of the written labels.
    progress : callable
        Is told of the rows that are done: in all `rows_to_measure`, as convex hulls end each page.

    Returns
    -------
    list of Table
        One for each page.

    Raises
    ------
    DataSetError
        An image has another size than the labels.
    """
    for one in intensities:
        check_same_size(labels, like.name, one.image)
        if one.image is not like and (order := other_order(like, one.image)):
            raise DataSetError(f"{one.image.name}: {order}; save both with their axes in the same order")
    name = like.title or table_name(like.path or Path(like.name))
    columns = tuple(n for one in intensities for n in one.names)
    size, tables = pixel_size(like.calibration), []
    for page, place in enumerate(places_of_pages(like)):
        known = labels.names(page)
        measures = PageMeasures(labels.height, labels.width, len(known), len(columns))
        for row, strip in Counted(labels, progress).strips(page):
            ends = (row, row + len(strip), 0, labels.width)
            planes = [plane for one in intensities for plane in one.read_exact(strip > 0, page, *ends)]
            measures.add(strip, planes)
            if writer is not None:
                writer.write(strip.astype(dtype))
        tables.append(table_of(name, page, known, measures.finish(progress), size, columns, place))
    return tables


def rows_to_measure(image: Image) -> int:
    """Return of how many rows `measure_labels` tells for the labels of an image."""
    return 2 * image.pages * image.height


def check_same_size(labels: Labels, name: str, image: Image) -> None:
    """Raise `DataSetError` unless an image has the pages, rows and columns of the labels of `name`."""
    one, other = (labels.pages, labels.height, labels.width), (image.pages, image.height, image.width)
    if one != other:
        raise DataSetError(
            f"{image.name}: expected {one[0]} pages of {one[1]} x {one[2]} pixels like {name}, but it has "
            f"{other[0]} of {other[1]} x {other[2]}"
        )
