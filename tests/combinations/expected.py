"""What a segmentation must give, by NumPy, torch on whole pages, SciPy and scikit-image alone."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from skimage.measure import regionprops

from tests.combinations.drawn import Drawn
from tests.objects.whole_page import objects_of
from tests.reference import whole
from unet2015.models.model_file import Model
from unet2015.networks import Network
from unet2015.settings import Mapping
from unet2015.settings.objects import ObjectSettings

ROUNDING = 2e-5
"""How far probabilities may be off: rounding, of a mapped image and of tiles, of inputs up to 10."""


@dataclass(frozen=True)
class Maps:
    """Of each page.

    Attributes
    ----------
    axes : str
        Of the pages, slowest first; without C.
    lengths : tuple of int
        Along `axes`.
    raw : numpy.ndarray
        (pages, channels, H, W).
    probabilities : numpy.ndarray
        (pages, classes, H, W).
    tolerance : float
        How far probabilities may be off.
    empty : numpy.ndarray or None
        Which pixels (pages, H, W) may be left out, as all that the network reads for them is one value.
    """

    axes: str
    lengths: tuple[int, ...]
    raw: np.ndarray
    probabilities: np.ndarray
    tolerance: float
    empty: np.ndarray | None


def mapped(raw: np.ndarray, mapping: Mapping) -> np.ndarray:
    """Return network input of (pages, channels, H, W)."""
    if mapping.of_each_page:
        return np.concatenate([_mapped(page[None], mapping) for page in raw])
    return _mapped(raw, mapping)


def _mapped(raw: np.ndarray, mapping: Mapping) -> np.ndarray:
    """Return network input of pages that are mapped alike."""
    values = raw.astype(np.float64)
    used = values.swapaxes(0, 1)[:, _counted(raw, mapping)]  # (channels, pixels)
    if not used.size:
        low = gap = np.zeros(raw.shape[1])
    elif mapping.method == "standardise":
        low, gap = used.mean(1), used.std(1)
    elif mapping.method == "integer-range":
        low, gap = np.zeros(raw.shape[1]), np.full(raw.shape[1], np.iinfo(raw.dtype).max)
    elif mapping.method == "image-percentiles":
        ends = np.percentile(used, [mapping.low[0], mapping.high[0]], axis=1)
        low, gap = ends[0], ends[1] - ends[0]
    else:
        low, gap = np.array(mapping.low), np.array(mapping.high) - np.array(mapping.low)
    gain = np.divide(1, gap, out=np.zeros_like(gap, dtype=np.float64), where=gap != 0)
    return ((values - low[:, None, None]) * gain[:, None, None]).astype(np.float32)


def _counted(raw: np.ndarray, mapping: Mapping) -> np.ndarray:
    """Return which pixels (pages, H, W) decide: all but those of which every channel has the fill value."""
    if mapping.fill_value is None:
        return np.ones_like(raw[:, 0], bool)
    return np.asarray((raw != mapping.fill_value).any(1))


def maps(image: Drawn, model: Model, average: str, half: bool = False, skip: bool = False) -> Maps:
    """Return the probabilities of all pages, each in one pass of the network over the whole of it.

    `half`: they are computed in bfloat16, and may be off by twice as much as where torch computes all layers
    in it.
    `skip`: what is empty may be left out.
    """
    axes = "".join(letter for letter in image.axes if letter not in "CYX")
    pages = image.in_order(axes + "CYX")
    raw = pages.reshape(-1, *pages.shape[-3:])
    read = mapped(raw, model.info.mapping)
    found = np.concatenate([whole(model.network, page[None], average)[0] for page in read])
    tolerance = ROUNDING * max(1.0, float(np.abs(read).max()) / 10)
    if half:
        rough = [whole(Half(model.network), page[None], average)[0] for page in read]
        tolerance += 2 * float(np.abs(np.concatenate(rough) - found).max())
    empty = flat(raw, model.network.geometry.margin) if skip else None
    return Maps(axes, pages.shape[:-3], raw, found, tolerance, empty)


def dead(made: Maps, model: Model) -> bool:
    """Return whether a network gives nearly the same everywhere, or whatever it sees.

    The latter still shows a pattern where the network pads.
    """
    page = mapped(made.raw[:1], model.info.mapping)
    turned = np.ascontiguousarray(page[..., ::-1, ::-1])
    first, second = (whole(model.network, pixels, "none")[0][0, 1] for pixels in (page, turned))
    return bool(made.probabilities[:, 1].std() < 1e-3 or np.abs(first - second).max() < 1e-3)


class Half(torch.nn.Module):
    """A network of which torch computes every layer in bfloat16, the last one, too."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.geometry = copy.deepcopy(network).to(torch.bfloat16), network.geometry

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return scores in single precision."""
        return self.network(image).float()


def flat(raw: np.ndarray, margin: int) -> np.ndarray:
    """Return around which pixels of pages (pages, channels, H, W), mirrored, each channel has one value."""
    sides = 1, 1, *(min(2 * margin, 2 * side) + 1 for side in raw.shape[-2:])
    low, high = (find(raw, sides, mode="mirror") for find in (ndimage.minimum_filter, ndimage.maximum_filter))
    return np.asarray((low == high).all(1))


def with_what_was_left_out(made: Maps, shown: np.ndarray) -> tuple[Maps, bool]:
    """Return the maps where tiles were left out, and whether that may have been, and was for empty pages.

    `shown` are the probabilities that were written: (pages, 1 or classes, H, W). The probability of the class
    0 is 1 where a tile was left out.
    """
    assert made.empty is not None
    gone = shown[:, 0] == (0 if shown.shape[1] == 1 else 1)
    all_gone = gone[made.empty.all((1, 2))].all()
    wrong = gone & ~made.empty & (1 - made.probabilities[:, 0] > made.tolerance)
    left_out = np.eye(made.probabilities.shape[1])[0]
    values = np.where((gone & made.empty)[:, None], left_out[:, None, None], made.probabilities)
    return replace(made, probabilities=values), bool(all_gone and not wrong.any())


def between(values: np.ndarray, wanted: float) -> float:
    """Return a threshold that is as far as can be from any value, near a quantile of them."""
    ordered = np.sort(values, axis=None).astype(np.float64)
    at = int(wanted * (len(ordered) - 1))
    near = ordered[max(0, at - 40) : at + 41]
    gaps = np.diff(near)
    return float(near[gaps.argmax()] + gaps.max() / 2)


def classes(made: Maps, threshold: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the class map (pages, H, W), and of which pixels it is sure."""
    probabilities, close = made.probabilities, 5 * made.tolerance
    if threshold is not None:
        return (probabilities[:, 1] > threshold).astype(int), np.abs(probabilities[:, 1] - threshold) > close
    ordered = np.sort(probabilities, axis=1)
    return probabilities.argmax(1), ordered[:, -1] - ordered[:, -2] > close


def labels(probability: np.ndarray, threshold: float, settings: ObjectSettings) -> np.ndarray:
    """Return instance labels of pages (pages, H, W)."""
    return np.stack([objects_of(page, threshold, settings) for page in probability])


def measures(
    found: np.ndarray, raw: np.ndarray, probability: np.ndarray, sides: tuple[float, float]
) -> list[dict[str, float]]:
    """Return a row for each object of label pages (pages, H, W), by scikit-image; `sides` are of a pixel."""
    rows = []
    for page, numbers in enumerate(found):
        shown = {f"intensity_{c}_": channel for c, channel in enumerate(raw[page])}
        if len(shown) == 1:
            shown = {"intensity_": next(iter(shown.values()))}
        shown["probability_"] = probability[page]
        ellipses = regionprops(numbers.astype(int), spacing=sides)
        for one, ellipse in zip(regionprops(numbers.astype(int)), ellipses, strict=True):
            row = {"page": page, "label": one.label, "area_px": one.area} | _shape(one)
            row["eccentricity"] = ellipse.eccentricity
            for name, values in shown.items():
                inside = values[numbers == one.label].astype(np.float64)
                row |= {name + "mean": inside.mean(), name + "sum": inside.sum()}
                row |= {name + "min": inside.min(), name + "max": inside.max()}
            rows.append(row)
    return rows


def _shape(one) -> dict[str, float]:
    (top, left, bottom, right), (y, x) = one.bbox, one.centroid
    return {
        "centroid_y_px": y,
        "centroid_x_px": x,
        "bbox_top": top,
        "bbox_left": left,
        "bbox_bottom": bottom,
        "bbox_right": right,
        "perimeter_px": one.perimeter,
        "axis_major_px": one.axis_major_length,
        "axis_minor_px": one.axis_minor_length,
    }
