"""How long a job will take, from a short measurement."""

import time

import numpy as np

from unet2015.images.image import Image
from unet2015.segmentation.segmenter import Segmenter
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.reading import window

_PROBE = 572
"""Largest side of the tile that is measured: a single large tile may take a minute."""


class Estimator:
    """Estimates times of jobs of one model on one device; measures each size of tile once."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._rates: dict[tuple[int, int], float] = {}

    def seconds(self, image: Image, plan: TilePlan) -> float:
        """Return about how long an image will take by the clock.

        Network and reading overlap, so the slower of the two counts. A mapping by the image's own mean or
        percentiles reads the image once more. The time of the network grows with the area of the tiles.
        """
        tile = plan.tile_at(plan.tiles // 2)
        region, *_ = window(tile, plan.height, plan.width)
        start = time.perf_counter()
        image.read(tile.page, *region)
        reading = (time.perf_counter() - start) * plan.tiles
        again = reading if self._segmenter.info.mapping.of_each_image else 0.0
        network = self._rate(plan) * plan.tiles * plan.tile[0] * plan.tile[1]
        return max(network, reading) + again

    def _rate(self, plan: TilePlan) -> float:
        """Return the seconds that the network takes for a pixel of its input."""
        legal = plan.geometry.nearest_legal(_PROBE)[0]
        height, width = (min(side, legal) for side in plan.tile)
        if (height, width) not in self._rates:
            channels = self._segmenter.info.in_channels
            probe = np.random.default_rng(0).random((1, channels, height, width), np.float32)
            times = []
            for _ in range(2):  # the first also prepares the layers
                start = time.perf_counter()
                self._segmenter.predict(probe)
                times.append(time.perf_counter() - start)
            self._rates[height, width] = min(times) / (height * width)
        return self._rates[height, width]
