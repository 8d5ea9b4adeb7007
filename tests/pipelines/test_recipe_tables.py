"""What helps against overfitting is taken by the rule that was fixed before, from halves of the rows."""

import itertools
import json

import pytest

from pipelines import results_report as report
from pipelines.base.settings import FOLDER
from pipelines.recipe_tables import DIC, EM, MEASURES, SEG, by_seed, effects, is_taken, recipes, side_by_side
from pipelines.settings_table import WIDE
from unet2015.settings import load_settings, read_toml

FOUND = json.loads((report.RESULTS / "settings_table-wide" / "result.json").read_text())
LEVEL = dict.fromkeys(MEASURES, 0.5)


def test_the_rows_are_those_of_the_settings_and_each_mean_is_in_half_of_them():
    rows = read_toml(WIDE, str(WIDE))["rows"]
    assert FOUND["settings"]["rows"] == rows
    assert len(FOUND["trainings"]) == 2 * len(rows)
    taken = [set(title.split(", ")) for title in rows]
    means = effects(FOUND)
    assert all(sum(mean in row for row in taken) == 4 for mean in means)
    assert all(sum({*two} <= row for row in taken) == 2 for two in itertools.combinations(means, 2))


def test_the_effect_of_a_mean_is_that_of_the_rows_with_it_next_to_the_others():
    # Each mean adds a power of two, so that a row in the wrong half would show.
    adds = {mean: 2**number for number, mean in enumerate(effects(FOUND))}
    made = [
        {"row": title, "split": split}
        | {key: sum(adds.get(mean, 0) for mean in title.split(", ")) for s, key in MEASURES if s == split}
        for title in FOUND["settings"]["rows"]
        for split in ("em-3", "dic-01")
    ]
    for mean, (with_it, without) in effects(FOUND | {"trainings": made}).items():
        assert {with_it[key] - without[key] for key in MEASURES} == {adds[mean]}


@pytest.mark.parametrize(
    ("better", "pixel_error", "taken"),
    [
        (("rand_error", "v_rand", "auc"), 0.5004, True),
        (("rand_error", "v_rand", "auc"), 0.5006, False),
        (("rand_error", "v_rand"), 0.5, False),  # one that stays is not better
        (("v_info", "auc"), 0.4999, True),
        (("rand_error", "v_rand", "v_info", "auc"), 0.6, False),
    ],
)
def test_em_takes_what_is_better_in_three_measures_and_spoils_no_pixels(better, pixel_error, taken):
    changed = {("em-3", key): 0.4 if key.endswith("_error") else 0.6 for key in better}
    assert is_taken("em-3", LEVEL | changed | {("em-3", "pixel_error"): pixel_error}, LEVEL) is taken
    worse = {("em-3", key): 0.4 for key in EM if not key.endswith("_error")} | {("em-3", "rand_error"): 0.6}
    assert not is_taken("em-3", LEVEL | worse, LEVEL)


@pytest.mark.parametrize(
    ("better", "taken"), [(("seg_best", "auc"), True), (("seg_best", "seg"), False), (("auc",), False)]
)
def test_cells_take_what_is_better_in_seg_and_auc(better, taken):
    assert set(better) <= set(DIC)
    assert is_taken("dic-01", LEVEL | {("dic-01", key): 0.6 for key in better}, LEVEL) is taken


def test_the_settings_for_the_tables_take_what_the_table_says():
    said = {
        line.split(" | ")[0].strip("| "): line.rstrip(" |").split(" | ")[-1]
        for line in recipes(FOUND).splitlines()
    }
    assert [said[mean] for mean in effects(FOUND)] == ["cells", "cells", "EM", "none"]
    rows, given = (
        FOUND["settings"]["rows"],
        read_toml(path := WIDE.with_name("one_gpu-regular.toml"), str(path)),
    )
    for name, training in given["trainings"].items():
        change = {key: value for key, value in training["settings"].items() if key != "weight_map"}
        if name.startswith("em-"):
            assert change == {"optimisation": rows["scale, decay"]["optimisation"]}
        else:
            assert change == rows["gray and blur, scale"]
    assert given["longest"] == FOUND["settings"]["base"]["optimisation"]["steps"]


def test_recipes_stand_side_by_side_seed_by_seed_and_what_was_not_trained_is_empty():
    def one(row, split, seed, seg):
        means = {"seg": seg, "seg_best": seg + 0.01, "auc": seg + 0.02}
        return {"row": row, "split": split, "seed": seed} | means

    base = FOUND["settings"] | {"rows": {"as the base": {}, "never trained": {}, "scale": {}}}
    drawn = (("as the base", "dic-01", 0, 0.5), ("scale", "dic-01", 0, 0.6), ("scale", "phc-01", 1, 0.7))
    made = [one(*training) for training in drawn]
    lines = side_by_side(FOUND | {"settings": base, "trainings": made}).splitlines()
    assert "never trained" not in lines[2]
    assert lines[2].count("as the base") == lines[2].count(": scale") == 3
    assert lines[4:] == [
        "| dic-01 | 0 | 0.5000 | 0.6000 | 0.5100 | 0.6100 | 0.5200 | 0.6200 |",
        "| phc-01 | 1 |  | 0.7000 |  | 0.7100 |  | 0.7200 |",
    ]


@pytest.mark.parametrize(("gain", "verdict"), [(0.0199, "not taken"), (0.0201, "taken")])
def test_seeds_of_cells_stand_with_their_means_and_the_rule_looks_at_the_data_sets_with_a_base(gain, verdict):
    def one(split, kind, seed, seg):
        row = dict.fromkeys(SEG, seg) | {"best_over_thresholds": {"seg": seg}}
        return {"split": split, "kind": kind, "seed": seed, "rows": {"flips": row}}

    drawn = [("dic-01", "", 0, 0.1), ("dic-02", "base", 0, 0.5), ("dic-02", "base", 1, 0.7)]
    drawn += [("dic-02", "", 0, 0.6 + 2 * gain), ("dic-02", "", 1, 0.6 + 2 * gain)]
    drawn += [("phc-01", "base", 0, 0.9), ("phc-01", "", 0, 0.9)]
    trainings = {f"{split}{kind}-{seed}": one(split, kind, seed, seg) for split, kind, seed, seg in drawn}
    settings = {"base": FOUND["settings"]["base"]}
    settings["trainings"] = {name: {"settings": {"seed": each["seed"]}} for name, each in trainings.items()}
    run = {"device": "a GPU", "date": "2026-11-27", "seconds": 2, "training": {"steps": 5, "seconds": 1}}
    run |= {
        "steps": dict.fromkeys(trainings, 5),
        "chosen": dict.fromkeys(trainings, "muon"),
        "settings": settings,
    }
    said = by_seed(run | {"cells": {"trainings": trainings}})
    assert "2 seeds." in said
    lines = said.splitlines()
    assert lines[4] == "| dic-01 | 0 |  | 0.1000 |  | 0.1000 |  | 0.1000 |  | 0.1000 |"
    assert f"| dic-02 | mean | 0.6000 | {0.6 + 2 * gain:.4f} |" in said
    assert lines[-1].endswith(f"{gain:+.4f}; 0.02 was asked for, so it is {verdict}.")


def test_what_cells_take_where_it_was_not_chosen_is_what_the_wide_trainings_took():
    given = read_toml(FOLDER / "one_gpu-cells.toml", "")["trainings"]
    wide = read_toml(FOLDER / "one_gpu-regular.toml", "")["trainings"]["dic-01"]["settings"]["augmentation"]
    changed = {name: training["settings"].get("augmentation") for name, training in given.items()}
    assert all(one == (None if "base" in name else wide) for name, one in changed.items())
    assert {name for name in given if name.startswith("dic-02-base")} == {
        f"dic-02-base-{s}" for s in range(3)
    }


def test_the_narrow_trainings_are_those_of_the_settings_and_each_seed_has_base_and_choice():
    found = json.loads((report.RESULTS / "settings_table-cpu" / "result.json").read_text())
    path = WIDE.with_name("settings_table-cpu.toml")
    assert found["settings"] == read_toml(path, str(path))
    trained = [(one["split"], one["seed"], one["row"]) for one in found["trainings"]]
    rows = ("as the base", "gray and blur, scale")
    assert trained == [("dic-01", seed, row) for seed in range(3) for row in rows]
    quick = load_settings("quick")
    assert load_settings(None, found["settings"]["base"]).optimisation == quick.optimisation.model_copy(
        update={"precision": "bfloat16"}
    )
