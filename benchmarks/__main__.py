"""Run every benchmark of this folder, one after another: ``python -m benchmarks [--quick]``."""

import argparse
import importlib
import pkgutil
import sys

import benchmarks


def main() -> int:
    """Run all modules that have a ``main(arguments)``; return 1 where one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all of them run")
    arguments = ["--quick"] if parser.parse_args().quick else []
    status = 0
    for name in sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__)):
        if name == "__main__":
            continue
        module = importlib.import_module(f"benchmarks.{name}")
        if hasattr(module, "main"):
            print(f"== benchmarks.{name}", flush=True)
            status |= int(bool(module.main(arguments)))
    return status


if __name__ == "__main__":
    sys.exit(main())
