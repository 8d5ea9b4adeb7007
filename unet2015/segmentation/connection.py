"""The connection to a Dask scheduler, or to worker processes that are started here."""

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from unet2015.device import thread_count
from unet2015.errors import UsageError
from unet2015.provenance import versions
from unet2015.wording import reason

WAIT = 20
"""Seconds to wait for an answer of the scheduler, and for its first worker."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# What Dask sets in the environment of this process before it starts another, and leaves there.
_SPAWN = "distributed.nanny.pre-spawn-environ"
# What Dask watches of itself takes a tenth of a core where two workers and their scheduler only wait.
_QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
    f"{_SPAWN}.MALLOC_TRIM_THRESHOLD_": None,  # it makes the network a third slower (see heap.py)
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
    if kind == "local":
        with _started_here(address, count) as client:
            yield client
        return
    _check_answer(address)
    try:
        client = distributed.Client(address, timeout=WAIT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise _no_scheduler(address, error) from error
    with client:
        yield client


def _check_answer(address: str) -> None:
    """Raise `UsageError` unless what listens at `address` answers as Dask does, within `WAIT` seconds.

    Dask's client waits for ever where a connection is accepted and nothing is said.
    """
    distributed: Any = import_module("distributed")

    async def ask() -> None:
        security = distributed.Security().get_connection_args("client")  # by Dask's own configuration
        comm = await asyncio.wait_for(distributed.comm.connect(address, timeout=WAIT, **security), WAIT)
        comm.abort()

    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook has a running loop in its own
            thread.submit(asyncio.run, ask()).result()
    except Exception as error:  # what is not Dask may answer with anything
        raise _no_scheduler(address, error) from error


def _no_scheduler(address: str, error: BaseException) -> UsageError:
    silent = isinstance(error, TimeoutError) or "Timed out" in str(error)
    why = f"no answer within {WAIT} s" if silent else f"{type(error).__name__}: {error}"
    return UsageError(
        f"no Dask scheduler answers at {address}: {' '.join(why.split())}; give the address that dask "
        "scheduler prints, such as tcp://HOST:8786 (or tls://HOST:8786, with the certificates in Dask's "
        "configuration, distributed.comm.tls), or local:N for N processes here"
    )


@contextmanager
def _started_here(address: str, count: str) -> Iterator[Any]:
    """Yield a client of new worker processes; `count` is how many, as the user wrote it in `address`."""
    if re.fullmatch("[0-9]{1,4}", count) is None or int(count) < 1:
        raise UsageError(f"--dask {address}: expected local:N with a number of processes, such as local:4")
    threads = str(max(1, thread_count() // int(count)))
    with _environment(dict.fromkeys(_THREADS, threads)), import_module("dask").config.set(_QUIET):
        from unet2015.segmentation.local_cluster import local_cluster, without_main_module

        with ExitStack() as stack:
            stack.enter_context(without_main_module())
            try:
                cluster = stack.enter_context(local_cluster(int(count)))
                client = import_module("distributed").Client(cluster, set_as_default=False)
            except ImportError as error:
                raise UsageError(
                    "--dask local:N needs the package cryptography, which keeps other users of this machine "
                    "out: pip install 'unet2015[dask]'"
                ) from error
            except (RuntimeError, OSError) as error:
                raise UsageError(
                    f"--dask {address}: the processes did not start: {reason(error)}; give a smaller number, "
                    "or leave --dask out"
                ) from error
            yield stack.enter_context(client)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes that start in the body; those that die are restarted.

    At the end the environment is what it was before, also where Dask has changed it: what it sets would make
    programs slow that this process starts later.
    """
    names = {*values, *import_module("dask").config.get(_SPAWN, {})}
    before = {name: os.environ.get(name) for name in names}
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
            f"the Dask scheduler has no workers, and none came within {WAIT} s; start some with dask worker"
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
