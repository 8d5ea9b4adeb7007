"""``failures.log``: the tracebacks of errors that nobody foresaw, for a report to the authors."""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from unet2015.errors import ImageWriteError, UNet2015Error, UnexpectedError
from unet2015.file_names import shown
from unet2015.provenance import versions
from unet2015.safe_files import atomic_path, make_folder, only_over, open_regular

LOG = "failures.log"
_TITLE = "unet2015: unexpected errors of the last run; please report them with this file"

_log = logging.getLogger("unet2015")


def write_failure_log(path: Path, failures: Sequence[tuple[Path, UNet2015Error]]) -> None:
    """Write the tracebacks of unexpected errors, whole or not at all; without any, remove an earlier log.

    A file of this name that this program did not write is not touched. If the log cannot be written, there is
    only a warning, because the errors themselves are reported as well.
    """
    unexpected = [(file, error) for file, error in failures if isinstance(error, UnexpectedError)]
    ours = _is_ours(path)
    if os.path.exists(path) and not ours:  # of os: a path too long to be there is no error
        if unexpected:
            _log.warning("%s is no log by this program, and is not changed", path)
        return
    if not unexpected:
        if ours:
            with suppress(OSError):
                path.unlink()
        return
    entries = [_TITLE, " ".join(f"{name} {version}" for name, version in versions().items())]
    entries += [f"\n{shown(file)}\n{shown(error.details)}" for file, error in unexpected]
    try:
        make_folder(path.parent)
        with atomic_path(path, only_over(_is_ours, "a log by this program")) as temporary:
            temporary.write_text("\n".join(entries), encoding="utf-8")
    except (ImageWriteError, OSError) as error:
        _log.warning("%s", error)
    else:
        _log.warning("unexpected errors: please report them with the tracebacks in %s", path)


def _is_ours(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(len(_TITLE)) == _TITLE.encode()
    except OSError:
        return False
