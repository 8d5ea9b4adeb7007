"""What is to be known of a table with the objects of several images: in what these differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from unet2015.images.image import Image
from unet2015.images.pixel_size import alike, in_words, pixel_size
from unet2015.images.pixel_types import other_types, pixel_type
from unet2015.objects.table import CHANNELS, told_channels
from unet2015.wording import listed

INTENSITIES = "intensities"
"""Key of a summary: of which type the pixels are whose intensities were measured."""
PIXEL_SIZE = "pixel_size_um"
"""Key of a summary: height and width of a pixel; null where they are not known."""
_COUNT = "channel_count"
_NAMED = 5

Summary = Mapping[str, Any]


def facts_of(like: Image, measured: Image | None) -> dict[str, Any]:
    """Return the part of a summary about images: the one whose pixel size counts, and the measured one."""
    size = pixel_size(like.calibration)
    found: dict[str, Any] = {PIXEL_SIZE: None if size is None else list(size)}
    if measured is None:
        return found
    names = {CHANNELS: list(measured.channel_names)} if measured.channel_names else {}
    return found | {INTENSITIES: pixel_type(measured) | {_COUNT: measured.channels}} | names


@dataclass(frozen=True)
class Together:
    """Images whose objects stand in one table.

    Attributes
    ----------
    images : sequence of (name, summary)
        What is known of each. A summary of an earlier version has less.
    chosen : bool
        Whether one channel of several was measured.
    """

    images: Sequence[tuple[str, Summary]]
    chosen: bool

    @cached_property
    def channels(self) -> list[str] | None:
        """As of `told_channels`."""
        named = [tuple(summary.get(CHANNELS, ())) for _, summary in self.images]
        return told_channels(named, chosen=self.chosen)

    @cached_property
    def notes(self) -> list[str]:
        """In what the images differ, so that rows do not compare."""
        channels, found = self.channels, []
        if channels is not None:
            names = listed([f"({one or 'no names'})" for one in dict.fromkeys(channels)])
            are = "may not be" if "" in channels else "are not"
            found.append(
                f"its images have channels of other names, {names}, so that its columns of intensities {are} "
                f"of the same channels in all rows; the column {CHANNELS} says of which they are"
            )
        rows = [(name, summary) for name, summary in self.images if summary.get("objects")]
        types = [(name, said) for name, summary in rows if isinstance(said := summary.get(INTENSITIES), dict)]
        if unlike := other_types(types):
            found.append(
                f"its images {unlike}, so that its columns of intensities do not compare between them"
            )
        counts = {said[_COUNT]: name for name, said in reversed(types) if isinstance(said.get(_COUNT), int)}
        if len(counts) > 1:
            each = " and ".join(f"{count} ({name})" for count, name in sorted(counts.items()))
            found.append(
                f"its images have {each} channels, so that their columns of intensities are others, and "
                "empty in the rows of some"
            )
        return found + _on_sizes(rows)

    def as_record(self, on_results: Sequence[str]) -> dict[str, Any]:
        """Return the part of the table's record about the notes, after `on_results`, what was said before."""
        notes = [*on_results, *self.notes]
        return {"notes": notes} if notes else {}


def _on_sizes(rows: Sequence[tuple[str, Summary]]) -> list[str]:
    sizes = [(name, summary[PIXEL_SIZE]) for name, summary in rows if PIXEL_SIZE in summary]
    known = [(name, (float(size[0]), float(size[1]))) for name, size in sizes if size is not None]
    unknown = list(dict.fromkeys(name for name, size in sizes if size is None))
    found = []
    first: dict[tuple[float, float], str] = {}
    for name, size in known:
        if not any(alike(size, other) for other in first):
            first[size] = name
    if len(first) > 1:
        said = listed([f"{in_words(size)} ({name})" for size, name in sorted(first.items())], _NAMED)
        found.append(
            f"its images differ in the size of a pixel ({said}), so that columns in pixels do not compare "
            "between them; those in µm do"
        )
    if known and unknown:
        found.append(
            f"of some of its images no pixel size is known ({listed(unknown, _NAMED)}), so that their "
            "columns in µm are empty"
        )
    return found
