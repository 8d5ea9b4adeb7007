"""The planes of a TIFF's directories, checked together where directories are alike."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unet2015.errors import ImageReadError
from unet2015.images.declared import Declared
from unet2015.images.directories import Plane, contiguous_planes, least_counts, make_plane, page_key
from unet2015.images.repeated import RepeatedPage, first_of
from unet2015.wording import counted

PLANE_BYTES = 768
"""About what a directory, its plane and their lists take in memory, for one strip or tile."""
_SEGMENT_BYTES = 100
_TOGETHER = 2**12


def listed_bytes(planes: Sequence[Plane]) -> int:
    """Return about what planes take in memory."""
    return len(planes) * (PLANE_BYTES + _SEGMENT_BYTES * len(planes[0].offsets))


def make_planes(pages: Sequence[Any], size: int, name: str) -> list[Plane]:
    """Return the plane of each directory; one that comes several times has one plane.

    Parameters
    ----------
    pages : sequence of tifffile.TiffPage or RepeatedPage
        Directories of one size and type.
    size : int
        Bytes of the file.
    name : str
        The file.

    Raises
    ------
    ImageReadError
        As `make_plane`.
    """
    made: dict[int, Plane] = {}
    alike: dict[int, list[Any]] = {}
    for page in {id(page): page for page in pages}.values():
        if isinstance(page, RepeatedPage):
            alike.setdefault(id(page.first), []).append(page)
        else:
            made[id(page)] = make_plane(page, size, name)
    for repeated in alike.values():
        first = make_plane(repeated[0], size, name)
        for start in range(0, len(repeated), _TOGETHER):
            some = repeated[start : start + _TOGETHER]
            made |= zip(map(id, some), _repeated(first, some, size, name), strict=True)
    return [made[id(page)] for page in pages]


def _repeated(first: Plane, pages: Sequence[Any], size: int, name: str) -> list[Plane]:
    try:
        offsets = np.array([page.dataoffsets for page in pages], np.int64)
        counts = np.array([page.databytecounts for page in pages], np.int64)
    except OverflowError:  # beyond any file: one by one, which says where
        return [make_plane(page, size, name) for page in pages]
    least = least_counts(first, counts.shape[1])
    wrong = (
        (counts < least)
        | ((offsets < 8) & (counts > 0))
        | (offsets > size)
        | (counts > size)
        | (offsets + counts > size)
    )
    if wrong.any():
        make_plane(pages[int(wrong.any(axis=1).argmax())], size, name)  # says what is wrong
        return [make_plane(page, size, name) for page in pages]
    return [
        Plane(page, offsets[i], counts[i], first.rows, first.columns, first.raw)
        for i, page in enumerate(pages)
    ]


def planes_of(declared: Declared, pages: list[Any], size: int, name: str) -> list[Plane]:
    """Return the planes in their declared order, checked against each other and the file."""
    expected = declared.planes
    if declared.directories is not None:
        used = [pages[i] for i in declared.directories]
    elif len(pages) == expected:
        used = pages
    else:
        planes = contiguous_planes(pages[0], expected, size, name) if len(pages) == 1 else None
        if planes is None:
            raise ImageReadError(f"{name}: the header declares {_other_number(declared, len(pages))}")
        return planes
    keys = {page_key(page): page for page in unlike(used)}
    if len(keys) > 1:
        kinds = " and ".join(map(_kind, keys.values()))
        raise ImageReadError(
            f"{name}: expected pages of one size and type, but it has {kinds}; split the file"
        )
    return make_planes(used, size, name)


def _kind(page: Any) -> str:
    """Say of a page what all pages of an image must share."""
    said = f"{page.imagelength} x {page.imagewidth} {page.dtype} of {page.bitspersample} bits"
    if page.samplesperpixel == 1:
        return said
    return f"{said}, {page.samplesperpixel} samples {'apart' if page.planarconfig == 2 else 'together'}"


def _other_number(declared: Declared, held: int) -> str:
    """Say how many planes are declared where the file holds another number, and what to do."""
    planes = f"{declared.planes} planes ({'x'.join(map(str, declared.sizes))})"
    more = held - declared.planes
    if more < 0:
        return (
            f"{planes}, but the file holds {held}; it was cut short: copy it again; or its header is another "
            "file's: save it again from where it comes"
        )
    return (
        f"{planes}, but the file holds {counted(held, 'page')}, {more} more: pages were added after the "
        "header was written, or it is another file's; save all pages again in one go, from where they come, "
        "or those that were added in a file of their own"
    )


def unlike(pages: list[Any]) -> list[Any]:
    """Return one of the pages that say the same, in their order."""
    found = {id(first_of(page)): page for page in reversed(pages)}
    return list(found.values())[::-1]
