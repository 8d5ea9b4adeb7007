"""The shape of every command: options, then work, then an exit status; an error is a line, no traceback."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from unet2015.errors import UNet2015Error

INTERRUPTED = 130
"""Exit status of what was stopped and can go on."""


def options(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for ``python -m pipelines.NAME`` that shows a docstring as it is written."""
    return argparse.ArgumentParser(
        prog=f"python -m pipelines.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def stage_options(parser: argparse.ArgumentParser, out: str) -> None:
    """Add the options of whatever runs stages: which, where to, and on what device."""
    parser.add_argument("stages", nargs="*", help="run these stages, and what they need (default: all)")
    parser.add_argument(
        "--out", type=Path, default=Path(out), help="folder of the results (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: %(default)s)")


def attempt(work: Callable[[], int]) -> int:
    """Return the exit status of `work`; an error of this project is printed and gives its own."""
    try:
        return work()
    except UNet2015Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
