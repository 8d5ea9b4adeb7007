"""The record beside a result: what it says of a map or of labels that somebody goes on with.

Of a label image inside OME-Zarr it is the record beside the image around it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unet2015.errors import ImageValueError
from unet2015.images.notes import Say
from unet2015.images.result_names import CLASSES, image_around, meant_inside, record_places
from unet2015.safe_files import (
    EDITED,
    Unchanged,
    describe_damaged,
    digest_of,
    find_record,
    input_of,
    is_edited,
    read_record,
)
from unet2015.wording import listed

SOURCE = "source"
"""A key of the record of labels that were made of a map: the image of that, and its SHA-256."""


def record_beside(path: Path) -> dict[str, Any]:
    """Return the record that names a map; empty if there is none.

    Of a map that was renamed together with its record, it is that record: it has the SHA-256 of the map.

    Raises
    ------
    ImageValueError
        Somebody has changed it, or it cannot be read.
    """
    path = image_around(path)
    found = find_record(record_places(path), path) or _renamed(path)
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


def _renamed(path: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return place and record of a map that lies beside it, where that has the map by another name."""
    for place in record_places(path):
        record = read_record(place)
        if record is not None and path.exists() and digest_of(path) in record["outputs"].values():
            return place, record
    return None


def place_of_record(path: Path) -> Path | None:
    """Return where the record is that names a map; None if there is none."""
    path = image_around(path)
    found = find_record(record_places(path), path)
    return None if found is None else found[0]


def describe_change(path: Path, digest: str) -> str | None:
    """Return in words that a map of a SHA-256 is not what its record says was written; None if it is."""
    around = image_around(path)
    written = record_beside(path).get("outputs", {}).get(around.name)
    if written in (None, digest if around == path else digest_of(around)):
        return None
    inside = meant_inside(path, CLASSES)
    if inside != path:
        return (
            "is not as its record says it was written; its probabilities are taken, so that what somebody "
            f"corrected in the class map within does not count; to count it, give {inside}; if nobody "
            "changed anything on purpose, segment it again"
        )
    return "is not as its record says it was written; if nobody changed it on purpose, segment it again"


def is_changed(path: Path) -> bool:
    """Whether a result is not what its record says was written."""
    path = image_around(path)
    found = find_record(record_places(path), path)
    return found is not None and found[1]["outputs"][path.name] != digest_of(path)


def channels_of_source(path: Path) -> int:
    """Return how many channels ImageJ has of the image that a map was made of, by its record; else 1.

    See `unet2015.images.image.Image`; the classes of a map are no channels of the image.
    """
    channels = record_beside(path).get("stack_channels", 1)
    return channels if isinstance(channels, int) and channels > 1 else 1


def source_of(path: Path, image: Path | None, watch: Unchanged | None) -> dict[str, Any]:
    """Return, for the record of labels, their image: what the record of their map says, else `image`.

    Parameters
    ----------
    path : Path
        The map.
    image : Path or None
        The image that was given with it.
    watch : Unchanged or None
        Of its file.
    """
    record = record_beside(path)
    said = {name: record.get(name) for name in ("input", "input_sha256")}
    if "command" not in record and isinstance(said["input_sha256"], str):
        axes = _axes_in(record)
        return {SOURCE: said if axes is None else said | {"axes": axes}}
    if image is None or watch is None:
        return {}
    return {SOURCE: {"input": os.path.realpath(image), "input_sha256": watch.sha256}}


def _axes_in(record: dict[str, Any]) -> str | None:
    """Return the axes that the user gave for the image of a segmentation."""
    settings = record.get("settings")
    axes = settings.get("axes") if isinstance(settings, dict) else None
    return axes if isinstance(axes, str) else None


@dataclass(frozen=True)
class SourceRecord:
    """What the record beside a map or labels says of their image; read once.

    Attributes
    ----------
    path : Path
        The map or the labels.
    found : tuple of (Path, dict) or None
        Place and contents of the record that names it.
    """

    path: Path
    found: tuple[Path, dict[str, Any]] | None

    @classmethod
    def beside(cls, path: Path) -> "SourceRecord":
        """Read the record beside a map or labels."""
        around = image_around(path)
        return cls(path, find_record(record_places(around), around))

    @property
    def source(self) -> dict[str, Any] | None:
        """The ``input`` and ``input_sha256`` of the image, also of a result of an earlier run; else None."""
        found = self.found or _record_of_later(self.path)
        if found is None or is_edited(found[1]):
            return None
        source = _source_in(found[1], self.path)
        return source if isinstance(source, dict) and isinstance(source.get("input"), str) else None

    def image_among(self, images: Mapping[str, Path]) -> Path | None:
        """Return the image that the record names; None where it is not among some, by their real paths.

        An image that has moved is known by its name and its bytes.
        """
        if (source := self.source) is None:
            return None
        place = os.path.realpath(source["input"])
        if place in images:
            return images[place]
        name, digest = os.path.basename(place), source.get("input_sha256")
        moved = (image for image in images.values() if image.name == name)
        return next((image for image in moved if _has_digest(image, digest)), None)


def axes_of_source(beside: SourceRecord, watch: Unchanged) -> str | None:
    """Return the axes with which the image of a map or of labels was read, where the user gave them.

    None where the file's own were taken, or where the record beside the map is not of this image.

    Parameters
    ----------
    beside : SourceRecord
        Of the map or the labels.
    watch : Unchanged
        Of the file of the image.
    """
    if beside.found is None or is_edited(beside.found[1]):
        return None
    record = beside.found[1]
    source = record.get(SOURCE) if "command" in record else record | {"axes": _axes_in(record)}
    if not isinstance(source, dict) or source.get("input_sha256") != watch.sha256:
        return None
    axes = source.get("axes")
    return axes if isinstance(axes, str) else None


def say_other_source(beside: SourceRecord, image: Path, watch: Unchanged, say: Say) -> None:
    """Say where the record of a segmentation names another image than the one whose intensities are measured.

    Parameters
    ----------
    beside : SourceRecord
        Of the map or the labels.
    image : Path
        The image.
    watch : Unchanged
        Of its file.
    say : callable
        Takes what is said.
    """
    path, around = beside.path, image_around(beside.path)
    found = beside.found or _record_of_later(path)
    if found is None:
        if damaged := describe_damaged(record_places(around)):
            say(path, f"{damaged}; which image it is of, is not known")
        return
    place, record = found
    earlier = around.name not in record["outputs"]
    source = _source_in(record, path)
    made_from = source.get("input_sha256") if isinstance(source, dict) else None
    if not isinstance(made_from, str) and not earlier:
        return
    if is_edited(record):
        say(path, f"the record beside it, {place.name}, {EDITED}; which image it is of, is not believed")
    elif source is None or not isinstance(made_from, str):
        say(
            path,
            f"of an earlier run, by the record {place.name}, which does not say of which image; see that it "
            f"belongs to {image}, where intensities are measured",
        )
    elif made_from != watch.sha256:
        say(
            path,
            f"{'of an earlier run, and ' * earlier}was made from {source.get('input')} by its record, whose "
            f"SHA-256 is not that of {image}, where intensities are measured; see that they belong together",
        )


def _source_in(record: dict[str, Any], path: Path) -> Any:
    """Return what a record says of the image of a result; what `label` was given is a map."""
    return record.get(SOURCE) if "command" in record else input_of(record, image_around(path).name)


def _has_digest(path: Path, digest: object) -> bool:
    try:
        return digest_of(path) == digest
    except OSError:
        return False  # opening it will say why


def _record_of_later(path: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return place and record of a later run, which knows a result as one of an earlier run."""
    path = image_around(path)
    for place in record_places(path):
        record = read_record(place)
        if record is not None and path.name in (record.get("earlier") or {}):
            return place, record
    return None
