"""Names of what a segmentation writes of an image, and which of it is meant where several lie in a folder."""

from collections.abc import Iterable
from pathlib import Path

CLASSES, PROBABILITY, LABELS = ".classes.tif", ".probability.tif", ".labels.tif"
"""Endings of class maps, probability maps and instance labels."""
ROIS, OVERLAY = ".rois.zip", ".overlay.png"
"""Endings of regions for ImageJ, and of previews."""
_OME = ".ome.tif"
_IMAGES = (CLASSES, PROBABILITY, LABELS, OVERLAY)


def results_meant(files: Iterable[Path], wanted: str) -> list[Path]:
    """Return the files that are meant: of the results of one image those with an ending, if there are any.

    Parameters
    ----------
    files : iterable of Path
        Images, in any order.
    wanted : str
        An ending, such as `LABELS`.
    """
    files = list(files)
    images = {image for path in files if (image := _image(path, (wanted,)))}
    others = tuple(ending for ending in _IMAGES if ending != wanted)
    return [path for path in files if _image(path, others) not in images]


def _image(path: Path, endings: tuple[str, ...]) -> tuple[Path, str] | None:
    """Return folder and name of the image of a result; None if a file has no such ending."""
    name = path.name.removesuffix(_OME) + ".tif" if path.name.endswith(_OME) else path.name
    ending = next((one for one in endings if name.endswith(one)), None)
    return None if ending is None else (path.parent, name.removesuffix(ending))
