"""``python -m tests.cases``: small cases after public reports, and whether this project falls short in one.

Each case makes its input from nothing, runs the command in this process, and says what was expected and what
came. The exit status is 1 if one falls short.
"""

import argparse
import logging
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tests.cases import headers, labels, pixels, results, training  # noqa: F401  # they fill the table
from tests.cases.bench import CASES, Bench, Case
from tests.searches.results import write_result


def tried(one: Case) -> dict[str, Any]:
    """Run a case; return its name, reports, how many things it looked at, and where it fell short."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="unet2015-case-") as folder:
        bench = Bench(Path(folder).resolve())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                one.run(bench)
        except Exception:
            bench.short.append(f"an error: {traceback.format_exc()}")
    return {
        "case": one.name,
        "reports": one.reports,
        "group": one.run.__module__.rpartition(".")[2],
        "checks": bench.checks,
        "short": bench.short,
        "seconds": round(time.perf_counter() - begin, 2),
    }


def show(found: Sequence[dict[str, Any]]) -> None:
    """Print a table, and below each case that falls short what came."""
    wide = max(len(one["case"]) for one in found)
    for one in found:
        word = "SHORT" if one["short"] else "ok"
        print(f"{word:<6}{one['case']:<{wide}}  {one['seconds']:6.2f} s  {one['reports']}")
        for text in one["short"]:
            print("      " + text.replace("\n", "\n      "))
    short = sum(bool(one["short"]) for one in found)
    print(f"{len(found)} cases, {sum(one['checks'] for one in found)} things looked at: {short} fall short")


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.cases", description=__doc__)
    parser.add_argument("--results", type=Path, help="also write the table to this JSON file")
    parser.add_argument("--only", default="", help="only cases with this in their name or module")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    logging.getLogger("unet2015").addHandler(logging.NullHandler())
    chosen = [one for one in CASES if options.only in f"{one.run.__module__} {one.name}"]
    found = [tried(one) for one in chosen]
    show(found)
    if options.results is not None:
        write_result(options.results, "cases", {"cases": found})
    return int(any(one["short"] for one in found))


if __name__ == "__main__":
    sys.exit(main())
