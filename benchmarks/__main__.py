"""Run every benchmark of this folder, one after another: ``python -m benchmarks [--quick]``."""

import argparse
import importlib
import pkgutil
import sys

import benchmarks

NO_QUESTION = ("__main__", "summary")
"""``summary`` reads what the others wrote."""


def main() -> int:
    """Run all modules that have a ``main(arguments)``; return 1 where one of them failed.

    A module whose ``lacking()`` says what it needs that is not here is left out.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all of them run")
    arguments = ["--quick"] if parser.parse_args().quick else []
    status = 0
    for name in sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__)):
        if name in NO_QUESTION:
            continue
        module = importlib.import_module(f"benchmarks.{name}")
        if hasattr(module, "main"):
            print(f"== benchmarks.{name}", flush=True)
            if lack := getattr(module, "lacking", lambda: "")():
                print(f"left out: {lack}")
                continue
            status |= int(bool(module.main(arguments)))
    return status


if __name__ == "__main__":
    sys.exit(main())
