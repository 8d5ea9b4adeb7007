"""Which outputs are ours: those that a record beside them names, with the digest of what was written.

The ``outputs`` of a record are those of the last run. ``earlier`` has those of outputs that an earlier record
of the same place named, and that may still be there; ``earlier_inputs`` says of what these were made. An
output that nobody names, or that is not as the record says, is somebody's own work, and is never replaced. A
record that somebody has changed is not replaced either, and not believed.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from unet2015.errors import ImageWriteError
from unet2015.provenance import versions_and_date
from unet2015.safe_files.reading import digest_of, sha256
from unet2015.safe_files.records import (
    EDITED,
    describe_damaged,
    is_edited,
    read_record,
    record_of,
    record_paths,
    signed,
    why_unknown,
)
from unet2015.safe_files.writing import check_name, write_json

EARLIER_INPUTS = "earlier_inputs"
"""A key of a record: by the name of an output of an earlier run, the input of that and its SHA-256."""

_log = logging.getLogger("unet2015")


def place_for_record(paths: Sequence[Path], main: Path) -> Path:
    """Return the path for the record of an output: the first one that is free, or has its record.

    Raises
    ------
    ImageWriteError
        There is none.
    """
    if read_record(paths[0]) is not None and not _is_free(paths[0], main):
        paths = paths[1:]  # the usual place has the record of another result
    check_place(paths[0], main)
    return paths[0]


def check_place(path: Path, main: Path) -> None:
    """Raise `ImageWriteError` unless a path is free, or has the record of an output, as it was written."""
    record = read_record(path)
    if is_edited(record):
        raise ImageWriteError(
            f"{path}: {EDITED}, so it is not believed and not replaced; move it away with its results, "
            "or choose another output"
        )
    if not _is_free(path, main):
        what = "is no record of this program" if record is None else "is that of another result"
        raise _foreign(path, f"and {what}")


def _is_free(path: Path, main: Path) -> bool:
    record = read_record(path)
    return not os.path.lexists(path) or (record is not None and main.name in record["outputs"])


def check_ours(path: Path, record: dict[str, Any] | None, also: str = "") -> None:
    """Raise `ImageWriteError` if something is at a path that is not as its record says.

    Parameters
    ----------
    path : Path
        An output that is about to be made; a file or a folder.
    record : dict or None
        The record of earlier outputs there.
    also : str
        A SHA-256 that is ours as well.
    """
    if not os.path.lexists(path):
        return
    known = _digests(record or {}, path.name) | ({also} if also else set())
    if not known:
        raise _foreign(path, why_unknown(path))
    try:
        same = digest_of(path) in known
    except OSError as error:
        raise _foreign(path, f"and cannot be read ({error.strerror or error})") from error
    if not same:
        raise _foreign(path, "but was changed after this program made it (its SHA-256 is another)")


def earlier_outputs(record: dict[str, Any] | None, folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return the part of a new record about outputs of an earlier one that are still in the folder.

    The outputs called `names` are those of the new record.
    """
    said = (record or {}).get("earlier", {}) | (record or {}).get("outputs", {})
    kept = {name: digest for name, digest in said.items() if name not in names}
    kept = {name: digest for name, digest in kept.items() if os.path.lexists(folder / name)}
    if not kept:
        return {}
    inputs = {name: said for name in kept if (said := input_of(record or {}, name)) is not None}
    return {"earlier": kept} | ({EARLIER_INPUTS: inputs} if inputs else {})


def input_of(record: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the ``input`` and ``input_sha256`` that an output was made of, by a record; None if unknown."""
    known = record.get(EARLIER_INPUTS)
    said = record if name in record["outputs"] else known.get(name) if isinstance(known, dict) else None
    if not isinstance(said, dict) or not isinstance(said.get("input_sha256"), str):
        return None
    return {key: said.get(key) for key in ("input", "input_sha256")}


def left_by_earlier_run(paths: Iterable[Path], made: Iterable[Path]) -> list[str]:
    """Return the names of outputs with a record each, as of `RecordedOutput`, that only an earlier run made.

    Parameters
    ----------
    paths : iterable of Path
        Where such outputs may be.
    made : iterable of Path
        The outputs of this run.
    """
    names = {path.name for path in made}
    left = (
        earlier_outputs(record_of(_own_records(path), path), path.parent, names).get("earlier", {})
        for path in paths
    )
    return [name for some in left for name in some]


def describe_earlier(names: Iterable[str], record: dict[str, Any] | None = None) -> str:
    """Return in words that outputs of an earlier run lie beside one of this run.

    Parameters
    ----------
    names : iterable of str
        Of the outputs.
    record : dict, optional
        Of this run; it may know that they were made of another input.
    """
    named, said = [*names], record or {"outputs": {}}
    made_of = [one for name in named if (one := input_of(said, name)) is not None]
    others = {str(one["input"]): None for one in made_of if one["input_sha256"] != said.get("input_sha256")}
    what = f"on {', '.join(others)}" if others else "with other settings"
    if said.get("input") in others:
        what = "on another version of the input"
    return f"beside it, of an earlier run {what}, and kept: {', '.join(named)}"


def is_of_earlier_run(path: Path, places: Iterable[Path]) -> bool:
    """Whether an output is one that a later run with other settings did not make again.

    Parameters
    ----------
    path : Path
        The output. If somebody has changed it since, it is no output of an earlier run any more.
    places : iterable of Path
        Where records may be.
    """
    records = []
    for place in places:
        record = read_record(place)
        if is_edited(record):
            _log.warning("%s: %s; which results are of the last run is not known by it", place, EDITED)
        elif record:
            records.append(record)
        elif damaged := describe_damaged([place]):
            _log.warning("%s: %s; which results are of the last run is not known by it", path, damaged)
    if any(path.name in record["outputs"] for record in records):
        return False
    known = {digest for record in records for digest in _digests(record, path.name)}
    try:
        return bool(known) and digest_of(path) in known
    except OSError:
        return False  # opening it will say why


def _digests(record: dict[str, Any], name: str) -> set[str]:
    groups = (record.get("outputs"), record.get("earlier"))
    return {group[name] for group in groups if isinstance(group, dict) and isinstance(group.get(name), str)}


def _foreign(path: Path, what: str) -> ImageWriteError:
    return ImageWriteError(
        f"{path}: exists, {what}, so it is not replaced; move it away, or choose another output"
    )


def _own_records(path: Path) -> tuple[Path, Path]:
    """Return where the record of an output that has its own may be."""
    return record_paths(path, path.with_suffix(""))


def _inputs(said: dict[str, Any]) -> list[str]:
    """Return the paths of the files that a record names as inputs."""
    several = said.get("inputs")
    found = [said.get("input"), *(several if isinstance(several, dict) else {})]
    return [path for path in found if isinstance(path, str)]


class RecordedOutput:
    """An output of one file whose record says which command made it: a guard for `atomic_path`.

    When the file gets its name, the record is written first. So a kill between both leaves a record that
    knows the old file and the new one.

    Parameters
    ----------
    path : Path
        The output.
    command : str
        The subcommand; an output of another one is not replaced.
    said : dict
        What else the record says, for JSON: input, or inputs with their SHA-256; settings. The result of
        other inputs, which are still there, is not replaced.
    """

    def __init__(self, path: Path, command: str, said: dict[str, Any]) -> None:
        self._path, self._said = path, {"command": command} | said
        self._records = _own_records(path)

    @property
    def paths(self) -> tuple[Path, ...]:
        """What is written: the output, and its record at one of two places."""
        return (self._path, *self._records)

    def check(self) -> None:
        """Raise `ImageWriteError` if the output would replace anything but an earlier one."""
        record = record_of(self._records, self._path)
        if record is not None and record.get("command") != self._said["command"]:
            raise _foreign(self._path, f"and is a result of {record.get('command') or 'segment'}")
        check_ours(self._path, record)
        if record is not None and os.path.lexists(self._path):
            self._check_inputs(record)
        for place in (self._path, place_for_record(self._records, self._path)):
            check_name(place)

    def _check_inputs(self, record: dict[str, Any]) -> None:
        """Raise `ImageWriteError` if the output was made of other files, which are still there."""
        ours, theirs = _inputs(self._said), _inputs(record)
        others = [path for path in theirs if path not in ours and os.path.lexists(path)]
        if ours and others and not set(ours) & set(theirs):
            raise ImageWriteError(
                f"{self._path}: is the result of {others[0]}, and would be replaced by that of {ours[0]}; "
                "choose another output"
            )

    def is_there(self, like: Path) -> bool:
        """Whether the output is there with the bytes of a file, and its record says what it would say now."""
        record = record_of(self._records, self._path) or {}
        try:
            alike = digest_of(self._path) == record.get("outputs", {}).get(self._path.name) == sha256(like)
        except OSError:
            return False
        return alike and not is_edited(record) and self._said.items() <= record.items()

    def __call__(self, temporary: Path, path: Path) -> None:
        """Check, and write the record of the finished temporary file."""
        self.check()
        name, before = self._path.name, record_of(self._records, self._path)
        kept = earlier_outputs(before, path.parent, [])
        said = self._said | versions_and_date()
        write_json(
            place_for_record(self._records, self._path),
            signed(said | {"outputs": {name: sha256(temporary)}} | kept),
        )
