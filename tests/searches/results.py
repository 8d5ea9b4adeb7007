"""The tables of ``docs/searches.md``: ``python -m tests.searches.results [--check]``.

They say what the files beside this one hold: what the searches that run by hand found, when, and on which
commit and machine. Each stands between two markers; nothing else in the document is touched. With ``--check``
nothing is written: the exit status is 1 where the document does not say what the results say.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from pipelines.base.command import options
from pipelines.base.document import Block, bring_up, table
from pipelines.base.json_files import read_json

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
DOCUMENT = ROOT / "docs" / "searches.md"
QUESTIONS = {
    "fuzz": "Is each damaged file read right, or refused with one clear error?",
    "cases": "Are small inputs after public reports read right, or refused with a reason?",
    "combinations": "Do options and inputs that are seldom used together give what other libraries compute?",
    "kills": "Does a run that is killed at any moment, and run again, end as if it had not been killed?",
}


def write_result(path: Path, search: str, found: Mapping[str, Any]) -> None:
    """Write what a search found, with its question, the commit, the machine and the date."""
    machine.write_result(path, QUESTIONS[search], {"commit": commit(), **found})


def commit() -> str:
    """Return the last commit that changed the package, with ``+`` if its files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    changed = bool(git("status", "--porcelain", "unet2015"))
    return git("log", "-1", "--format=%h", "--abbrev=12", "--", "unet2015") + "+" * changed


def block(name: str) -> Block:
    """Return the block of the document called `name`."""
    made_by = "made by python -m tests.searches.results"
    return Block(f"<!-- search, {name}: {made_by} -->", f"<!-- search, {name} end -->")


def where(result: Mapping[str, Any]) -> str:
    """Return when and on what a search ran, in a sentence."""
    cores = result["machine"]["cores"]
    place = f"{result['machine']['processor']}, {cores} cores"
    on = f"commit {result['commit']}, " if "commit" in result else ""
    return f"{result['measured'][:10]}, {on}{place}."


def fuzz(result: Mapping[str, Any]) -> str:
    """Return what came of the damaged files, by what was damaged."""
    rows = []
    for one in result["searches"]:
        for name, kinds in one["by_seed"].items():
            right, refused, found = _outcomes(kinds)
            rows.append([name, f"{right + refused + found:,}", f"{right:,}", f"{refused:,}", f"{found:,}"])
    slowest = max((one["slowest"] for one in result["searches"]), key=lambda one: float(one[1]))
    most = max((one["most_memory_mib"] for one in result["searches"]), key=lambda one: float(one[1]))
    counts = [sum(one["files"] for one in result["searches"]), result["seed"], result["seconds"]]
    words = "{:,} copies with seed {}, in {:.0f} s".format(*counts)
    limits = f"the slowest took {slowest[1]:.1f} s, the largest {most[1]:.0f} MiB beyond the process"
    titles = ["damaged", "copies", "read, and right", "refused", "findings"]
    return f"{where(result)} {words}; {limits}.\n\n{table(titles, rows)}"


def _outcomes(kinds: Mapping[str, int]) -> tuple[int, int, int]:
    """Return how many copies were read right, refused, and findings."""
    found = sum(count for kind, count in kinds.items() if kind.startswith("finding"))
    right = sum(count for kind, count in kinds.items() if "result" in kind)
    return right, sum(kinds.values()) - right - found, found


def cases(result: Mapping[str, Any]) -> str:
    """Return the table of the cases."""
    rows = []
    for one in result["cases"]:
        reports = ", ".join(_link(report) for report in one["reports"].split(", ") if report)
        rows.append([one["case"], reports, str(one["checks"]), "falls short" if one["short"] else "right"])
    short = sum(bool(one["short"]) for one in result["cases"])
    looked = sum(one["checks"] for one in result["cases"])
    words = f"{len(rows)} cases, {looked} things looked at: {short} fall short"
    return f"{where(result)} {words}.\n\n{table(['case', 'reported in', 'checks', 'outcome'], rows)}"


def _link(report: str) -> str:
    """Return a link to an issue or pull request; GitHub leads from the one to the other."""
    repository, _, number = report.partition("#")
    return f"[{report}](https://github.com/{repository}/issues/{number})"


def combinations(result: Mapping[str, Any]) -> str:
    """Return how many rounds were played, and what was found."""
    words = "{rounds:,} rounds with seed {seed}, {checks:,} comparisons, in {seconds:,} s: ".format(**result)
    return f"{where(result)} {words}{len(result['found'])} findings."


def kills(result: Mapping[str, Any]) -> str:
    """Return how often which runs were killed, and what was wrong afterwards."""
    problems = Counter(problem.partition(",")[0] for problem in result["problems"])
    rows = [
        [name, *(f"{counts.get(key, 0):,}" for key in ("rounds", "kills", "damaged")), str(problems[name])]
        for name, counts in result["layouts"].items()
    ]
    words = f"{result['kills']:,} kills with seed {result['seed']}, in {result['seconds']:,} s"
    titles = ["what is run", "rounds", "kills", "files damaged then", "problems"]
    return f"{where(result)} {words}.\n\n{table(titles, rows)}"


PARTS = {"fuzz": fuzz, "combinations": combinations, "cases": cases, "kills": kills}
"""By the name of block and file, what it says."""


def main(words: Sequence[str] | None = None) -> int:
    """Write the document's tables; with ``--check`` say whether they are up to date."""
    parser = options("searches", __doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where out of date")
    parser.add_argument("--results", type=Path, default=FOLDER)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    given = parser.parse_args(words)
    text = given.document.read_text(encoding="utf-8")
    for name, said in PARTS.items():
        text = block(name).replaced(text, said(read_json(given.results / f"{name}.json")))
    return bring_up(given.document, text, given.check, parser.prog)


if __name__ == "__main__":
    sys.exit(main())
