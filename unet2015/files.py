"""Files that are whole or absent, and what identifies them."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from unet2015.errors import ImageWriteError

TEMPORARY = ".unet2015-"
"""How the names of temporary files begin; whatever is left under it after a kill may go."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder, renamed to `path` if the block ends well.

    Raises
    ------
    ImageWriteError
        The folder is missing or not writable, or the disk is full. Nothing is left behind.
    """
    final = Path(path)
    temporary = None
    try:
        descriptor, name = tempfile.mkstemp(suffix=final.suffix, prefix=TEMPORARY, dir=final.parent)
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(final)
        temporary = None
    except OSError as error:
        if isinstance(error, ImageWriteError):
            raise
        raise ImageWriteError(_why(final, error)) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def make_folder(path: str | Path) -> Path:
    """Make a folder and its parents where missing, and see that files can be made in it."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=TEMPORARY, dir=folder):
            pass
    except OSError as error:
        raise ImageWriteError(_why(folder, error)) from error
    return folder


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _why(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{path}: the disk is full; free some space or choose another output folder"
    if error.errno == errno.EFBIG:
        return f"{path}: the file would be larger than the limit set for this process or file system"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path}: no permission to write there; choose another output folder"
    if error.errno == errno.ENOENT:
        return f"{path}: the folder {path.parent} does not exist"
    return f"{path}: cannot be written: {error.strerror or error}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
