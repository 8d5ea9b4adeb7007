"""Legal input sizes of a network, and its output sizes: pure integers, along one axis.

Three numbers describe a network that loses pixels at its border and pools inside. The tiling needs
nothing else, so any network that declares its :class:`Geometry` can be tiled.

This file also has the arithmetic of the U-Net's layers: how many rows or columns each layer needs and
makes, and so the side of each map (:func:`unet_sides`).
"""

from dataclasses import dataclass
from functools import cache

from unet2015.errors import GeometryError


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes of a network along one axis, in pixels.

    Attributes
    ----------
    factor : int
        Pooling factor. The output repeats itself exactly only under shifts by multiples of it, so
        every tile starts in phase: at a multiple of ``factor``.
    margin : int
        Pixels that the network loses on each side.
    smallest : int
        Smallest legal input side. All others are ``smallest + k * factor``.
    exact : bool
        Whether tiled equals whole. It does not where a tile's own border or its own mean decides on the
        scores: padding that is not cropped, instance normalisation.
    """

    factor: int
    margin: int
    smallest: int
    exact: bool = True

    def __post_init__(self) -> None:
        if self.factor < 1 or self.margin < 0 or self.smallest <= 2 * self.margin:
            raise GeometryError(
                f"a geometry needs factor >= 1, margin >= 0 and smallest > 2 * margin, not {self}"
            )

    def is_legal(self, size: int) -> bool:
        """Whether `size` is a legal input side."""
        return size >= self.smallest and (size - self.smallest) % self.factor == 0

    @property
    def smallest_covering(self) -> int:
        """The smallest legal side of tiles that can cover an image of any size."""
        return self.input_for(self.factor)

    def check(self, *sizes: int, least: int = 0) -> None:
        """Raise `GeometryError`, naming the nearest legal sizes from `least` on, unless all are legal."""
        for size in sizes:
            if not self.is_legal(size):
                nearest = " or ".join(str(legal) for legal in self.nearest_legal(max(size, least)))
                raise GeometryError(
                    f"an input side of {size} px does not fit the network (legal sides are "
                    f"{self.smallest} + k * {self.factor}); the nearest legal: {nearest}"
                )

    def nearest_legal(self, size: int) -> tuple[int, ...]:
        """Return the legal input sides next to `size`: itself, or the one below and the one above."""
        if size <= self.smallest:
            return (self.smallest,)
        below = size - (size - self.smallest) % self.factor
        return (below,) if below == size else (below, below + self.factor)

    def output_size(self, size: int) -> int:
        """Return the output side of a legal input side: 572 -> 388 at depth 4."""
        self.check(size)
        return size - 2 * self.margin

    def input_for(self, output: int) -> int:
        """Return the smallest legal input side whose output covers `output` pixels."""
        if output < 1:
            raise GeometryError(f"an output side must be at least 1 px, not {output}")
        beyond = max(0, output + 2 * self.margin - self.smallest)
        return self.smallest + -(-beyond // self.factor) * self.factor

    def kept_size(self, size: int) -> int:
        """Return the largest multiple of `factor` within the output of a legal side: 572 -> 384.

        Zero if the output is smaller than `factor`: such a tile can only cover a whole image.
        """
        return self.output_size(size) // self.factor * self.factor


def smallest_tile(inference: Geometry, training: Geometry) -> int:
    """Return the side of the smallest tile of a training with which pages of any size can be validated."""
    if (inference.factor, inference.margin) == (training.factor, training.margin):
        return inference.smallest_covering
    return training.smallest  # `inference_tile` takes what covers


def inference_tile(inference: Geometry, training: Geometry, tile: int) -> int:
    """Return the side of the tile whose output in inference covers that of a `tile` of the training.

    It is `tile` itself where both have the same sides.
    """
    if (inference.factor, inference.margin) == (training.factor, training.margin):
        return tile
    return inference.input_for(max(training.output_size(tile), inference.factor))


def after_convolution(size: int) -> int:
    """Return what an unpadded 3x3 convolution makes of `size` rows or columns: 2 fewer."""
    return size - 2


def after_block(size: int) -> int:
    """Return what a block of two unpadded 3x3 convolutions makes of `size` rows or columns: 4 fewer."""
    return after_convolution(after_convolution(size))


def before_block(size: int) -> int:
    """Return how many rows or columns a block of two convolutions needs to make `size` of them.

    Rows ``start`` to ``stop`` of its output come from rows ``start`` to ``before_block(stop)`` of its
    input: their receptive field.
    """
    return size + 4


def block_pixels(height: int, width: int) -> int:
    """Return the pixels of both maps that a block of two convolutions makes of `height` x `width` pixels."""
    height, width = after_convolution(height), after_convolution(width)
    return height * width + after_convolution(height) * after_convolution(width)


def after_pooling(size: int) -> int:
    """Return what a 2x2 max pooling of stride 2 makes of `size` rows or columns."""
    return size // 2


def before_pooling(size: int) -> int:
    """Return how many rows or columns a 2x2 max pooling needs to make `size` of them."""
    return 2 * size


def after_upsampling(size: int) -> int:
    """Return what a 2x2 up-convolution of stride 2 makes of `size` rows or columns."""
    return 2 * size


def before_upsampling(size: int) -> int:
    """Return how many rows or columns a 2x2 up-convolution needs to make an even `size` of them."""
    return size // 2


@dataclass(frozen=True, slots=True)
class UNetSides:
    """The side of each map of an unpadded U-Net along one axis, in pixels.

    Attributes
    ----------
    contract : tuple of int
        What the block of each level reads on the way down, from the uppermost to the lowest.
    expand : tuple of int
        What the block of each level reads on the way up, from the uppermost; the lowest has none. It is
        the side of the up-convolution's output, and of the map that crop-and-copy adds to it.
    """

    contract: tuple[int, ...]
    expand: tuple[int, ...]

    def output(self, level: int) -> int:
        """Return the side of what comes out of a level on the way up: of level 0, that of the scores."""
        return after_block(self.expand[level] if level < len(self.expand) else self.contract[level])


def unet_sides(size: int, depth: int) -> UNetSides:
    """Return the sides of all maps for an input side of the U-Net with `depth` poolings."""
    contract = [size]
    for _ in range(depth):
        contract.append(after_pooling(after_block(contract[-1])))
    expand, output = [], after_block(contract[-1])
    for _ in range(depth):
        expand.append(after_upsampling(output))
        output = after_block(expand[-1])
    return UNetSides(tuple(contract), tuple(reversed(expand)))


@cache
def unet_geometry(depth: int) -> Geometry:
    """Return the geometry of the unpadded U-Net with `depth` poolings (paper: 4).

    An input side is legal if every pooling gets an even side and an output is left. So the side at the
    lowest level determines it: if two sides differ by 1 there, they differ by ``2**depth`` at the input.

    Raises
    ------
    GeometryError
        `depth` is negative.

    Source: Fig. 1 of doi:10.1007/978-3-319-24574-4_28.
    """
    if depth < 0:
        raise GeometryError(f"a U-Net has 0 or more poolings, not {depth}")
    lowest = before_block(1)
    while True:
        size = lowest
        for _ in range(depth):
            size = before_block(before_pooling(size))
        output = unet_sides(size, depth).output(0)
        if output >= 1:
            return Geometry(factor=2**depth, margin=(size - output) // 2, smallest=size)
        lowest += 1


def crop_border(depth: int, level: int) -> int:
    """Return the pixels that crop-and-copy cuts from each side of a level's map: 88, 40, 16, 4 at depth 4.

    The levels below lose these pixels. They form a U-Net of their own between a pooling and an
    up-convolution, so each pixel of its margin is two pixels here.
    """
    return after_upsampling(unet_geometry(depth - level - 1).margin)
