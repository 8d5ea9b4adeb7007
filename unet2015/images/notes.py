"""Notes on images, said with the file; the same one on many files at first, and then with their number."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from unet2015.images.image import Image
from unet2015.wording import counted

_log = logging.getLogger("unet2015")
Say = Callable[[Path, str], None]
"""Called with a file and a note on it."""


def say(path: Path, note: str) -> None:
    """Warn of something about one image."""
    _log.warning("%s: %s", path, note)


def say_notes(*images: Image, say: Say = say) -> None:
    """Say the notes on images, each with the path of its file."""
    for image in images:
        for note in image.notes:
            say(image.path or Path(image.name), note)


def tell_once(files: Sequence[Path], note: str) -> None:
    """Say something of several files that is no warning, once, with the first of them; nothing of none."""
    if files:
        _log.info("%s", _with_number(files, note))


class Repeated:
    """Says each note when it first comes up, and at the end on how many other files it was the same."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, int], dict[Path, None]] = {}
        self._warned: list[tuple[Path, str]] = []

    def say(self, path: Path, note: str) -> None:
        """Warn of something about one image, unless it was said of another."""
        self._warned.append((path, note))
        self._add(path, note, logging.WARNING)

    def taken(self, path: Path) -> tuple[str, ...]:
        """Return the warnings since the last call, for the result of a file; of others with their names."""
        warned, self._warned = self._warned, []
        return tuple(dict.fromkeys(note if file == path else f"{file}: {note}" for file, note in warned))

    def warnings(self) -> list[str]:
        """Return all warnings, each note once, with the first file and on how many more it was the same."""
        return [
            _with_number(files, note)
            for (note, level), files in self._files.items()
            if level == logging.WARNING
        ]

    def tell(self, path: Path, note: str) -> None:
        """Say something about one image that is no warning, unless it was said of another."""
        self._add(path, note, logging.INFO)

    def _add(self, path: Path, note: str, level: int) -> None:
        files = self._files.setdefault((note, level), {})
        if not files:
            _log.log(level, "%s: %s", path, note)
        files[path] = None

    def finish(self) -> None:
        """Say what was the same on several files."""
        for (note, level), files in self._files.items():
            if len(files) > 1:
                _log.log(level, "%s", _with_number(files, note))


def _with_number(files: Iterable[Path], note: str) -> str:
    first, *others = files
    return f"{first}: {note}" + (f" (and {counted(len(others), 'more file')})" if others else "")
