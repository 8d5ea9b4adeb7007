"""Names of what a segmentation writes of an image, and which of it is meant where several lie in a folder."""

from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from unet2015.images.zarr_formats import has_marker
from unet2015.safe_files import RECORD, record_paths
from unet2015.wording import listed

_NAMED = 5

CLASSES, PROBABILITY, LABELS = ".classes.tif", ".probability.tif", ".labels.tif"
"""Endings of class maps, probability maps and instance labels."""
CLASSES_ZARR, LABELS_ZARR = ".classes.zarr", ".labels.zarr"
"""The same as OME-Zarr; that of a segmentation holds all its maps and labels."""
ROIS, OVERLAY, OVERLAY_JPEG = ".rois.zip", ".overlay.png", ".overlay.jpg"
"""Endings of regions for ImageJ, and of previews."""
TABLE, PARQUET, GEOJSON = ".objects.csv", ".objects.parquet", ".geojson"
"""Endings of tables of objects, and of outlines for QuPath."""
OME = ".ome.tif"
"""Ending of OME-TIFF: of a result, after what it is, as in ``.classes.ome.tif``."""
MAIN_ENDINGS = (CLASSES, ".classes.ome.tif", CLASSES_ZARR, ".tif", ".tiff", OME, ".zarr", LABELS_ZARR)
"""Endings of the class map, which the record of a segmentation may be named after."""
_MAPS = (CLASSES, PROBABILITY, LABELS, CLASSES_ZARR, LABELS_ZARR)
ENDINGS = (*_MAPS, ROIS, OVERLAY, OVERLAY_JPEG, TABLE, PARQUET, GEOJSON)
"""Endings of all results."""
_INSIDE: dict[str | None, str] = {CLASSES: "classes", LABELS: "labels"}
"""Names of the label images inside an OME-Zarr result, by the endings of the same as TIFF."""
TIFF = (".tif", ".tiff", ".tf2", ".tf8", ".btf")
"""Endings of TIFF files."""
_IMAGES = tuple(ending for ending in ENDINGS if ending.endswith((".tif", ".png", ".jpg")))
ImageName = tuple[Path, str]
"""Folder and name of the image of a result."""


def results_meant(files: Iterable[Path], wanted: str) -> list[Path]:
    """Return the files that are meant: of the results of one image those with an ending, if there are any.

    An OME-Zarr image that holds the same inside counts as such.

    Parameters
    ----------
    files : iterable of Path
        Images, in any order.
    wanted : str
        An ending, such as `LABELS`.
    """
    files = list(files)
    images = {image_of(path, (wanted,)) for path in files} | _images_inside(files, wanted)
    others = tuple(ending for ending in _IMAGES if ending != wanted)
    return [path for path in files if (image := image_of(path, others)) is None or image not in images]


def ome_ending(ending: str) -> str:
    """Return the ending of a result that is an OME-TIFF: ``.classes.ome.tif`` for ``.classes.tif``."""
    return ending.removesuffix(".tif") + OME if ending.endswith(".tif") else ending


def is_ome_name(path: Path) -> bool:
    """Whether a file is named as an OME-TIFF."""
    return path.suffix.lower() in TIFF and path.stem.lower().endswith(".ome")


def stem_of(path: Path) -> str:
    """Return the name of an image without its ending; ``.ome.tif`` is one."""
    return path.stem[: -len(".ome")] if is_ome_name(path) else path.stem


def shared_stem(path: Path) -> str:
    """Return the part of a name that an image can share with its labels: neither ending nor ``.ome``."""
    return path.stem[: -len(".ome")] if path.stem.lower().endswith(".ome") else path.stem


def name_before(name: str, endings: Iterable[str]) -> str | None:
    """Return what stands before the ending of a result; None if a name has none of the endings."""
    for ending in endings:
        for one in (ending, ome_ending(ending)):
            if name.endswith(one):
                return name.removesuffix(one)
    return None


def record_places(path: Path) -> tuple[Path, ...]:
    """Return where the record of a result may be: of segment one for all, of other commands one for each."""
    name = name_before(path.name, ENDINGS)
    named = path.with_name(stem_of(path) if name is None else name)
    # Where NAME.record.json is that of another image, the record has the name of the class map.
    others = (named.with_name(f"{named.name}{ending}{RECORD}") for ending in MAIN_ENDINGS)
    return (*record_paths(path, named), *record_paths(path, path.with_suffix("")), *others)


def image_of(path: Path, endings: Iterable[str] = ENDINGS) -> ImageName | None:
    """Return folder and name of the image of a result; None if a file has no such ending."""
    name = name_before(path.name, endings)
    return None if name is None else (path.parent, name)


def _images_inside(files: Iterable[Path], wanted: str) -> set[ImageName | None]:
    """Return the same for OME-Zarr results with what is wanted inside; other results have either name."""
    inside = [path for path in files if meant_inside(path, wanted) != path]
    return {
        image_of(path, endings)
        for path in inside
        for endings in ((CLASSES_ZARR, LABELS_ZARR), (path.suffix,))
    }


def meant_inside(path: Path, wanted: str | None) -> Path:
    """Return the label image inside an OME-Zarr result that is meant; the path itself where there is none."""
    place = path / "labels" / _INSIDE[wanted] if wanted in _INSIDE else path
    return place if path.suffix.lower() == ".zarr" and place.is_dir() else path


def image_around(path: Path) -> Path:
    """Return the OME-Zarr image that a label image of it lies in; the path itself where it lies in none."""
    around = path.parent.parent
    # A field of a plate, or an image of a collection, has no such ending.
    inside = path.parent.name == "labels" and (around.suffix.lower() == ".zarr" or has_marker(around))
    return around if inside else path


def shown_name(path: Path) -> str:
    """Return the name of an image or of labels for a message: inside OME-Zarr, the path from there on.

    So ``one.zarr/labels/cells``, as labels of every image may be named ``cells``.
    """
    named = (place for place in (path, *path.parents) if place.suffix.lower() == ".zarr")
    around = next(named, None) or [path, *takewhile(has_marker, path.parents)][-1]
    return str(path.relative_to(around.parent))


def table_name(path: Path) -> str:
    """Return what tables call an image, or the image that labels lie in: inside OME-Zarr as messages do.

    So ``plate.zarr/A/1/0``, as fields of every well are named ``0``, wherever it is named from.
    """
    around = image_around(path.absolute())
    return Path(shown_name(around)).as_posix() if around.is_dir() else path.name


def labels_inside(path: Path | None) -> str:
    """Return, for a message, where the labels in an OME-Zarr image lie; empty where there are none."""
    folder = None if path is None else path / "labels"
    if folder is None or not folder.is_dir():
        return ""
    places = [str(place) for place in sorted(folder.iterdir()) if has_marker(place)]
    return f"; its labels are {listed(places, _NAMED)}" if places else ""
