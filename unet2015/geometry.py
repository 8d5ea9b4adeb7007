"""Which sizes a network takes, and what becomes of them: pure integers.

A network that loses pixels at its border and pools inside is described by four numbers; the
tiling asks for nothing else, so any network that declares its :class:`Geometry` can be tiled.
"""

from dataclasses import dataclass

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
    """

    factor: int
    margin: int
    smallest: int

    def __post_init__(self) -> None:
        if self.factor < 1 or self.margin < 0 or self.smallest <= 2 * self.margin:
            raise GeometryError(
                f"a geometry needs factor >= 1, margin >= 0 and smallest > 2 * margin, not {self}"
            )

    def is_legal(self, size: int) -> bool:
        """Whether `size` is a legal input side."""
        return size >= self.smallest and (size - self.smallest) % self.factor == 0

    def check(self, *sizes: int) -> None:
        """Raise `GeometryError`, naming the nearest legal sizes, unless all `sizes` are legal."""
        for size in sizes:
            if not self.is_legal(size):
                nearest = " or ".join(str(legal) for legal in self.nearest_legal(size))
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

        Zero where the output is smaller than `factor`: such a tile can cover only a whole image.
        """
        return self.output_size(size) // self.factor * self.factor


def unet_geometry(depth: int) -> Geometry:
    """Return the geometry of the unpadded U-Net with `depth` poolings (paper: 4).

    Each level loses 4 px to its two 3x3 convolutions on the way down and on the way up. With `b`
    the side at the bottom before its convolutions, the input side is ``2**depth * (b + 4) - 4``
    and the margin ``6 * 2**depth - 4``.

    Source: Fig. 1 of doi:10.1007/978-3-319-24574-4_28.
    """
    if depth < 0:
        raise GeometryError(f"a U-Net has 0 or more poolings, not {depth}")
    factor = 2**depth
    margin = 6 * factor - 4
    bottom = 5
    while factor * (bottom + 4) - 4 <= 2 * margin:
        bottom += 1
    return Geometry(factor=factor, margin=margin, smallest=factor * (bottom + 4) - 4)
