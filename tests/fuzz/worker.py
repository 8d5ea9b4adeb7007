"""Looks at damaged files in a process of its own, whose memory and open files are limited.

Jobs come on standard input, one JSON object a line; so do the answers on standard output.
"""

import json
import logging
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch

from tests.fuzz import looks, scenes
from unet2015.errors import UNet2015Error, UnexpectedError

MEMORY = 2**30
"""Address space that a file may take beyond what the process has before it."""

LOOKS = {
    "image": looks.look_at_image,
    "folder": looks.look_at_folder,
    "model": looks.look_at_model,
    **scenes.LOOKS,
}


def peak(reset: bool = False) -> int:
    """Return the most memory that was resident since the last reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def limit_memory() -> None:
    """Give the next file its share: libraries and threads of those before it do not count."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def answer(job: dict[str, str]) -> dict[str, Any]:
    """Do a job; say how it ended, and what it took."""
    path, out = Path(job["path"]), Path(job["out"])
    before, started, trace = peak(reset=True), time.perf_counter(), ""
    try:
        kind, message = LOOKS[job["look"]](path, out), ""
    except UnexpectedError as error:
        kind, message, trace = "finding: traceback", str(error), error.details
    except UNet2015Error as error:
        kind, message = type(error).__name__, str(error)
        if unclear(message, path):
            kind, trace = "finding: unclear error", traceback.format_exc()
    except looks.FindingError as finding:
        what, _, message = str(finding).partition(": ")
        kind, trace = f"finding: {what}", traceback.format_exc()
    except MemoryError as error:
        kind, message, trace = "finding: memory", str(error), traceback.format_exc()
    except BaseException as error:
        kind, message, trace = (
            "finding: traceback",
            f"{type(error).__name__}: {error}",
            traceback.format_exc(),
        )
    seconds = time.perf_counter() - started
    took = {"seconds": seconds, "memory": peak() - before}
    return {"kind": kind, "message": message[:2000], "trace": trace[-4000:], **took}


def unclear(message: str, path: Path) -> bool:
    """Whether an error does not say in one line, of a bearable length, which file it is about."""
    return "\n" in message or len(message) > 1000 or str(path) not in message


def main() -> None:
    """Answer jobs until there are no more."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    logging.getLogger("unet2015").addHandler(logging.NullHandler())
    os.fsync = lambda handle: None  # nothing here lasts
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is looked at may print
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY, MEMORY))
    for line in sys.stdin:
        limit_memory()
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
