"""The folder of an export: all of its files, or none, and nothing of anybody else's."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unet2015.errors import ImageWriteError
from unet2015.provenance import versions_and_date
from unet2015.safe_files import (
    check_ours,
    check_place,
    claim,
    earlier_outputs,
    flush,
    leftovers,
    make_folder,
    record_of,
    remove,
    sha256,
    signed,
    temporary_name,
    write_json,
)

RECORD_FILE = "export.record.json"
MAIN = "README.md"
"""The file that every export has; a record is ours if it names it."""
_SAME = ("model_sha256", "intensities")


class ExportFolder:
    """A folder into which an export goes.

    Parameters
    ----------
    path : Path
        The folder; it may exist, with other files in it.
    said : dict
        What the record says, for JSON.
    """

    def __init__(self, path: Path, said: dict[str, Any]) -> None:
        self.path, self.said = path, said
        self.record = path / RECORD_FILE

    def formats(self) -> list[str]:
        """Return the formats of an earlier export in this folder."""
        return list((self._before() or {}).get("formats", {}))

    def check(self, names: Sequence[str]) -> None:
        """Raise `ImageWriteError` if files of these names would replace anything but an earlier export's.

        An export of another model, or of other intensities, is not mixed with this one either.
        """
        check_place(self.record, self.path / MAIN)
        before = self._before()
        for key in _SAME:
            if before is not None and before.get(key) != self.said[key]:
                what = "of another model" if key == "model_sha256" else "that takes other intensities"
                raise ImageWriteError(
                    f"{self.path}: holds an export {what} ({RECORD_FILE} says which); choose another "
                    "folder, or remove that one"
                )
        for name in names:
            check_ours(self.path / name, before)

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield an empty folder inside; if the body succeeds, its files go to their names, the record first.

        Other runs that write here wait for nothing: they are refused. What a killed run left is removed.

        Raises
        ------
        ImageWriteError
            Another run is writing here, the disk is full, or something came meanwhile that is not ours.
        """
        make_folder(self.path)
        with claim(self.record):
            for left in leftovers(self.record):
                remove(left)
            work = temporary_name(self.record, ".parts")
            try:
                work.mkdir()
                yield work
                self._publish(work)
            except OSError as error:
                about = error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(work)
                if isinstance(error, ImageWriteError) or not about:
                    raise
                raise ImageWriteError(f"{self.path}: cannot write the export: {error.strerror}") from error
            finally:
                remove(work)

    def _publish(self, work: Path) -> None:
        """Write the record, which knows old and new files, and then rename: a kill leaves nothing unknown."""
        files = sorted(work.iterdir())
        self.check([file.name for file in files])
        for file in files:
            flush(file)
        before = self._before()
        kept = earlier_outputs(before, self.path, [])
        formats = (before or {}).get("formats", {}) | self.said["formats"]
        said = self.said | {"formats": formats} | versions_and_date()
        said["outputs"] = {file.name: sha256(file) for file in files}
        write_json(self.record, signed(said | kept))
        for file in files:
            os.replace(file, self.path / file.name)
        flush(self.path)

    def _before(self) -> dict[str, Any] | None:
        return record_of([self.record], self.path / MAIN)
