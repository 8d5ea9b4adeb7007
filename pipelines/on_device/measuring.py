"""Maps are measured in other processes, while the device goes on to train."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.on_device.measures import measure


@dataclass(frozen=True, eq=False)
class _Waiting:
    """Measures that are made, and who takes them."""

    future: Future[dict[str, float]]
    done: Callable[[dict[str, float]], object]
    failed: Callable[[Exception], object]


class Measuring:
    """The processes that measure, and what waits for them.

    Parameters
    ----------
    processes : int
        How many at a time.
    """

    def __init__(self, processes: int) -> None:
        # Spawned, since a copy of a process that uses a GPU does not work.
        self._pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
        self._waiting: list[_Waiting] = []

    def warm(self) -> None:
        """Let one process make the compiled measures, which every process would make at once."""
        tiny = np.zeros((1, 8, 8), np.uint8)
        self._pool.submit(measure, "em", tiny + 255, tiny + 255)

    def add(
        self,
        kind: str,
        truth: NDArray[Any],
        levels: NDArray[np.uint8],
        done: Callable[[dict[str, float]], object],
        failed: Callable[[Exception], object],
    ) -> None:
        """Measure maps of 0 to 255; `done` takes the measures, or `failed` why there are none."""
        self._waiting.append(_Waiting(self._pool.submit(measure, kind, truth, levels), done, failed))
        self.collect()

    def collect(self) -> None:
        """Hand over the measures that are there."""
        for one in [one for one in self._waiting if one.future.done()]:
            self._waiting.remove(one)
            try:
                found = one.future.result()
            except Exception as error:  # a measure that fails must not cost the others
                one.failed(error)
            else:
                one.done(found)

    def close(self, seconds: float) -> int:
        """Wait for the measures, so long at most, and end the processes; return how many are missing."""
        wait([one.future for one in self._waiting], seconds)
        self.collect()
        processes = list(self._pool._processes.values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes if self._waiting else []:
            process.terminate()
        return len(self._waiting)
