"""Table and pictures of all results, in ``docs/performance.md``: ``python -m benchmarks.summary [--check]``.

Each result may hold rows of the table (see `benchmarks.machine.row`); a result that holds none, or is not
there, is left out. A few of the rows, `FRONT`, stand in the README as well. What is written stands between
two markers in each of the two documents, and nothing else there is touched. The pictures lie beside the
results. With ``--check`` nothing is written: the exit status is 1 where a document or a picture does not
say what the results say.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS
from benchmarks.plots import PLOTS, Results, aim_in_words, digest, in_words, svg

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "performance.md"
README = ROOT / "README.md"
BEGIN = "<!-- benchmarks: made by python -m benchmarks.summary -->"
END = "<!-- benchmarks end -->"
TIME_TO_QUALITY = (
    "time to quality, processor time of the training until pixel error <= 0.055 and V_rand >= 0.93 on slices "
    "of ISBI 2012 not trained on, one thread"
)
FRONT = (
    ("tiled inference, width 64, 2048 x 2048, CPU, float32", "overlap 0.25, channels last"),
    ("tiled inference, width 64, 2048 x 2048, CPU, bfloat16", "overlap 0.25, channels last"),
    ("tiled inference, width 64, 2048 x 2048, CPU with AMX, bfloat16", "overlap 0.25, channels last"),
    ("GPU: tiled inference, width 64, 2048 x 2048, bfloat16", "overlap 0.25"),
    ("peak memory, TIFF to TIFF, 40,000 x 40,000 px", "the stated cap"),
    ("elastic augmentation, image and labels, 572 x 572", "elasticdeform"),
    ("training step on a CPU, width 64, tile 572, processor time of one thread", "eager PyTorch"),
    ("training step on a CPU, width 64, tile 572, bfloat16, processor time of one thread", "eager PyTorch"),
    (TIME_TO_QUALITY, "MONAI: BasicUNet"),
    (TIME_TO_QUALITY, "nnU-Net"),
)
"""Rows of the README: the question, and words of what it is compared with."""


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the results of a folder by the names of their files, in alphabetical order."""
    results = {}
    for path in sorted(folder.glob("*.json")):
        try:
            results[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RuntimeError(f"{path}: not a result (JSON): {error}; measure it again") from error
    return results


def front_of(results: Results) -> str:
    """Return what stands between the markers of the README."""
    found = [
        (name, row)
        for question, words in FRONT
        for name, result in results.items()
        for row in result.get("table", ())
        if row["question"] == question and words in row["against"]
    ]
    if not found:
        return "No results."
    places = Places({name: results[name] for name in dict.fromkeys(name for name, _ in found)})
    return f"{_table(found, places)}\n\n{places.short()}"


def text_of(results: Results, pictures: str) -> str:
    """Return what stands between the markers of the page; `pictures` is the path of the results' folder."""
    shown = {plot: figures for plot in PLOTS if (figures := plot.figures(results)) is not None}
    used = {
        name: result
        for name, result in results.items()
        if result.get("table") or any(plot.name == name for plot in shown)
    }
    places = Places(used)
    parts = [] if used else ["No results."]
    if used:
        parts.append(places.text())
    rows = [(name, row) for name, result in used.items() for row in result.get("table", ())]
    if rows:
        parts += [_table(rows, places), *_notes(rows)]
    for plot in shown:
        mark = places.mark(plot.name) if plot.name in used else ""
        parts.append(f"![{plot.caption}]({pictures}/{plot.file})\n\n({plot.caption}{mark}.)")
    return "\n\n".join(parts)


class Places:
    """Where and when results were measured: named once where all agree, else told apart by letters."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._keys = list(dict.fromkeys(_place(result) for result in results.values()))

    def mark(self, name: str) -> str:
        """Return the letter of a result's place; nothing where there is one place."""
        if len(self._keys) == 1:
            return ""
        return f" [{_letter(self._keys.index(_place(self._results[name])))}]"

    def text(self) -> str:
        """Return all places in words."""
        if len(self._keys) == 1:
            return f"Measured on {self._describe(self._keys[0])}."
        lines = (f"- [{_letter(i)}] {self._describe(key)}" for i, key in enumerate(self._keys))
        return "Measured on\n\n" + "\n".join(lines)

    def short(self) -> str:
        """Return all places in one line, without versions."""
        machines = [key[0] for key in self._keys]
        if len(machines) == 1:
            return f"Measured on {machines[0]}."
        marked = (f"[{_letter(i)}] {machine}" for i, machine in enumerate(machines))
        return f"Measured on {'; '.join(marked)}."

    def _describe(self, key: tuple[str, ...]) -> str:
        here = [result for result in self._results.values() if _place(result) == key]
        found: dict[str, set[str]] = {}
        for result in here:
            for name, version in (result["machine"]["versions"] | _peers(result)).items():
                found.setdefault(name, set()).add(version)
        versions = (
            f"{name} {' or '.join(sorted(seen))}" for name, seen in found.items() if seen != {"not installed"}
        )
        return f"{key[0]}; {', '.join(versions)}"


def _place(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what two results must share to be told in one breath: day, machine and main versions."""
    machine = result["machine"]
    described = ", ".join(
        [
            result["measured"][:10],
            machine["processor"],
            f"{machine['cores']} cores",
            *machine["accelerators"],
            machine["system"],
        ]
    )
    main = (f"{name} {version}" for name, version in sorted(machine["versions"].items()) if name != "zarr")
    return described, *main


def _peers(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of the tools that a result compares with."""
    return {**result.get("peers", {})}


def _letter(index: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[index % 26] * (index // 26 + 1)


def _table(rows: Sequence[tuple[str, Mapping[str, Any]]], places: Places) -> str:
    lines = ["| question | next to | aim | measured | met? |", "| --- | --- | --- | --- | --- |"]
    for name, row in rows:
        cells = (
            row["question"],
            row["against"],
            aim_in_words(row),
            in_words(row) + places.mark(name),
            "yes" if row["met"] else "**no**",
        )
        lines.append(f"| {' | '.join(_cell(text) for text in cells)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _notes(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Return lists of why aims were missed, and of what else a reader must know."""
    missed = [
        f"- {row['question']}, next to {row['against']}: {row['note'] or 'not explained yet'}"
        for _, row in rows
        if not row["met"]
    ]
    known = [
        f"- {row['question']}, next to {row['against']}: {row['note']}"
        for _, row in rows
        if row["met"] and row["note"]
    ]
    lists = [("What missed its aim, and why:", missed), ("Beside the figures:", known)]
    return [part for title, notes in lists if notes for part in (title, "\n".join(map(_line, notes)))]


def _line(text: str) -> str:
    return " ".join(text.split())


def replaced(document: str, text: str, name: str) -> str:
    """Return a document with `text` between its markers."""
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(END) < document.index(BEGIN):
        raise RuntimeError(f"{name} needs one line {BEGIN!r} and, after it, one line {END!r}")
    before, after = document[: document.index(BEGIN)], document[document.index(END) :]
    return f"{before}{BEGIN}\n\n{text}\n\n{after}"


def documents(page: Path, readme: Path, folder: Path) -> dict[Path, str]:
    """Return what the two documents should say."""
    results = load(folder)
    texts = {page: text_of(results, _relative(folder, page)), readme: front_of(results)}
    return {path: replaced(path.read_text(encoding="utf-8"), text, path.name) for path, text in texts.items()}


def differences(page: Path, readme: Path, folder: Path) -> list[str]:
    """Return in what documents and pictures do not say what the results say."""
    found = [
        f"{path}: the table or its notes"
        for path, text in documents(page, readme, folder).items()
        if path.read_text(encoding="utf-8") != text
    ]
    results = load(folder)
    for plot in PLOTS:
        picture, figures = folder / plot.file, plot.figures(results)
        if figures is None:
            if picture.exists():
                found.append(f"{picture}: shows a result that is not there")
        elif not picture.exists() or digest(figures) not in picture.read_text(encoding="utf-8"):
            found.append(f"{picture}: shows other figures")
    return found


def write(page: Path, readme: Path, folder: Path) -> None:
    """Write the tables into the documents and draw the pictures."""
    results, texts = load(folder), documents(page, readme, folder)
    for plot in PLOTS:
        picture, figures = folder / plot.file, plot.figures(results)
        if figures is None:
            picture.unlink(missing_ok=True)
        else:
            picture.write_bytes(svg(plot, figures))
            print(f"written to {picture}")
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        print(f"written to {path}")


def _relative(folder: Path, document: Path) -> str:
    return Path(os.path.relpath(folder, document.parent)).as_posix()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write tables and pictures; with ``--check`` say whether they are up to date."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where out of date")
    parser.add_argument("--page", type=Path, default=PAGE, help="document of all rows, with two markers")
    parser.add_argument("--readme", type=Path, default=README, help="document of a few, with two markers")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.page, options.readme, options.results)
        return 0
    found = differences(options.page, options.readme, options.results)
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print("out of date; make them again with: python -m benchmarks.summary", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
