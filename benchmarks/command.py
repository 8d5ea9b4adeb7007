"""The command line that all benchmarks share."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path


def options(name: str, description: str | None, quick: str) -> ArgumentParser:
    """Return a parser for ``python -m benchmarks.NAME``, whose ``--out`` `keep_result` follows.

    Parameters
    ----------
    name : str
        Of the benchmark, and of its result file.
    description : str or None
        The docstring of its module, which is shown as it is written.
    quick : str
        What is small with ``--quick``.
    """
    parser = ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help=f"{quick}; nothing is kept but with --out")
    parser.add_argument("--out", type=Path, help=f"result file (default: results/{name}.json beside this)")
    return parser
