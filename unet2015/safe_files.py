"""Files that are whole or absent: written under a temporary name, flushed, then renamed.

If a process is killed, it leaves only hidden files whose names begin with `hidden_prefix`. The next process
that writes the same file finds and removes them.
"""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unet2015.errors import ImageReadError, ImageWriteError, UNet2015Error


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; if the body succeeds, the file is renamed to `path`.

    The temporary file exists, empty, when the body starts; its name begins with a dot and ends in
    ``.tmp``. If the body fails, it is removed, and an earlier file at `path` stays.

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
    temporary = path.with_name(f"{hidden_prefix(path)}{secrets.token_hex(6)}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _flush(temporary, os.O_RDWR)
        os.replace(temporary, path)
    except OSError as error:
        # Errors of this package, and errors about other files, keep their messages.
        about = error.filename in (None, str(temporary), temporary)
        if isinstance(error, UNet2015Error) or not about:
            raise
        raise ImageWriteError(f"{path}: cannot write the file: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    with suppress(OSError):  # the new name is on the disk only once the folder is flushed
        _flush(path.parent, os.O_RDONLY)


def hidden_prefix(path: Path) -> str:
    """Return how the names of hidden files that belong to `path` begin.

    The name is cut, so that they stay within the 255 bytes of file systems. A digest of the whole name tells
    names with the same beginning apart.
    """
    return f".{path.name[:40]}.{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}-"


def leftovers(path: Path) -> list[Path]:
    """Return the temporary files and folders that belong to `path`, without its lock."""
    prefix = hidden_prefix(path)
    try:
        found = sorted(item for item in path.parent.iterdir() if item.name.startswith(prefix))
    except OSError:
        return []
    return [item for item in found if item.suffix in (".tmp", ".parts")]


@contextmanager
def claim(path: Path, busy: UNet2015Error | None = None) -> Iterator[None]:
    """Keep other processes from claiming `path` while the body runs. A kill also ends the claim.

    If the file system or the operating system has no locks, this does nothing.

    Parameters
    ----------
    path : Path
        The path to claim; it need not exist, but its folder must.
    busy : UNet2015Error, optional
        Error to raise if another process has claimed it, for a `path` that is never a file.

    Raises
    ------
    ImageWriteError
        Another process holds it and there is no `busy`, or its folder cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        yield
        return
    lock = path.with_name(f"{hidden_prefix(path)}.lock")
    try:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot write the file: {error.strerror or error}") from error
    try:
        held = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The former holder may have removed the file after we opened it: our lock would then be on a file
            # that no other process will open.
            held = os.path.samestat(os.fstat(handle), lock.stat())
        except (BlockingIOError, FileNotFoundError):
            held = False
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        if not held:
            raise busy or ImageWriteError(
                f"{path}: another run is writing it; wait until it ends, or choose another output"
            )
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()
    finally:
        os.close(handle)


class Unchanged:
    """Notices a change of a file, or of a folder that is an image, while it is read for a long time.

    Parameters
    ----------
    path : Path
        The file. Its state is noted now, so make this object before the file is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = self._look()
        self._sha256: str | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes that are read, in hexadecimal; a change in the meantime is an error."""
        if self._sha256 is None:
            self._sha256 = sha256(self.path)
            if self._look() != self._state:
                raise self._error()
        return self._sha256

    def check(self) -> None:
        """Raise `ImageReadError` if the file no longer holds the bytes that it held.

        Its contents are compared only if its size, place or times differ. So a new link to it, or other
        permissions, are no error.
        """
        now = self._look()
        if now != self._state:
            if now is None or self._sha256 is None or sha256(self.path) != self._sha256:
                raise self._error()
            self._state = now

    def _look(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
            if self.path.is_dir():
                return self._look_into()
        except OSError:
            return None
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def _look_into(self) -> tuple[int, ...]:
        """Return a digest of names, sizes and times of all files in a folder."""
        digest = hashlib.sha256()
        for file in _files(self.path):
            state = file.stat()
            digest.update(os.fsencode(file) + f"\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
        return (int.from_bytes(digest.digest()),)

    def _error(self) -> ImageReadError:
        return ImageReadError(
            f"{self.path}: the file was changed or replaced while it was read; run again when it is complete"
        )


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as JSON, whole or not at all.

    Raises
    ------
    ImageWriteError
        As `atomic_path`.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    with atomic_path(path) as temporary:
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
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o666))
        with suppress(FileNotFoundError):  # another run was faster
            probe.unlink()
    except OSError as error:
        raise ImageWriteError(f"{folder}: cannot write to the folder: {error.strerror or error}") from error
    return folder


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; of a folder that of all names and bytes in it."""
    path = Path(path)
    if path.is_dir():
        digest = hashlib.sha256()
        for file in _files(path):
            name = os.fsencode(file.relative_to(path).as_posix())
            digest.update(name + f"\0{sha256(file)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names)


def _flush(path: Path, access: int) -> None:
    handle = os.open(path, access)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
