"""What the record beside a map or labels says of their image."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from unet2015.images.image import Image
from unet2015.images.notes import Say
from unet2015.images.reader import open_image
from unet2015.images.result_names import image_around, record_places, table_name
from unet2015.images.result_records import INPUT_NAME, SOURCE, find_record_of_result, of_segmentation
from unet2015.safe_files import (
    EDITED,
    Unchanged,
    describe_damaged,
    digest_of,
    input_of,
    is_edited,
)
from unet2015.segmentation.record_beside import find_record_beside

_COMPANION = "companion_sha256"
_CHOSEN = ("axes", "scene")
"""What the user may have said of the image."""
_CHANNEL = "channel"
"""What the user may have said of it as well; whoever measures may want all channels, so it is not taken."""


def source_of(
    record: dict[str, Any], image: Path | None, watch: Unchanged | None, *, changed: bool
) -> dict[str, Any]:
    """Return, for the record of labels, their image: what the record of their map says, else `image`.

    It has what that record says of the segmentation, too.

    Parameters
    ----------
    record : dict
        That of the map; empty if there is none.
    image : Path or None
        The image that was given with it.
    watch : Unchanged or None
        Of its file.
    changed : bool
        Whether the map is not what its record says was written.
    """
    said = {name: record.get(name) for name in ("input", "input_sha256")}
    if "command" not in record and isinstance(said["input_sha256"], str):
        more: dict[str, Any] = _texts(record, INPUT_NAME) | _chosen_in(record)
        more |= of_segmentation(record, changed=changed)
        return {SOURCE: said | {_COMPANION: record.get(_COMPANION)} | more}
    if image is None or watch is None:
        return {}
    return {SOURCE: {"input": os.path.realpath(image), "input_sha256": watch.sha256} | input_name(image)}


def input_name(image: Path) -> dict[str, str]:
    """Return, for a record, what tables call an image; nothing where it is the name of its file."""
    name = table_name(image)  # of a link, or inside OME-Zarr
    return {} if name == image.resolve().name else {INPUT_NAME: name}


def _chosen_in(record: dict[str, Any]) -> dict[str, str]:
    """Return the axes, the scene and the channel that the user gave for the image of a segmentation."""
    settings = record.get("settings")
    return _texts(settings, *_CHOSEN, _CHANNEL) if isinstance(settings, dict) else {}


def _texts(said: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: str(said[name]) for name in names if isinstance(said.get(name), str | int)}


@dataclass(frozen=True)
class SourceRecord:
    """What the record beside a map or labels says of their image; read once.

    Attributes
    ----------
    path : Path
        The map or the labels.
    found : tuple of (Path, dict) or None
        Place and contents of the record that names it, or that has its bytes by another name: a result that
        was renamed together with its record is still of the image that the record tells.
    """

    path: Path
    found: tuple[Path, dict[str, Any]] | None

    @classmethod
    def beside(cls, path: Path) -> "SourceRecord":
        """Read the record beside a map or labels."""
        return cls(path, find_record_beside(path))

    @property
    def known(self) -> tuple[Path, dict[str, Any]] | None:
        """What was `found`; else place and record of a later run, which knows it as one of an earlier run."""
        return self.found or find_record_of_result(self.path, "earlier")

    @property
    def source(self) -> dict[str, Any] | None:
        """The ``input`` and ``input_sha256`` of the image, also of a result of an earlier run; else None."""
        known = self.known
        if known is None or is_edited(known[1]):
            return None
        source = self.source_in(known[1])
        return source if isinstance(source, dict) and isinstance(source.get("input"), str) else None

    def source_in(self, record: dict[str, Any]) -> Any:
        """Return what a record, its own or a later one, says of its image; `label` was given a map."""
        if "command" in record:
            return record.get(SOURCE)
        own = None if self.found is None else next(iter(record["outputs"]), None)  # of one input are all
        return input_of(record, own or image_around(self.path).name)

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

    def made_of(self, watch: Unchanged) -> "MadeOf":
        """Return how the image of `watch` was read; empty where the record is not of that."""
        if self.found is None or is_edited(self.found[1]):
            return MadeOf({})
        record = self.found[1]
        made = {name: record.get(name) for name in ("input_sha256", _COMPANION)} | _chosen_in(record)
        source = record.get(SOURCE) if "command" in record else made
        if not isinstance(source, dict) or source.get("input_sha256") != watch.sha256:
            return MadeOf({})
        return MadeOf(source)


@dataclass(frozen=True)
class MadeOf:
    """How the image of a map or of labels was read, by the record of its segmentation.

    Attributes
    ----------
    said : mapping
        What the record says of it.
    """

    said: Mapping[str, Any]

    @property
    def chosen(self) -> dict[str, str]:
        """The ``axes`` and the ``scene``, without those that the user did not give."""
        return _texts(self.said, *_CHOSEN)

    def describe_other_companion(self, image: Image) -> str | None:
        """Return in words that `image` is read now with another companion file, or without; else None."""
        if _COMPANION not in self.said or self.said[_COMPANION] == image.companion:
            return None
        return (
            f"was made when the metadata of {image.name} that lie in another file (companion.ome) were not "
            "there, or were others, by its record; its pages may be other planes of the image: segment that "
            "again"
        )

    def describe_one_channel(self, image: Image) -> str | None:
        """Return in words that one channel was segmented where several of `image` are taken; else None."""
        channel = _texts(self.said, _CHANNEL).get(_CHANNEL)
        if channel is None or image.channels == 1:
            return None
        return (
            f"was made from channel {channel} of its image, by its record, and all {image.channels} channels "
            f"are taken here; for that one alone give --channel {quote(channel)} (channel={channel!r})"
        )

    def describe_other_scene(self, image: Path, given: str) -> str | None:
        """Return in words that `given` is another scene of an image than that of the record; else None."""
        made_of = self.chosen.get("scene")
        if made_of in (None, given):
            return None
        numbers = []
        for scene in (made_of, given):
            with open_image(image, self.chosen.get("axes"), scene=scene) as opened:
                numbers.append(opened.scene)
        if numbers[0] == numbers[1]:  # by its number, and by its name
            return None
        return (
            f"was made from scene {made_of} of {image} by its record, but intensities are measured in scene "
            f"{given}; see that they belong together"
        )


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
    if (known := beside.known) is None:
        if damaged := describe_damaged(record_places(around)):
            say(path, f"{damaged}; which image it is of, is not known")
        return
    place, record = known
    earlier = beside.found is None
    source = beside.source_in(record)
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


def _has_digest(path: Path, digest: object) -> bool:
    try:
        return digest_of(path) == digest
    except OSError:
        return False  # opening it will say why
