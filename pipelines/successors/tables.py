"""The tables of the comparison in ``docs/results.md``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.base.document import table
from pipelines.successors.rows import mean_rows, measures_of, title_of


def successors(result: Mapping[str, Any]) -> str:
    """Return what stands in the document: how it was measured, the networks, a table for each data set."""
    chosen = result["settings"]
    said = (
        f"{result['machine']['processor']}, one thread: {chosen['cpu_seconds']:g} CPU seconds a training, or "
        f"{chosen['steps']} steps. Seed {', '.join(map(str, chosen['seeds']))}."
    )
    return _document(result, said, _measured)


def on_a_gpu(result: Mapping[str, Any]) -> str:
    """Return the same of what :mod:`pipelines.successors.on_gpu` found."""
    chosen = result["settings"]
    steps = f", or {chosen['steps']} steps" if "steps" in chosen["ways"] else ""
    said = (
        f"{result['device']}, bfloat16: {chosen['gpu_seconds']:g} seconds of the card a training{steps}. "
        "Means over seeds, in brackets the smallest and the largest."
    )
    return _document(result, said, _measured_on_a_gpu)


def _document(result: Mapping[str, Any], said: str, measured: Callable[[Mapping[str, Any], str], str]) -> str:
    """Return how it was measured, with what is missing; the networks; and a table for each data set."""
    if missing := len(result["missing"]):
        said += f" {missing} of {missing + len(result['rows'])} trainings were not run for time."
    parts = [said, _networks(result)]
    for data in dict.fromkeys(row["data"] for row in result["rows"]):
        parts += [f"**{title_of(data)}**", measured(result, data)]
    return "\n\n".join(parts)


def _measured_on_a_gpu(result: Mapping[str, Any], data: str) -> str:
    measures, ways = measures_of(data), {"time": "equal GPU time", "steps": "equal steps"}
    titles = ["network", "trained", "seeds", *measures.values(), "steps", "ms a step", "ms a megapixel"]
    rows = []
    for row in mean_rows(result, data):
        speed, (_, equal) = result["speed"][row["network"]], row["way"]
        bad = f" ({row['not_learned']} of {row['seeds']} not learned)" if row["not_learned"] else ""
        rows.append(
            [
                f"{row['network']}{bad}",
                ways[equal],
                f"{row['seeds']}",
                *(_with_spread(row["measures"][name], row["spread"][name]) for name in measures),
                f"{row['steps']:.0f}",
                f"{1000 * speed['seconds_a_step']:.1f}",
                f"{1000 * speed['seconds_a_megapixel']:.0f}",
            ]
        )
    return table(titles, rows)


def _with_spread(mean: float, ends: Sequence[float]) -> str:
    least, most = ends
    return f"{mean:.4f}" + (f" ({least:.4f} to {most:.4f})" if most > least else "")


def _networks(result: Mapping[str, Any]) -> str:
    titles = ["network", "parameters", "operations a pixel", "MiB for 512 x 512", "margin", "exact"]
    rows = [
        [
            about["described"],
            f"{about['parameters']:,}",
            f"{about['operations_a_pixel']:,.0f}",
            f"{about['peak_mib']:.0f}",
            str(about["margin"]),
            "yes" if about["exact"] else "no",
        ]
        for about in result["networks"].values()
    ]
    return table(titles, rows)


def _measured(result: Mapping[str, Any], data: str) -> str:
    measures = measures_of(data)
    titles = ["network", "trained with", *measures.values(), "steps", "CPU seconds a megapixel"]
    rows = []
    for row in mean_rows(result, data):
        note = " (not learned)" if row["not_learned"] == row["seeds"] else ""
        rows.append(
            [
                f"{row['network']}{note}",
                row["said"],
                *(f"{row['measures'][name]:.4f}" for name in measures),
                f"{row['steps']:.0f}",
                f"{row['seconds_a_megapixel']:.2f}",
            ]
        )
    return table(titles, rows)
