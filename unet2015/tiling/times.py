"""How long the stages of a run were busy."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Times:
    """Seconds that each stage was busy. The stages overlap, so the sum is more than the elapsed time."""

    read: float = 0.0
    map: float = 0.0
    network: float = 0.0
    write: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                setattr(self, stage, getattr(self, stage) + time.perf_counter() - start)

    def add(self, other: "Times") -> None:
        """Add the seconds of another run."""
        with self._lock:
            for stage in self.as_dict():
                setattr(self, stage, getattr(self, stage) + getattr(other, stage))

    # A lock cannot be pickled; the seconds alone travel between processes.
    def __getstate__(self) -> dict[str, float]:
        return {stage: getattr(self, stage) for stage in self.as_dict()}

    def __setstate__(self, state: dict[str, float]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def as_dict(self) -> dict[str, float]:
        """Return the seconds for a record."""
        return {stage: round(getattr(self, stage), 3) for stage in ("read", "map", "network", "write")}
