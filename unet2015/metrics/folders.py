"""Two folders compared file by file and page by page; what fails is named, and the others go on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from unet2015.arguments import callback, file_path, text
from unet2015.errors import DataSetError, LabelError, UNet2015Error, failure_of
from unet2015.images.counterpart import check_counterpart
from unet2015.images.folder_pairs import pair_files, stack_advice
from unet2015.images.folders_below import NotSearched
from unet2015.images.image import Image
from unet2015.images.label_colours import UsedColours, page_colours
from unet2015.images.notes import Repeated, Say, say_notes
from unet2015.images.pair_notes import notes_on_pairs
from unet2015.images.pairs import Pairing, listed_files, named_files
from unet2015.images.reader import open_image
from unet2015.images.result_names import labels_inside
from unet2015.images.samples import no_channels_in_labels
from unet2015.images.whole_numbers import whole_numbers_of
from unet2015.metrics.page_fit import PageFit
from unet2015.safe_files import Unchanged
from unet2015.wording import counted

_log = logging.getLogger("unet2015")
T = TypeVar("T")
U = TypeVar("U")
Progress = Callable[[int, int], None]
"""Called with (files done, files)."""


@dataclass(frozen=True)
class PageResult(Generic[T]):
    """What was measured on one page of a pair of files, and what the palettes of the two say."""

    truth: Path
    result: Path
    page: int
    measured: T
    colours: tuple[UsedColours | None, UsedColours | None] = (None, None)

    def place(self) -> dict[str, str | int]:
        """Return the first columns of a row: the two files and the page."""
        return {"truth": str(self.truth), "result": str(self.result), "page": self.page}


@dataclass(frozen=True)
class Comparison(Generic[T]):
    """Two folders, compared.

    Attributes
    ----------
    pages : tuple of PageResult
        Of all files that could be compared; a file of which one page fails is left out.
    pairing : Pairing
        Which files belong together, and which are alone.
    failures : tuple of UNet2015Error
        Why files could not be compared; each names its file.
    on_results : tuple of str
        What the records of the results say that must be known of figures of all: several models or settings,
        images that a model was trained on; truth that this program made.
    not_searched : tuple of Path
        Folders with images in or beside those that were compared.
    notes : tuple of str
        What was said of the files, each note once.
    """

    pages: tuple[PageResult[T], ...]
    pairing: Pairing
    failures: tuple[UNet2015Error, ...]
    on_results: tuple[str, ...] = ()
    not_searched: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every file of the truth was compared."""
        return not self.failures and not self.pairing.first_alone

    @property
    def with_themselves(self) -> int:
        """How many files are their own truth."""
        return sum(os.path.realpath(one) == os.path.realpath(other) for one, other in self.pairing.pairs)

    def with_measures(self, measures: Sequence[U]) -> Comparison[U]:
        """Return the same comparison with other measures, one for each page."""
        pages = tuple(
            PageResult(page.truth, page.result, page.page, measured, page.colours)
            for page, measured in zip(self.pages, measures, strict=True)
        )
        return Comparison(pages, self.pairing, self.failures, self.on_results, self.not_searched, self.notes)

    def as_dict(self) -> dict[str, Any]:
        """Return how much was compared, what failed, which files are alone, and pairs whose names differ."""
        return {
            "complete": self.complete,
            "files": len({page.truth for page in self.pages}),
            "pages": len(self.pages),
            "with_themselves": self.with_themselves,
            "failures": [str(error) for error in self.failures],
            "truth_alone": [str(path) for path in self.pairing.first_alone],
            "result_alone": [str(path) for path in self.pairing.second_alone],
            "unlike_names": [[str(path) for path in pair] for pair in self.pairing.unlike],
            "on_results": list(self.on_results),
            "folders_not_searched": [str(path) for path in self.not_searched],
        }


def compare_folders(
    truth: str | Path,
    result: str | Path,
    measure: Callable[[NDArray[Any], NDArray[Any]], T],
    *,
    wanted: str,
    axes: str | None,
    progress: Progress | None,
) -> Comparison[T]:
    """Measure every page of every pair of files.

    Parameters
    ----------
    truth, result : path
        A file, a folder or a pattern each; see `unet2015.images.pairs`.
    measure : callable
        Gets a page of the truth and one of the result: (height, width) arrays of whole numbers.
    wanted : str
        The ending of the results that are meant, where a folder holds all of a segmentation.
    axes : str or None
        Axes of the files, where these do not say.
    progress : callable or None
        Called with (files done, files).

    Raises
    ------
    DataSetError
        No file has a partner, or one could have several.
    UsageError, ImageReadError
        There are no images, or a folder cannot be read.
    """
    truth, result = file_path(truth, "truth"), file_path(result, "result")
    axes = None if axes is None else text(axes, "axes")
    progress = callback(progress, "progress")
    below = NotSearched((truth, result))
    names = named_files(truth, wanted, truth=True, below=below), named_files(result, wanted, below=below)
    pairing = pair_files(*names)
    if not pairing.pairs:
        raise DataSetError(
            f"by their names no file of {truth} ({listed_files(pairing.first_alone)}) belongs to one of "
            f"{result} ({listed_files(pairing.second_alone)}); name them alike, but for what all files of a "
            f"folder share{stack_advice(pairing.first_alone, pairing.second_alone)}"
        )
    pages: list[PageResult[T]] = []
    failures: list[UNet2015Error] = []
    notes = Repeated()
    on_results = notes_on_pairs(pairing.pairs)
    for note in on_results:
        _log.warning("%s: %s", result, note)
    for done, (true, found) in enumerate(pairing.pairs, 1):
        try:
            pages += list(_compare(true, found, measure, axes, notes.say))
        except Exception as error:  # whatever it is, it is the failure of this pair alone
            failures.append(failure_of(error, found))
        if progress is not None:
            progress(done, len(pairing.pairs))
    notes.finish()
    told = tuple(notes.warnings())
    return Comparison(tuple(pages), pairing, tuple(failures), on_results, tuple(below.folders), told)


def _compare(
    truth: Path,
    result: Path,
    measure: Callable[[NDArray[Any], NDArray[Any]], T],
    axes: str | None,
    say: Say,
) -> Iterator[PageResult[T]]:
    watches = [Unchanged(path) for path in (truth, result)]
    with open_image(truth, axes, labels=True) as true, open_image(result, axes, labels=True) as found:
        for image in (true, found):
            _check(image)
            say_notes(image, say=say)
        if _size(true) != _size(found):
            raise DataSetError(f"{result}: it has {_size(found)}, but its truth, {truth}, has {_size(true)}")
        check_counterpart(true, found, "its truth", say=say)
        fit = PageFit(true, found)
        for page in range(true.pages):
            images = [_page(image, page) for image in (true, found)]
            try:
                measured = measure(*images)
            except (DataSetError, LabelError) as error:
                raise type(error)(f"{result} page {page} and {truth}: {error}") from error
            fit.add(page, *images)
            used = [page_colours(*one) for one in zip((true, found), (page, page), images, strict=True)]
            yield PageResult(truth, result, page, measured, (used[0], used[1]))
        if note := fit.describe():
            say(result, note)
    for watch in watches:
        watch.check()


def _check(image: Image) -> None:
    if image.channels != 1:
        raise DataSetError(
            f"{image.name}: expected one channel, but it has {image.channels} (axes {image.axes})"
            f"{no_channels_in_labels(image.axes)}"
        )


def _size(image: Image) -> str:
    return f"{counted(image.pages, 'page')} of {image.height} x {image.width} px (height x width)"


def _page(image: Image, page: int) -> NDArray[Any]:
    pixels: NDArray[Any] = image.read(page, 0, image.height, 0, image.width)[0]
    advice = f"of a probability map compare the class map{labels_inside(image.path)}"
    return whole_numbers_of(pixels, image.name, advice)
