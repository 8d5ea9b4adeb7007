"""Files that are whole or absent: written under a temporary name, flushed, then renamed.

If a process is killed, it leaves only hidden files whose names begin with `hidden_prefix`. The next process
that writes the same file finds and removes them.
"""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unet2015.errors import ImageWriteError, UNet2015Error
from unet2015.safe_files.mounts import flush, longest_name

Guard = Callable[[Path, Path], None]
"""Called with a finished temporary file and its path, before it gets that name; an error stops it."""

_NO_LINK = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_LINK |= {errno.EINVAL, errno.EXDEV, 524}
"""How mounts say that a file cannot have two names (FAT, SMB, FUSE)."""


@contextmanager
def atomic_path(path: str | Path, guard: Guard | None = None) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; if the body succeeds, the file is renamed to `path`.

    The temporary file exists, empty, when the body starts; its name begins with a dot and ends in
    ``.tmp``. If the body fails, it is removed, and an earlier file at `path` stays.

    Parameters
    ----------
    path : path
        The file.
    guard : callable, optional
        Raises an error where the file at `path` must not be replaced. If there was none, one that comes
        meanwhile is not replaced either. Default: whatever is there is replaced.

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
    check_name(path)
    temporary = temporary_name(path)
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        flush(temporary)
        _publish(temporary, path, guard)
    except OSError as error:
        # Errors of this package, and errors about other files, keep their messages.
        about = error.filename in (None, str(temporary), temporary)
        if isinstance(error, UNet2015Error) or not about:
            raise
        raise ImageWriteError(f"{path}: cannot write the file: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    try:
        flush(path.parent)  # the new name is on the disk only then
    except OSError as error:  # the folder has gone meanwhile
        raise ImageWriteError(f"{path}: cannot write the file: {error.strerror or error}") from error


def check_name(path: Path) -> None:
    """Raise `ImageWriteError` if a name is longer than its file system takes."""
    length, most = len(os.fsencode(path.name)), longest_name(path.parent)
    if length > most:
        raise ImageWriteError(
            f"{path}: cannot write the file: its name has {length} bytes, but files here have at most "
            f"{most}; choose a shorter one"
        )


def _publish(temporary: Path, path: Path, guard: Guard | None) -> None:
    replaces = guard is None or os.path.lexists(path)
    if guard is not None:
        guard(temporary, path)
    if replaces:
        os.replace(temporary, path)
        return
    try:
        move_new(temporary, path)
    except FileExistsError as error:
        raise ImageWriteError(
            f"{path}: another program made this file meanwhile, and it is not replaced; move it away, or "
            "choose another output"
        ) from error


def move_new(source: Path, target: Path) -> None:
    """Give a file a name that nothing has; raise `FileExistsError` if something has it."""
    try:
        os.link(source, target)  # unlike a renaming, it fails if the name is taken
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        os.rename(source, target)
    else:
        source.unlink()


def only_over(is_ours: Callable[[Path], bool], what: str) -> Guard:
    """Return a guard that lets a file take the place of nothing but an empty file, or `what` it makes.

    Parameters
    ----------
    is_ours : callable
        Whether the file at a path is such; an `OSError` of it means no.
    what : str
        Such as "a report by this program", for the error.
    """

    def guard(_temporary: Path, path: Path) -> None:
        if not os.path.lexists(path) or (path.is_file() and path.stat().st_size == 0):
            return
        with suppress(OSError):
            if is_ours(path):
                return
        raise ImageWriteError(
            f"{path}: exists, is not {what}, and is not replaced; move it away, or choose another name"
        )

    return guard


def hidden_prefix(path: Path) -> str:
    """Return how the names of hidden files that belong to `path` begin.

    The name is cut to 40 bytes, so that they are no longer than file systems take, which may be only 143
    bytes. A digest of the whole name tells names with the same beginning apart.
    """
    start = os.fsdecode(os.fsencode(path.name)[:40].decode("utf-8", "ignore").encode())
    return f".{start}.{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}-"


def temporary_name(path: Path, ending: str = ".tmp") -> Path:
    """Return a new hidden name that belongs to `path`; `leftovers` finds it by its ending."""
    return path.with_name(f"{hidden_prefix(path)}{secrets.token_hex(6)}{ending}")


def leftovers(*paths: Path) -> list[Path]:
    """Return the temporary files and folders that belong to the paths, without locks.

    Each folder is listed once. Only names are looked at: there may be thousands of other results in it.
    """
    prefixes: dict[Path, list[str]] = {}
    for path in paths:
        prefixes.setdefault(path.parent, []).append(hidden_prefix(path))
    found: list[Path] = []
    for folder, begins in prefixes.items():
        with suppress(OSError):
            names = [name for name in os.listdir(folder) if name.startswith(tuple(begins))]
            found += [folder / name for name in sorted(names) if name.endswith((".tmp", ".parts"))]
    return found


def write_json(path: str | Path, value: object, guard: Guard | None = None) -> None:
    """Write `value` as JSON, whole or not at all; `guard` as of `atomic_path`.

    Raises
    ------
    ImageWriteError
        As `atomic_path`.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    with atomic_path(path, guard) as temporary:
        # A name that is not UTF-8 is escaped as JSON escapes it, and read back as it was.
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def make_folder(path: str | Path) -> Path:
    """Make a folder and its parents if missing, and check that files can be made in it.

    Raises
    ------
    ImageWriteError
        It cannot be made, or nothing can be written there.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".unet2015.tmp"  # always the same, so that a killed run leaves at most one
        os.close(os.open(probe, os.O_CREAT | os.O_RDWR, 0o666))
        with suppress(FileNotFoundError):  # another run was faster
            probe.unlink()
    except OSError as error:
        raise ImageWriteError(f"{folder}: cannot write to the folder: {error.strerror or error}") from error
    return folder
