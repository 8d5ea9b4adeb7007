"""``python -m tests.kills``: kill runs at drawn moments, run them again, and compare with runs that were not.

After each kill nothing half written lies at a final path. Sometimes a file of the work folder is then removed
or cut, too. At the end the bytes are the same, no file is left over, and nothing was computed again that was
finished and not damaged. Whatever else comes is a problem, and the exit status is 1. The same seed draws the
same moments, but kills after a time meet another moment in each run.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.kills import children, layouts
from tests.kills.search import Rounds


def search(options: Any, folder: Path) -> dict[str, Any]:
    """Play rounds of all layouts in turn, until there were enough kills; return what came of it."""
    children.prepare()
    made, start = layouts.make(folder / "inputs"), time.monotonic()
    names = options.layouts.split(",") if options.layouts else list(made)
    every = {name: Rounds(made[name], folder / name.replace(" ", "-")) for name in names}
    random, late = Random(options.seed), False
    cycle = -1
    while not late and sum(one.found.counts["kills"] for one in every.values()) < options.kills:
        cycle += 1
        for one in every.values():
            if cycle % one.layout.seldom:
                continue
            late = late or time.monotonic() - start > options.seconds
            if not late:
                one.play(random)
    total = sum((one.found.counts for one in every.values()), start=Counter[str]())
    return {
        "seed": options.seed,
        "kills": total["kills"],
        "rounds": total["rounds"],
        "damaged": total["damaged"],
        "refused": total["refused"],
        "seconds": round(time.monotonic() - start),
        "layouts": {name: dict(one.found.counts) for name, one in every.items()},
        "problems": [f"{name}, {problem}" for name, one in every.items() for problem in one.found.problems],
    }


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1500.0, help="stop after these in any case")
    parser.add_argument("--layouts", help="names with commas; default: all")
    parser.add_argument(
        "--results", type=Path, help="write the result, the machine and the date to this JSON"
    )
    parser.add_argument("--keep", type=Path, help="work in this folder, and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = search(options, options.keep or Path(name))
    print(json.dumps(found, indent=1))
    if options.results:
        from tests.searches.results import write_result  # its imports are no matter of the children

        write_result(options.results, "kills", found)
    return int(bool(found["problems"]))


if __name__ == "__main__":
    sys.exit(main())
