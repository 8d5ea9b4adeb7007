"""How many rows of an image are done while its objects are found, measured and drawn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from unet2015.tiling.progress import Bar

Progress = Callable[[int], object]
"""Called with the number of rows that are done since the last call."""


def nobody(rows: int) -> None:
    """Take a number of rows, and tell nobody."""


@contextmanager
def row_bar(rows: int, name: str) -> Iterator[Progress]:
    """Show how many rows are done: a bar on a terminal, elsewhere a line a minute.

    Parameters
    ----------
    rows : int
        How many there are. Each row counts once for each time that it is worked on.
    name : str
        What is worked on.
    """
    with Bar(rows, name, "row") as bar:
        yield bar.update


class Share:
    """Tells of some steps as if they were the rows of a page; a context manager.

    Parameters
    ----------
    progress : callable
        Is told of all the rows in the end, also if there were fewer steps, or more.
    rows : int
        As many as all steps count.
    steps : int
        How many steps there are.
    """

    def __init__(self, progress: Progress, rows: int, steps: int) -> None:
        self._progress, self._rows, self._steps = progress, rows, steps
        self._done = self._said = 0

    def step(self, steps: int = 1) -> None:
        """Say that one more step is done, or several."""
        self._done = min(self._done + steps, self._steps)
        if self._done:
            self._say(self._rows * self._done // self._steps)

    def _say(self, rows: int) -> None:
        if rows > self._said:
            self._progress(rows - self._said)
            self._said = rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._say(self._rows)
