"""The warping error and the Rand error as their definitions say, in plain Python: one slice, pixel by pixel.

Nothing is shared with the package but the rules (the table of simple points is worked out here too), so
that equal results mean something.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Interior = list[list[bool]]
Objects = list[list[int]]

_RING = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def flood(interior: Interior) -> Objects:
    """Number the 4-connected components from 1."""
    height, width = len(interior), len(interior[0])
    numbers = [[0] * width for _ in range(height)]
    count = 0
    for y in range(height):
        for x in range(width):
            if not interior[y][x] or numbers[y][x]:
                continue
            count += 1
            numbers[y][x] = count
            waiting = [(y, x)]
            while waiting:
                a, b = waiting.pop()
                for c, d in ((a - 1, b), (a, b - 1), (a, b + 1), (a + 1, b)):
                    if 0 <= c < height and 0 <= d < width and interior[c][d] and not numbers[c][d]:
                        numbers[c][d] = count
                        waiting.append((c, d))
    return numbers


def scipy_label(interior: Interior) -> Objects:
    """As `flood`, by SciPy: what a tutorial does."""
    numbers: Objects = ndimage.label(interior)[0].tolist()
    return numbers


def rand_error(
    labels: NDArray[Any], proposal: NDArray[np.float32], thresholds: Sequence[float], components: Any = flood
) -> list[float]:
    """Return 1 - F at each threshold, by counting the pixels of each pair of objects."""
    interior = (labels > 0).tolist()
    truth, values = components(interior), proposal.tolist()
    errors = []
    for threshold in thresholds:
        found = components([[value > threshold for value in row] for row in values])
        pairs = Counter(
            pair
            for truth_row, found_row in zip(truth, found, strict=True)
            for pair in zip(truth_row, found_row, strict=True)
            if pair[0]
        )
        truth_sizes: Counter[int] = Counter()
        found_sizes: Counter[int] = Counter()
        alone = both = 0
        for (i, j), pixels in pairs.items():
            truth_sizes[i] += pixels
            if j:
                found_sizes[j] += pixels
                both += pixels**2
            else:  # each predicted membrane pixel is an object of its own
                alone += pixels
        both += alone
        precision = both / (sum(n**2 for n in found_sizes.values()) + alone)
        recall = both / sum(n**2 for n in truth_sizes.values())
        errors.append(1 - 2 * precision * recall / (precision + recall))
    return errors


def is_simple(image: Interior, y: int, x: int) -> bool:
    """Whether one 4-connected part of the foreground, and of the background, touches the pixel."""
    ring = [image[y + dy][x + dx] for dy, dx in _RING] + [image[y][x + 1]]
    return sum(ring[k] and not (ring[k + 1] and ring[(k + 2) % 8]) for k in (0, 2, 4, 6)) == 1


def warp(labels: NDArray[Any], proposal: NDArray[np.float32], threshold: float) -> Interior:
    """Flip the simple points among the mismatches, the surest first, again and again until none is left."""
    image: Interior = np.pad(labels > 0, 1).tolist()
    target: Interior = np.pad(proposal.astype(float) > threshold, 1).tolist()
    away = np.abs(proposal.astype(float) - threshold).astype(np.float32).tolist()
    height, width = labels.shape
    flipped = True
    while flipped:
        flipped = False
        wrong = [
            (y, x) for x in range(1, width + 1) for y in range(1, height + 1) if image[y][x] != target[y][x]
        ]
        for y, x in sorted(wrong, key=lambda place: -away[place[0] - 1][place[1] - 1]):
            if is_simple(image, y, x):
                image[y][x] = target[y][x]
                flipped = True
    return [row[1:-1] for row in image[1:-1]]


def warping_error(
    labels: NDArray[Any],
    proposal: NDArray[np.float32],
    thresholds: Sequence[float],
    radius: int = 20,
    components: Any = flood,
) -> list[tuple[int, int]]:
    """Return the splits and mergers at each threshold (of labels that are not all interior)."""
    results = []
    for threshold in thresholds:
        warped = warp(labels, proposal, threshold)
        objects = components(warped)
        splits = mergers = 0
        for y, row in enumerate(proposal.tolist()):
            for x, value in enumerate(row):
                if warped[y][x] == (value > threshold):
                    continue
                around = _neighbours(objects, y, x)
                if len(around) > 2:
                    splits += warped[y][x]
                    mergers += not warped[y][x]
                elif len(around) == 2 and warped[y][x]:
                    splits += _parts(warped, y, x, radius, components) > 2
        results.append((splits, mergers))
    return results


def _neighbours(objects: Objects, y: int, x: int) -> set[int]:
    places = ((y + dy, x + dx) for dy, dx in _RING)
    return {objects[a][b] for a, b in places if 0 <= a < len(objects) and 0 <= b < len(objects[0])}


def _parts(warped: Interior, y: int, x: int, radius: int, components: Any) -> int:
    """Count the objects around the pixel, background too, once it is cleared and its window labelled anew."""
    if radius > min(len(warped), len(warped[0])):
        radius = max(len(warped), len(warped[0]))
    top, left = max(y - radius, 0), max(x - radius, 0)
    window = [list(row[left : x + radius + 1]) for row in warped[top : y + radius + 1]]
    window[y - top][x - left] = False
    return len(_neighbours(components(window), y - top, x - left))
