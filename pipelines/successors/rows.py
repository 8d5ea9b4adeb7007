"""The rows of the comparison: means over seeds, and what they are called."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MEASURES = {
    "em": {"pixel_error": "pixel error", "rand_error": "Rand error", "v_rand": "V_rand", "v_info": "V_info"},
    "cells": {"seg": "SEG at 0.5", "seg_best": "SEG, best threshold", "auc": "AUC"},
}
TITLES = {"em": "ISBI 2012 (EM)", "phc": "PhC-U373", "dic": "DIC-HeLa"}
TRIALS = {
    ("own", "time"): "own recipe, equal CPU time",
    ("common", "time"): "common recipe, equal CPU time",
    ("common", "steps"): "common recipe, equal steps",
}


def measures_of(data: str) -> dict[str, str]:
    """Return the measures of a data set, with their titles."""
    return MEASURES["em" if data.startswith("em") else "cells"]


def title_of(data: str) -> str:
    """Return what a data set is called."""
    return f"{TITLES[data.partition('-')[0]]}, split {data}"


def mean_rows(result: Mapping[str, Any], data: str) -> list[dict[str, Any]]:
    """Return for each network and way of training the means over its seeds."""
    found = []
    for way, said in TRIALS.items():
        for network in result["networks"]:
            rows = [
                row
                for row in result["rows"]
                if row["data"] == data and row["network"] == network and (row["recipe"], row["equal"]) == way
            ]
            if rows:
                found.append({"network": network, "way": way, "said": said, **_means(rows, data)})
    return found


def _means(rows: Sequence[Mapping[str, Any]], data: str) -> dict[str, Any]:
    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    return {
        "seeds": len(rows),
        "measures": {name: mean([row["measures"][name] for row in rows]) for name in measures_of(data)},
        "spread": {
            name: [min(row["measures"][name] for row in rows), max(row["measures"][name] for row in rows)]
            for name in measures_of(data)
        },
        "steps": mean([row["steps"] for row in rows]),
        "cpu_seconds": mean([row.get("cpu_seconds") for row in rows]),
        "seconds_a_megapixel": mean([row["seconds_a_megapixel"] for row in rows]),
        "not_learned": sum(row["learned"] is False for row in rows),
    }
