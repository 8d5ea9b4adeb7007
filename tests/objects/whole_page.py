"""The objects of a whole page, step by step with SciPy and scikit-image: what strips are compared with."""

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed


def objects_of(page, threshold, settings):
    """Return instance labels (h, w) as the settings define them."""
    structure = ndimage.generate_binary_structure(2, settings.connectivity)
    inside = page > threshold
    found = ndimage.label(inside, structure)[0]
    if settings.markers is not None:
        found = divided(found, page, settings.markers, structure)
    if settings.fill_holes:
        found = filled(found)
    keep = np.bincount(found.ravel()) >= settings.smallest
    if settings.frame:
        frame, (h, w) = settings.frame, page.shape
        keep &= np.isin(np.arange(len(keep)), found[frame : h - frame, frame : w - frame])
    return in_order(np.where(keep[found], found, 0))


def divided(parts, page, markers, structure):
    """Each part by itself: among equal values, the order depends on all that is flooded."""
    smooth = ndimage.gaussian_filter(np.nan_to_num(page).astype(np.float32), markers.blur)
    seeds = ndimage.label((parts > 0) & (smooth > markers.level), structure)[0]
    found = np.zeros_like(parts)
    for number in range(1, parts.max(initial=0) + 1):
        own = parts == number
        pieces = watershed(-smooth, np.where(own, seeds, 0), connectivity=structure, mask=own)
        found[own] = (pieces if pieces.any() else own)[own] + found.max(initial=0)
    return found


def filled(found):
    """Fill each object by itself; where objects lie inside each other, the innermost first."""
    whole = {n: ndimage.binary_fill_holes(found == n) for n in np.unique(found[found > 0])}
    out = found.copy()
    for number in sorted(whole, key=lambda n: whole[n].sum()):
        out[whole[number] & (out == 0)] = number
    return out


def in_order(found):
    """Number objects by their first pixels."""
    numbers, first = np.unique(found, return_index=True)
    anew = np.zeros(found.max(initial=0) + 1, int)
    known = numbers[numbers > 0]
    anew[known[np.argsort(first[numbers > 0])]] = np.arange(1, len(known) + 1)
    return anew[found]
