"""Whether the labels of a set lie on what they label; see `placement`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from unet2015.images.image import Image
from unet2015.training.checks.placement import Exchanged, Misplaced, Sums, misplaced
from unet2015.training.checks.problem import Problem, problem_of
from unet2015.training.checks.seen_and_drawn import Drawn, drawn_by, factor_for, seen_maps, window
from unet2015.training.labels import Targets
from unet2015.wording import counted, listed

_MOST_PAGES = 128
"""Of a set, evenly, in runs of some; each takes about 0.05 s."""
_RUN = 4
_NAMED = 3
_LOOK = (
    "Look at images and labels on top of each other, as layers of Fiji or napari: another crop, another "
    "origin, rows from the bottom, another order of files? Labels that do not fit are learned all the same"
)


class LabelFit:
    """Compares the labels of a set with its images, page by page, file by file.

    Parameters
    ----------
    pages : sequence of int
        Of each file.
    """

    def __init__(self, pages: Sequence[int]) -> None:
        self._firsts = np.cumsum([0, *pages]).tolist()
        total = self._firsts[-1]
        runs = -(-total // _RUN)
        chosen = np.unique(np.linspace(0, runs - 1, min(runs, _MOST_PAGES // _RUN)).astype(int)).tolist()
        self._chosen = {page for run in chosen for page in range(_RUN * run, _RUN * run + _RUN)}
        self._factor: int | None = None
        self._sums: Sums | None = None
        self._files: list[tuple[Path, Misplaced]] = []
        self._exchanged = Exchanged()

    def of_file(self, number: int, label_file: Path) -> "FileFit":
        """Return what compares the pages of a file, by its number in the set."""
        return FileFit(self, self._firsts[number], label_file)

    def draw(self, page: int, targets: Targets) -> Drawn | None:
        """Return what the labels of a page draw, if it is looked at."""
        if page not in self._chosen:
            return None
        if self._factor is None:
            self._factor = factor_for(targets)
        if self._factor is None:
            return None
        height, width = targets.cells.shape
        inner = window(height, width, self._factor)
        if inner is None:
            return None
        drawn = drawn_by(Targets(targets.classes[inner], targets.cells[inner]), self._factor)
        return drawn if drawn.maps.any() else None

    def compare(self, image: Image, drawn: dict[int, Drawn], first: int, label_file: Path) -> None:
        """Compare the drawn pages of a file, whose first page has this number in the set, with the image."""
        sums: Sums | None = None
        for page, labels in drawn.items():
            factor = self._factor or 1
            inner = window(image.height, image.width, factor)
            if inner is None:
                continue
            seen = seen_maps(image, page, inner, factor)
            sums = Sums.of(seen, labels) if sums is None else sums + Sums.of(seen, labels)
            self._exchanged.add(first + page, seen, labels)
        if sums is None:
            return
        if found := misplaced(sums):
            self._files.append((label_file, found))
        self._sums = sums if self._sums is None else self._sums + sums

    def problems(self, names: Sequence[str]) -> Iterator[Problem]:
        """Say what does not fit, given the names of all pages."""
        if self._sums is not None and (found := misplaced(self._sums)):
            yield Problem("warning", "", f"the labels {self._said(found)}. {_LOOK}")
        elif self._files:
            for file, found in self._files:
                yield problem_of("warning", file, f"its labels {self._said(found)}. {_LOOK}")
        elif pairs := self._exchanged.pairs():
            each = listed([f"{names[image]} those of {names[label]}" for image, label in pairs], _NAMED)
            yield Problem(
                "warning",
                "",
                f"{counted(len(pairs), 'page')} fit the labels of other pages far better than their own "
                f"({each}). {_LOOK}",
            )

    def _said(self, found: Misplaced) -> str:
        if found.shift is None:
            return f"fit the images far better if they are {found.turn}"
        down, right = (side * (self._factor or 1) for side in found.shift)
        sides = [
            (down, "too low" if down > 0 else "too high"),
            (right, "too far right" if right > 0 else "too far left"),
        ]
        where = " and ".join(f"about {abs(by)} px {side}" for by, side in sides if by)
        return f"seem to lie beside what they label, {where}: moved back they fit the images far better"


class FileFit:
    """The labels of one file, and then its image."""

    def __init__(self, whole: LabelFit, first: int, label_file: Path) -> None:
        self._whole, self._first, self._label_file = whole, first, label_file
        self.forget()

    def forget(self) -> None:
        """Begin anew with the labels."""
        self._drawn: dict[int, Drawn] = {}
        self._count = 0

    def add(self, targets: Targets) -> None:
        """Take the labels of the next page."""
        drawn = self._whole.draw(self._first + self._count, targets)
        if drawn is not None:
            self._drawn[self._count] = drawn
        self._count += 1

    def compare(self, image: Image) -> None:
        """Compare the labels with the image, and forget them."""
        self._whole.compare(image, self._drawn, self._first, self._label_file)
        self.forget()
