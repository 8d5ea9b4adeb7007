"""The up-convolutions of a U-Net for a CPU, whose sums do not depend on the size of a map."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from unet2015.networks.cpu.packed_weights import OutputBound

LEAST_PIXELS = 256
"""Of fewer pixels, oneDNN may sum over the channels in another order, so that a small tile would round in
another way. Measured: with 256 channels from 81 pixels on it does not, with fewer and with more earlier."""


def upsampled_pixels(height: int, width: int) -> int:
    """Return of how many pixels the up-convolution is computed for a map of `height` x `width`."""
    return max(height, -(-LEAST_PIXELS // width)) * width


@dataclass(frozen=True)
class UpConvolutions:
    """The up-convolutions of each level, and how large their outputs can become."""

    weights: list[tuple[Tensor, Tensor]]
    bounds: list[OutputBound]

    @classmethod
    def of(cls, weights: list[tuple[Tensor, Tensor]]) -> "UpConvolutions":
        """Return them for weights (channels in, channels out, 2, 2) and biases."""
        # Each output pixel sees one input pixel, by one of the four weights.
        return cls(
            weights, [OutputBound.of(w.float().abs().sum(dim=0).amax(dim=(1, 2)), b) for w, b in weights]
        )

    def __call__(self, level: int, below: Tensor) -> Tensor:
        """Return the up-convolution of a map (1, channels, h, w): (1, channels out, 2 h, 2 w)."""
        rows, columns = below.shape[-2:]
        more = upsampled_pixels(rows, columns) // columns - rows
        if more:
            below = functional.pad(below, (0, 0, 0, more))
        raised: Tensor = functional.conv_transpose2d(below, *self.weights[level], stride=2)
        return raised[:, :, : 2 * rows]
