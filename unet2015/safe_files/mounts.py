"""What some mounts cannot do: flushing a file to the disk, and locks.

SMB, FUSE, NFS and shared folders of virtual machines answer `fsync` or `flock` with an error that says no
more than that. Work then goes on, with one warning for each folder: the files are right, but a power cut,
or a second run at the same time, is no longer harmless. An error of the disk itself (it is full, or broken)
stays an error.
"""

import errno
import logging
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_ENOTSUPP = 524
"""A number of Linux' kernel that some NFS and FUSE mounts let through to programs."""

NO_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, _ENOTSUPP}
"""How mounts say that they cannot flush; our handles are open and writable, so EBADF means nothing else."""

NO_LOCK = NO_FLUSH | {errno.ENOLCK, errno.EIO}
"""How mounts say that they have no locks; a lock moves no data, so EIO is no loss."""

_USUAL = 255
_AT_ONCE = 8

_warned: set[tuple[str, str]] = set()
_warning = threading.Lock()
_log = logging.getLogger("unet2015")


def flush(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on the disk.

    A mount that cannot do this gives one warning. A folder is flushed as well as the system can.

    Raises
    ------
    OSError
        The bytes of the file cannot be written: the disk is full or broken.
    """
    folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in NO_FLUSH and not folder:
            warn_once(path.parent, "cannot flush files to the disk; a power cut may damage them")
        elif not folder:
            raise


def flush_all(paths: Iterable[Path]) -> None:
    """Flush files or folders as `flush` does, several at a time: that takes a disk little longer than one.

    Raises
    ------
    OSError
        As for `flush`; the first that is met.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in threads.map(flush, paths):
            pass


def longest_name(folder: Path) -> int:
    """Return how many bytes a file's name in a folder may have: 255 on most file systems, 143 on eCryptfs."""
    for place in (folder, *folder.absolute().parents):
        try:
            return os.pathconf(place, "PC_NAME_MAX")
        except FileNotFoundError:  # it will be made
            continue
        except (OSError, ValueError, AttributeError):  # not every system tells
            break
    return _USUAL


def warn_once(folder: Path, what: str) -> None:
    """Warn about a folder, once in a process; a work folder counts as the folder that it lies in."""
    place = folder.absolute()
    for parent in (place, *place.parents):
        if parent.name.startswith(".") and parent.suffix == ".parts":
            place = parent.parent
    with _warning:
        known = (str(place), what) in _warned
        _warned.add((str(place), what))
    if not known:
        _log.warning("%s: the file system %s", place, what)
