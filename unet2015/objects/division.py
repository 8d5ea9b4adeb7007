"""Objects that touch, divided by a watershed from markers; each by itself, so that strips do not matter.

The rule: a connected part with two or more markers is divided by a watershed of the blurred probability, with
this part alone as mask. (scikit-image's order among equal values depends on all that is flooded together.)
Pixels outside the part have no influence but by the blur, which reaches four standard deviations far. So a
window around the part is enough, and gives the same pixels as the whole page.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed

from unet2015.objects.components import Components, Wholes, first_places
from unet2015.objects.runs import Mask, Numbers, Runs
from unet2015.settings.objects import MarkerSettings, ObjectSettings

_TRUNCATE = 4.0
"""Standard deviations after which the Gaussian ends: SciPy's default."""
PIXEL_BYTES = 64
"""Memory that dividing takes for each pixel of a window: probability, blur, queue, labels and masks."""


class Page(Protocol):
    """A page whose regions can be read, as often as wanted."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def width(self) -> int:
        """Columns."""

    def inside(self, top: int, bottom: int, left: int, right: int) -> Mask:
        """Return which pixels of a region belong to objects."""

    def probability(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.floating]:
        """Return the probabilities of a region."""


def blurred(page: Page, box: tuple[int, int, int, int], blur: float) -> NDArray[np.float32]:
    """Return the blurred probability of a region: top, bottom, left, right. What is no number counts as 0."""
    top, bottom, left, right = box
    reach = int(_TRUNCATE * blur + 0.5)
    above, before = min(reach, top), min(reach, left)
    values = page.probability(
        top - above, min(bottom + reach, page.height), left - before, min(right + reach, page.width)
    )
    smooth = ndimage.gaussian_filter(np.nan_to_num(values).astype(np.float32), blur, truncate=_TRUNCATE)
    cut: NDArray[np.float32] = smooth[above : above + bottom - top, before : before + right - left]
    return cut


class MarkerCount:
    """Counts the markers of each object, strip by strip.

    Parameters
    ----------
    page : Page
        The page.
    settings : ObjectSettings
        With markers.
    """

    def __init__(self, page: Page, settings: ObjectSettings) -> None:
        assert settings.markers is not None
        self._page, self._markers = page, settings.markers
        bare = ObjectSettings(connectivity=settings.connectivity, fill_holes=False)
        self._components = Components(page.height, page.width, bare)
        self._within: list[Numbers] = []

    def add(self, row: int, inside: Mask, runs: Runs, base: int) -> None:
        """Take a strip that begins at `row`, with its parts; `base` parts come before it."""
        smooth = blurred(self._page, (row, row + len(inside), 0, self._page.width), self._markers.blur)
        markers = self._components.add(inside & (smooth > self._markers.level))
        within, marked = np.zeros(markers.count, np.int64), markers.parts > 0
        around = np.searchsorted(runs.starts, markers.starts[marked], "right") - 1
        within[markers.parts[marked] - 1] = runs.parts[around]
        self._within.append(within + (base - 1))

    def of(self, wholes: Wholes) -> Numbers:
        """Return how many markers each whole has."""
        markers = self._components.join()
        of_part = np.concatenate([np.zeros(0, np.int64), *self._within])
        of_marker = np.zeros(len(markers.areas), np.int64)
        of_marker[markers.of_part] = wholes.of_part[of_part]
        return np.bincount(of_marker, minlength=len(wholes.areas))


@dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of one object.

    Attributes
    ----------
    top, left : int
        Where the window lies.
    labels : ndarray of int32, shape (h, w)
        0, or the number of a piece: 1, 2, ... in the order of their first pixels.
    areas, first : ndarray of int64
        Pixels of each piece, and its first pixel, counted along the rows of the page.
    inner : ndarray of bool
        Whether a pixel of the piece lies inside the frame.
    """

    top: int
    left: int
    labels: NDArray[np.int32]
    areas: Numbers
    first: Numbers
    inner: Mask


def divide(page: Page, settings: ObjectSettings, box: tuple[int, int, int, int], first: int) -> Pieces:
    """Divide the object in a box, of which the pixel `first` of the page is one."""
    markers = settings.markers
    assert markers is not None
    top, bottom, left, right = box
    inside = page.inside(top, bottom, left, right)
    y, x = first // page.width - top, first % page.width - left
    own, holes = _one_object(inside, settings, (y, x))
    pieces = _watershed(blurred(page, box, markers.blur), own, markers, settings.connectivity)
    firsts = _first_pixels(pieces)
    if settings.fill_holes:
        _fill(pieces, holes)
    areas = np.bincount(pieces.ravel())[1:]
    rows, columns = np.divmod(firsts, right - left)
    frame = settings.frame
    within = pieces[
        max(frame - top, 0) : max(page.height - frame - top, 0),
        max(frame - left, 0) : max(page.width - frame - left, 0),
    ]
    inner = np.isin(np.arange(1, len(areas) + 1), within)
    return Pieces(top, left, pieces, areas, (rows + top) * page.width + columns + left, inner)


def _one_object(inside: Mask, settings: ObjectSettings, pixel: tuple[int, int]) -> tuple[Mask, Mask]:
    """Return the pixels of the object with this pixel, and those of its holes."""
    components = Components(inside.shape[0], inside.shape[1], settings)
    parts = components.add(inside).pixels()
    wholes = components.join()
    mine = wholes.of_part[parts[pixel] - 1]
    of_pixel = wholes.of_part[parts - 1]
    own = inside & (of_pixel == mine)
    holes = ~inside & (wholes.owner[of_pixel] == mine) if settings.fill_holes else np.zeros_like(inside)
    return own, holes


def _watershed(
    smooth: NDArray[np.float32], own: Mask, markers: MarkerSettings, connectivity: int
) -> NDArray[np.int32]:
    seeds = label(own & (smooth > markers.level), connectivity=connectivity)  # type: ignore[no-untyped-call]
    found = watershed(-smooth, seeds, connectivity=connectivity, mask=own).astype(np.int32)  # type: ignore[no-untyped-call]
    firsts = _first_pixels(found)
    anew = np.zeros(len(firsts) + 1, np.int32)
    anew[np.argsort(firsts) + 1] = np.arange(1, len(firsts) + 1)
    pieces: NDArray[np.int32] = anew[found]
    return pieces


def _first_pixels(labels: NDArray[np.int32]) -> Numbers:
    return first_places(labels, int(labels.max(initial=0)) + 1)[1:]


def _fill(pieces: NDArray[np.int32], holes: Mask) -> None:
    """Fill each piece by itself: a hole that two pieces enclose belongs to neither."""
    if not holes.any():
        return
    places = ndimage.find_objects(pieces)
    for number in np.unique(pieces[ndimage.binary_dilation(holes, np.ones((3, 3)))]):
        if number:
            window, hole = pieces[places[number - 1]], holes[places[number - 1]]
            window[ndimage.binary_fill_holes(window == number) & hole] = number
