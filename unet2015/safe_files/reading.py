"""Reading: regular files only, digests, and changes of a file while it is read."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from functools import lru_cache
from io import BufferedReader
from pathlib import Path

from unet2015.errors import ImageReadError

_KINDS = {
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_LONGEST_TEXT = 2**28
_MOST_LINKS = 100_000
"""Links between a few folders can make more paths than anyone can read."""
_OF_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini", "@eaDir", ".@__thumb")
_BEGIN_OF_SYSTEMS = ("._", ".nfs", ".smbdelete", ".fuse_hidden")
"""Names in folders of data that are nobody's data: of Finder, Explorer, file servers and their mounts."""


def open_regular(path: str | Path) -> BufferedReader:
    """Open a regular file to read its bytes, at once: a pipe, which would wait for a writer, is refused.

    Raises
    ------
    OSError
        It is no regular file, or cannot be opened; `strerror` says what it is.
    """
    check_regular(path)  # before it is opened, because opening alone can change a device
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - the caller closes it
    try:
        _check_mode(os.fstat(file.fileno()).st_mode, path)  # of what was opened, whatever was there before
    except BaseException:
        file.close()
        raise
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def check_regular(path: str | Path) -> None:
    """Raise `OSError` unless a path leads to a regular file."""
    _check_mode(os.stat(path).st_mode, path)


def _check_mode(mode: int, path: str | Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        came = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"expected a regular file, but this is {came}", str(path))


def read_bytes(path: str | Path) -> bytes:
    """Return the bytes of a regular file; raise `OSError` as `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def read_text(path: str | Path) -> str:
    """Return the text of a regular file in UTF-8, its lines ended by one character.

    Raises
    ------
    OSError
        As `open_regular`; or the file is far larger than any record, log or settings.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _LONGEST_TEXT:
            raise OSError(errno.EFBIG, f"{size} bytes are more than such a file can have", str(path))
        data = file.read()
    return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; of a folder that of all names and bytes in it.

    Links are followed. Of a link that leads nowhere only the name counts.

    Raises
    ------
    OSError
        Something cannot be read, or is neither a regular file nor a folder.
    """
    path = Path(path)
    if path.is_dir():
        digest = hashlib.sha256()
        for file in files_below(path):
            found = "" if _leads_nowhere(file) else sha256(file)
            name = os.fsencode(file.relative_to(path).as_posix())
            digest.update(name + f"\0{found}\n".encode())
        return digest.hexdigest()
    with open_regular(path) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def digest_of(path: Path) -> str:
    """Return `sha256` of what lies at a path, without reading it again while its state is the same."""
    state = state_of(path)
    return sha256(path) if state is None else _digest_in_state(path.absolute(), state)


@lru_cache(maxsize=256)
def _digest_in_state(path: Path, _state: tuple[int, ...]) -> str:
    return sha256(path)


def files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and below, sorted. Links to folders are followed, but not back upwards.

    What systems and file servers put into folders that somebody looks at, such as ``.DS_Store``, is left out.

    Raises
    ------
    OSError
        A folder cannot be read, or links multiply the folders without end.
    """
    return sorted(_walk(folder, (), [0]))


def _walk(folder: Path, above: tuple[tuple[int, int], ...], followed: list[int]) -> Iterator[Path]:
    found = folder.stat()
    place = (found.st_dev, found.st_ino)
    if place in above:
        return
    if folder.is_symlink():
        followed[0] += 1
        if followed[0] > _MOST_LINKS:
            raise OSError(errno.ELOOP, f"more than {_MOST_LINKS} links to folders", str(folder))
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _OF_SYSTEMS or entry.name.startswith(_BEGIN_OF_SYSTEMS):
                continue
            try:
                inner = entry.is_dir()
            except OSError:  # such as a circle of links
                inner = False
            if inner:
                below.append(Path(entry.path))
            else:
                yield Path(entry.path)
    for inside in below:
        yield from _walk(inside, (*above, place), followed)


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def state_of(path: Path) -> tuple[int, ...] | None:
    """Return numbers that change when a file, or anything in a folder, is changed; None without it."""
    try:
        if not path.is_dir():
            return _state(path.stat())
        digest = hashlib.sha256()
        for file in files_below(path):
            state = () if _leads_nowhere(file) else _state(file.stat())
            digest.update(os.fsencode(file) + f"\0{state}\n".encode())
        return (int.from_bytes(digest.digest()),)
    except OSError:
        return None


def _state(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Unchanged:
    """Notices a change of a file, or of a folder that is an image, while it is read for a long time.

    Parameters
    ----------
    path : Path
        The file. Its state is noted now, so make this object before the file is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = state_of(path)
        self._sha256: str | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes that are read, in hexadecimal; a change in the meantime is an error."""
        if self._sha256 is None:
            try:
                self._sha256 = sha256(self.path)
            except OSError as error:
                raise ImageReadError(
                    f"{error.filename or self.path}: cannot read the file: {error.strerror or error}"
                ) from error
            if state_of(self.path) != self._state:
                raise self._error()
        return self._sha256

    def check(self) -> None:
        """Raise `ImageReadError` if the file no longer holds the bytes that it held.

        Its contents are compared only if its size, place or times differ. So a new link to it, or other
        permissions, are no error.
        """
        now = state_of(self.path)
        if now != self._state:
            if now is None or self._sha256 is None or sha256(self.path) != self._sha256:
                raise self._error()
            self._state = now

    def _error(self) -> ImageReadError:
        return ImageReadError(
            f"{self.path}: the file was changed or replaced while it was read; run again when it is complete"
        )
