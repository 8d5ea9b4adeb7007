"""What a folder or pattern holds beside the images that are taken: none is left out without a word."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from unet2015.images.figure_files import is_figure
from unet2015.images.formats import SUFFIXES, begins_as_image
from unet2015.images.result_names import ROIS
from unet2015.images.zarr_group import is_zarr
from unet2015.wording import listed

_NAMED = 10
_EVENTS = "events.out.tfevents."
"""How the names of files for TensorBoard begin."""

_BESIDE = frozenset(
    (
        *(".cfg", ".csv", ".db", ".geojson", ".groovy", ".htm", ".html", ".ijm", ".ini", ".ipynb", ".json"),
        *(".jsonl", ".lnk", ".log", ".md", ".ome", ".parquet", ".pdf", ".py", ".roi", ".rtf"),
        *(".safetensors", ".sh", ".toml", ".tsv", ".txt", ".xlsx", ".xml", ".yaml", ".yml"),
    )
)
"""Endings of what lies beside images and is none."""


def left_out(files: Iterable[Path], taken: Collection[Path]) -> list[Path]:
    """Return the files that may be images and are not among those taken, first those that begin as one.

    Hidden files, what lies in a folder that is taken as one image, and figures and events of a training do
    not count.
    """
    images, others = [], []
    for path in files:
        if path.name.startswith(".") or path in taken or not path.is_file():
            continue
        if any(parent in taken for parent in path.parents):
            continue
        if path.name.startswith(_EVENTS) or is_figure(path):
            continue
        if begins_as_image(path):
            images.append(path)
        elif path.suffix.lower() not in _BESIDE and not path.name.endswith(ROIS):
            others.append(path)
    return images + others


def hidden_images(files: Iterable[Path]) -> list[Path]:
    """Return the images among files whose names begin with a dot, but for what a Mac keeps beside its own.

    These are left out as the files of the system are, though a name such as ``.5um.tif`` may be meant.
    """
    hidden = (path for path in files if path.name.startswith(".") and not path.name.startswith("._"))
    return [path for path in hidden if path.suffix.lower() in (*SUFFIXES, ".zarr") and _is_image(path)]


def _is_image(path: Path) -> bool:
    return is_zarr(path) or begins_as_image(path)


def describe_hidden(where: object, files: Sequence[Path]) -> str:
    """Return a line that names images which are left out as they are hidden."""
    names = listed([path.name for path in files], _NAMED)
    return f"{where}: hidden images, whose names begin with a dot, are left out; give them by name: {names}"


def describe_left_out(where: object, files: Sequence[Path], taken: str) -> str:
    """Return a line that names files which are left out.

    Parameters
    ----------
    where : str or Path
        The folder or pattern.
    files : sequence of Path
        As `left_out` returns them; at least one.
    taken : str
        The endings that are taken.
    """
    names = listed([path.name for path in files], _NAMED)
    count = f"{len(files)} file is" if len(files) == 1 else f"{len(files)} files are"
    return f"{where}: {count} left out, as only {taken} are taken; give images among them by name: {names}"
