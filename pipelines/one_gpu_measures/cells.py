"""The measure of the paper's Table 2, of the maps of frames with cells."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.cells.frames import DATA_SETS
from pipelines.cells.objects import best, by_threshold, score
from pipelines.cells.settings import CellSettings
from pipelines.on_device.sets import Arrays
from pipelines.one_gpu_measures.maps import Maps, gold_kind
from unet2015.objects.instances import Markers

LEVELS, BLURS, CUTS = (0.7, 0.8, 0.9, 0.95), (2.0, 4.0), (0.3, 0.5)
"""Of markers and watershed: levels, blurs in pixels and thresholds that are tried on the training frames."""


def choose_markers(
    truth: Sequence[NDArray[Any]], maps: NDArray[np.float32], settings: CellSettings
) -> dict[str, float]:
    """Return level, blur and threshold of markers and watershed with the best SEG; of equals the first."""
    tried = {
        (level, blur, cut): score(truth, maps, cut, settings, Markers(level, blur)).value
        for level, blur, cut in itertools.product(LEVELS, BLURS, CUTS)
    }
    level, blur, cut = max(tried, key=lambda key: tried[key])
    return {"level": level, "blur": blur, "threshold": cut, "seg_on_training_frames": max(tried.values())}


def choose_for_cells(arrays: Arrays, maps: Maps, settings: CellSettings) -> dict[str, Any] | None:
    """Return what is chosen on the training frames: a threshold for parts, and markers and watershed."""
    if maps.train is None:
        return None
    prefix, pages = maps.split.train
    truth, train = list(arrays[f"{prefix}/truth"][pages]), maps.train
    on_training = by_threshold(truth, train, settings)
    threshold = best(on_training)
    return {
        "chosen_on": maps.name,
        "threshold": threshold,
        "seg_on_training_frames": on_training[threshold],
        "markers": choose_markers(truth, train, settings),
    }


def measure_cells(
    arrays: Arrays, maps: Maps, chosen: dict[str, Any] | None, settings: CellSettings
) -> dict[str, Any]:
    """Return SEG of one training's held-out frames; without `chosen`, not at what training frames choose."""
    prefix, pages = maps.split.test
    truth = list(arrays[f"{prefix}/truth"][pages])
    rows: dict[str, dict[str, Any]] = {}
    for average, found in maps.test.items():
        scores = by_threshold(truth, found, settings)
        top = best(scores)
        rows[average] = {
            "seg_at_0.5": scores[0.5],
            "best_over_thresholds": {"seg": scores[top], "threshold": top},
        }
        if chosen is not None:
            marked = chosen["markers"]
            markers = Markers(marked["level"], marked["blur"])
            divided = score(truth, found, marked["threshold"], settings, markers)
            rows[average] |= {
                "seg_at_training_threshold": scores[chosen["threshold"]],
                "seg_markers_and_watershed": divided.value,
            }
    return {
        "data_set": DATA_SETS[maps.split.kind],
        "trained_on": f"{maps.split.train[0]}, {len(maps.split.train[1])} gold frames"
        + (f" and {len(arrays[f'{maps.split.train[0]}/silver-images'])} silver ones" if maps.silver else ""),
        "measured_on": f"{prefix}, {len(pages)} gold frames",
        "split": maps.split.name,
        "kind": maps.kind,
        "seed": maps.seed,
        "silver": maps.silver,
        "chosen_on_training_frames": chosen,
        "rows": rows,
    }


def mean_of_directions(trainings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the mean SEG over the trainings of a data set, each kind and those with silver truth apart."""
    found: dict[str, Any] = {}
    for name, one in trainings.items():
        kind = gold_kind(one.get("kind", ""))
        key = one["data_set"] + (", gold and silver truth" if one["silver"] else "") + (kind and f", {kind}")
        found.setdefault(key, {"trainings": []})["trainings"].append(name)
    for key, group in found.items():
        parts = [trainings[name]["rows"] for name in group["trainings"]]
        for average in parts[0]:
            rows = [part[average] for part in parts if average in part]
            flat = [row | {"seg_best_over_thresholds": row["best_over_thresholds"]["seg"]} for row in rows]
            names = [name for name in flat[0] if name.startswith("seg") and all(name in row for row in flat)]
            found[key][average] = {name: float(np.mean([row[name] for row in flat])) for name in names}
    return found
