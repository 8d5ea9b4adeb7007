"""The scores of a U-Net on a CPU, computed in strips of rows: equal to the network, faster, in less memory.

The maps of a large tile take a gigabyte. The system gives so much memory anew each time, page by page, which
takes as long as a convolution; and no cache can hold it. So a tile goes through from top to bottom in
strips of rows (:mod:`~unet2015.networks.cpu.strip_schedule`). Between the levels, ring buffers hold the rows
that are still needed (:mod:`~unet2015.networks.cpu.ring_buffer`). Within a strip, each level is computed in
row blocks, so that its large map is never whole (:mod:`~unet2015.networks.cpu.strip_pass`).

In float32 and bfloat16, convolutions use packed weights with a fused ReLU
(:mod:`~unet2015.networks.cpu.packed_weights`); layers with many channels use Winograd
(:mod:`~unet2015.networks.cpu.winograd`), if the tile is aligned.
"""

import copy
import threading
from math import inf

import torch
from torch import Tensor

from unet2015.networks.cpu.layers import ConvolutionFactory, Layers, OverflowRiskError
from unet2015.networks.cpu.ring_buffer import Workspace
from unet2015.networks.cpu.row_blocks import BLOCK_BYTES, STRIP_PIXELS, strip_rows
from unet2015.networks.cpu.strip_pass import StripPass
from unet2015.networks.cpu.up_convolutions import UpConvolutions
from unet2015.networks.cpu.winograd_layers import tile_geometry
from unet2015.networks.cpu.winograd_weights import DTYPES
from unet2015.networks.unet2015 import UNet


class RowStripUNet:
    """The scores of a :class:`UNet` in inference, on a CPU.

    Parameters
    ----------
    network : UNet
        Its parameters are copied to the CPU, and stay as they are.
    dtype : torch.dtype, optional
        What all layers but the head are computed in, such as bfloat16. Default: that of the parameters.
    block_bytes : int
        Bytes of a row block of a map.
    strip_pixels : int
        Pixels that a strip adds to the lowest level, at least.
    winograd_from : float
        Least product of channels in and out from which on layers use Winograd, where it is worthwhile.
        Default: all of these; infinite: none.

    Notes
    -----
    Equals ``network(image)`` up to the order in which the convolutions sum, and the rounding of Winograd,
    whatever `block_bytes` and `strip_pixels`. Calls from several threads wait for each other.
    """

    def __init__(
        self,
        network: UNet,
        dtype: torch.dtype | None = None,
        block_bytes: int = BLOCK_BYTES,
        strip_pixels: int = STRIP_PIXELS,
        winograd_from: float = 0,
    ) -> None:
        self.network, self.block_bytes, self.strip_pixels = network, block_bytes, strip_pixels
        self.dtype = network.head.weight.dtype if dtype is None else dtype
        self._wanted = self._used = winograd_from
        self._layers = Layers.of(network, self.dtype, winograd_from)
        self._aligned = tile_geometry(network) if self.dtype in DTYPES else network.geometry
        factory = ConvolutionFactory(self.dtype, packed=False)
        self._upsample = UpConvolutions.of([factory.copy(module) for module in network.upsample])
        self._head = copy.deepcopy(network.head).to("cpu").requires_grad_(False)
        self._workspace: Workspace | None = None
        self._workspace_of: tuple[int, int] | None = None
        self._lock = threading.Lock()

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Tensor:
        """Return scores (N, classes, h, w), in the head's dtype, for an image (N, in_channels, H, W).

        Raises
        ------
        GeometryError
            The size is not legal.
        """
        height, width = image.shape[-2:]
        geometry = self.network.geometry
        geometry.check(height, width)
        with self._lock:
            self._choose_layers(height, width)
            space = self._workspace_for(height, width)
            sides = (geometry.output_size(height), geometry.output_size(width))
            scores = torch.empty(len(image), self.network.classes, *sides, dtype=self._head.weight.dtype)
            for i in range(len(image)):
                one = image[i : i + 1].to(self.dtype).contiguous(memory_format=torch.channels_last)
                try:
                    self._pass(self._layers, space).run(one, scores[i : i + 1])
                except OverflowRiskError:  # again, from the top, with layers that pass NaN on
                    self._pass(self._layers.plain(), space).run(one, scores[i : i + 1])
            return scores

    def release(self) -> None:
        """Free the workspace; the next tile makes it again."""
        with self._lock:
            self._workspace = self._workspace_of = None

    def _pass(self, layers: Layers, space: Workspace) -> StripPass:
        return StripPass(self.network, layers, self._upsample, self._head, space, self.block_bytes)

    def _choose_layers(self, height: int, width: int) -> None:
        """Make new layers if this tile is aligned for Winograd and the last one was not, or the reverse."""
        aligned = self._aligned.is_legal(height) and self._aligned.is_legal(width)
        least = self._wanted if aligned else inf
        if least != self._used:
            self._used = least
            self._layers = Layers.of(self.network, self.dtype, least)

    def _workspace_for(self, height: int, width: int) -> Workspace:
        """Return the workspace of this size; that of the last size is kept."""
        if self._workspace is None or self._workspace_of != (height, width):
            self._workspace = None  # free the old one before making the new
            rows = strip_rows(self.network, width, self.dtype.itemsize, self.block_bytes, self.strip_pixels)
            self._workspace = Workspace(self.network, height, width, rows, self.dtype)
            self._workspace_of = height, width
        return self._workspace
