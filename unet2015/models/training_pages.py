"""Which pages a model was trained on: by its record, and by those of the models that it was started from.

Files are known by their SHA-256, pages of other files by a digest of their pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from unet2015.wording import listed

FILES, HELD_OUT, START = "files", "held_out", "start"
"""Keys of the record of a training: its files with their SHA-256, its held-out pages, the model before it."""
HELD_OUT_SEEN = "held_out_trained_on"
"""Key of the names of those held-out pages that were trained on, here or by a model before."""

TOGETHER = "share_pixels"
"""Key of the names of pages that share pixels, in groups, where that decided which pages are held out."""
PIXELS = "pixels"
"""Key of what a file's entry says of its pages: ``height``, ``width`` and, of each page, ``digests``."""

_NAMED = 5  # pages that a message lists before it says how many more


class ImageFile(NamedTuple):
    """What is known of an image that may have been trained on.

    Attributes
    ----------
    sha256 : str
        Of the file.
    pages : int
        How many it has.
    scene : str or None
        Of a file with several images, which one.
    digests : sequence of str or None
        Of the pixels of each page (`PageDigest.short`); None for a page to be known by its file alone. Empty
        where all are.
    """

    sha256: str
    pages: int
    scene: str | None = None
    digests: Sequence[str | None] = ()


def files_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a record that says which pages a model, and those before it, were trained on.

    Parameters
    ----------
    record : mapping
        The record of a training, ``ModelInfo.training``.
    """
    return {name: record[name] for name in (FILES, HELD_OUT, "scene") if name in record} | {
        name: files_of(record[name]) for name in (START,) if isinstance(record.get(name), dict)
    }


def to_show(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record, and those of the models before it, without the digests of pages."""
    said = dict(record)
    if isinstance(files := said.get(FILES), list):
        said[FILES] = [
            {key: value for key, value in file.items() if key != PIXELS} if isinstance(file, dict) else file
            for file in files
        ]
    if isinstance(before := said.get(START), dict):
        said[START] = to_show(before)
    return said


def names_files(record: Mapping[str, Any]) -> bool:
    """Return whether a record, and those of the models before it, name the files that were trained on."""
    return all(_names(one) for one in _records(record))


def page_sizes(record: Mapping[str, Any]) -> set[tuple[int, int]]:
    """Return heights and widths of pages that can be known by their pixels, also with both exchanged."""
    found = set[tuple[int, int]]()
    for one in _records(record):
        for pair in one[FILES] if _names(one) else ():
            said = pair.get(PIXELS) if isinstance(pair, dict) else None
            if isinstance(said, dict):
                height, width = said.get("height"), said.get("width")
                if isinstance(height, int) and isinstance(width, int):
                    found |= {(height, width), (width, height)}
    return found


def trained_pages(record: Mapping[str, Any], image: ImageFile) -> set[int]:
    """Return which pages of a file a model, or one that it was started from, was trained on.

    Parameters
    ----------
    record : mapping
        The record of a training.
    image : ImageFile
        Known by its SHA-256, whatever its name is; its pages also by their digests, in whatever file.

    Returns
    -------
    set of int
        Numbers of pages, from 0; empty where the record names no files.
    """
    return {page for page, held_out in _pages_of(record, image) if not held_out}


def chosen_pages(record: Mapping[str, Any], image: ImageFile) -> set[int]:
    """Return which pages of a file were held out when a model, or one before it, was trained.

    It was not trained on them, but its best state, its threshold and the settings of its objects were chosen
    by them. Parameters are those of `trained_pages`.
    """
    found = {page for page, held_out in _pages_of(record, image) if held_out}
    return found - trained_pages(record, image)


def _pages_of(record: Mapping[str, Any], image: ImageFile) -> Iterator[tuple[int, bool]]:
    """Yield the pages of a file in each training, and whether they were held out."""
    for one in _records(record):
        if not _names(one):
            continue
        other_scene = _other_scene(one.get("scene"), image.scene)
        held_out = {name for name in one[HELD_OUT] if isinstance(name, str)}
        for pair in one[FILES]:
            if not isinstance(pair, dict):
                continue
            name = pair.get("image")
            same_file = pair.get("image_sha256") == image.sha256 and not other_scene
            for page, its in _same_pages(pair, image, same_file=same_file):
                yield page, bool({name, f"{name} page {its}"} & held_out)


def _same_pages(pair: Mapping[str, Any], image: ImageFile, *, same_file: bool) -> Iterator[tuple[int, int]]:
    """Yield which pages of an image are which of a file that was trained on: all, or those alike."""
    if same_file:
        yield from ((page, page) for page in range(image.pages))
        return
    said = pair.get(PIXELS)
    digests = said.get("digests") if isinstance(said, dict) else None
    if not isinstance(digests, list):
        return
    known = {digest: its for its, digest in enumerate(digests) if isinstance(digest, str)}
    for page, digest in enumerate(image.digests):
        if digest is not None and digest in known:
            yield page, known[digest]


def why_unknown(record: Mapping[str, Any]) -> str:
    """Return that it is not known whether a model before was trained on held-out pages; empty if it is.

    Parameters
    ----------
    record : mapping
        The record of a training.
    """
    before = record.get(START)
    if not isinstance(before, dict) or not record.get(HELD_OUT) or names_files(before):
        return ""
    return f"whether {before.get('model')} was trained on these pages, too, is not known by its record"


def why_too_good(record: Mapping[str, Any]) -> str:
    """Return why the measures of a training are too good, in words; empty where that is not known.

    Parameters
    ----------
    record : mapping
        The record of the training.
    """
    seen, pages = record.get(HELD_OUT_SEEN), record.get(HELD_OUT)
    if not isinstance(seen, list) or not seen:
        return ""
    of = f" of {len(pages)}" if isinstance(pages, list) else ""
    return (
        "what was measured on its held-out pages is too good, because this model, or one that it was started "
        f"from, was trained on {len(seen)}{of} of them, wholly or in part: {listed(seen, _NAMED)}"
    )


def _records(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the record of a training, and those of the trainings before it."""
    yield record
    while isinstance(before := record.get(START), dict):
        yield before
        record = before


def _names(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get(FILES), list) and isinstance(record.get(HELD_OUT), list)


def _other_scene(one: object, other: object) -> bool:
    """Whether two scenes, given as numbers, as names or as ``1:name``, are surely not the same."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    both = list(zip(_number_and_name(one), _number_and_name(other), strict=True))
    return next((ours != theirs for ours, theirs in both if ours and theirs), False)


def _number_and_name(scene: str) -> tuple[str, str]:
    number, _, name = scene.partition(":")
    return (number, name) if number.isdecimal() else ("", scene)
