"""What is wrong, or may be wrong, with one label file; found in one pass over its pages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import LabelError
from unet2015.metrics.background import LabelAreas, describe_background
from unet2015.metrics.far_numbers import FarNumber, far_numbers
from unet2015.metrics.several_pieces import owners_of_parts
from unet2015.settings import LabelKind, LabelSettings
from unet2015.training.checks.annotated import file_notes, ignored_cell, not_annotated
from unet2015.training.checks.masks import numbered_cells
from unet2015.training.checks.outlines import Outlines
from unet2015.training.labels import (
    IGNORED,
    MASK_ADVICE,
    Labels,
    Targets,
    class_frequencies,
    components,
    draw_border,
    holds_ids,
    make_targets,
)
from unet2015.wording import listed

_NAMED = 5  # ids that a message lists
_ADVICE = f"for a mask {MASK_ADVICE}"
_HALVED = 10  # one cell in so many is worth a word
_NUMBERS = "Give the file in which every cell has one number"
_ONE = "a single cell, so the weight map has no gaps to stress"
_SINGLE = {
    "instances": f"; if this is a mask of many cells, {MASK_ADVICE}",
    "mask": "; in a mask, cells that touch are one: if these are several, give each its own id (instances)",
}
"""What else may be meant by a page with a single cell."""

Cells = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelReport:
    """What was found in a label file.

    Attributes
    ----------
    problems : list of str
        What would spoil a training: one line for each problem, which names the file.
    notes : list of str
        What may be wrong, but may also be intended; empty where there are problems.
    frequencies : ndarray of int64, shape (pages, classes)
        Pixels of each class on each page as the training would see it; 0 where there are problems.
    areas : sequence of LabelAreas
        Of the cells of instance labels, page by page; empty where there are problems.
    far : sequence of FarNumber or None
        Of each of these pages the number that is asked about, as no cell of the file has it.
    """

    problems: list[str]
    notes: list[str]
    frequencies: Counts
    areas: Sequence[LabelAreas] = ()
    far: Sequence[FarNumber | None] = ()


def inspect_labels(
    labels: Labels,
    settings: LabelSettings,
    name: str,
    *,
    numbered: bool | None = None,
    keep: Callable[[Targets, Counts, Counts], None] | None = None,
) -> LabelReport:
    """Look at all pages of a label file.

    Parameters
    ----------
    labels : ndarray, shape (height, width) or (pages, height, width)
        The whole file.
    settings : LabelSettings
        What the values mean.
    name : str
        The file.
    numbered : bool, optional
        As for `make_targets`. Default: decided by this file alone.
    keep : callable, optional
        Called for each page without a problem, with the result of `make_targets`, the number of pixels of
        each class, and the area of each cell as it is labelled (before a separation border is drawn).
    """
    if numbered is None:
        numbered = settings.kind == "instances" and holds_ids(labels, settings)
    stack = labels if labels.ndim == 3 else labels[None]
    frequencies = np.zeros((len(stack), settings.classes), np.int64)
    problems: list[str] = []
    masks: list[str] = []
    notes: list[str] = []
    border: list[tuple[int, _Instances]] = []
    areas: dict[str, LabelAreas] = {}
    outlines = Outlines(settings.kind)
    for number, place, targets in _coded(labels, settings, name, numbered, problems):
        if targets.cells.max() == 1:
            notes.append(f"{place}: {_ONE}{_SINGLE.get(settings.kind, '')}")
        outlines.add(targets.cells)
        sizes = np.bincount(targets.cells.ravel())[1:]
        if settings.kind == "instances":
            drawn = draw_border(targets) if settings.separation_border else targets
            cells = _Instances.of(stack[number], targets.cells, drawn.cells, sizes)
            masks += _mask_problems(cells, place)
            areas[place] = LabelAreas(cells.ids, sizes, int(np.count_nonzero(targets.classes != IGNORED)))
            notes += _scattered(cells, place)
            if cells.touching:
                border.append((number, cells))
            targets = drawn
        frequencies[number] = class_frequencies(targets, settings.classes)
        if keep is not None:
            keep(targets, frequencies[number], sizes)
    if problems or masks:
        return LabelReport(problems or masks, [], np.zeros_like(frequencies))
    if settings.separation_border:
        notes += _border_notes(border, name, several=len(stack) > 1)
    pages = [*areas.values()]
    far = far_numbers(pages)
    notes += not_annotated(far, [*areas])
    whole = [*file_notes(labels, frequencies, settings, name), *outlines.notes(name)]
    whole += ignored_cell(labels, pages, settings, name)
    whole += _background(pages, [*whole, *notes], name)
    return LabelReport([], [*whole, *notes], frequencies, pages, far)


def _coded(
    labels: Labels, settings: LabelSettings, name: str, numbered: bool, problems: list[str]
) -> Iterator[tuple[int, str, Targets]]:
    """Yield number, place and targets of each page without a problem; what is wrong is added to `problems`.

    The border is not drawn yet, because the report says what it does.
    """
    coding = settings.model_copy(update={"separation_border": False})
    for number, page in enumerate(labels if labels.ndim == 3 else labels[None]):
        place = f"{name}, page {number}" if labels.ndim == 3 else name
        try:
            targets = make_targets(page, coding, place, numbered=numbered)
        except LabelError as error:
            problems.append(str(error))
        else:
            yield number, place, targets


def doubts(labels: Labels, name: str, kind: LabelKind, ignore: int | None) -> list[str]:
    """Return what makes it doubtful that a file holds labels of a kind: one line each, which names the file.

    Parameters
    ----------
    labels : ndarray, shape (height, width) or (pages, height, width)
        The whole file.
    name : str
        The file.
    kind : {"instances", "mask", "membrane", "classes"}
        What the values are said to mean.
    ignore : int, optional
        Value of pixels that are not annotated.
    """
    classes = IGNORED if kind == "classes" else 2
    settings = LabelSettings(kind=kind, ignore=ignore, separation_border=False, classes=classes)
    found = inspect_labels(labels, settings, name)
    said = numbered_cells(labels, ignore) if kind == "mask" else ""
    return [*found.problems, *found.notes, *([f"{name}: {said}"] if said else [])]


@dataclass(frozen=True)
class _Instances:
    """The cells of one page of instance labels; each array has one item for each id.

    Attributes
    ----------
    ids : ndarray
        As the file has them.
    pieces, left : ndarray of int64
        8-connected parts of each cell before and after the separation border is drawn.
    areas, kept : ndarray of int64
        Pixels of each cell before and after.
    """

    ids: Labels
    pieces: Counts
    left: Counts
    areas: Counts
    kept: Counts

    @classmethod
    def of(cls, page: Labels, cells: Cells, drawn: Cells, areas: Counts) -> "_Instances":
        """Return facts about the cells of a page, of known areas, before and after the border is drawn."""
        count = areas.size
        ids = np.zeros(count + 1, page.dtype)
        ids[cells.ravel()] = page.ravel()  # pixel by pixel the same for each cell
        pieces = left = _pieces(cells, components(cells, connectivity=2), count)
        kept = areas
        if drawn is not cells and (cells != drawn).any():
            kept = np.bincount(drawn.ravel(), minlength=count + 1)[1:]
            # Beyond the border no two cells touch: the parts of the mask are those of the cells.
            left = _pieces(drawn, components(drawn > 0, connectivity=2), count)
        if ids.dtype.kind == "f":
            ids = ids.astype(np.int64)
        return cls(ids[1:], pieces, left, areas, kept)

    @property
    def touching(self) -> bool:
        """Whether the border takes a pixel."""
        return self.kept is not self.areas

    @cached_property
    def erased(self) -> Labels:
        """The ids of cells that the border erases."""
        return np.compress(self.left == 0, self.ids)

    @cached_property
    def halved(self) -> Labels:
        """The ids of cells of which the border leaves less than half, but not nothing."""
        return np.compress((self.kept > 0) & (2 * self.kept < self.areas), self.ids)

    @cached_property
    def torn(self) -> Labels:
        """The ids of cells that the border cuts into more pieces than before."""
        return np.compress(self.left > self.pieces, self.ids)


def _pieces(cells: Cells, parts: npt.NDArray[np.integer[Any]], count: int) -> Counts:
    """Count the parts of the cells 1 to `count`."""
    return np.bincount(owners_of_parts(parts, cells), minlength=count + 1)[1:].astype(np.int64)


def _mask_problems(cells: _Instances, place: str) -> Iterator[str]:
    """Say if instance labels look like a mask, or like an image."""
    ids, counts = cells.ids, cells.pieces
    if ids.size == 1 and counts[0] > 2:
        yield (
            f"{place}: all {counts[0]} separate cells have the id {ids[0]}, which makes them one; {_ADVICE}"
        )
    elif ids.size > 4 and (counts > 2).mean() > 0.5:
        yield (
            f"{place}: most of the {ids.size} ids are scattered over many pieces; is it an image, or blurred "
            f"by JPEG? {_NUMBERS}"
        )


def _scattered(cells: _Instances, place: str) -> Iterator[str]:
    several = cells.ids[cells.pieces > 1]
    if several.size:
        ids = listed(several.tolist(), _NAMED)
        yield f"{place}: cells in several pieces ({several.size} of {cells.ids.size}): {ids}"


def _background(pages: Sequence[LabelAreas], notes: Sequence[str], name: str) -> Iterator[str]:
    """Say if the background may have a number, unless another note has asked about --ignore."""
    if not any("--ignore" in note for note in notes) and (found := describe_background(pages)):
        yield f"{name}: {found}"


def _border_notes(pages: Sequence[tuple[int, _Instances]], name: str, several: bool) -> Iterator[str]:
    """Say which cells the separation border erases or tears, all pages together."""

    def counted(attribute: str) -> tuple[int, str]:
        cells = [
            f"{cell} (page {number})" if several else str(cell)
            for number, page in pages
            for cell in getattr(page, attribute).tolist()
        ]
        return len(cells), listed(cells, _NAMED)

    total = sum(page.ids.size for _, page in pages)
    where = f"{total} cells" + (" on the pages where cells touch" if several else "")
    count, cells = counted("erased")
    if count:
        yield (
            f"{name}: the separation border erases {count} of {where}, labelled {cells}; they would be "
            "trained on as background: set separation_border = false, or draw them wider"
        )
    count, cells = counted("halved")
    if count and _HALVED * count >= total:
        yield (
            f"{name}: the separation border leaves less than half of {count} of {where}, labelled "
            f"{cells}; the rest would be trained on as background: set separation_border = false, or "
            "draw them at a higher resolution"
        )
    count, cells = counted("torn")
    if count:
        yield f"{name}: the separation border tears {count} of {where}, labelled {cells}"
