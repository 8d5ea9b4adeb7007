"""How finished results come to their paths, whole or not at all, whenever a run is killed.

A run writes its results, and then its record, into its work folder. They are published by renaming: first the
results, one after the other, then the record. What a killed run has left tells the next run what to do:

=====================================  =====================================================================
In the work folder                     The next run
=====================================  =====================================================================
no record                              goes on with the parts that are sound (:mod:`.work`)
a record, and all its results          moves the results, then the record
a record, and some of its results;     moves the others, then the record
the others lie at their paths
a record; its results lie at their     moves the record
paths
a record that cannot be read, or       removes it, and goes on with the parts that are sound
whose results are others
no record any more                     finds the record at its path: all is done; removes the folder
=====================================  =====================================================================

An OME-Zarr image is a folder, which cannot be replaced in one step. The earlier one is first moved aside into
the work folder; if the new one can no longer follow, it is moved back, after a kill by the next run. Results
are compared by their SHA-256, which the record states. The next run moves nothing over a file that is not the
earlier result, as the earlier record states it. It finishes a publication whatever it was asked for itself;
that it does afterwards.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from unet2015.errors import ImageWriteError
from unet2015.safe_files import (
    check_ours,
    describe_earlier,
    earlier_outputs,
    flush,
    is_edited,
    leftovers,
    move_new,
    place_for_record,
    read_text,
    remove,
    replace_folder,
    sha256,
    signed,
    write_json,
)
from unet2015.segmentation.jobs import Outputs

_log = logging.getLogger("unet2015")
_FINISHED, _RECORD, _REPLACED = "finished", "record.json", "replaced"


def staged(outputs: Outputs, folder: Path) -> Outputs:
    """Return where in a work folder the outputs are made; the place is there then."""
    place = folder / _FINISHED
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise ImageWriteError(f"{place}: cannot make the folder: {error.strerror or error}") from error
    return Outputs({name: place / path.name for name, path in outputs.products.items()}, folder / _RECORD)


@contextmanager
def named_after(outputs: Outputs, made: Outputs) -> Iterator[None]:
    """Let errors of the body name the final paths of the outputs, not where they are made."""
    try:
        yield
    except ImageWriteError as error:
        text = str(error)
        for path, place in zip(outputs.paths, made.paths, strict=True):
            text = text.replace(str(place), str(path))
        raise type(error)(text) from error


def publish(outputs: Outputs, folder: Path, record: dict[str, Any]) -> None:
    """Move the results of a work folder to their paths, with their record.

    Parameters
    ----------
    outputs : Outputs
        Where they go. What lies there is replaced if a record names it and nobody has changed it since.
    folder : Path
        The work folder; the results are whole and on the disk.
    record : dict
        The record; its ``outputs`` has the SHA-256 of each result by its name.

    Raises
    ------
    ImageWriteError
        A file cannot be moved, or would replace somebody's own; the results stay in the folder.
    """
    earlier = outputs.recorded()
    stale = earlier_outputs(earlier, outputs.main.parent, record["outputs"])
    record = signed(record | stale)
    say_earlier(outputs, record)
    write_json(folder / _RECORD, record)
    _move(outputs, folder, record)


def say_earlier(outputs: Outputs, record: dict[str, Any]) -> None:
    """Say which results of an earlier run lie beside the outputs, by their record."""
    left = [name for name in record.get("earlier", {}) if os.path.lexists(outputs.main.with_name(name))]
    if left:
        _log.warning("%s: %s", outputs.main, describe_earlier(left, record))


def settle(outputs: Outputs) -> None:
    """Finish what killed runs began to publish, or take it back; the caller has claimed the outputs.

    Raises
    ------
    ImageWriteError
        A file cannot be moved.
    """
    for folder in leftovers(outputs.main):
        if folder.suffix != ".parts" or not folder.is_dir():
            continue
        record = _announced(folder)
        if record is not None and _can_move(outputs, folder, record):
            _move(outputs, folder, record)
            remove(folder)
        elif (folder / _REPLACED).exists() and not outputs.main.exists():
            with suppress(OSError):
                (folder / _REPLACED).rename(outputs.main)


def is_announced(folder: Path) -> bool:
    """Whether the results in a work folder are whole, so that the next run can publish them."""
    return (folder / _RECORD).exists()


def withdraw(folder: Path) -> None:
    """Forget the record of a work folder whose results are made again, and half-written files."""
    for item in (folder / _RECORD, *folder.glob(".*.tmp"), *(folder / _FINISHED).glob(".*.tmp")):
        remove(item)


def _announced(folder: Path) -> dict[str, Any] | None:
    """Return the record in a work folder, if there is one that names results."""
    try:
        record = json.loads(read_text(folder / _RECORD))
        names = record["outputs"]
        plain = names and all(Path(name).name == name for name in names)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return dict(record) if plain and not is_edited(record) else None


def _can_move(outputs: Outputs, folder: Path, record: dict[str, Any]) -> bool:
    """Whether all results are here or at their paths, and nothing else would be replaced."""
    earlier = outputs.recorded()
    for name, digest in record["outputs"].items():
        place, path = folder / _FINISHED / name, outputs.main.with_name(name)
        try:
            if place.exists():
                check_ours(path, earlier, digest)
                if sha256(place) != digest:
                    return False
            elif sha256(path) != digest:
                return False
        except (OSError, AttributeError):
            return False
    return True


def _move(outputs: Outputs, folder: Path, record: dict[str, Any]) -> None:
    path = outputs.main
    earlier = outputs.recorded()
    waiting = {
        name: digest for name, digest in record["outputs"].items() if (folder / _FINISHED / name).exists()
    }
    for name, digest in waiting.items():  # before the first is moved
        check_ours(path.with_name(name), earlier, digest)
    place_for_record(outputs.records, path)
    try:
        for name in waiting:
            place, path = folder / _FINISHED / name, outputs.main.with_name(name)
            if place.is_dir():
                replace_folder(place, path, folder / _REPLACED)
            else:
                _give_name(place, path)
        flush(path.parent)
        path = place_for_record(outputs.records, outputs.main)
        _give_name(folder / _RECORD, path)
        flush(path.parent)
    except ImageWriteError:
        raise
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot write the file: {error.strerror or error}") from error


def _give_name(source: Path, path: Path) -> None:
    """Move a file to a path that is free, or has an earlier file of ours."""
    if os.path.lexists(path):
        source.replace(path)
    else:
        move_new(source, path)
