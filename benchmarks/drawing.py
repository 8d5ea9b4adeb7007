"""What the pictures of the results share: colours, and plain axes."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MET, MISSED, OTHER, GREY = "#0072B2", "#D55E00", "#009E73", "0.45"
"""Blue, vermilion and green of Okabe and Ito, told apart by colour-blind readers; markers differ, too."""


def plain(axes: "Axes", grid: Literal["x", "y"] = "y") -> None:
    """Leave out the frame above and to the right, and draw a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
