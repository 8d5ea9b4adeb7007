"""Run every benchmark of this folder, one after another: ``python -m benchmarks [--quick]``."""

import argparse
import importlib
import pkgutil
import subprocess
import sys

import benchmarks

NO_QUESTION = ("__main__", "summary")
"""``summary`` reads what the others wrote."""


def questions() -> list[str]:
    """Return the modules that answer a question: those with a ``main(arguments)``."""
    names = (f"benchmarks.{module.name}" for module in pkgutil.iter_modules(benchmarks.__path__))
    candidates = (name for name in sorted(names) if name.rpartition(".")[2] not in NO_QUESTION)
    return [name for name in candidates if hasattr(importlib.import_module(name), "main")]


def main() -> int:
    """Run each benchmark in a process of its own; return 1 where one failed, after all have run.

    A module whose ``lacking()`` says what it needs that is not here is left out.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all of them run")
    arguments = ["--quick"] if parser.parse_args().quick else []
    failed = []
    for name in questions():
        print(f"== {name}", flush=True)
        if lack := getattr(importlib.import_module(name), "lacking", lambda: "")():
            print(f"left out: {lack}")
        elif subprocess.run([sys.executable, "-m", name, *arguments], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
