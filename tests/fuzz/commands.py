"""Commands run in this process, in a folder; what is wrong with how one ended."""

import contextlib
import io
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from tests.fuzz.looks import FindingError
from unet2015.cli import main
from unet2015.tiling import plan

PART = 4 * 44 * 44
"""Pixels of a part here, so that a small image has several."""


_FILE = re.compile(r"\w\.(tif|json|jsonl|toml|safetensors|part|csv|html)\b")
"""A name of a file, which may be gone."""


class Ended(NamedTuple):
    """How a command ended: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Scene:
    """How a scene is made, and which of its files are damaged (patterns)."""

    make: Callable[[Path], None]
    damaged: tuple[str, ...]


def command(*words: str) -> Ended:
    """Run a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    logger = logging.getLogger("unet2015")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(list(words))
            except SystemExit as end:
                status = int(end.code or 0)
    finally:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
    return Ended(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder, with small parts."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        with mock.patch.object(plan, "PART_PIXELS", PART):
            yield
    finally:
        os.chdir(before)


def refusal(ended: Ended, folder: Path) -> str:
    """Return what a command that failed is counted as, if its error is clear."""
    text = ended.out + ended.err
    names = {one.name for one in folder.rglob("*")}
    if ended.status not in (1, 2, 3) or not text.strip():
        raise FindingError(f"unclear error: exit status {ended.status}, {text!r}")
    if "unexpected error" in text:
        logs = [path.read_text(errors="replace") for path in folder.rglob("*failures.log")]
        raise FindingError(f"traceback: {text} {' '.join(logs)[-1500:]}")
    if "[Errno" in text or "Traceback" in text or "out of memory" in text:
        raise FindingError(f"unclear error: {text}")
    if not any(name in text for name in names) and not _FILE.search(text):
        raise FindingError(f"unclear error: no file is named: {text}")
    if any(len(line) > 1500 for line in text.splitlines()):
        raise FindingError(f"unclear error: {len(text)} characters: {text[:1000]}")
    return "refused"


def same_files(found: Path, expected: Path, besides: tuple[str, ...] = ()) -> None:
    """Raise `FindingError` unless a folder holds the files of another with the same bytes, and no others."""
    for path in sorted(expected.iterdir()):
        there = found / path.name
        if not there.is_file() or there.read_bytes() != path.read_bytes():
            raise FindingError(f"differs: {path.name} is not what an undisturbed run gives")
    more = {path.name for path in found.iterdir()} - {path.name for path in expected.iterdir()} - {*besides}
    if more:
        raise FindingError(f"left: {sorted(more)}")
