"""``python -m tests.combinations``: draw inputs and options that are seldom used together, and compare.

Each round draws an image (flavour, colour, scene, axes, type, calibration, storage), a model and options.
It runs ``segment``, the same again, ``replay``, ``label`` and ``measure``, and the functions of the package,
and compares pixels, axes, calibration, objects, tables, outlines and records with what NumPy, torch on whole
pages, SciPy and scikit-image give. A fourth of the rounds segments a folder of images, lets something happen
(an image changes, another model comes, a file is bad, a result is lost, the run is killed), and runs again.
Another fourth draws labels, of truth and result, and compares what ``evaluate`` measures with brute force.

The same seed draws the same rounds. The exit status is 1 where something differs.
"""

import argparse
import logging
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from tests.combinations import evaluation, events, play
from tests.combinations.bench import DiffersError
from tests.searches.results import write_result

FOLDERS = partial(events.play_one, events.EVENTS)
CHILDREN = partial(events.play_one, events.IN_CHILDREN)
FOUR = play.play, FOLDERS, play.play, evaluation.play
KINDS = *FOUR, *FOUR, *FOUR, play.play, CHILDREN, play.play, evaluation.play
"""What rounds are, by turns."""


def search(seed: int, rounds: int, first: int = 0) -> dict[str, Any]:
    """Play rounds; return how many, how many things were compared, and what was found."""
    found, checks, start = [], 0, time.monotonic()
    for number in range(first, first + rounds):
        with tempfile.TemporaryDirectory(prefix="unet2015-combination-") as folder:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    kind = KINDS[number % len(KINDS)]
                    checks += kind(Random(f"{seed} {number}"), Path(folder).resolve()).checks
                continue
            except DiffersError as error:
                found.append(f"round {number}: {error}")
            except Exception:
                found.append(f"round {number}: {traceback.format_exc()}")
            print(found[-1], flush=True)
    seconds = round(time.monotonic() - start)
    return {"seed": seed, "rounds": rounds, "checks": checks, "seconds": seconds, "found": found}


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.combinations", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=2015)
    parser.add_argument("--results", type=Path, help="also write what was found to this JSON file")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    logging.getLogger("unet2015").addHandler(logging.NullHandler())
    result = search(options.seed, options.rounds, options.first)
    print(f"{result['rounds']} rounds, {result['checks']} comparisons, {result['seconds']} s: "
          f"{len(result['found'])} findings")  # fmt: skip
    if options.results is not None:
        write_result(options.results, "combinations", result)
    return int(bool(result["found"]))


if __name__ == "__main__":
    sys.exit(main())
