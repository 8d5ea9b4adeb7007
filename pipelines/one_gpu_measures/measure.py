"""All that is there of runs of :mod:`pipelines.one_gpu`, measured, and what is missing named."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.base.curves import means
from pipelines.base.settings import FOLDER, load_experiment
from pipelines.cells.settings import CellSettings
from pipelines.on_device.sets import Arrays
from pipelines.one_gpu_measures.cells import choose_for_cells, mean_of_directions, measure_cells
from pipelines.one_gpu_measures.maps import Maps, check_seeds, read_maps, read_notes
from pipelines.one_gpu_measures.slices import measure_em
from unet2015.device import accelerator_names
from unet2015.errors import DataSetError
from unet2015.provenance import machine

KEPT = ("agreement", "bfloat16_peak", "augmentation", "trials", "chosen", "steps", "training", "inference")
"""What is passed on as the run noted it."""
_KEPT_TOO = ("failed", "cut_short", "seconds", "device", "date", "versions", "settings")


def cell_settings() -> CellSettings:
    """Return how objects are made of maps."""
    return load_experiment(CellSettings, FOLDER / "cell_tracking-cpu.toml")


def measure_runs(
    folders: Sequence[Path], arrays: Arrays
) -> Iterator[tuple[Path, dict[str, Any], list[Maps]]]:
    """Measure runs one after the other: yield the folder of each and what `measure` returns.

    Raises
    ------
    DataSetError
        Before anything is measured where the runs are not told apart by their seeds; as `measure` otherwise.
    """
    check_seeds(folders)
    for folder in folders:
        yield folder, *measure(folder, arrays)


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
    notes, settings = read_notes(folder), cell_settings()
    missing: dict[str, str] = {}
    losses: dict[str, list[float]] = {}
    there: list[Maps] = []
    for name in notes["settings"]["trainings"]:
        path = folder / f"{name}.npz"
        if not path.exists():
            missing[name] = "no maps: not trained to the end"
            continue
        maps, curve = read_maps(path, arrays, notes)
        losses[name] = means(curve, digits=5)
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
    chosen = {maps.name: choose_for_cells(arrays, maps, settings) for maps in cells if not maps.silver}
    found = {}
    for maps in cells:
        # Silver truth is not what is measured against: its trainings take what gold truth gave.
        gold = (m.name for m in cells if maps.has_gold_of(m))
        taken = chosen.get(next(gold, "") if maps.silver else maps.name)
        found[maps.name] = measure_cells(arrays, maps, taken, settings)
        if taken is None:
            missing[f"{maps.name}, thresholds"] = "no map of training frames, which give them"
    result = {
        "note": "held-out training slices and frames; the published rows are on hidden test sets",
        "em": measure_em(arrays, slices) if slices else {},
        "cells": {"trainings": found, "mean": mean_of_directions(found)},
        "missing": missing,
        **{key: notes[key] for key in (*KEPT, *_KEPT_TOO) if key in notes},
        "losses": losses,
        "objects": settings.model_dump(
            mode="json", include={"smallest", "frame", "connectivity", "fill_holes"}
        ),
        "measured_on": machine(accelerator_names()),
    }
    return result, there
