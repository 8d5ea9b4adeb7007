"""What a segmentation must give, by NumPy, torch on whole pages, SciPy and scikit-image alone."""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from skimage.measure import regionprops

from tests.combinations.inputs import Drawn
from tests.objects.whole_page import objects_of
from tests.reference import whole
from unet2015.models.model_file import Model, ModelInfo, build_network
from unet2015.settings import Mapping, NetworkSettings
from unet2015.settings.objects import ObjectSettings

CLOSE = 1e-4
"""Probabilities nearer to a threshold than this may fall on either side."""


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
    """

    axes: str
    lengths: tuple[int, ...]
    raw: np.ndarray
    probabilities: np.ndarray


def draw_model(random: Random, image: Drawn, channels: int) -> Model:
    """Draw an untrained model that can read an image with so many channels."""
    methods = ["standardise", "image-percentiles", "fixed"]
    if image.pixels.dtype in (np.uint8, np.uint16):
        methods.append("integer-range")
    method = random.choice(methods)
    ends: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    if method == "image-percentiles":
        ends = (random.choice([0.0, 1.0, 5.0]),), (random.choice([95.0, 99.8, 100.0]),)
    elif method == "fixed":
        middle, spread = float(image.pixels.mean()), float(image.pixels.std()) or 1.0
        ends = (middle - spread,) * channels, (middle + spread,) * channels
    classes = random.choice([2, 2, 2, 3])
    info = ModelInfo(
        in_channels=channels,
        axes="CYX" if channels > 1 else "YX",
        classes=classes,
        class_names=("background", "cell", "border")[:classes],
        mapping=Mapping(method=method, low=ends[0], high=ends[1]),
        network=NetworkSettings(
            width=4, depth=random.choice([1, 2]), variant=random.choice(["paper", "release"])
        ),
    )
    with torch.random.fork_rng():
        torch.manual_seed(random.getrandbits(30))
        network = build_network(info).eval()
    return Model(network, info)


def mapped(raw: np.ndarray, mapping: Mapping) -> np.ndarray:
    """Return network input of (pages, channels, H, W)."""
    values = raw.astype(np.float64)
    over = 0, 2, 3
    if mapping.method == "standardise":
        low, gap = values.mean(over), values.std(over)
    elif mapping.method == "integer-range":
        low, gap = np.zeros(raw.shape[1]), np.full(raw.shape[1], np.iinfo(raw.dtype).max)
    elif mapping.method == "image-percentiles":
        ends = np.percentile(values, [mapping.low[0], mapping.high[0]], axis=over)
        low, gap = ends[0], ends[1] - ends[0]
    else:
        low, gap = np.array(mapping.low), np.array(mapping.high) - np.array(mapping.low)
    gain = np.divide(1, gap, out=np.zeros_like(gap, dtype=np.float64), where=gap != 0)
    return ((values - low[:, None, None]) * gain[:, None, None]).astype(np.float32)


def maps(image: Drawn, model: Model, average: str) -> Maps:
    """Return the probabilities of all pages, each in one pass of the network over the whole of it."""
    axes = "".join(letter for letter in image.axes if letter not in "CYX")
    pages = image.in_order(axes + "CYX")
    raw = pages.reshape(-1, *pages.shape[-3:])
    found = [whole(model.network, page[None], average)[0] for page in mapped(raw, model.info.mapping)]
    return Maps(axes, pages.shape[:-3], raw, np.concatenate(found))


def between(values: np.ndarray, wanted: float) -> float:
    """Return a threshold that is as far as can be from any value, near a quantile of them."""
    ordered = np.sort(values, axis=None).astype(np.float64)
    at = int(wanted * (len(ordered) - 1))
    near = ordered[max(0, at - 40) : at + 41]
    gaps = np.diff(near)
    return float(near[gaps.argmax()] + gaps.max() / 2)


def classes(made: Maps, threshold: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the class map (pages, H, W), and of which pixels it is sure."""
    probabilities = made.probabilities
    if threshold is not None:
        return (probabilities[:, 1] > threshold).astype(int), np.abs(probabilities[:, 1] - threshold) > CLOSE
    ordered = np.sort(probabilities, axis=1)
    return probabilities.argmax(1), ordered[:, -1] - ordered[:, -2] > CLOSE


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
