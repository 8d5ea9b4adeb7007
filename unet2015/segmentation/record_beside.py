"""The record beside a result: what it says of a map or of labels that somebody goes on with.

Of a label image inside OME-Zarr it is the record beside the image around it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unet2015.errors import ImageValueError
from unet2015.images.result_names import CLASSES, image_around, meant_inside, record_places
from unet2015.images.result_records import find_record_of_result, is_as_written, record_of_result
from unet2015.safe_files import (
    EDITED,
    RECORD,
    describe_damaged,
    digest_of,
    is_edited,
    read_record,
)
from unet2015.wording import listed

_RECORDS = 1000
"""That are looked at for what a file is, where its own record says another thing."""


def record_beside(path: Path) -> dict[str, Any]:
    """Return the record that names a map; empty if there is none.

    Of a map that was renamed together with its record, it is that record: it has the SHA-256 of the map.

    Raises
    ------
    ImageValueError
        Somebody has changed it, or it cannot be read.
    """
    found, path = find_record_beside(path), image_around(path)
    if found is None:
        if damaged := describe_damaged(record_places(path)):
            raise ImageValueError(
                f"{path}: {damaged}; so threshold and objects are not known by it: move it away and give "
                "them as options, or segment again to another folder"
            )
        return {}
    if is_edited(found[1]):
        raise ImageValueError(
            f"{path}: the record beside it, {found[0].name}, {EDITED}, so what it says of threshold and "
            "objects is not believed; move the record away and give them as options, or segment to another "
            "folder"
        )
    return found[1]


def record_of_others(path: Path) -> str:
    """Return in words that the record beside a map is of other files; empty where there is no such record."""
    for place in record_places(path):
        if (record := read_record(place)) is not None and path.name not in record["outputs"]:
            return f"the record beside it, {place.name}, is of {listed([*record['outputs']], 2)}"
    return ""


def find_record_beside(path: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return place and contents of the record that names a result, or has its bytes by another name."""
    return find_record_of_result(path) or _renamed_record(image_around(path))


def _renamed_record(path: Path) -> tuple[Path, dict[str, Any]] | None:
    for place in record_places(path):
        record = read_record(place)
        if record is not None and path.exists() and digest_of(path) in record["outputs"].values():
            return place, record
    return None


def place_of_record(path: Path) -> Path | None:
    """Return where the record is that names a map; None if there is none."""
    found = find_record_of_result(path)
    return None if found is None else found[0]


def describe_change(path: Path, record: Mapping[str, Any], digest: str) -> str | None:
    """Return in words that a map of a SHA-256 is not what its record says was written; None if it is."""
    if image_around(path).name not in record.get("outputs", {}) or is_as_written(path, record, digest):
        return None
    inside = meant_inside(path, CLASSES)
    if inside != path:
        return (
            "is not as its record says it was written; its probabilities are taken, so that what somebody "
            f"corrected in the class map within does not count; to count it, give {inside}; if nobody "
            "changed anything on purpose, segment it again"
        )
    return "is not as its record says it was written; if nobody changed it on purpose, segment it again"


def describe_other_labels(path: Path, digest: str) -> str | None:
    """Return in words that labels of a SHA-256 are not those that the record beside them tells of.

    Labels are often corrected by hand, which is no fault; but a file that was exchanged with another one, or
    lies in the place of another one, looks the same.
    """
    record = record_of_result(path)
    if record is None or is_as_written(path, record, digest):
        return None
    around = image_around(path)
    inside = around != path
    now = digest_of(around) if inside else digest
    what = f"lies in {around.name}, which " if inside else ""
    for place in sorted(around.parent.glob(f"*{RECORD}"))[:_RECORDS]:
        other = read_record(place)
        known = {} if other is None else other["outputs"]
        if names := [name for name, sha256 in known.items() if sha256 == now and name != around.name]:
            return (
                f"{what}holds {names[0]}, by the record {place.name} beside it, and not what its own record "
                "says was written; see that it belongs to its image"
            )
    return (
        f"{what}is not as its record says it was written; that is right where somebody corrected it: see "
        "that it belongs to its image"
    )


def channels_of_source(record: Mapping[str, Any]) -> int:
    """Return how many channels ImageJ has of the image that a map was made of, by its record; else 1.

    See `unet2015.images.image.Image`; the classes of a map are no channels of the image.
    """
    channels = record.get("stack_channels", 1)
    return channels if isinstance(channels, int) and channels > 1 else 1
