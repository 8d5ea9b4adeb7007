"""The files of a Zarr folder: only regular ones are read; a link to nowhere is no missing chunk.

They are written without second names, which some file systems do not have (exFAT, FAT, shares).
"""

import asyncio
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from unet2015.errors import ImageReadError
from unet2015.images.zarr_formats import MARKERS
from unet2015.safe_files import open_regular

METADATA = (*MARKERS, ".zattrs", ".zmetadata")
"""Files that describe arrays and groups, of both formats; all others are chunks."""


@cache
def careful_store() -> Any:
    """Return the class of a read-only store of a folder: `zarr.storage.LocalStore`, but for how it reads."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import LocalStore

    class CarefulStore(LocalStore):
        async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
            return await asyncio.to_thread(self.get_sync, key, prototype=prototype, byte_range=byte_range)

        def __init__(self, root: Path | str, **options: Any) -> None:
            super().__init__(root, **options)
            self.metadata: set[str] = set()  # that were found

        def get_sync(self, key: str, *, prototype: Any = None, byte_range: Any = None) -> Any:
            data = _read(self.root, key, byte_range)
            if PurePosixPath(key).name in METADATA:
                self.metadata.update([] if data is None else [key])
            elif data is None:
                _check_there(self.root, key, self.metadata)
                data = _read(self.root, key, byte_range)  # it may have come back before the look
            wanted = prototype or default_buffer_prototype()
            return None if data is None else wanted.buffer.from_bytes(data)

        async def get_partial_values(self, prototype: Any, key_ranges: Any) -> Any:
            return [await self.get(key, prototype, part) for key, part in key_ranges]

    return CarefulStore


@cache
def plain_store() -> Any:
    """Return the class of a store of a folder to write: `LocalStore`, but that it links no files.

    zarr gives a file that must be new its name by a link. Here nobody else writes into the folder.
    """
    from zarr.storage import LocalStore

    class PlainStore(LocalStore):
        async def set_if_not_exists(self, key: str, value: Any) -> None:
            if not await self.exists(key):
                await self.set(key, value)

    return PlainStore


def _check_there(root: Path, key: str, metadata: set[str]) -> None:
    """Raise `ImageReadError` if a chunk is missing because its image is: then it was not left out.

    A folder that was moved, and a disk that drops out, take what describes the chunks with them.
    """
    above = {str(folder) for folder in PurePosixPath(key).parents}
    for place in sorted(metadata):
        if str(PurePosixPath(place).parent) in above and not (root / place).exists():
            raise ImageReadError(
                f"{root / place}: was there when the image was opened, and is not any more, so nobody knows "
                f"whether the chunk {key} is empty; see that the folder and its disk are there, and run the "
                "command again"
            )


def _read(root: Path, key: str, part: Any) -> bytes | None:
    """Return the bytes of a file, or the asked part of them; None if it is not there.

    Raises
    ------
    ImageReadError
        It is no regular file, cannot be read, or a link on the way to it leads nowhere.
    """
    path = root / key
    try:
        with open_regular(path) as file:
            if part is None:
                return file.read()
            if hasattr(part, "suffix"):
                file.seek(max(0, file.seek(0, 2) - part.suffix))
                return file.read()
            if hasattr(part, "start"):
                return _read_range(file, path, part.start, part.end)
            file.seek(part.offset)
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        for place in (path, *path.parents[: len(Path(key).parts) - 1]):
            if place.is_symlink() and not place.exists():
                raise ImageReadError(
                    f"{place}: this link leads nowhere, so its pixels are missing; is a disk not mounted?"
                ) from error
        return None
    except IsADirectoryError:
        return None
    except OSError as error:
        raise ImageReadError(f"{path}: cannot read the file: {error.strerror or error}") from error


def _read_range(file: BinaryIO, path: Path, start: int, end: int) -> bytes:
    """Return these bytes of a shard; zarr would take a chunk of which none is there for one left out."""
    file.seek(start)
    data = file.read(end - start)
    if len(data) < max(end - start, 1):
        raise ImageReadError(
            f"{path}: expected bytes {start} to {end} by the index of its chunks, but the file ends at byte "
            f"{file.seek(0, 2)}, so it is damaged; copy the image again"
        )
    return data
