"""What OME-Zarr declares for the numbers of a label image (``image-label``): colours, a palette, and names.

Source: https://ngff.openmicroscopy.org/0.5/#label-md
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from unet2015.images.image import Colours

_MOST = 256
"""Numbers above this are hardly classes."""
_BLACK = (0, 0, 0)
_NAMES = ("name", "class")
"""Keys of a property, in any case, that name what a number is; the first that is there counts."""
_Colour = tuple[int, int, int]


def colours_of_labels(attributes: Mapping[str, Any]) -> Colours | None:
    """Return the colour of each number from 0 on; None where not all from 1 to the largest have one.

    Grays are no colours, nor is one that cannot be seen; 0 without a colour is black.

    Parameters
    ----------
    attributes : mapping
        Of the group.
    """
    declared = _declared(attributes, "colors")
    if declared is None or len(declared) > _MOST:
        return None
    found: dict[int, _Colour] = {}
    for one in declared:
        value, colour = (
            (one.get("label-value"), _seen(one.get("rgba"))) if isinstance(one, Mapping) else (0, None)
        )
        if colour is None:
            continue
        if not _is_byte(value) or value in found:
            return None
        found[value] = colour
    if 0 not in found and _BLACK in found.values():
        return None
    found.setdefault(0, _BLACK)
    if sorted(found) != [*range(len(found))] or all(len({*colour}) == 1 for colour in found.values()):
        return None
    return np.array([found[number] for number in range(len(found))], np.uint8)


def names_of_labels(attributes: Mapping[str, Any]) -> dict[int, str]:
    """Return the name of each number that has one (``properties``); those named twice otherwise have none.

    The format leaves the keys of a property open: its own example has ``class``.

    Parameters
    ----------
    attributes : mapping
        Of the group.
    """
    found: dict[int, str] = {}
    doubtful = set[int]()
    for one in _declared(attributes, "properties") or ():
        number = one.get("label-value") if isinstance(one, Mapping) else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            continue
        words = {str(key).lower(): value for key, value in one.items()}
        name = next((words[key] for key in _NAMES if key in words), None)
        if isinstance(name, str) and name.strip() and found.setdefault(number, name.strip()) != name.strip():
            doubtful.add(number)
    return {number: name for number, name in found.items() if number not in doubtful}


def _declared(attributes: Mapping[str, Any], key: str) -> list[Any] | tuple[Any, ...] | None:
    """Return a list of ``image-label``; None where there is none."""
    metadata = attributes.get("ome", attributes)
    label = metadata.get("image-label") if isinstance(metadata, Mapping) else None
    declared = label.get(key) if isinstance(label, Mapping) else None
    return declared if isinstance(declared, list | tuple) else None


def _seen(rgba: object) -> _Colour | None:
    """Return red, green and blue of a colour that is not see-through."""
    if not isinstance(rgba, list | tuple) or len(rgba) not in (3, 4) or not all(map(_is_byte, rgba)):
        return None
    return None if rgba[3:] in ([0], (0,)) else (rgba[0], rgba[1], rgba[2])


def _is_byte(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 256
