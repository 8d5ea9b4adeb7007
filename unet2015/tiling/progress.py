"""Progress: a bar on a terminal; elsewhere a line a minute; and a function of the caller's."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from tqdm import tqdm

from unet2015.file_names import on_one_line, shown
from unet2015.images.result_names import shown_name
from unet2015.tiling.plan import TilePlan

INTERVAL = 60.0
"""Seconds between two lines where standard error is no terminal."""

Report = Callable[[str, int, int], object]
"""Called with the name of the image, how many are done, and how many there are."""

_log = logging.getLogger("unet2015")


class _Caller:
    """Calls a function of the caller's; an error in it must not harm the work."""

    def __init__(self, report: Report) -> None:
        self._report: Report | None = report

    def __call__(self, name: str, done: int, total: int) -> None:
        if self._report is None:
            return
        try:
            self._report(name, done, total)
        except Exception as error:
            self._report, kind = None, type(error).__name__
            _log.warning("progress: the function raised %s: %s; it is not called again", kind, error)


# Between `segment_files` and its bars lie many functions that have nothing to do with progress.
_caller: ContextVar[_Caller | None] = ContextVar("caller", default=None)


def unnamed(progress: Callable[[int, int], object] | None) -> Report | None:
    """Return for `reporting` a function that takes no name; None for none."""
    return None if progress is None else lambda name, done, total: progress(done, total)


@contextmanager
def reporting(report: Report | None) -> Iterator[None]:
    """Within this context, call a function of the caller's for each step of a `Bar`.

    An error in it is said, and the function is not called again. What is no `Exception`, such as
    `KeyboardInterrupt`, ends the work.
    """
    before = _caller.set(None if report is None else _Caller(report))
    try:
        yield
    finally:
        _caller.reset(before)


class Lines:
    """A line a minute where standard error is no terminal, as in the log of a cluster.

    Parameters
    ----------
    label, unit : str
        What is done, and what is counted.
    """

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._shown = sys.stderr is None or not sys.stderr.isatty()
        self._last = time.monotonic()
        self._since: tuple[float, int] | None = None

    def say(self, done: int, total: int, note: str = "") -> None:
        """Say how much is done, if a minute has passed since the last line."""
        now = time.monotonic()
        if self._since is None:  # the first may stand for what a killed run has left
            self._since = now, done
        if self._shown and now - self._last >= INTERVAL:
            self._last = now
            left = self._left(now, done, total)
            _log.info("%s: %d of %d %ss%s%s", self._label, done, total, self._unit, note, left)

    def _left(self, now: float, done: int, total: int) -> str:
        begun, first = self._since or (now, done)
        if not first < done < total:
            return ""
        return f", {in_words((now - begun) / (done - first) * (total - done))} left"


class Bar:
    """How far a piece of work has come.

    Parameters
    ----------
    total : int
        How much there is to do; 0 if that is not known yet, see `at`.
    name, unit : str
        What is done, and what is counted: ``tile``.
    first : int
        How much was done before.
    silent : bool
        Show nothing.
    leave : bool
        Leave the bar on the terminal at the end.
    """

    def __init__(
        self, total: int, name: str, unit: str, *, first: int = 0, silent: bool = False, leave: bool = False
    ) -> None:
        self._name, self._unit, self._done, self._total = name, unit, first, total
        label = on_one_line(shown(shown_name(Path(name))))
        shows = True if silent or sys.stderr is None else None
        options: dict[str, Any] = {"initial": first, "leave": leave, "disable": shows, "smoothing": 0.05}
        self._bar = tqdm(total=total or None, desc=label, unit=unit, **options)
        self._lines, self._note = None if silent else Lines(label, unit), ""
        self._caller = _caller.get()  # here, because updates may come from another thread

    def note(self, **figures: str) -> None:
        """Show figures beside the progress, from the next update on."""
        self._bar.set_postfix(figures, refresh=False)
        self._note = "".join(f", {name} {value}" for name, value in figures.items())

    def at(self, done: int, total: int) -> None:
        """Say how much is done, and how much there is."""
        self._bar.total = self._total = total
        self.update(done - self._done)

    def update(self, more: int = 1) -> None:
        """Say how much more is done."""
        self._done += more
        self._bar.update(more)
        if self._caller is not None:
            self._caller(self._name, self._done, self._total)
        if self._lines is not None:
            self._lines.say(self._done, self._total, self._note)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

    def __enter__(self) -> "Bar":
        """Return it."""
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the bar."""
        self.close()


@contextmanager
def tile_bar(plan: TilePlan, name: str) -> Iterator[Callable[[int], object]]:
    """Show how many tiles of an image are done; yield the function to call with each number."""
    with Bar(plan.tiles, name, "tile") as bar:
        yield bar.update


def in_words(seconds: float) -> str:
    """Return a time in words."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {max(1, round(seconds))} s"
