"""Notes on GDAL's tags: pixels that are no measurement, and scale and offset of values; neither is applied.

Source: https://gdal.org/en/stable/drivers/raster/gtiff.html#metadata
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from unet2015.images.repeated import first_of
from unet2015.wording import counted, pages_listed

NODATA, METADATA = 42113, 42112

_MOST = 4
"""Notes on one image: each page of a file may say something else."""
_ITEM = re.compile(r"<Item\b([^>]*)>([^<]{1,200})</Item>")
_ROLE = re.compile(r"""\brole\s*=\s*["'](scale|offset)["']""")
_NOTHING = {"scale": 1.0, "offset": 0.0}


def nodata_text(page: Any) -> str | None:
    """Return what the tag GDAL_NODATA of a directory says; None where it is not there."""
    return _text(page, NODATA)


def describe_gdal(pages: Sequence[Any]) -> tuple[str, ...]:
    """Return notes on GDAL's tags of the directories of an image, each of which has its own."""
    said: dict[int, tuple[str, ...]] = {}
    found: dict[str, list[int]] = {}
    for page in pages:
        kind = first_of(page)  # of directories that say the same
        if id(kind) not in said:
            said[id(kind)] = _describe_page(kind)
        for note in said[id(kind)]:
            found.setdefault(note, []).append(int(page.index))
    notes = [
        note if len(numbers) == len(pages) else f"{pages_listed(numbers)}: {note}"
        for note, numbers in found.items()
    ]
    if len(notes) > _MOST:
        notes[_MOST:] = [f"GDAL's tags of other pages say {counted(len(notes) - _MOST, 'further thing')}"]
    return tuple(notes)


def _describe_page(page: Any) -> tuple[str, ...]:
    notes, nodata = [], nodata_text(page)
    if nodata is not None and _may_have(page.dtype, nodata):
        notes.append(
            f"the tag GDAL_NODATA says that pixels of {nodata[:40]} are no measurement; they are read as all "
            "others are"
        )
    text = _text(page, METADATA)
    if text is not None:
        notes.append(_describe_metadata(text))
    return tuple(notes)


def _text(page: Any, code: int) -> str | None:
    try:
        value = page.tags.valueof(code)
    except Exception:  # a damaged tag, which is not needed to read the pixels
        return None
    return None if value is None else str(value).strip("\0 ")


def _may_have(dtype: Any, text: str) -> bool:
    """Whether a pixel can have the value that a text says."""
    try:
        number = float(text)
    except ValueError:
        return False
    if dtype.kind == "f":
        return True
    limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return number.is_integer() and limits[0] <= number <= limits[1]


def _describe_metadata(text: str) -> str:
    found: dict[str, str] = {}
    for attributes, value in _ITEM.findall(text):
        role = _ROLE.search(attributes)
        if role and not _says_nothing(role[1], value):
            found.setdefault(role[1], value.strip()[:40])
    if not found:
        return "GDAL's metadata are there (tag 42112), and are not read"
    said = " and ".join(f"{role} {value}" for role, value in found.items())
    return f"GDAL's metadata (tag 42112) give the values of pixels {said}; they are read as they are stored"


def _says_nothing(role: str, value: str) -> bool:
    try:
        return float(value) == _NOTHING[role]
    except ValueError:
        return True
