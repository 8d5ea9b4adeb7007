"""Whether the images of a run name their channels alike: by the records, also of what was done before."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from unet2015.images.channel import tell_nothing
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.records import CHANNEL_NAMES
from unet2015.segmentation.results import FileResult, with_notes

_Names = tuple[str, ...]


def with_other_channels(results: Sequence[FileResult], jobs: Sequence[Job]) -> list[FileResult]:
    """Warn of images whose channels have other names than those of the first; return results with that note.

    So are those said that have several channels, or one of several, and do not name them.
    """
    every = dict(_names(results, jobs))
    known = {path: names for path, names in every.items() if any(names)}
    if not known:
        return list(results)
    first, ours = next(iter(known.items()))
    where = f"but in {first}, of the same run, "
    several = len(ours) > 1
    chosen = not several and any(job.options.channel is not None for job in jobs)
    advice = "give the channel by its name" if chosen else "segment them by themselves"
    what = "channels are" if several else "channel is"
    others = {
        path: f"its {what} {', '.join(names)}, {where}{', '.join(ours)}; {advice}"
        for path, names in known.items()
        if names != ours
    }
    results = with_notes(results, others, "more file")
    if tell_nothing(ours):
        return results
    see = f"they are {', '.join(ours)}; see that these have this order"
    see = see if several else f"the channel is {ours[0]}; see that it is the same"
    unnamed = dict.fromkeys(every.keys() - known.keys(), f"does not name its channels, {where}{see}")
    return with_notes(results, unnamed, "more file")


def _names(results: Sequence[FileResult], jobs: Sequence[Job]) -> Iterator[tuple[Path, _Names]]:
    """Yield the images that were segmented and have several channels, or one of several, with their names.

    So are those yielded that have one channel with a name.
    """
    made = {result.input for result in results if result.error is None}
    for job in jobs:
        record = job.outputs.recorded() if job.input in made else None
        if record is None:
            continue
        names = record.get(CHANNEL_NAMES)
        if isinstance(names, list) and any(names):
            yield job.input, tuple(map(str, names))
        elif job.options.channel is not None or _has_several(record):
            yield job.input, ()


def _has_several(record: Mapping[str, Any]) -> bool:
    axes, shape = record.get("axes"), record.get("shape")
    if not isinstance(axes, str) or not isinstance(shape, list) or "C" not in axes:
        return False
    return len(shape) == len(axes) and isinstance(size := shape[axes.index("C")], int) and size > 1
