"""The right of one process to write an output."""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from unet2015.errors import ImageWriteError, UNet2015Error
from unet2015.safe_files.folders import remove
from unet2015.safe_files.mounts import NO_LOCK, warn_once
from unet2015.safe_files.writing import hidden_prefix, leftovers


class _BusyError(ImageWriteError):
    """Another process has the claim."""


_WAIT = 0.05
_HELD = (errno.EAGAIN, errno.EACCES)
"""What a lock of another process gives; the second where locks are those of a server (NFS, SMB)."""


@contextmanager
def claim(path: Path, busy: UNet2015Error | None = None) -> Iterator[None]:
    """Keep other processes from claiming `path` while the body runs. A kill also ends the claim.

    If the file system or the operating system has no locks, this does nothing; the former gives a warning.

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
    lock = _lock(path)
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
        except FileNotFoundError:
            held = False
        except OSError as error:
            if error.errno in NO_LOCK:
                warn_once(path.parent, "has no locks: do not run two commands at a time that write here")
            elif error.errno in _HELD:
                held = False
            else:
                raise
        if not held:
            raise busy or _BusyError(
                f"{path}: another run is writing it; wait until it ends, or choose another output"
            )
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()
    finally:
        os.close(handle)


@contextmanager
def claim_outputs(main: Path, paths: Iterable[Path]) -> Iterator[None]:
    """Claim an output, and remove what killed runs have left half written of it and of others beside it.

    Parameters
    ----------
    main : Path
        What is claimed.
    paths : iterable of Path
        All that is written under the claim, such as records.
    """
    with claim(main):
        for item in leftovers(*paths):
            remove(item)
        yield


@contextmanager
def claim_patiently(main: Path, paths: Iterable[Path], seconds: float = 10) -> Iterator[None]:
    """Do as `claim_outputs`, but wait some time for another process that holds the claim."""
    until = time.monotonic() + seconds
    while True:
        with ExitStack() as stack:
            try:
                stack.enter_context(claim_outputs(main, paths))
            except _BusyError:
                if time.monotonic() > until:
                    raise
            else:
                yield
                return
        time.sleep(_WAIT)


def was_claimed(path: Path) -> bool:
    """Whether a process has claimed `path` and not ended since, or was killed."""
    return _lock(path).exists()


def _lock(path: Path) -> Path:
    return path.with_name(f"{hidden_prefix(path)}.lock")
