"""``failures.csv`` in the output folder: the files that failed in the last run, and why."""

import csv
import io
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from unet2015.csv_table import FORMULA, csv_table
from unet2015.errors import ImageWriteError, UNet2015Error
from unet2015.file_names import RAW
from unet2015.safe_files import (
    atomic_path,
    claim_patiently,
    leftovers,
    make_folder,
    only_over,
    open_regular,
    read_bytes,
)

NAME = "failures.csv"
HEADER = ("input", "error", "reason")

_log = logging.getLogger("unet2015")


def write_failures(folder: Path, failures: Sequence[tuple[Path, UNet2015Error]]) -> None:
    """Write the list of failures, whole or not at all; without any, remove that of an earlier run.

    A file of this name that this program did not write as it is, such as a list to which somebody has added a
    line, is not touched; there is a warning. If the list cannot be written, there is only a warning, too,
    because the failures themselves are reported as well.
    """
    path = folder / NAME
    if not failures and not path.exists() and not leftovers(path):
        return
    try:
        make_folder(folder)
        with claim_patiently(path, [path]):
            _write(path, failures)
    except ImageWriteError as error:
        _log.warning("%s", error)


def _write(path: Path, failures: Sequence[tuple[Path, UNet2015Error]]) -> None:
    if path.exists() and not _is_ours(path):
        if failures or _has_header(path):
            _log.warning(
                "%s is not as this program wrote it, and is not changed: it does not list the failures of "
                "this run, which has %d; move it away to get such a list",
                path,
                len(failures),
            )
        return
    if not failures:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return
    rows = [
        (_as_path(str(name)), type(error).__name__, " ".join(str(error).split())) for name, error in failures
    ]
    with atomic_path(path, only_over(_is_ours, "a list of failures by this program")) as temporary:
        # The list must be written even if a name is not UTF-8.
        temporary.write_bytes(csv_table([HEADER, *rows]).encode("utf-8", RAW))


def _as_path(name: str) -> str:
    """Return another path of the same file where a spreadsheet would take the name for a formula."""
    return f"./{name}" if name.startswith(FORMULA) else name


def _is_ours(path: Path) -> bool:
    """Whether a file has the bytes of a list by this program: its header, its form, an error in each row."""
    if not _has_header(path):
        return False
    try:
        data = read_bytes(path)
        rows = list(csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))
    except (OSError, csv.Error):
        return False
    listed = all(len(row) == len(HEADER) and row[1].endswith("Error") for row in rows[1:])
    return rows[:1] == [list(HEADER)] and listed and csv_table(rows).encode("utf-8", RAW) == data


def _has_header(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            start = file.read(len(",".join(HEADER)) + 1)
    except OSError:
        return False
    return start.rstrip() == ",".join(HEADER).encode()
