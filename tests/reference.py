"""What tiling is compared with: one pass of the network itself over the whole, mirrored page."""

import numpy as np
import torch

from unet2015.tiling.averaging import VERSIONS

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}
"""Of probabilities, as a part of the scale of the scores: rounding and nothing else."""


class ArraySource:
    """Pages of an array (pages, channels, height, width), for the engine."""

    def __init__(self, array):
        self.array = array

    def read(self, page, y0, y1, x0, x1):
        assert 0 <= y0 < y1 <= self.array.shape[2]
        assert 0 <= x0 < x1 <= self.array.shape[3]
        return self.array[page, :, y0:y1, x0:x1]


def whole(network, array, average="none"):
    """One pass over the whole page, mirrored by NumPy: probabilities, and the scale of the scores."""
    geometry = network.geometry
    height, width = array.shape[-2:]
    sides = [geometry.input_for(size) for size in (height, width)]
    after = [
        (geometry.margin, side - geometry.margin - size)
        for side, size in zip(sides, (height, width), strict=True)
    ]
    # For one pixel NumPy's reflect repeats it, as does its edge mode.
    padded = np.pad(array, [(0, 0), (0, 0), *after], mode="reflect")
    x = torch.from_numpy(padded).to(next(network.parameters()).dtype)
    network = network.eval()
    with torch.no_grad():
        scores = [version.undo(network(version.apply(x))) for version in VERSIONS[average]]
        mean = sum(scores) / len(scores)
        result = torch.softmax(mean, dim=1).numpy()
    return result[:, :, :height, :width], max(1.0, float(mean.abs().max()))
