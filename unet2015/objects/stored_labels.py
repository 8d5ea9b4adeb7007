"""The labels of an image of labels, from any program, read strip by strip."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import ImageValueError
from unet2015.images.image import Image
from unet2015.images.result_names import labels_inside
from unet2015.images.samples import no_channels_in_labels
from unet2015.objects.progress import Progress, nobody
from unet2015.objects.runs import runs_of_values
from unet2015.objects.strips import strip_rows

_LARGEST = 2**63 - 1


class StoredLabels:
    """The labels of an image of labels, whatever their numbers.

    Parameters
    ----------
    image : Image
        One channel of integers; 0 is background, all pixels of a page with the same number are one object.
    progress : callable
        Is told of the rows in which the numbers of a page's labels were looked for.

    Raises
    ------
    ImageValueError
        The image has several channels, is not of integers, or has negative labels.
    """

    def __init__(self, image: Image, progress: Progress = nobody) -> None:
        if image.channels != 1 or image.dtype.kind not in "ui":
            about = no_channels_in_labels(image.axes) if image.channels != 1 else ""
            if image.channels == 1 and image.dtype.kind == "b":
                about = "; it is a mask: number its objects first, with unet2015 label"
            raise ImageValueError(
                f"{image.name}: expected instance labels, one channel of integers, but it has "
                f"{image.channels} of {image.dtype}{labels_inside(image.path) or about}"
            )
        self._image, self._progress = image, progress
        self.pages, self.height, self.width = image.pages, image.height, image.width
        self._rows = strip_rows(image.height, image.width)
        self._names: dict[int, NDArray[np.int64]] = {}

    def names(self, page: int) -> NDArray[np.int64]:
        """Return the labels of a page in rising order."""
        if page not in self._names:
            found = [np.zeros(0, np.int64)]
            for _, strip in self._read(page):
                found.append(np.unique(runs_of_values(strip)[1]).astype(np.int64))
                self._progress(len(strip))
            names = np.unique(np.concatenate(found))
            if len(names) and names[0] < 0:
                raise ImageValueError(
                    f"{self._image.name}: page {page}: labels are 0 or more, not {names[0]}"
                )
            self._names = {page: names[names > 0]}
        return self._names[page]

    def strips(self, page: int) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Yield the first row and the objects of each strip."""
        names = self.names(page)
        for row, strip in self._read(page):
            starts, values = runs_of_values(strip)
            objects = np.searchsorted(names, values.astype(np.int64)) + 1
            numbers = np.where(values > 0, objects, 0).astype(np.int32)
            yield row, np.repeat(numbers, np.diff(starts, append=strip.size)).reshape(strip.shape)

    def _read(self, page: int) -> Iterator[tuple[int, NDArray[np.integer]]]:
        for row in range(0, self.height, self._rows):
            stop = min(row + self._rows, self.height)
            strip = self._image.read(page, row, stop, 0, self.width)[0]
            if strip.dtype == np.uint64 and (most := int(strip.max())) > _LARGEST:
                raise ImageValueError(
                    f"{self._image.name}: page {page}: labels are at most {_LARGEST}, not {most}; number "
                    "them anew"
                )
            yield row, strip
