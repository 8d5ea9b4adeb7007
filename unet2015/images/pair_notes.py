"""What is to be known of figures: of which images the results are, and whether the truth is one."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from unet2015.errors import UNet2015Error
from unet2015.images.copies import copies
from unet2015.images.reader import open_image
from unet2015.images.result_names import image_around, shown_name
from unet2015.images.result_records import (
    CHOSEN_ON,
    TRAINED_ON,
    Recorded,
    is_unchanged_result,
    notes_on_recorded,
    recorded_results,
)
from unet2015.safe_files import digest_of
from unet2015.wording import counted, listed

_NAMED = 3


def notes_on_truth(pairs: Iterable[tuple[Path, Path]], first: Mapping[Path, Path]) -> tuple[str, ...]:
    """Return where the truth may be none: a result of this program, or a copy of what is measured by it.

    Parameters
    ----------
    pairs : iterable of (truth, result)
        Files; one that is its own truth says nothing here.
    first : mapping
        Each file with the first one that has its bytes, perhaps itself.
    """
    pairs = [(true, found) for true, found in pairs if os.path.realpath(true) != os.path.realpath(found)]
    made = [shown_name(true) for true, _ in pairs if is_unchanged_result(true)]
    same = [shown_name(true) for true, found in pairs if first[true] == first[found] and _holds_objects(true)]
    notes = []
    if made:
        notes.append(
            f"the truth holds results of this program, by their records, that nobody has changed since "
            f"({counted(len(made), 'file')}): {listed(made, _NAMED)}; are truth and result exchanged?"
        )
    if same:
        notes.append(
            f"the truth holds, byte for byte, results that it measures ({counted(len(same), 'file')}): "
            f"{listed(same, _NAMED)}; what nobody has corrected is perfect by itself"
        )
    return tuple(notes)


def notes_on_pairs(pairs: Iterable[tuple[Path, Path]]) -> tuple[str, ...]:
    """Return what is to be known of figures of (truth, result).

    That are `notes_on_results`, which results are not those that their records tell of, of which it is not
    known whether their model was trained on their images, which pairs are there twice, and `notes_on_truth`.
    """
    pairs = list(pairs)
    results = [found for _, found in pairs]
    recorded = recorded_results(results)
    doubts = (*notes_on_recorded(results, recorded), *_not_as_written(recorded), *_of_one_image(recorded))
    doubts += (*_chosen_by(recorded), *_not_known(recorded))
    told = {one.path for one in recorded}
    first = {path: path for pair in pairs for path in pair}
    first |= copies([*first])
    twice = _twice([pair for pair in pairs if pair[1] not in told], first)
    return (*doubts, *twice, *notes_on_truth(pairs, first))


def _not_as_written(recorded: Sequence[Recorded]) -> Iterator[str]:
    known = {sha256: name for one in recorded for name, sha256 in one.record["outputs"].items()}
    exchanged, changed = [], []
    for one in recorded:
        around = image_around(one.path)
        now = digest_of(around)
        if one.record["outputs"][around.name] == now:
            continue
        # One without an object is as one that somebody emptied: it says nothing of whose it is.
        if now in known and _holds_objects(one.path):
            exchanged.append(f"{shown_name(one.path)} holds {known[now]}")
        else:
            changed.append(shown_name(one.path))
    if exchanged:
        yield (
            "by their records, results are of other images than their names say, so the figures are of none: "
            f"{listed(exchanged, _NAMED)}; segment these images again"
        )
    if changed:
        yield (
            f"{counted(len(changed), 'result is', 'results are')} not as the records say that they were "
            f"written: {listed(changed, _NAMED)}; where somebody corrected them, the figures are not of the "
            "model alone; else see that each belongs to its image"
        )


def _of_one_image(recorded: Iterable[Recorded]) -> Iterator[str]:
    """Say which results are of the same bytes, of one channel and scene: a copy counts twice."""
    by_image: dict[str, list[str]] = defaultdict(list)
    for one in recorded:
        given, sha256 = one.made.get("settings"), one.made.get("input_sha256")
        if isinstance(given, dict) and isinstance(sha256, str):
            key = json.dumps([sha256, given.get("scene"), given.get("channel")])
            by_image[key].append(shown_name(one.path))
    if several := [" and ".join(names) for names in by_image.values() if len(names) > 1]:
        yield (
            "results of images that are byte for byte the same are measured each by itself, so what such an "
            f"image holds counts several times: {listed(several, _NAMED)}"
        )


def _twice(pairs: Sequence[tuple[Path, Path]], first: Mapping[Path, Path]) -> Iterator[str]:
    """Say which pairs without a record are there twice: truth and result, as a file manager copies them."""
    known: dict[tuple[Path, Path], Path] = {}
    found = []
    for true, result in pairs:
        before = known.setdefault((first[true], first[result]), true)
        if before != true and _holds_objects(true):
            found.append(f"{shown_name(true)} as {shown_name(before)}")
    if found:
        yield (
            f"{counted(len(found), 'pair is', 'pairs are')} byte for byte another pair of truth and result, "
            f"so that what is there counts again: {listed(found, _NAMED)}; leave one of each out"
        )


def _chosen_by(recorded: Iterable[Recorded]) -> Iterator[str]:
    names = [shown_name(one.path) for one in recorded if isinstance(one.made.get(CHOSEN_ON), list)]
    if names:
        yield (
            f"{counted(len(names), 'result is', 'results are')} of images held out of the training: the best "
            "state of the model and its threshold were chosen by them, so what is measured on them "
            f"is likely to be a little too good: {listed(names, _NAMED)}"
        )


def _not_known(recorded: Iterable[Recorded]) -> Iterator[str]:
    names = [shown_name(one.path) for one in recorded if one.made.get(TRAINED_ON, ()) is None]
    if names:
        yield (
            f"{counted(len(names), 'result')} of a model that does not name the files it was trained on, so "
            "whether these images are among them is not known; if they are, what is measured is too good: "
            f"{listed(names, _NAMED)}"
        )


def _holds_objects(labels: Path) -> bool:
    """Whether any pixel is not 0: labels without an object are alike, whoever made them."""
    with suppress(UNet2015Error), open_image(labels) as image:
        pages = (image.read(page, 0, image.height, 0, image.width) for page in range(image.pages))
        return any(page.any() for page in pages)
    return True
