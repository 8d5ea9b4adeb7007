"""Plays an evaluation: truth and result in two flavours, measured by the commands and by brute force."""

import csv
import json
from pathlib import Path
from random import Random

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from tests.combinations import inputs
from tests.combinations.bench import Bench, DiffersError
from tests.combinations.drawn import Drawn

FLAVOURS = ("imagej", "ome", "shaped", "plain", "zarr 4", "zarr 5")
LABELS = ("uint8", "uint16", "int16", "uint32")
Pages = list[tuple[np.ndarray, np.ndarray]]
"""Truth and result of each page of all images, (H, W)."""


def play(random: Random, folder: Path) -> Bench:
    """Draw an evaluation and play it; raise `DiffersError` where a figure is not what brute force gives."""
    bench = Bench(folder)
    flavours = random.choice(FLAVOURS), random.choice(FLAVOURS)
    names = random.sample(["a", "b7", "b07c", "t10", "t9", "x y"], random.choice([1, 1, 2, 3]))
    generator = np.random.default_rng(random.getrandbits(32))
    drawn = []
    for name in names:
        axes = random.choice(["YX", "TYX", "ZYX"] if "plain" in flavours else ["YX", "TYX", "ZYX", "TZYX"])
        shape = [int(generator.integers(2, 4)) for _ in axes[:-2]] + generator.integers(15, 70, 2).tolist()
        truth = cells(generator, shape)
        drawn.append((name, axes, truth, changed(generator, truth)))
    for kind, flavour, at in zip(("truth", "result"), flavours, (2, 3), strict=True):
        (folder / kind).mkdir()
        for one in drawn:
            _save(random, flavour, one[1], one[at], folder / kind, one[0])
    pages = [pair for _, _, truth, result in drawn for pair in _pages(truth, result)]
    try:
        objects(bench, pages)
        foreground(bench, pages)
        if len(drawn) == 1:
            membranes(bench, generator, *drawn[0][1:3])
    except DiffersError as error:
        shapes = f"{flavours}, {[(name, axes, truth.shape) for name, axes, truth, _ in drawn]}"
        raise DiffersError("\n  ".join([str(error), shapes, *bench.words])) from error
    return bench


def _pages(*arrays: np.ndarray) -> Pages:
    shape = -1, *arrays[0].shape[-2:]
    return list(zip(*(array.reshape(shape) for array in arrays), strict=True))


def _save(
    random: Random, flavour: str, axes: str, pixels: np.ndarray, place: Path, name: str, dtype: str = ""
) -> Path:
    """Write an image; labels in any type that holds them."""
    types = [one for one in LABELS if flavour != "imagej" or (one.startswith("uint") and one != "uint32")]
    dtype = dtype or random.choice([one for one in types if pixels.max() <= np.iinfo(one).max])
    axes = "I" + axes[-2:] if flavour == "plain" and len(axes) > 2 else axes
    storage = {} if flavour.startswith("zarr") else {"byteorder": ">" if flavour == "imagej" else "<"}
    image = Drawn(axes, pixels.astype(dtype), flavour, "µm", "s", {}, (), storage)
    return inputs.write(image, place, name)


def cells(generator: np.random.Generator, shape: list[int]) -> np.ndarray:
    """Return labels of blobs, some of which touch, with gaps in their numbers; sometimes none on a page."""
    smooth = ndimage.gaussian_filter(generator.standard_normal(shape), [0] * (len(shape) - 2) + [2, 2])
    found = np.zeros(shape, int)
    for page, out in zip(smooth.reshape(-1, *shape[-2:]), found.reshape(-1, *shape[-2:]), strict=True):
        if generator.random() < 0.1:
            continue
        parts = ndimage.label(page > np.quantile(page, generator.uniform(0.3, 0.8)))[0]
        if generator.random() < 0.5:  # cut in two, so that they touch
            half = np.arange(shape[-1]) > shape[-1] // 2
            parts = np.where(half & (parts > 0), parts + parts.max(), parts)
        numbers = generator.permutation(230)[: parts.max() + 1] + 1 if parts.max() < 220 else None
        out[:] = parts if numbers is None else np.where(parts > 0, numbers[parts], 0)
    return found


def changed(generator: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """Return labels that are like others: shifted, some gone, some merged, with other numbers."""
    result = np.roll(truth, tuple(generator.integers(-2, 3, 2)), (-2, -1))
    numbers = np.arange(truth.max() + 1)
    numbers[generator.random(len(numbers)) < 0.15] = 0
    merged = generator.random(len(numbers)) < 0.1
    numbers[merged] = numbers[np.roll(merged.nonzero()[0], 1)] if merged.any() else 0
    numbers[0] = 0
    return numbers[result]


def overlaps(truth: np.ndarray, result: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the IoU of each true with each found object, and of each true one the SEG value."""
    true, found = np.unique(truth[truth > 0]), np.unique(result[result > 0])
    iou, seg = np.zeros((len(true), len(found))), np.zeros(len(true))
    for i, one in enumerate(true):
        for j, other in enumerate(found):
            both = int(((truth == one) & (result == other)).sum())
            iou[i, j] = both / int(((truth == one) | (result == other)).sum())
            if 2 * both > int((truth == one).sum()):
                seg[i] = iou[i, j]
    return iou, seg


def objects(bench: Bench, pages: Pages) -> None:
    """Compare ``evaluate objects``."""
    said = json.loads(_run(bench, "objects", "--per-image", "pages.csv"))
    every = [overlaps(*pair) for pair in pages]
    true, found = (sum(iou.shape[axis] for iou, _ in every) for axis in (0, 1))
    bench.same("true and found objects", [said["true_objects"], said["found_objects"]], [true, found])
    for row in said["by_threshold"]:
        at = row["threshold"]
        counts = [_matched(iou, at) for iou, _ in every]
        hits = sum(counts)
        bench.same(
            f"TP, FP, FN at {at}", [row["tp"], row["fp"], row["fn"]], [hits, found - hits, true - hits]
        )
        if at > 0.5 and hits:  # above a half nothing has two partners
            total = sum(float(iou[iou >= at].sum()) for iou, _ in every)
            bench.close(f"PQ at {at}", row["panoptic_quality"], 2 * total / (true + found), 1e-9)
            bench.close(f"mean IoU at {at}", row["matched_iou"], total / hits, 1e-9)
    if true:
        bench.close("SEG", said["seg"], np.concatenate([seg for _, seg in every]).mean(), 1e-9, 1.0)
    with (bench.folder / "pages.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    bench.same("rows of pages", len(rows), len(pages))
    hits_by_page = sorted(_matched(iou, 0.5) for iou, _ in every)
    bench.same("TP by page", sorted(int(row["tp"]) for row in rows), hits_by_page)


def _matched(iou: np.ndarray, at: float) -> int:
    if not iou.size:
        return 0
    return int((maximum_bipartite_matching(csr_array(iou >= at), perm_type="column") >= 0).sum())


def foreground(bench: Bench, pages: Pages) -> None:
    """Compare ``evaluate pixels --foreground``."""
    true = np.concatenate([truth.ravel() > 0 for truth, _ in pages])
    found = np.concatenate([result.ravel() > 0 for _, result in pages])
    if not true.any() or not found.any():
        return
    said = json.loads(_run(bench, "pixels", "--foreground"))
    one = said["classes"][-1]
    bench.same("class of the foreground", one["class"], 1)
    both = int((true & found).sum())
    bench.close("IoU of pixels", one["iou"], both / int((true | found).sum()), 1e-12)
    bench.close("Dice of pixels", one["dice"], 2 * both / int(true.sum() + found.sum()), 1e-12)


def membranes(bench: Bench, generator: np.random.Generator, axes: str, truth: np.ndarray) -> None:
    """Compare the pixel error of ``evaluate em``: the least over the thresholds 0, 0.1, ..."""
    noisy = np.clip((truth > 0) * 0.5 + generator.uniform(0, 0.5, truth.shape), 0, 1).astype(np.float32)
    place = bench.folder / "em"
    place.mkdir()
    flavour = "plain" if len(axes) < 4 else "ome"
    labels = _save(Random(0), flavour, axes, (truth > 0).astype(int), place, "l", "uint8")
    found = _save(Random(0), flavour, axes, noisy, place, "p", "float32")
    words = ["evaluate", "em", "--labels", labels, "--prediction", found, "--json"]
    said = json.loads(bench.run(*words).out)
    errors = [float(((noisy > step / 10) != (truth > 0)).mean()) for step in range(10)]
    bench.close("pixel error", said["pixel_error"]["value"], min(errors), 1e-9, 1.0)


def _run(bench: Bench, kind: str, *more: str) -> str:
    return bench.run("evaluate", kind, "--truth", "truth", "--result", "result", "--json", *more).out
