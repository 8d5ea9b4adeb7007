"""Whose labels a label image of OME-Zarr is: by its metadata, else by where it lies."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from unet2015.errors import UNet2015Error
from unet2015.images.equal_pixels import equal_pixels
from unet2015.images.reader import open_image
from unet2015.images.reordered import ordered_like
from unet2015.images.result_names import image_around
from unet2015.images.result_records import recorded_results
from unet2015.images.zarr_group import is_zarr, open_group

MADE_HERE = ("probability map", "class map", "instance labels")
"""Names of the images that results of this program are; what they are of, the record beside them says."""
_SEE = "see that they belong together"


def own_image(labels: Path) -> Path | None:
    """Return the OME-Zarr image whose label image this is; None where that is not known."""
    found = _own_image(labels)
    return None if found is None else found[0]


def describe_own_image(labels: Path, image: Path) -> str | None:
    """Return in words that a label image is of another image than the one it is put together with, else None.

    A copy of its image, with the same pixels, is not another one.
    """
    found = _own_image(labels)
    if found is None or _is_same(found[0], image):
        return None
    return f"is a label image of {found[0]} by {found[1]}, and not of {image}; {_SEE}"


def describe_other_images(labels: Path, truth: Path) -> str | None:
    """Return in words that labels, or a map, are of another image than their truth; else None.

    One of both must be a label image inside OME-Zarr; of the other one a record may say the image. One that
    is not there any more may have moved.
    """
    own = [own_image(path) for path in (labels, truth)]
    if own == [None, None]:
        return None
    ours, theirs = (known or _recorded_image(path) for known, path in zip(own, (labels, truth), strict=True))
    if ours is None or theirs is None or not (ours.exists() and theirs.exists()) or _is_same(ours, theirs):
        return None
    return (
        f"is of another image than its truth, by where both lie, or the record beside it: of {ours}, and its "
        f"truth of {theirs}; {_SEE}"
    )


def _own_image(labels: Path) -> tuple[Path, str] | None:
    """Return the image whose label image this is, and how that is known."""
    if not is_zarr(labels):
        return None
    source = _attributes(labels).get("image-label")
    for key in ("source", "image"):
        source = source.get(key) if isinstance(source, Mapping) else None
    # A link, or a path from within the image, does not show where it lies.
    place = labels if image_around(labels) != labels else Path(os.path.realpath(labels))
    around = image_around(place)
    named = Path(os.path.normpath(place / source)) if isinstance(source, str) and "\0" not in source else None
    for image, why in ((named, "its metadata"), (around, "where it lies")):
        if image is None or _is_one(image, labels) or not _is_image(image):
            continue
        return image, "where it lies" if _is_one(image, around) else why
    return None


def _is_image(path: Path) -> bool:
    """Whether a path is an OME-Zarr image, and no result of this program."""
    images = _attributes(path).get("multiscales") if is_zarr(path) else None
    first = images[0] if isinstance(images, list | tuple) and images else None
    return isinstance(first, Mapping) and first.get("name") not in MADE_HERE


def _attributes(path: Path) -> Mapping[str, Any]:
    """Return the OME metadata of a group; empty where they cannot be read, as opening it says why."""
    with suppress(UNet2015Error):
        attributes = dict(open_group(path).attrs.asdict())
        found = attributes.get("ome", attributes)
        return found if isinstance(found, Mapping) else {}
    return {}


def _recorded_image(result: Path) -> Path | None:
    """Return the image that a result was made of, by the record beside it."""
    made = [one.made.get("input") for one in recorded_results([result])]
    return Path(made[0]) if made and isinstance(made[0], str) else None


def _is_one(path: Path, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths are one image, or have the same pixels; most differ in their first rows."""
    if _is_one(path, other):
        return True
    with suppress(UNet2015Error), open_image(path) as one, ordered_like(open_image(other), one) as two:
        return equal_pixels(one, two)
    return False
