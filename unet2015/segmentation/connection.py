"""The connection to a Dask scheduler, or to worker processes that are started here."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from unet2015.device import thread_count
from unet2015.errors import UsageError
from unet2015.provenance import versions

WAIT = 20
"""Seconds to wait for an answer of the scheduler, and for its first worker."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# What Dask watches of itself takes a tenth of a core where two workers and their scheduler only wait.
_QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
}


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """Yield a client of the scheduler at `address`, or of ``local:N`` worker processes made for it.

    Raises
    ------
    UsageError
        Dask is not installed, or no scheduler answers.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise UsageError("--dask needs Dask: pip install 'unet2015[dask]'") from error
    kind, _, count = address.partition(":")
    if kind != "local":
        try:
            client = distributed.Client(address, timeout=WAIT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(
                f"no Dask scheduler answers at {address}: {error or 'timeout'}; give the address that "
                "dask-scheduler prints, such as tcp://HOST:8786, or local:N"
            ) from error
        with client:
            yield client
        return
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(f"--dask {address}: expected local:N with a number of processes, such as local:4")
    threads = str(max(1, thread_count() // int(count)))
    with (
        _environment(dict.fromkeys(_THREADS, threads)),
        import_module("dask").config.set(_QUIET),
        distributed.LocalCluster(
            n_workers=int(count),
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port; None would insist on 8787
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes that start in the body; those that die are restarted."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def check_workers(client: Any, paths: Sequence[Path]) -> None:
    """Check that there are workers, with the same versions as here, and that they see the same files.

    Raises
    ------
    UsageError
        There are no workers, or one has other versions or does not see a file.
    """
    try:
        client.wait_for_workers(1, timeout=WAIT)
    except TimeoutError as error:
        raise UsageError(
            f"the Dask scheduler has no workers, and none came within {WAIT} s; start some with dask-worker"
        ) from error
    try:
        found = client.run(_look, [str(path) for path in paths])
    except ImportError as error:
        raise UsageError(f"the Dask workers cannot load unet2015: {error}; install it there too") from error
    ours = versions()
    for worker, (theirs, missing) in found.items():
        if missing:
            raise UsageError(
                f"the worker {worker} does not see {missing[0]}; inputs, model and outputs must lie on a "
                "file system that all machines share, under the same paths"
            )
        other = [
            f"{name} {theirs.get(name)}, not {version}"
            for name, version in ours.items()
            if theirs.get(name) != version
        ]
        if other:
            raise UsageError(
                f"the worker {worker} has {'; '.join(other)}; only the same versions give the same bytes"
            )


def _look(paths: list[str]) -> tuple[dict[str, str], list[str]]:
    return versions(), [path for path in paths if not os.path.exists(path)]
