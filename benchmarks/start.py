"""What it costs to start: ``import unet2015`` and ``unet2015 --help``, next to an empty Python.

``python -m benchmarks.start [--quick] [--out FILE]``

Each is a process of its own, timed by the clock from its start to its end, in alternation. Files are in the
system's cache and modules are compiled, as in any start but the first.
"""

import argparse
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import keep_result, row, said, seconds

AIM = 0.2
EMPTY = "python -c pass"
IMPORT = 'python -c "import unet2015"'
HELP = "unet2015 --help"


def commands() -> dict[str, list[str]]:
    """Return what is started; the installed command where there is one, else ``python -m unet2015``."""
    suffix = ".exe" if sys.platform == "win32" else ""
    installed = Path(sysconfig.get_path("scripts")) / f"unet2015{suffix}"
    program = [str(installed)] if installed.exists() else [sys.executable, "-m", "unet2015"]
    return {
        EMPTY: [sys.executable, "-c", "pass"],
        IMPORT: [sys.executable, "-c", "import unet2015"],
        HELP: [*program, "--help"],
    }


def run(command: Sequence[str], output: str = "") -> None:
    """Run a command to its end; an error where it fails, or does not print `output`."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode or ended.stderr or output not in ended.stdout:
        raise RuntimeError(f"{' '.join(command)}: exit status {ended.returncode}, {ended.stderr.strip()}")


def measure(repeats: int) -> dict[str, Any]:
    """Time all commands, after one round that is not counted and is looked at."""
    chosen = commands()
    for name, command in chosen.items():
        run(command, "segment" if name == HELP else "")
    times = seconds(*(lambda c=command: run(c) for command in chosen.values()), repeats=repeats)
    answer: dict[str, Any] = {"times": dict(zip(chosen, times, strict=True))}
    empty = answer["times"][EMPTY]["median"]
    answer["longer_seconds"] = {
        name: answer["times"][name]["median"] - empty for name in chosen if name != EMPTY
    }
    for name, time in answer["times"].items():
        print(f"{name:<27} {said(time, 3, cpu=False)}, {time['median'] - empty:.3f} s longer")
    answer["table"] = [
        row(f"start: {name}", "above an empty Python", longer, "s", AIM, at_least=False)
        for name, longer in answer["longer_seconds"].items()
    ]
    return answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one start of each, to see that it runs")
    parser.add_argument("--out", type=Path, help="result file (default: results/start.json beside this)")
    options = parser.parse_args(arguments)
    keep_result(options, "start", __doc__.partition("\n")[0], measure(1 if options.quick else 21))
    return 0


if __name__ == "__main__":
    sys.exit(main())
