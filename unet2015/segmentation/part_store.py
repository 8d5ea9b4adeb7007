"""Finished parts of a plan in a folder: one file each, whole or absent.

A part is a ZIP file with an array for each product of each band. Its ``bands.json`` has the stamp of job and
plan, and lists the bands in order: page, row of tiles, names of the products, and low, high and skipped as in
`Band`. A file that an earlier run left counts as finished only when all of it fits its checksums.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import ImageWriteError, UNet2015Error
from unet2015.safe_files import atomic_path, open_regular, remove
from unet2015.tiling.plan import Part, TilePlan
from unet2015.tiling.rows import Packed, Rows
from unet2015.tiling.sinks import Band


def stamp(folder: Path, plan: TilePlan) -> str:
    """Return what parts of one job and plan have in common: a digest of the work folder's name and the plan.

    The name of the folder stands for everything that decides the bytes.
    """
    return hashlib.sha256(json.dumps([folder.name, plan.as_dict()]).encode()).hexdigest()


class Store(Protocol):
    """Where finished parts are kept; several processes may keep different parts at the same time."""

    @property
    def folder(self) -> Path:
        """The work folder."""

    @property
    def opener(self) -> Callable[[TilePlan], "Store"]:
        """A function that opens the same store in another process, for the same plan; it can be pickled."""

    def finished(self) -> Collection[int]:
        """Return the numbers of the parts that are there."""

    def keeping(self, part: Part) -> AbstractContextManager[Callable[[Band], object]]:
        """Yield what takes the bands of a part, from top to bottom; at the end of the context it is whole."""


class PartStore:
    """Finished parts of a plan, as files.

    Parameters
    ----------
    folder : Path
        An existing folder.
    plan : TilePlan
        The plan whose parts are kept.
    check : callable
        Called before a part is kept; raises an error if the part cannot be trusted.
    """

    def __init__(self, folder: Path, plan: TilePlan, check: Callable[[], None] = lambda: None) -> None:
        self.folder, self.plan, self.check = folder, plan, check
        self._sound: set[int] = set()

    @property
    def opener(self) -> Callable[[TilePlan], "PartStore"]:
        """A function that opens the same store in another process, for the same plan."""
        return partial(PartStore, self.folder)

    def path(self, part: Part) -> Path:
        """Return where a part is kept."""
        return self.folder / f"{part.index:05d}.part"

    def finished(self) -> set[int]:
        """Return the numbers of the parts that are there and sound; those that are damaged are removed.

        Raises
        ------
        ImageWriteError
            The folder is gone or cannot be read.
        """
        try:
            names = {path.name for path in self.folder.iterdir()}
        except OSError as error:
            raise ImageWriteError(
                f"{self.folder}: cannot read what was kept: {error.strerror}; was the output folder moved? "
                "Run again"
            ) from error
        there = [part for part in self.plan.parts if self.path(part).name in names]
        self._sound &= {part.index for part in there}
        for part in there:
            if part.index in self._sound or self._is_sound(part):
                self._sound.add(part.index)
            else:
                remove(self.path(part))
        return set(self._sound)

    @contextmanager
    def keeping(self, part: Part) -> Iterator[Callable[[Band], object]]:
        """Yield what takes the bands of a part, from top to bottom; at the end of the context it is kept.

        Raises
        ------
        ImageWriteError
            It cannot be written.
        """
        with PartWriter(self, part) as writer:
            yield writer.append

    def load(self, part: Part) -> Iterator[Band]:
        """Yield the bands of a part, one in memory at a time.

        Raises
        ------
        ImageWriteError
            The file is damaged; it is removed, so that the next run computes the part again. Or it is gone.
        """
        path = self.path(part)
        try:
            with open_regular(path) as opened, zipfile.ZipFile(opened) as file:
                for index, (page, row, names, *seen) in enumerate(self._bands(file, part)):
                    pixels = {name: Rows([_load(file, f"{index}.{name}")]) for name in names}
                    yield Band(page, row, pixels, *seen)
        except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, EOFError) as error:
            path.unlink(missing_ok=True)
            raise ImageWriteError(
                f"{path}: what an earlier run kept is damaged ({error}) and was removed; run again"
            ) from error
        except OSError as error:
            if isinstance(error, UNet2015Error):
                raise
            raise ImageWriteError(
                f"{path}: cannot read what was kept: {error.strerror}; was the output folder moved? Run again"
            ) from error

    def _bands(self, file: zipfile.ZipFile, part: Part) -> list[Any]:
        """Return the list of a part's bands; raise `ValueError` if it is another part."""
        said = json.loads(file.read("bands.json"))
        wanted = [[page, row] for page in part.pages for row in part.rows]
        if said["stamp"] != stamp(self.folder, self.plan) or [band[:2] for band in said["bands"]] != wanted:
            raise ValueError("it belongs to another part")
        return list(said["bands"])

    def _is_sound(self, part: Part) -> bool:
        try:
            with open_regular(self.path(part)) as opened, zipfile.ZipFile(opened) as file:
                bands = self._bands(file, part)
                arrays = {
                    f"{index}.{name}" for index, (_, _, names, *_) in enumerate(bands) for name in names
                }
                return set(file.namelist()) == arrays | {"bands.json"} and file.testzip() is None
        except Exception:  # damaged files make zipfile fail in any way
            return False


class PartWriter:
    """Writes one part to a store, band by band; a context manager, whole or nothing at its end."""

    def __init__(self, store: PartStore, part: Part) -> None:
        self._store, self._part = store, part
        self._bands: list[tuple[int, int, list[str], float, float, int]] = []
        self._stack = ExitStack()
        self._broken: OSError | None = None

    def __enter__(self) -> "PartWriter":
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._store.path(self._part)))
            self._file = stack.enter_context(zipfile.ZipFile(temporary, "w"))
            self._stack = stack.pop_all()
        return self

    def append(self, band: Band) -> None:
        """Write the next band; after one that could not be written, no other is tried."""
        if self._broken is not None:
            raise self._broken
        for name, rows in band.pixels.items():
            # Floats are mostly noise, which hardly shrinks.
            method = zipfile.ZIP_STORED if rows.dtype.kind == "f" else zipfile.ZIP_DEFLATED
            try:
                _save(self._file, f"{len(self._bands)}.{name}", rows, method)
            except OSError as error:  # the disk is full
                self._broken = error
                raise
        self._bands.append((band.page, band.row, list(band.pixels), band.low, band.high, band.skipped))

    @property
    def full(self) -> bool:
        """Whether all bands of the part came."""
        return len(self._bands) == len(self._part.pages) * len(self._part.rows)

    def __exit__(self, *error: Any) -> None:
        with self._stack as stack:
            if error[1] is not None:
                stack.__exit__(*error)
                return
            # bands.json comes last; the file gets its name only when the stack closes.
            assert self.full
            self._store.check()
            said = stamp(self._store.folder, self._store.plan)
            self._file.writestr("bands.json", json.dumps({"stamp": said, "bands": self._bands}))


def _save(file: zipfile.ZipFile, name: str, rows: Rows, method: int) -> None:
    """Write an array in NumPy's format, some rows at a time."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = method
    entry._compresslevel = 1  # type: ignore[attr-defined]  # read once, soon, then deleted
    said = {"descr": np.lib.format.dtype_to_descr(rows.dtype), "fortran_order": False, "shape": rows.shape}
    # force_zip64: the size is not known beforehand, and may be above 2 GiB.
    with file.open(entry, "w", force_zip64=True) as target:
        np.lib.format.write_array_header_1_0(target, said)
        for part in rows.blocks() if len(rows.shape) == 2 else np.asarray(rows):
            target.write(part.tobytes())


def _load(file: zipfile.ZipFile, name: str) -> Packed:
    with file.open(name) as source:
        array: NDArray[Any] = np.lib.format.read_array(source, allow_pickle=False)
        source.read()  # to the end, where the checksum is compared
        return Packed(array)
