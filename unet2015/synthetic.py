"""Labelled images that look like electron micrographs of nervous tissue, drawn from a seed.

They replace real data in the demo, in tests and in benchmarks. As in the ISBI 2012 set, cells of very
different sizes lie side by side, with a dark membrane a few pixels wide between them. Mitochondria,
vesicles and microtubules inside are nearly as dark as membranes, so mostly their surroundings tell them
apart. All numbers below were fitted to that set by eye.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from unet2015.errors import UsageError

Field = NDArray[np.float64]

_BEYOND = 64  # px around the page over which cells are laid out too, so that its edge cuts through them
_SPACING = 17  # px between the places where the seed of a cell may stand
_PIXEL_SPREAD = 151 / 315  # mean of the squared cubic B-spline, summed over its knots


def em_stack(
    pages: int, height: int, width: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a stack of images and its labels; the pages show different tissue.

    Parameters
    ----------
    pages, height, width : int
        Size of the stack, each 1 or more.
    seed : int
        Determines everything; page `k` does not depend on the number of pages.

    Returns
    -------
    images : (pages, height, width) uint8
        Grey levels.
    labels : (pages, height, width) uint8
        0 is membrane (about 22 %), 255 the inside of a cell.
    """
    if pages < 1:
        raise UsageError(f"a stack has 1 or more pages, not {pages}")
    drawn = [em_page(height, width, seed, page) for page in range(pages)]
    images = np.stack([image for image, _ in drawn])
    return images, np.stack([np.where(cells > 0, 255, 0).astype(np.uint8) for _, cells in drawn])


def em_page(
    height: int, width: int, seed: int = 0, page: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw page `page` of the stack that `seed` stands for.

    Returns
    -------
    image : (height, width) uint8
        Grey levels.
    cells : (height, width) int32
        The cell that each pixel belongs to, 0 for membrane. Two cells never touch (4-connectivity).
    """
    if height < 1 or width < 1:
        raise UsageError(f"a page has 1 or more pixels on each side, not {height} x {width}")
    if seed < 0 or page < 0:
        raise UsageError(f"seed and page must be 0 or more, not {seed} and {page}")
    rng = np.random.Generator(np.random.PCG64([seed, page]))
    shape = (height, width)
    owner, cell_tone = _lay_out_cells(rng, shape)
    depth = _distance_to_border(owner)
    rounded = ndimage.gaussian_filter(depth, 1.2) - 0.5
    half = 1.6 + 0.3 * _noise(rng, shape, 30).clip(-2, 2)  # px from the middle of the membrane to its side
    cells = np.where((rounded > half) & (depth > 0), owner, 0).astype(np.int32)

    inside = np.clip(depth - 3, 0, 1)  # organelles keep off the membrane
    image = 164 + cell_tone[owner] + 9 * _noise(rng, shape, 7) + 5 * _noise(rng, shape, 3)
    image -= 0.75 * inside * _organelles(rng, shape, depth)
    faint = 1 + 0.13 * _noise(rng, shape, 25).clip(-2, 2)
    fuzzy = np.exp(1.3 * _noise(rng, shape, 45).clip(-2, 2) - 3)  # synapses and oblique membranes
    image -= faint * (88 * np.exp(-((rounded / (1.15 * half)) ** 4)) + 60 * fuzzy * np.exp(-depth / 9))
    image = ndimage.gaussian_filter(image, 0.6)
    image *= 1 + 0.12 * _noise(rng, shape, 180)
    image += 8 * _noise(rng, shape, 1.6) + 7 * rng.standard_normal(shape)
    return np.rint(image).clip(0, 255).astype(np.uint8), cells


def _noise(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Field:
    """Smooth noise of mean 0 and standard deviation 1: random knots `scale` px apart, cubic B-spline."""
    splines: list[Field] = []
    for side in shape:
        knots = int((side - 1) / scale) + 4
        position = np.arange(side)[:, None] / scale + 1
        t = np.abs(position - np.arange(knots))
        splines.append(np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6))
    rows, columns = splines
    knot_values = rng.standard_normal((rows.shape[1], columns.shape[1]))
    return np.asarray(rows @ knot_values @ columns.T / _PIXEL_SPREAD)


def _lay_out_cells(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[NDArray[np.int32], Field]:
    """Return the cell (1...) that owns each pixel, and the tone of each cell.

    The cells are the Voronoi cells of seeds that stand close in some places and far apart in
    others, some joined with their neighbour, on a page that is then bent.
    """
    whole = (shape[0] + 2 * _BEYOND, shape[1] + 2 * _BEYOND)
    places = np.indices([-(-side // _SPACING) for side in whole]).reshape(2, -1).T * _SPACING
    crowding = _noise(rng, whole, 70)[places[:, 0], places[:, 1]]
    chance = np.clip(np.exp(1.1 * crowding - 1.85), 0.025, 1)
    chosen = rng.random(len(places)) < chance
    chosen[0] = True
    seeds = places[chosen] + _SPACING * (rng.random((int(chosen.sum()), 2)) - 0.5)
    tree = cKDTree(seeds)
    name = np.arange(1, len(seeds) + 1)
    if len(seeds) > 1:
        nearest = tree.query(seeds, k=2)[1][:, 1]
        joins = rng.random(len(seeds)) < 0.2
        name[joins] = name[nearest[joins]]
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float) + _BEYOND
    bent = [axis + 13 * _noise(rng, shape, 48) + 2.2 * _noise(rng, shape, 14) for axis in (rows, columns)]
    owner = name[tree.query(np.stack(bent, axis=-1), workers=-1)[1]].astype(np.int32)
    return owner, 12 * rng.standard_normal(len(seeds) + 1)


def _distance_to_border(owner: NDArray[np.int32]) -> Field:
    """Distance in px to the nearest pixel whose right or lower neighbour has another owner."""
    border = np.zeros(owner.shape, bool)
    border[:-1] |= owner[:-1] != owner[1:]
    border[:, :-1] |= owner[:, :-1] != owner[:, 1:]
    if not border.any():
        return np.full(owner.shape, float(sum(owner.shape)))
    return np.asarray(ndimage.distance_transform_edt(~border))


def _organelles(rng: np.random.Generator, shape: tuple[int, int], depth: Field) -> Field:
    """Return how much darker vesicles, microtubules and mitochondria make each pixel."""
    dark = np.zeros(shape)

    def stamps(one_in: int, reach: int, room: float) -> tuple[Field, NDArray[np.intp], NDArray[np.intp]]:
        """Rotated local coordinates (2, n, k, k) around random places, and the pixels they are at."""
        n = rng.poisson(shape[0] * shape[1] / one_in)
        centre = rng.random((n, 2)) * shape
        angle = rng.random(n)[:, None, None] * np.pi
        deep = depth[centre[:, 0].astype(int), centre[:, 1].astype(int)] > room
        centre, angle = centre[deep], angle[deep]
        offset = np.arange(-reach, reach + 1)
        y = centre[:, 0].astype(int)[:, None, None] + offset[:, None]
        x = centre[:, 1].astype(int)[:, None, None] + offset
        dy, dx = y - centre[:, 0][:, None, None], x - centre[:, 1][:, None, None]
        turned = np.stack([dy * np.cos(angle) + dx * np.sin(angle), dx * np.cos(angle) - dy * np.sin(angle)])
        y, x = np.broadcast_arrays(y, x)
        return turned, y, x

    def draw(darkness: Field, y: NDArray[np.intp], x: NDArray[np.intp]) -> None:
        on = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
        np.maximum.at(dark, (y[on], x[on]), darkness[on])

    def per_stamp(low: float, high: float, n: int) -> Field:
        return np.asarray(rng.uniform(low, high, n)[:, None, None])

    (u, v), y, x = stamps(one_in=240, reach=7, room=6)  # vesicles: rings, some of them filled
    radius, tone, n = per_stamp(1.2, 4.2, len(u)), per_stamp(20, 75, len(u)), len(u)
    ring = np.exp(-((np.hypot(u, v) - radius) ** 2) / 1.4)
    core = per_stamp(0, 0.8, n) * (np.hypot(u, v) < radius)
    draw(tone * np.maximum(ring, core), y, x)

    (u, v), y, x = stamps(one_in=1000, reach=14, room=8)  # microtubules: short bent lines
    n = len(u)
    across = v + per_stamp(-0.03, 0.03, n) * u**2
    along = np.clip(per_stamp(4, 12, n) - np.abs(u), 0, 1)
    draw(per_stamp(30, 85, n) * along * np.exp(-(across**2) / 1.6), y, x)

    (u, v), y, x = stamps(one_in=3500, reach=27, room=12)  # mitochondria: dark ellipses with cristae
    n = len(u)
    length, breadth = per_stamp(11, 24, n), per_stamp(8, 14, n)
    edge = (1 - np.hypot(u / length, v / breadth)) * breadth  # px inside the rim
    cristae = 0.75 + 0.25 * np.sin(u * per_stamp(0.8, 1.3, n) + 0.15 * v + per_stamp(0, 6.3, n))
    body = np.clip(edge + 0.5, 0, 1) * cristae + 0.35 * np.exp(-(edge**2) / 2)
    draw(per_stamp(55, 90, n) * body, y, x)
    return dark
