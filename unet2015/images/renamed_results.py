"""Results in a folder with records, whatever their names: by their bytes, read only where need be."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from unet2015.images.result_names import CLASSES, LABELS, TIFF, meant_inside
from unet2015.safe_files import RECORD, digest_of, is_edited, read_record

_KINDS = dict.fromkeys(TIFF, TIFF[0]) | {".jpeg": ".jpg"}
"""Endings that stand for the same kind of file as another."""


@dataclass
class _Known:
    """What the records in a folder know of the results there.

    Attributes
    ----------
    names : dict of set of str
        By SHA-256, the names of results: those without objects may all be the same.
    sizes : set
        Of those that lie there under their names, with their kind: a copy has one of these.
    gone : set of str
        The kinds of those that do not lie there: somebody may have renamed them.
    """

    names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    sizes: set[tuple[str, int]] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def may_be(self, path: Path) -> bool:
        """Whether a file may be a result, by its kind and its size."""
        kind = _kind_of(path.name)
        if path.suffix.lower() == ".zarr" and all(
            meant_inside(path, one) == path for one in (CLASSES, LABELS)
        ):
            return False
        return kind in self.gone or (kind, _size_of(path)) in self.sizes


def known_results(files: Iterable[Path]) -> dict[Path, str]:
    """Return the files that records in their folder know, by SHA-256, each with the name that it has there.

    Records that somebody has changed are not believed. Only of a file that has the size of a result,
    or the kind of one that is gone, the bytes are read.
    """
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        folders[path.parent].append(path)
    found: dict[Path, str] = {}
    for folder, some in folders.items():
        known = _known_in(folder)
        for path in some:
            if known.may_be(path) and (names := known.names.get(_digest(path))):
                found[path] = path.name if path.name in names else min(names)
    return found


def _known_in(folder: Path) -> _Known:
    known = _Known()
    for place in folder.glob(f"*{RECORD}"):
        record = read_record(place)
        if record is None or is_edited(record):
            continue
        for group in ("earlier", "outputs"):
            said = record.get(group)
            for name, digest in said.items() if isinstance(said, dict) else ():
                if not isinstance(digest, str):
                    continue
                known.names[digest].add(name)
                size = _size_of(folder / name)
                if size is None:
                    known.gone.add(_kind_of(name))
                else:
                    known.sizes.add((_kind_of(name), size))
    return known


def _kind_of(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return _KINDS.get(suffix, suffix)


def _size_of(path: Path) -> int | None:
    """Return the size of a file, or of the metadata of an OME-Zarr; None where it is not there."""
    try:
        return (path / "zarr.json" if path.is_dir() else path).stat().st_size
    except OSError:
        return None


def _digest(path: Path) -> str:
    try:
        return digest_of(path)
    except OSError:
        return ""  # opening it will say why
