"""Results of `label` whose map is another one now: by the records, without reading maps that are the same."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unet2015.images.result_names import image_around, record_places, shown_name
from unet2015.safe_files import digest_of, is_edited, records_naming
from unet2015.wording import listed

_NAMED = 3


@dataclass(frozen=True)
class OtherMap:
    """What lies now where the map lay that a result was made of.

    Attributes
    ----------
    place : Path
        The other map.
    replaced : bool
        Whether it lies beside the result, and the map that the result was made of is nowhere any more, or of
        an earlier run than the last. Else the result may be right where it is.
    """

    place: Path
    replaced: bool


def other_map(path: Path) -> OtherMap | None:
    """Return the map that took the place of that which `label` made a result of.

    Returns
    -------
    OtherMap or None
        None where no record says so, also where the map has gone, has moved with the result, or was made
        again as it was; and of a result that somebody has changed since, as that is somebody's own.
    """
    around = image_around(path)
    record = _naming("outputs", around)
    if record is None or record.get("command") != "label":
        return None
    given, digest = record.get("input"), record.get("input_sha256")
    if not isinstance(given, str) or not isinstance(digest, str) or not Path(given).name:
        return None
    source = Path(given)
    beside = _beside(around, source)
    here = _is_that(beside, digest, last=True)
    if here:
        return None
    apart = os.path.realpath(beside) != os.path.realpath(source)
    there = _is_that(source, digest, last=False) if apart else None
    if False not in (here, there):
        return None
    try:
        if digest_of(around) != record["outputs"][around.name]:
            return None
    except OSError:
        return None  # opening it will say why
    if here is False:
        return OtherMap(beside, replaced=not there)
    return OtherMap(source, replaced=False)


def describe_other_maps(paths: Iterable[Path]) -> str:
    """Return in words which results were made of other maps than those of now; empty where none were."""
    found = {path: other for path in paths if (other := other_map(path)) is not None}
    if not found:
        return ""
    named = [f"{shown_name(path)} ({other.place})" for path, other in found.items()]
    return (
        f"by their records unet2015 label made {len(found)} of the results of other maps than lie now in "
        f"their places: {listed(named, _NAMED)}; where the maps of now are meant, label them again"
    )


def _beside(path: Path, source: Path) -> Path:
    """Return where the map of a result is if it lies beside it; of one inside OME-Zarr, inside that."""
    around = image_around(source)
    return path.with_name(around.name) / source.relative_to(around)


def _is_that(place: Path, digest: str, *, last: bool) -> bool | None:
    """Whether the map at a place is the one of a SHA-256; None where there is none, or no record tells.

    Where it must be of the `last` run, one that only an earlier run made is another.
    """
    around = image_around(place)
    try:
        if (record := _naming("outputs", around)) is not None:
            said = record["outputs"][around.name]
        elif (record := _naming("earlier", around)) is not None:
            if last:
                return False if digest_of(around) == record["earlier"][around.name] else None
            said = record["earlier"][around.name]
        else:
            return None
        if (around == place and said == digest) or digest_of(place) == digest:
            return True  # somebody may have corrected it before it was labelled
        # Of a label image inside, only the whole is known to be as it was written, and not corrected since.
        return False if around == place or digest_of(around) == said else None
    except OSError:
        return None


def _naming(group: str, path: Path) -> dict[str, Any] | None:
    """Return the record beside a file that has it among ``outputs`` or ``earlier``, and is not edited."""
    for _, record in records_naming(dict.fromkeys(record_places(path)), path, group):
        if isinstance(record[group][path.name], str) and not is_edited(record):
            return record
    return None
