"""The tables of ``docs/settings.md``: ``python -m pipelines.settings_report [--check] [--add FILE...]``.

They say what ``pipelines/results/settings/result.json`` holds, between two markers; nothing else in the
document is touched. ``--add`` first takes in what :mod:`pipelines.settings_table` wrote (a training that is
there already is replaced). With ``--check`` nothing is written: the exit status is 1 where the document does
not say what the result says.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.base.command import options
from pipelines.base.document import Block, bring_up
from pipelines.base.settings import FOLDER

RESULT = FOLDER / "results" / "settings" / "result.json"
DOCUMENT = FOLDER.parent / "docs" / "settings.md"
BEGIN = "<!-- settings: made by python -m pipelines.settings_report -->"
END = "<!-- settings end -->"
SPLITS = {"em-4": "EM", "dic-01": "DIC-HeLa", "phc-01": "PhC-U373"}
MEASURES = {
    ("em-4", "pixel_error"): "EM pixel error",
    ("em-4", "rand_error"): "EM Rand error",
    ("em-4", "v_rand"): "EM V_rand",
    ("dic-01", "seg"): "DIC SEG",
    ("phc-01", "seg"): "PhC SEG",
}
KEPT = ("row", "split", "seed", "steps", "pixel_error", "rand_error", "v_rand", "v_info", "seg", "seg_best")
BASE = "as the base"

Training = dict[str, Any]


def merge(result: Mapping[str, Any], added: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a result with the trainings of others in it, in the order of rows, sets and seeds.

    Parameters
    ----------
    result : mapping
        What this returned before, or an empty one.
    added : iterable of mapping
        What :mod:`pipelines.settings_table` writes. Its times are left out: they include waiting for
        the other trainings.

    Raises
    ------
    RuntimeError
        They were measured with another base, or a row of the same name changes something else in it.
    """
    base, rows = result.get("base"), dict(result.get("rows", {}))
    devices, dates = list(result.get("devices", ())), list(result.get("dates", ()))
    found = {_key(one): one for one in result.get("trainings", ())}
    for other in added:
        given = other["settings"]
        if base is None:
            base = given["base"]
        if given["base"] != base:
            raise RuntimeError(f"another base: {given['base']}, not {base}")
        for title, row in given["rows"].items():
            change = {key: value for key, value in row.items() if key not in ("seeds", "splits")}
            if rows.setdefault(title, change) != change:
                raise RuntimeError(f"row {title!r} changes {change}, before {rows[title]}")
        devices, dates = [*devices, other["device"]], [*dates, other["date"]]
        found |= {_key(one): _kept(one) for one in other["trainings"] if "error" not in one}
    rows = {title: rows[title] for title in rows if any(key[0] == title for key in found)}
    order = {title: number for number, title in enumerate(rows)}
    keys = sorted(found, key=lambda key: (order[key[0]], list(SPLITS).index(key[1]), key[2]))
    return {
        "devices": sorted(set(devices)),
        "dates": sorted(set(dates)),
        "base": base,
        "rows": rows,
        "trainings": [found[key] for key in keys],
    }


def _key(one: Mapping[str, Any]) -> tuple[str, str, int]:
    return one["row"], one["split"], one["seed"]


def _kept(one: Mapping[str, Any]) -> Training:
    short = {key: one[key] for key in (*KEPT, "auc", "loss") if key in one}
    return {key: round(value, 5) if isinstance(value, float) else value for key, value in short.items()}


def as_text(result: Mapping[str, Any]) -> str:
    """Return a result as JSON with one training a line."""
    lines = ",\n".join(f"  {json.dumps(one)}" for one in result["trainings"])
    others = {key: value for key, value in result.items() if key != "trainings"}
    head = json.dumps(others, indent=1).removesuffix("\n}")
    return head + ',\n "trainings": [\n' + lines + "\n ]\n}\n"


def text_of(result: Mapping[str, Any]) -> str:
    """Return what stands between the markers."""
    rows: dict[str, list[Training]] = {}
    for one in result["trainings"]:
        rows.setdefault(one["row"], []).append(one)
    several = {title: row for title, row in rows.items() if max(_seeds(row).values()) > 1}
    single = {title: row for title, row in rows.items() if title not in several}
    steps = result["base"].get("optimisation", {}).get("steps")
    where = f"Measured on {', '.join(result['devices'])}, {' and '.join(result['dates'])}."
    parts = [
        f"{where} Mean, and in brackets smallest and largest over the seeds.",
        "**More than one seed.** A figure of one seed among them is marked \\*.",
        _table(several, steps),
    ]
    if single:
        parts += [
            "**One seed: tells nothing small.** The first row is the base's over all its seeds.",
            _table({title: row for title, row in several.items() if title == BASE} | single, steps),
        ]
    return "\n\n".join(parts)


def _table(rows: Mapping[str, Sequence[Training]], steps: int | None) -> str:
    titles = ["changed in the base", "seeds", *MEASURES.values(), f"least AUC: {', '.join(SPLITS.values())}"]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    for title, row in rows.items():
        several = max(_seeds(row).values()) > 1
        figures = [_figure(row, split, measure, several) for split, measure in MEASURES]
        least = [_least(row, split) for split in SPLITS]
        if "steps" not in title and steps not in (None, row[0]["steps"]):
            title += f", {row[0]['steps']:,} steps"
        lines.append(f"| {' | '.join([title, _counted(row), *figures, ', '.join(least)])} |")
    return "\n".join(lines)


def _seeds(row: Sequence[Training]) -> dict[str, int]:
    return {split: sum(one["split"] == split for one in row) for split in SPLITS}


def _counted(row: Sequence[Training]) -> str:
    seeds = _seeds(row)
    if len(set(seeds.values())) == 1:
        return str(seeds["em-4"])
    return ", ".join(f"{name} {seeds[split]}" for split, name in SPLITS.items())


def _figure(row: Sequence[Training], split: str, measure: str, several: bool) -> str:
    values = [one[measure] for one in row if one["split"] == split]
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.3f}" + r"\*" * several
    return f"{sum(values) / len(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _least(row: Sequence[Training], split: str) -> str:
    values = [one["auc"] for one in row if one["split"] == split]
    return f"{min(values):.3f}" if values else "-"


def main(words: Sequence[str] | None = None) -> int:
    """Write the document's tables; with ``--check`` say whether they are up to date."""
    parser = options("settings_report", __doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where out of date")
    parser.add_argument("--add", type=Path, nargs="+", default=[], help="results to take in first")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    given = parser.parse_args(words)
    if given.check and given.add:
        parser.error("--check writes nothing; leave out --add")
    result = json.loads(given.result.read_text(encoding="utf-8")) if given.result.exists() else {}
    if given.add:
        result = merge(result, [json.loads(path.read_text(encoding="utf-8")) for path in given.add])
        given.result.write_text(as_text(result), encoding="utf-8")
        print(f"written to {given.result}")
    said = given.document.read_text(encoding="utf-8")
    text = Block(BEGIN, END).replaced(said, text_of(result))
    return bring_up(given.document, text, given.check, parser.prog)


if __name__ == "__main__":
    sys.exit(main())
