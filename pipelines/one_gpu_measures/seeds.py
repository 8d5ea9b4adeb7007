"""Several seeds of the same trainings: what each gives, their mean, the smallest and the largest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pipelines.one_gpu_measures.cells import mean_of_directions


@dataclass(frozen=True)
class Row:
    """The measures of one seed.

    Attributes
    ----------
    place : tuple of str
        Where they stand among the measures of all seeds: ``("em", "rotations", "at_training_threshold")``.
    seed : int
        Of the trainings.
    splits : list of str
        What they are the mean of.
    values : mapping of str to float
        The measures.
    """

    place: tuple[str, ...]
    seed: int
    splits: list[str]
    values: Mapping[str, float]


def _rows(result: Mapping[str, Any]) -> Iterator[Row]:
    em = result["em"]
    for average, ways in em.get("rows", {}).items():
        for way, values in ways.items():
            if way != "folds":
                yield Row(("em", average, way), em["seed"], ways["folds"], values)
    trainings = result["cells"]["trainings"]
    for seed in sorted({one["seed"] for one in trainings.values()}):
        mine = {name: one for name, one in trainings.items() if one["seed"] == seed}
        for group, averages in mean_of_directions(mine).items():
            splits = [mine[name]["split"] for name in averages["trainings"]]
            for average, values in averages.items():
                if average != "trainings":
                    yield Row(("cells", group, average), seed, splits, values)


def over_seeds(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the measures over seeds.

    Parameters
    ----------
    results : sequence of mappings
        What :func:`pipelines.one_gpu_measures.measure.measure` gave of each run; no seed twice.

    Returns
    -------
    dict
        ``em``, by average and way of choosing thresholds, and ``cells``, by data set and average: `spread` of
        each measure. ``left_out``: seeds that lack a fold or a direction that others have, whose means would
        be of other images.
    """
    rows = [row for result in results for row in _rows(result)]
    found: dict[str, Any] = {"em": {}, "cells": {}, "left_out": []}
    for place in dict.fromkeys(row.place for row in rows):
        mine = sorted((row for row in rows if row.place == place), key=lambda row: row.seed)
        most = max(mine, key=lambda row: len(row.splits)).splits
        whole = [row for row in mine if row.splits == most]
        found["left_out"] += [
            f"{', '.join(place)}, seed {row.seed}: {', '.join(row.splits)} of {', '.join(most)}"
            for row in mine
            if row.splits != most
        ]
        kind, outer, inner = place
        found[kind].setdefault(outer, {})[inner] = {
            name: spread({row.seed: row.values[name] for row in whole if name in row.values})
            for name in whole[0].values
        }
    return found


def spread(by_seed: Mapping[int, float]) -> dict[str, Any]:
    """Return mean, smallest and largest of the seeds' values, beside them all."""
    values = list(by_seed.values())
    return {
        "mean": fmean(values),
        "smallest": min(values),
        "largest": max(values),
        "by_seed": {f"{seed}": value for seed, value in by_seed.items()},
    }


def in_words(found: Mapping[str, Any]) -> list[str]:
    """Return a line on each measure of `over_seeds`, with the range where there are several seeds."""
    lines = []
    for kind in ("em", "cells"):
        for outer, groups in found[kind].items():
            for inner, measures in groups.items():
                place = f"{kind}, {outer}, {inner}"
                lines += [f"{place}, {name}: {_range(values)}" for name, values in measures.items()]
    return lines


def _range(values: Mapping[str, Any]) -> str:
    if len(values["by_seed"]) == 1:
        return f"{values['mean']:.4g}"
    seeds = ", ".join(values["by_seed"])
    return f"{values['mean']:.4g} ({values['smallest']:.4g} to {values['largest']:.4g}, seeds {seeds})"
