"""SEG of a folder against a folder of ground truth, in the layout of the Cell Tracking Challenge."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.arguments import callback, file_path, integer
from unet2015.errors import DataSetError, LabelError
from unet2015.images.result_names import shown_name
from unet2015.metrics.background import LabelAreas
from unet2015.metrics.doubtful_labels import PageDoubts
from unet2015.metrics.far_numbers import FileObjects
from unet2015.metrics.masks import MEANT, check_no_image
from unet2015.metrics.partial_truth import (
    IGNORE_NEGATIVE,
    check_labels,
    files_with,
    ignored_number,
    no_object_left,
    notes_on_ignored,
)
from unet2015.metrics.seg import SEGScore, score_frames
from unet2015.metrics.seg_frames import check_frame, numbered_files, pages_of, paired_results, truth_files
from unet2015.metrics.several_pieces import InPieces
from unet2015.wording import counted

_FROM_ONE = (
    "its frames begin with {0}, and the challenge counts from 0; if {0} is the first frame, each is compared "
    "with the truth of the frame after its own: rename them"
)
_Doubt = tuple[Path, str]
"""A file, and what is doubtful of it."""


def evaluate_seg(
    truth: str | Path,
    result: str | Path,
    *,
    ignore: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SEGScore:
    """SEG of a folder of results against a folder of ground truth, in the challenge's layout.

    One sequence; the challenge's figure for a data set is the mean of its two sequences.

    Parameters
    ----------
    truth : path
        ``NN_GT`` or its folder ``SEG``, with ``man_segTTT.tif``.
    result : path
        A folder with ``maskTTT.tif`` for every frame that has ground truth, or with files of other names, of
        which one for each frame has its number.
    ignore : int, optional
        Value of the truth where nobody has annotated; these pixels belong to no object.
    progress : callable, optional
        Called with (frames done, frames).

    Returns
    -------
    SEGScore

    Raises
    ------
    DataSetError
        When there is no ground truth, a result is missing, or shapes differ.
    LabelError
        When labels are negative.
    ImageReadError
        When a file cannot be read.
    """
    truth, result = file_path(truth, "truth"), file_path(result, "result")
    ignore = None if ignore is None else integer(ignore, "ignore")
    progress = callback(progress, "progress")
    files = truth_files(Path(truth))
    numbered = numbered_files(Path(result), "mask")
    masks = numbered or paired_results(files, result)
    if missing := [files[number].name for number in files if number not in masks]:
        raise DataSetError(
            f"{result}: no maskTTT.tif for {', '.join(missing)}, and no file that goes with it by its name; "
            "every frame with ground truth needs one"
        )

    from unet2015.images.notes import Repeated
    from unet2015.images.pair_notes import notes_on_pairs

    notes = Repeated()
    for note in notes_on_pairs((files[number], masks[number]) for number in files):
        notes.say(Path(result), note)

    if 0 not in numbered and 1 in numbered and not numbered.keys() <= files.keys():
        notes.say(Path(result), _FROM_ONE.format(numbered[1].name))
    parts = _AnnotatedParts(ignore, notes.say)

    def frames() -> Iterable[tuple[int, ArrayLike, ArrayLike]]:
        for done, number in enumerate(files, 1):
            labels = parts.read(files[number], masks[number])
            check_frame(files[number], masks[number], notes.say)
            yield number, *labels
            if progress is not None:
                progress(done, len(files))
        parts.check_left()

    score = score_frames(frames())
    parts.finish(Path(truth), Path(result))
    notes.finish()
    return replace(score, notes=tuple(notes.warnings()))


class _AnnotatedParts:
    """Reads frames and sets to 0 what nobody annotated, in truth and result; says what is doubtful of it.

    Parameters
    ----------
    ignore : int or None
        Value of the truth where nobody has annotated.
    say : callable
        Called with a file and what is doubtful of its labels.
    """

    def __init__(self, ignore: int | None, say: Callable[[Path, str], None]) -> None:
        self._ignore, self._say = ignore, say
        self._doubts: list[_Doubt] = []
        self._over: tuple[list[_Doubt], list[_Doubt]] = [], []  # of truth and result
        self._objects = FileObjects(), FileObjects()
        self._pieces = InPieces(), InPieces()
        self._masks = [False, False]  # of truth and result
        self._having: list[Path] = []

    def read(self, truth: Path, result: Path) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """Return the pages of a frame and of its result."""
        true, found = pages_of(truth, self._say), pages_of(result, self._say)
        ignore, annotated, whole = self._ignore, None, found
        if ignore is not None:
            texts = [ignored_number(page, ignore) for page in true]
            self._doubts += [(truth, text) for text in texts if text][:1]
            annotated = true != ignore
            self._having += [] if annotated.all() else [truth]
            true = np.where(annotated, true, 0)
            if true.shape == found.shape:  # else it is refused where both are compared
                found = np.where(annotated, found, 0)
        sides = (
            (truth, _check_labels(truth, true, self._say, truth=True)),
            (result, _check_labels(result, found, self._say)),
        )
        for side, (path, pages) in enumerate(sides):
            self._objects[side].add(path, [page.areas for page in pages])
            self._over[side].extend([(path, page.over) for page in pages if page.over][:1])
            self._masks[side] |= any(page.in_pieces for page in pages)
        self._pieces[0].look(true, shown_name(truth), annotated)
        self._pieces[1].look(whole, shown_name(result))
        return true, found

    def check_left(self) -> None:
        """Raise `DataSetError` if no object is left in the truth, as all that is not 0 is ignored."""
        if self._ignore is not None and self._having and not self._objects[0].any():
            raise DataSetError(
                f"{files_with(self._having)}: SEG needs at least one ground truth object, but all pixels "
                f"that are not 0 have {self._ignore}, the value of --ignore; {no_object_left(self._ignore)}"
            )

    def finish(self, truth: Path, result: Path) -> None:
        """Say what may not be annotated, where nothing was ignored, and where numbers ran over.

        And which objects are in several pieces, or the background.
        """
        true, found = self._objects
        whole = self._ignore is None
        far = [true.far(result=False) if whole else [], found.far(result=True)]
        for doubts in (self._doubts, *far, *self._over):
            if doubts:
                path, text = doubts[0]
                more = f" (and so in {counted(len(doubts) - 1, 'more frame')})" * (len(doubts) > 1)
                self._say(path, f"{text}{more}")
        asked = {path for path, _ in (*self._doubts, *far[0], *far[1])}
        for path, text in (*true.numbered, *found.numbered):
            if path not in asked:
                self._say(path, text)
        for note in notes_on_ignored(self._ignore, bool(self._having), objects=True):
            self._say(truth, note)
        for side, folder in enumerate((truth, result)):
            known = self._masks[side] or self._over[side]  # which say why numbers have several pieces
            if not known and (said := self._pieces[side].describe()):
                self._say(folder, said)


def _check_labels(
    path: Path,
    labels: NDArray[np.integer],
    say: Callable[[Path, str], None],
    *,
    truth: bool = False,
) -> list[PageDoubts]:
    """Refuse what are no labels, and say what makes them doubtful."""
    for page in labels:
        try:
            check_labels(page, "file", IGNORE_NEGATIVE if truth else "")
            check_no_image(page, "file")
        except (DataSetError, LabelError) as error:
            raise type(error)(f"{path}: {error}") from error
    doubts = [PageDoubts.of(page, LabelAreas.of_all(page)) for page in labels]
    if any(page.in_pieces for page in doubts):
        say(path, f"looks like a mask: {MEANT}; SEG needs labels in which every cell has its own number")
    return doubts
