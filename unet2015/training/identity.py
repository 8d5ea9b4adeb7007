"""Whether a training is resumed with the images and labels that it was begun with."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from unet2015.wording import listed

_PAGES = str.maketrans("TZ", "II")


def identity_difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Say with what other data a training was begun; None if they are the same.

    Parameters
    ----------
    then, now : mapping
        ``identity`` of a `unet2015.training.pages.TrainingSet`: that of a checkpoint, and that of today.
        Checkpoints of before do not have the axes, which are not compared then.
    """
    if then.get("companions") != now.get("companions") and then.get("pairs") == now.get("pairs"):
        return "other companion files (companion.ome) of the images, which say where their planes are"
    if _without_axes(then) != _without_axes(now):
        return (
            "other images or labels, another --channel or --scene, other pairs of them, in another order, "
            "or with others held out"
        )
    if not isinstance(then.get("axes"), list):
        return None
    for before, after in zip_longest(then["axes"], now["axes"]):
        if _layout(before) != _layout(after):
            return f"other axes of the images ({before} then, {after} now; see --axes)"
    return None


def other_files(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Say which files are others than those that a training was begun with; nothing where all are the same.

    Parameters
    ----------
    then, now : mapping
        The SHA-256 of each file by its path. A file that was moved is the same file.
    """
    missing = set(then.values()) - set(now.values())
    gone = [path for path, digest in then.items() if digest in missing and path not in now]
    changed = [path for path, digest in now.items() if then.get(path, digest) != digest]
    new = [path for path, digest in now.items() if path not in then and digest not in then.values()]
    found = (("changed since: ", changed), ("missing now: ", gone), ("new: ", new))
    return "; ".join(said + listed(sorted(paths)) for said, paths in found if paths)


def same_pages(axes: str, others: str) -> bool:
    """Return whether axes name the same pages and channels: those of pages may have other letters."""
    return _layout(axes) == _layout(others)


def _without_axes(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in identity.items() if key != "axes"}


def _layout(axes: str | None) -> str:
    """Return axes in which T, Z and I are one letter: the pages along an axis are the same by any name."""
    return str(axes).translate(_PAGES)
