"""Whether the images of a run name their channels alike: by the records, also of what was done before."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from unet2015.segmentation.jobs import Job
from unet2015.segmentation.records import CHANNEL_NAMES
from unet2015.segmentation.results import FileResult, with_notes


def with_other_channels(results: Sequence[FileResult], jobs: Sequence[Job]) -> list[FileResult]:
    """Warn of images whose channels have other names than those of the first; return results with that note.

    Images without names of channels say nothing.
    """
    known = dict(_names(results, jobs))
    if len(set(known.values())) < 2:
        return list(results)
    first, ours = next(iter(known.items()))
    several = len(ours) > 1
    advice = "segment them by themselves" if several else "give the channel by its name"
    what = "channels are" if several else "channel is"
    notes = {
        path: f"its {what} {', '.join(names)}, but in {first}, of the same run, {', '.join(ours)}; {advice}"
        for path, names in known.items()
        if names != ours
    }
    return with_notes(results, notes, "more file")


def _names(results: Sequence[FileResult], jobs: Sequence[Job]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the images that were segmented and whose channels have names, with these."""
    made = {result.input for result in results if result.error is None}
    for job in jobs:
        record = job.outputs.recorded() if job.input in made else None
        names = (record or {}).get(CHANNEL_NAMES)
        if isinstance(names, list) and any(names):
            yield job.input, tuple(map(str, names))
