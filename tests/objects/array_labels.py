"""Labels in memory, in strips of any height."""

import numpy as np

from unet2015.images.array_image import ArrayImage
from unet2015.objects.stored_labels import StoredLabels


class ArrayLabels(StoredLabels):
    """The labels of an array (pages, rows, columns), in strips of `rows`."""

    def __init__(self, array, rows=None):
        super().__init__(ArrayImage(array, "ZYX"))
        self._rows = rows or array.shape[1]

    def bottoms(self, page):
        """Return the row behind the last one of each object."""
        bottoms = np.zeros(len(self.names(page)), np.int64)
        for row, strip in self.strips(page):
            for y in range(len(strip)):
                bottoms[strip[y][strip[y] > 0] - 1] = row + y + 1
        return bottoms
