"""``python -m tests.combinations``: draw inputs and options that are seldom used together, and compare.

Each round draws an image (flavour, axes, order of planes, type, calibration, storage), a model and options.
It runs ``segment``, the same again, ``replay``, ``label`` and ``measure``, and compares pixels, axes,
calibration, objects, tables, outlines and records with what NumPy, torch on whole pages, SciPy and
scikit-image give. Every fourth round draws labels instead, of truth and result, in two flavours, and compares
what ``evaluate`` measures with brute force. The same seed draws the same rounds. The exit status is 1 where
something differs.
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
from random import Random
from typing import Any

import torch

from tests.combinations import evaluation, play
from tests.combinations.bench import DiffersError
from tests.searches.results import write_result


def search(seed: int, rounds: int, first: int = 0) -> dict[str, Any]:
    """Play rounds; return how many, how many things were compared, and what was found."""
    found, checks, start = [], 0, time.monotonic()
    for number in range(first, first + rounds):
        with tempfile.TemporaryDirectory(prefix="unet2015-combination-") as folder:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    kind = evaluation if number % 4 == 3 else play
                    checks += kind.play(Random(f"{seed} {number}"), Path(folder).resolve()).checks
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
