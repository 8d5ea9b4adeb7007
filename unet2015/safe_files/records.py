"""Records beside outputs: where they are, whether they can be read, and whether somebody has changed them.

A record is JSON; its ``outputs`` has the SHA-256 of each output by its name. ``record_sha256`` is the SHA-256
of all else that it says, whatever its spaces and the order of its names.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from unet2015.safe_files.reading import read_text
from unet2015.wording import reason

RECORD = ".record.json"
EDITED = "was changed after this program wrote it (the digest of itself in it is another)"
UNSIGNED = (
    "has no digest of itself, as an earlier version wrote it or somebody took it out; whether what it says "
    "was changed is not known"
)
_DIGEST = "record_sha256"


def signed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with the digest of itself."""
    return record | {_DIGEST: digest_without(record, _DIGEST)}


def is_edited(record: object) -> bool:
    """Whether a record has a digest of itself that is not its own."""
    if not isinstance(record, dict) or _DIGEST not in record:
        return False
    try:
        return bool(record[_DIGEST] != digest_without(record, _DIGEST))
    except RecursionError:
        return True


def is_signed(record: dict[str, Any]) -> bool:
    """Whether a record has a digest of itself."""
    return _DIGEST in record


def digest_without(said: dict[str, Any], key: str) -> str:
    """Return the SHA-256 of all that is said for JSON but for one key, which has the digest itself."""
    said = {name: value for name, value in said.items() if name != key}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def record_paths(main: Path, name: Path) -> tuple[Path, Path]:
    """Return where the record of an output may be.

    Parameters
    ----------
    main : Path
        The output.
    name : Path
        Its path without the ending of its kind: r for r.tif, but also for r.zarr.

    Returns
    -------
    tuple of Path
        The usual place; and another, for where the record of another output has the usual one.
    """
    return name.with_name(name.name + RECORD), main.with_name(main.name + RECORD)


def read_record(path: Path) -> dict[str, Any] | None:
    """Return a record, or None where there is none."""
    try:
        record = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError):
        return None
    named = isinstance(record, dict) and isinstance(record.get("outputs"), dict)
    return record if named else None


def record_of(paths: Sequence[Path], main: Path) -> dict[str, Any] | None:
    """Return the record that names an output, or None; it may be an edited one."""
    found = find_record(paths, main)
    return None if found is None else found[1]


def find_record(
    paths: Iterable[Path], main: Path, group: str = "outputs"
) -> tuple[Path, dict[str, Any]] | None:
    """Return the path of the record that names an output, and the record; None if there is none.

    It may be an edited one. For the group ``earlier`` it is that of a later run than made the output.
    """
    return next(records_naming(paths, main, group), None)


def records_naming(
    paths: Iterable[Path], main: Path, group: str = "outputs"
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the paths of the records that name an output in a group, and the records."""
    for path in paths:
        record = read_record(path)
        if record is not None and isinstance(named := record.get(group), dict) and main.name in named:
            yield path, record


def describe_damaged(paths: Iterable[Path]) -> str | None:
    """Return in words that a record lies at one of these places that cannot be read; None if none does.

    JSON that is no record is somebody's own, and nothing of ours.
    """
    for path in paths:
        if not os.path.lexists(path):  # so of a name that is too long
            continue
        try:
            json.loads(read_text(path))
        except OSError as error:
            return f"the record beside it, {path.name}, cannot be read: {error.strerror or error}"
        except (ValueError, RecursionError) as error:
            return f"the record beside it, {path.name}, is damaged: {reason(error)}"
    return None


def why_unknown(path: Path) -> str:
    """Return in words why nobody knows that an output is ours, which lies there."""
    first = path.name.partition(".")[0] or path.name
    beside = sorted(one for one in path.parent.glob(f"*{RECORD}") if one.name.startswith(first))
    for place in beside:
        record = read_record(place)
        if record is not None and path.name in record["outputs"]:
            image = Path(found).name if isinstance(found := record.get("input"), str) else "another image"
            return f"and comes from {image} with the command and options in the record {place.name}"
    if damaged := describe_damaged(beside):
        return f"and {damaged}"
    return "and no record beside it says that this program made it"
