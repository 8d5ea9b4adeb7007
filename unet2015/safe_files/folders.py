"""Folders that are whole or absent, as :mod:`.writing` has it for files.

A folder cannot take the place of another in one step. So the earlier one is moved aside first.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unet2015.errors import ImageWriteError, UNet2015Error
from unet2015.safe_files.mounts import flush, flush_all
from unet2015.safe_files.writing import Guard, check_name, leftovers, temporary_name


@contextmanager
def atomic_folder(path: Path, guard: Guard | None = None) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; if the body succeeds, it is renamed to `path`.

    An earlier folder there is moved aside first, and then removed. If the body fails, it stays. The caller
    has claimed `path`: what killed processes left of it is removed.

    Parameters
    ----------
    path : Path
        The folder.
    guard : callable, optional
        As of `atomic_path`.

    Raises
    ------
    ImageWriteError
        As of `atomic_path`; the message of one that the body raises names `path`.
    """
    check_name(path)
    temporary, aside = temporary_name(path), temporary_name(path)
    for item in leftovers(path):
        remove(item)
    try:
        temporary.mkdir()
        yield temporary
        flush_below(temporary)
        if guard is not None:
            guard(temporary, path)
        replace_folder(temporary, path, aside)
        flush(path.parent)
        remove(aside)
    except ImageWriteError as error:
        raise type(error)(str(error).replace(str(temporary), str(path))) from error
    except OSError as error:
        if isinstance(error, UNet2015Error):
            raise
        raise ImageWriteError(f"{path}: cannot write the folder: {error.strerror or error}") from error
    finally:
        remove(temporary)


def replace_folder(source: Path, target: Path, aside: Path) -> None:
    """Give a folder a name; what has it is moved aside, and back if the folder cannot follow.

    Parameters
    ----------
    source, target : Path
        The folder, and its name.
    aside : Path
        Where an earlier folder lies afterwards. What is there is removed.

    Raises
    ------
    OSError
        One of them cannot be moved.
    """
    replaces = os.path.lexists(target)
    if replaces:
        remove(aside)
        target.rename(aside)
    try:
        source.rename(target)
    except OSError:
        if replaces:
            aside.rename(target)
        raise


def flush_below(folder: Path, flushed: Collection[Path] = ()) -> None:
    """Wait until a folder and all that is in it are on the disk.

    Parameters
    ----------
    folder : Path
        The folder.
    flushed : collection of Path
        Files in it that are on the disk with their names; they, and folders of nothing else, are left out.

    Raises
    ------
    OSError
        As of `flush`.
    """
    files, folders, done = [], [], set(flushed)
    for place, below, names in os.walk(folder, topdown=False):
        waiting = [Path(place, name) for name in names if Path(place, name) not in done]
        files += waiting
        if waiting or not names + below or not done.issuperset(Path(place, name) for name in below):
            folders.append(Path(place))
        else:
            done.add(Path(place))
    flush_all(files)  # before their names
    flush_all(folders)


def remove(path: Path) -> None:
    """Remove a file or a folder as far as it is there and can be removed."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
