"""Pages of a TIFF that are no part of its image: thumbnails without a word, all others with a note."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.declared import Declared
from unet2015.wording import counted, listed

_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_NAMED = 10
_MOST_INSIDE = 64  # a pyramid has fewer


def without_unused(pages: list[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Return the pages that are marked neither as reduced images nor as masks, and notes on the others.

    A transparency mask says which pixels of another page are shown (TIFF 6.0, section 8). Where all pages are
    marked as masks, all are kept.

    Parameters
    ----------
    pages : list of tifffile.TiffPage or RepeatedPage
        All directories of a file.
    """
    masks = [page.index for page in pages if page.subfiletype & _MASK]
    if not masks or len(masks) == len(pages):
        return _without_reduced(pages)
    kept, notes = _without_reduced([page for page in pages if not page.subfiletype & _MASK])
    return kept, (f"{_numbered(masks)} marked as transparency mask: left out", *notes)


def _without_reduced(pages: list[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Return the pages that are not marked as reduced images, and a note on what is left out.

    A reduced image is smaller than the first page. One that is not may be a plane of the stack, so the note
    names it. Where all pages are marked, all are kept. In Zeiss LSM each page has a thumbnail, which may be
    as large as a small page.
    """
    kept = [page for page in pages if not page.subfiletype & _REDUCED]
    if not kept or len(kept) == len(pages):
        return pages, ()
    if kept[0].parent.is_lsm and 2 * len(kept) == len(pages):
        return kept, ()
    large = [p.index for p in pages if p.subfiletype & _REDUCED and not _is_smaller(p, kept[0])]
    if not large:
        return kept, ()
    return kept, (
        f"{_numbered(large)} marked as thumbnail, but not smaller than page {kept[0].index}: left out, so "
        f"that {len(kept)} of {len(pages)} pages are read",
    )


def describe_undeclared(pages: Sequence[Any], declared: Declared) -> tuple[str, ...]:
    """Return a note on pages that OME-XML takes for no plane of the image; thumbnails do not count.

    Parameters
    ----------
    pages : sequence of tifffile.TiffPage or RepeatedPage
        All directories of a file.
    declared : Declared
        What the OME-XML declares, with the directory of each plane.
    """
    used = set(declared.directories or ())
    first = pages[min(used)]
    left = [
        i
        for i, page in enumerate(pages)
        if i not in used and not (page.subfiletype & _REDUCED and _is_smaller(page, first))
    ]
    if not left:
        return ()
    return (
        f"the OME-XML declares {counted(declared.planes, 'plane')} in this file, but it "
        f"holds {len(pages)} pages: {_numbered(left)} left out",
    )


def describe_inside(page: Any, name: str) -> tuple[str, ...]:
    """Return a note on images inside a page (SubIFDs) that are no smaller copies of it.

    Parameters
    ----------
    page : tifffile.TiffPage
        The first page of the image.
    name : str
        The file.

    Raises
    ------
    ImageReadError
        One is larger, so the page is a preview of it, as in TIFF/EP and in raw files of cameras.
    """
    inside = [one for one in _inside(page) if not _is_smaller(one, page)]
    for one in inside:
        if one.imagelength > page.imagelength or one.imagewidth > page.imagewidth:
            small, large = (f"{each.imagelength} x {each.imagewidth} px" for each in (page, one))
            raise ImageReadError(
                f"{name}: page {page.index}, {small}, is a preview of the image inside it (SubIFD), {large}, "
                "which is not read: save that as TIFF"
            )
    same = [one for one in inside if not one.subfiletype & (_REDUCED | _MASK)]
    if not same:
        return ()
    return (f"page {page.index} has {len(same)} more of its size inside it (SubIFDs): left out",)


def _inside(page: Any) -> Iterator[Any]:
    """Go through the images inside a page that can be read; what is damaged is none of the image."""
    for number, place in enumerate((page.subifds or ())[:_MOST_INSIDE]):
        with suppress(Exception):
            page.parent.filehandle.seek(place)
            found = tifffile.TiffPage(page.parent, index=(page.index, number))
            if all(isinstance(length, int) for length in (found.imagelength, found.imagewidth)):
                yield found


def _is_smaller(page: Any, than: Any) -> bool:
    """Whether a page may be a reduced copy of another."""
    size, whole = ((one.imagelength, one.imagewidth) for one in (page, than))
    if not all(isinstance(length, int) for length in (*size, *whole)):  # damaged tags
        return False
    return bool(size[0] <= whole[0] and size[1] <= whole[1] and size != whole)


def _numbered(pages: Sequence[int]) -> str:
    """Return numbers of pages as the subject of a sentence, with its verb."""
    return f"page {pages[0]} is" if len(pages) == 1 else f"{len(pages)} pages ({listed(pages, _NAMED)}) are"
