"""Files that are whole or absent: written under a temporary name, flushed, then renamed."""

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unet2015.errors import ImageWriteError, UNet2015Error


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, which takes its place if the body succeeds.

    The temporary file exists, empty, when the body starts; its name begins with a dot and ends in
    ``.tmp``. If the body fails it is removed, and whatever was at `path` stays.

    Raises
    ------
    ImageWriteError
        The folder is missing or not writable, `path` is a folder, or the disk is full.
    """
    path = Path(path)
    if path.is_dir():
        raise ImageWriteError(f"{path}: cannot write the file: a folder has this name; choose another name")
    if not path.parent.is_dir():
        raise ImageWriteError(f"{path}: cannot write the file: the folder {path.parent} does not exist")
    # The name is cut so that the temporary one stays within the 255 bytes of file systems.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _flush(temporary, os.O_RDWR)
        os.replace(temporary, path)
    except OSError as error:
        # Errors of this package, and those about other files, keep their own words.
        about = error.filename in (None, str(temporary), temporary)
        if isinstance(error, UNet2015Error) or not about:
            raise
        raise ImageWriteError(f"{path}: cannot write the file: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    with suppress(OSError):
        _flush(path.parent, os.O_RDONLY)


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as JSON, whole or not at all.

    Raises
    ------
    ImageWriteError
        As `atomic_path`.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(path: str | Path) -> Path:
    """Make a folder and its parents where missing, and see that files can be made in it.

    Raises
    ------
    ImageWriteError
        It cannot be made, or nothing can be written there.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".", suffix=".tmp", dir=folder):
            pass
    except OSError as error:
        raise ImageWriteError(f"{folder}: cannot write to the folder: {error.strerror or error}") from error
    return folder


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path, access: int) -> None:
    handle = os.open(path, access)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
