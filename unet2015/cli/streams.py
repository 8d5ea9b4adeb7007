"""Standard streams that are closed, full or gone: the work goes on, and no file takes their place."""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from unet2015.file_names import RAW


@contextmanager
def steady_streams() -> Iterator[None]:
    """Run a command with standard streams that it can rely on.

    - A closed stream (``>&-``) is opened: to nowhere for messages, to what refuses all writing for results.
      If its number stayed free, the next file would get it, and libraries would print into that file.
    - Standard error that is gone (a terminal that was closed) or full swallows messages.
    - Standard output takes names that are not UTF-8, see `unet2015.file_names`.
    """
    before = sys.stdout, sys.stderr
    _open_all()
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", errors=RAW, closefd=False)  # noqa: SIM115
    _show_all_names(sys.stdout)
    if sys.stderr is None or _is_number(sys.stderr, 2):
        raw = io.BufferedWriter(_Swallowing(2, "w", closefd=False))
        coding = getattr(sys.stderr, "encoding", "utf-8")
        sys.stderr = io.TextIOWrapper(raw, coding, "backslashreplace", line_buffering=True)
    try:
        yield
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        sys.stdout, sys.stderr = before


def give_up(stream: object) -> None:
    """Let what a stream still holds go nowhere, so that Python does not complain about it at its end."""
    if isinstance(stream, io.TextIOWrapper):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            stream.flush()


class _Swallowing(io.FileIO):
    """A file that nothing can be lost from but what is written to it."""

    def write(self, data: object, /) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError:
            return memoryview(data).nbytes  # type: ignore[arg-type]


def _open_all() -> None:
    for number, access in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, access)  # the lowest free number, which is this one
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)


def _is_number(stream: object, number: int) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == number
    except OSError:
        return False


def _show_all_names(stream: object) -> None:
    """Let a stream take names that its encoding cannot: their bytes go out as they came, all else escaped."""
    if isinstance(stream, io.TextIOWrapper):
        # An encoding of ASCII says that no encoding was chosen; typer would write UTF-8 as well.
        plain = codecs.lookup(stream.encoding).name == "ascii"
        stream.reconfigure(encoding="utf-8" if plain else stream.encoding, errors=RAW)
