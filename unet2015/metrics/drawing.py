"""What figures share: an empty one, and pixels of an image that are coloured and ringed."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unet2015.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure_of(width: float, height: float) -> "Figure":
    """Return an empty figure of a size in inches; without matplotlib raise a `UsageError`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("figures need matplotlib: pip install 'unet2015[figures]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def colour_pixels(axes: "Axes", mask: NDArray[np.bool_], colour: str, alpha: float | None = None) -> None:
    """Draw pixels of an image in one colour, and leave the others as they are."""
    from matplotlib.colors import ListedColormap

    pixels, map_of_one = np.where(mask, 1.0, np.nan), ListedColormap([colour])
    axes.imshow(pixels, cmap=map_of_one, alpha=alpha, interpolation="nearest")


def ring_pixels(axes: "Axes", mask: NDArray[np.bool_], colour: str, *, gap: float, line: float) -> int:
    """Draw pixels in one colour, each spot of them in a ring, and return how many spots there are.

    A few pixels are easily overlooked in a slice. `gap` is the distance of the ring in pixels, `line` its
    width in points.
    """
    from matplotlib.patches import Circle

    colour_pixels(axes, mask, colour)
    spots, count = ndimage.label(mask, np.ones((3, 3)))
    for rows, columns in ndimage.find_objects(spots):
        centre = (columns.start + columns.stop - 1) / 2, (rows.start + rows.stop - 1) / 2
        size = max(rows.stop - rows.start, columns.stop - columns.start)
        axes.add_patch(Circle(centre, gap + size / 2, fill=False, edgecolor=colour, linewidth=line))
    return int(count)
