"""Steps that a device was asked for and that are still under way; their ends are noted in their order."""

from collections import deque
from collections.abc import Callable
from typing import Any


class Flight:
    """Steps under way.

    Parameters
    ----------
    most : int
        Steps that may be under way when the next one is asked for. With 0 each step is waited for at once.
    """

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self._begun: deque[tuple[Callable[[], Any], Callable[[Any], object]]] = deque()

    def add(self, wait: Callable[[], Any], note: Callable[[Any], object]) -> None:
        """Add a step: `wait` waits for its end and returns what comes of it, which `note` is given."""
        self._begun.append((wait, note))
        self._end(self.most)

    def settle(self) -> None:
        """Wait for all steps."""
        self._end(0)

    def _end(self, most: int) -> None:
        while len(self._begun) > most:
            wait, note = self._begun.popleft()
            note(wait())
