"""What the maps of :mod:`pipelines.one_gpu` are worth: the rows of the paper's tables, on any processor.

``python -m pipelines.one_gpu_measures --maps DIR --data FILE.npz --out DIR [--cell-pictures DIR]``

DIR is the folder that :mod:`pipelines.one_gpu` wrote, FILE what :mod:`pipelines.device_sets` packed. The
measures are those of :mod:`pipelines.isbi2012` and :mod:`pipelines.cell_tracking`, objects are made as
``cell_tracking-cpu.toml`` says. Of the training pages there are maps of one way of averaging alone; their
thresholds are used for every way. What is missing is named in the result, and the rest is measured.

Beside the paper's way of making objects, connected parts, stands another that is not the paper's: markers and
a watershed, with level, blur and threshold chosen on the training frames alone.

Frames of the Cell Tracking Challenge may not be passed on without leave, so their pictures are drawn only
where ``--cell-pictures`` says.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from pipelines import em
from pipelines.cell_tracking import HERE, THRESHOLDS, score
from pipelines.device_sets import CELLS, Arrays, Split, find_split, load
from pipelines.experiment import CellTrackingExperiment, load_experiment
from unet2015.errors import DataSetError, UNet2015Error
from unet2015.metrics.em import evaluate_em
from unet2015.objects.instances import Markers
from unet2015.safe_files import make_folder, write_json

SETTINGS = HERE / "cell_tracking-cpu.toml"
LEVELS, BLURS, CUTS = (0.7, 0.8, 0.9, 0.95), (2.0, 4.0), (0.3, 0.5)
"""Of markers and watershed: levels, blurs in pixels and thresholds that are tried on the training frames."""
POINTS = 50
"""A curve of losses is so many means."""
KEPT = ("agreement", "bfloat16_peak", "augmentation", "trials", "chosen", "steps", "training", "inference")
"""What is passed on as the run noted it."""
_KEPT_TOO = ("failed", "cut_short", "seconds", "device", "date", "versions", "settings")


@dataclass(frozen=True)
class Maps:
    """The maps of one training and what they are maps of.

    Attributes
    ----------
    name : str
        Of the training.
    split : Split
        What it is trained on and measured on.
    silver : bool
        Whether silver truth was trained on too.
    test : dict of str to ndarray, shape (pages, height, width), float32
        By way of averaging, the probability of class 1, 0 to 1.
    train : ndarray of the same kind, or None
        Of the training pages.
    """

    name: str
    split: Split
    silver: bool
    test: dict[str, NDArray[np.float32]]
    train: NDArray[np.float32] | None


def read_notes(folder: Path) -> dict[str, Any]:
    """Return what the run noted of itself.

    Raises
    ------
    DataSetError
        There is none, or it is something else.
    """
    path = folder / "one_gpu.json"
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
        trainings = notes["settings"]["trainings"]
        splits = [training["split"] for training in trainings.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataSetError(
            f"{path}: expected the notes of pipelines.one_gpu: {type(error).__name__}: {error}"
        ) from error
    if not splits:
        raise DataSetError(f"{path}: no training is noted there")
    assert isinstance(notes, dict)
    return notes


def read_maps(path: Path, arrays: Arrays, training: dict[str, Any]) -> tuple[Maps, NDArray[np.float32]]:
    """Return the maps of one training, and its losses.

    Raises
    ------
    DataSetError
        They cannot be read, or are maps of other pages than those packed.
    """
    split, found = find_split(arrays, training["split"]), load(path, "pipelines.one_gpu")
    maps: dict[str, dict[str, NDArray[np.float32]]] = {"test": {}, "train": {}}
    for key, values in found.items():
        which, _, average = key.partition("/")
        if which not in maps:
            continue
        prefix, pages = getattr(split, which)
        expected = (len(pages), *arrays[f"{prefix}/images"].shape[1:])
        if values.shape != expected or values.dtype != np.uint8:
            raise DataSetError(
                f"{path}, {key}: expected maps of the pages packed, {expected} uint8, got {values.shape} "
                f"{values.dtype}; give the packed file that was trained on"
            )
        maps[which][average] = values.astype(np.float32) / np.float32(255)
    train = next(iter(maps["train"].values()), None)
    losses = found.get("losses", np.zeros(0, np.float32))
    return Maps(path.stem, split, bool(training.get("silver", False)), maps["test"], train), losses


def means(losses: NDArray[np.floating], points: int = POINTS) -> list[float]:
    """Return a curve as at most so many means of equal parts."""
    return [round(float(part.mean()), 5) for part in np.array_split(losses, points) if part.size]


def measure_em(arrays: Arrays, trainings: Sequence[Maps]) -> dict[str, Any]:
    """Return the measures of each fold and of all together, as :mod:`pipelines.isbi2012` has them."""
    truth = arrays["em/labels"]
    folds: dict[str, dict[str, Any]] = {}
    for maps in trainings:
        assert maps.train is not None
        (_, held), (_, trained) = maps.split.test, maps.split.train
        training = evaluate_em(truth[trained], maps.train)  # once for all ways of averaging
        folds[maps.split.name] = {"slices": held} | {
            average: em.compare(evaluate_em(truth[held], found), training)
            for average, found in maps.test.items()
        }
    rows = {}
    for average in dict.fromkeys(average for maps in trainings for average in maps.test):
        mine = [maps for maps in trainings if average in maps.test]
        found = [folds[maps.split.name][average] for maps in mine]
        together = evaluate_em(
            np.concatenate([truth[maps.split.test[1]] for maps in mine]),
            np.concatenate([maps.test[average] for maps in mine]),
        )
        rows[average] = {
            "folds": [maps.split.name for maps in mine],
            "at_training_threshold": em.mean([fold["at_training_threshold"] for fold in found]),
            "best_over_thresholds": em.values(together),
            "on_training_slices": em.mean([fold["training"] for fold in found]),
        }
    return {"folds": folds, "rows": rows}


def choose_markers(
    truth: Sequence[NDArray[Any]], maps: NDArray[np.float32], experiment: CellTrackingExperiment
) -> dict[str, float]:
    """Return level, blur and threshold of markers and watershed with the best SEG; of equals the first."""
    tried = {
        (level, blur, cut): score(truth, maps, cut, experiment, Markers(level, blur)).value
        for level, blur, cut in itertools.product(LEVELS, BLURS, CUTS)
    }
    level, blur, cut = max(tried, key=lambda key: tried[key])
    return {"level": level, "blur": blur, "threshold": cut, "seg_on_training_frames": max(tried.values())}


def choose_for_cells(arrays: Arrays, maps: Maps, experiment: CellTrackingExperiment) -> dict[str, Any] | None:
    """Return what is chosen on the training frames: a threshold for parts, and markers and watershed."""
    if maps.train is None:
        return None
    prefix, pages = maps.split.train
    truth, train = list(arrays[f"{prefix}/truth"][pages]), maps.train
    on_training = {t: score(truth, train, t, experiment).value for t in THRESHOLDS}
    threshold = max(on_training, key=lambda t: on_training[t])
    return {
        "chosen_on": maps.name,
        "threshold": threshold,
        "seg_on_training_frames": on_training[threshold],
        "markers": choose_markers(truth, train, experiment),
    }


def measure_cells(
    arrays: Arrays, maps: Maps, chosen: dict[str, Any] | None, experiment: CellTrackingExperiment
) -> dict[str, Any]:
    """Return SEG of one training's held-out frames; without `chosen`, not at what training frames choose."""
    prefix, pages = maps.split.test
    truth = list(arrays[f"{prefix}/truth"][pages])
    rows: dict[str, dict[str, Any]] = {}
    for average, found in maps.test.items():
        by_threshold = {t: score(truth, found, t, experiment).value for t in THRESHOLDS}
        top = max(by_threshold, key=lambda t: by_threshold[t])
        rows[average] = {
            "seg_at_0.5": by_threshold[0.5],
            "best_over_thresholds": {"seg": by_threshold[top], "threshold": top},
        }
        if chosen is not None:
            marked = chosen["markers"]
            divided = score(
                truth, found, marked["threshold"], experiment, Markers(marked["level"], marked["blur"])
            )
            rows[average] |= {
                "seg_at_training_threshold": by_threshold[chosen["threshold"]],
                "seg_markers_and_watershed": divided.value,
            }
    return {
        "data_set": CELLS[maps.split.kind],
        "trained_on": f"{maps.split.train[0]}, {len(maps.split.train[1])} gold frames"
        + (f" and {len(arrays[f'{maps.split.train[0]}/silver-images'])} silver ones" if maps.silver else ""),
        "measured_on": f"{prefix}, {len(pages)} gold frames",
        "silver": maps.silver,
        "chosen_on_training_frames": chosen,
        "rows": rows,
    }


def mean_of_directions(trainings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the mean SEG over the trainings of a data set, those with silver truth apart."""
    found: dict[str, Any] = {}
    for name, one in trainings.items():
        key = one["data_set"] + (", gold and silver truth" if one["silver"] else "")
        found.setdefault(key, {"trainings": []})["trainings"].append(name)
    for key, group in found.items():
        parts = [trainings[name]["rows"] for name in group["trainings"]]
        for average in parts[0]:
            rows = [part[average] for part in parts if average in part]
            flat = [row | {"seg_best_over_thresholds": row["best_over_thresholds"]["seg"]} for row in rows]
            names = [name for name in flat[0] if name.startswith("seg") and all(name in row for row in flat)]
            found[key][average] = {name: float(np.mean([row[name] for row in flat])) for name in names}
    return found


def measure(folder: Path, arrays: Arrays) -> tuple[dict[str, Any], list[Maps]]:
    """Measure all that is there.

    Parameters
    ----------
    folder : Path
        What :mod:`pipelines.one_gpu` wrote.
    arrays : mapping
        The packed sets.

    Returns
    -------
    result : dict
        Of JSON.
    trainings : list of Maps
        What was measured.

    Raises
    ------
    DataSetError
        The notes or all maps are missing, or a file is damaged or of other pages.
    """
    notes, experiment = read_notes(folder), load_experiment(CellTrackingExperiment, SETTINGS)
    missing: dict[str, str] = {}
    losses: dict[str, list[float]] = {}
    there: list[Maps] = []
    for name, training in notes["settings"]["trainings"].items():
        path = folder / f"{name}.npz"
        if not path.exists():
            missing[name] = "no maps: not trained to the end"
            continue
        maps, curve = read_maps(path, arrays, training)
        losses[name] = means(curve)
        if not maps.split.test[1]:
            continue  # trained on all there is
        if not maps.test:
            missing[name] = "no map of a page held out"
        elif maps.split.kind == "em" and maps.train is None:
            missing[name] = "no map of the training slices, which give the thresholds"
        else:
            there.append(maps)
    if not losses:
        raise DataSetError(f"{folder}: none of the trainings of one_gpu.json has left its maps")
    slices, cells = ([m for m in there if (m.split.kind == "em") == yes] for yes in (True, False))
    chosen = {
        maps.split.name: choose_for_cells(arrays, maps, experiment) for maps in cells if not maps.silver
    }
    for maps in cells:
        if chosen.get(maps.split.name) is None:
            missing[f"{maps.name}, thresholds"] = "no map of training frames, which give them"
    found = {m.name: measure_cells(arrays, m, chosen.get(m.split.name), experiment) for m in cells}
    result = {
        "note": "held-out training slices and frames; the published rows are on hidden test sets",
        "em": measure_em(arrays, slices) if slices else {},
        "cells": {"trainings": found, "mean": mean_of_directions(found)},
        "missing": missing,
        **{key: notes[key] for key in (*KEPT, *_KEPT_TOO) if key in notes},
        "losses": losses,
        "objects": experiment.model_dump(
            mode="json", include={"smallest", "frame", "connectivity", "fill_holes"}
        ),
        "measured_on": machine(),
    }
    return result, there


def main(words: Sequence[str] | None = None) -> int:
    """Measure from the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--maps", type=Path, required=True, help="folder that pipelines.one_gpu wrote")
    parser.add_argument("--data", type=Path, required=True, help="what pipelines.device_sets packed")
    parser.add_argument("--out", type=Path, required=True, help="folder for result.json and em.png")
    parser.add_argument(
        "--cell-pictures", type=Path, help="folder for pictures of cells, which stay with you"
    )
    given = parser.parse_args(words)
    try:
        from pipelines.one_gpu_pictures import draw_cells, draw_em

        arrays = load(given.data)
        result, trainings = measure(given.maps, arrays)
        write_json(make_folder(given.out) / "result.json", result)
        draw_em(result, trainings, arrays, given.out / "em.png")
        if given.cell_pictures is not None:
            draw_cells(result, trainings, arrays, make_folder(given.cell_pictures))
    except UNet2015Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    for name, why in result["missing"].items():
        print(f"{name}: {why}", file=sys.stderr)
    print(json.dumps({"em": result["em"].get("rows", {}), "cells": result["cells"]["mean"]}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
