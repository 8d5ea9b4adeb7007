"""Notes on the images of a run: the same note on many files is said twice, at first and with their number."""

import logging
from pathlib import Path

_log = logging.getLogger("unet2015")


def say(path: Path, note: str) -> None:
    """Warn of something about one image."""
    _log.warning("%s: %s", path, note)


class Repeated:
    """Says each note when it first comes up, and at the end on how many other files it was the same."""

    def __init__(self) -> None:
        self._files: dict[str, dict[Path, None]] = {}

    def say(self, path: Path, note: str) -> None:
        """Warn of something about one image, unless it was said of another."""
        if note not in self._files:
            say(path, note)
        self._files.setdefault(note, {})[path] = None

    def finish(self) -> None:
        """Say what was the same on several files."""
        for note, files in self._files.items():
            if more := len(files) - 1:
                say(next(iter(files)), f"{note} (and {more} more file{'s' * (more > 1)})")
