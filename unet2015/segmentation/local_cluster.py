"""A scheduler and worker processes on this machine that obey nobody but the process that started them.

Dask carries out any function that it is sent. So whoever can talk to a scheduler, a nanny or a worker acts as
the user who started it, and on a machine with several users a port of 127.0.0.1 is open to all of them. Here
each of the three asks for a certificate that exists only in the memory of these processes, and none serves
the pages (status, metrics) that Dask offers to browsers without asking for one.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import spawn
from typing import Any

from distributed import Nanny, Scheduler, Security, SpecCluster, Worker

HOST = "127.0.0.1"
_WORKER = "Dask Worker process (from Nanny)"
"""What Dask calls the process of a worker."""


class _WithoutPages:
    """Opens no HTTP port: Dask would serve tasks, paths and metrics there to everybody."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Do nothing where Dask would open the port."""


class QuietScheduler(_WithoutPages, Scheduler):
    """A scheduler without an HTTP port."""


class QuietWorker(_WithoutPages, Worker):
    """A worker without an HTTP port."""


def local_cluster(processes: int) -> SpecCluster:
    """Return a cluster of this many worker processes of one thread; a context manager.

    Raises
    ------
    ImportError
        The package ``cryptography``, which makes the certificate, is not installed.
    """
    security: Any = Security.temporary()  # type: ignore[no-untyped-call]
    common = {"host": HOST, "protocol": "tls://", "security": security}
    worker = {
        "cls": Nanny,
        "options": common
        | {
            "worker_class": QuietWorker,
            "nthreads": 1,
            "memory_limit": 1 / processes,  # a share of the machine's
            "silence_logs": logging.CRITICAL,
        },
    }
    return SpecCluster(  # type: ignore[no-untyped-call]
        workers=dict.fromkeys(range(processes), worker),
        worker=worker,
        scheduler={"cls": QuietScheduler, "options": {**common, "port": 0, "dashboard": False}},
        security=security,
        silence_logs=logging.CRITICAL,
    )


@contextmanager
def without_main_module() -> Iterator[None]:
    """Let workers that start in the body not import the program that starts them.

    Python's way to start a process imports it, for functions that are defined there. A script without
    ``if __name__ == "__main__"`` would so run again in each worker, and start workers of its own. These need
    nothing of it.
    """
    prepare = spawn.get_preparation_data

    def without(name: str) -> dict[str, Any]:
        found = prepare(name)
        if name == _WORKER:
            found = {key: value for key, value in found.items() if not key.startswith("init_main_")}
        return found

    spawn.get_preparation_data = without
    try:
        yield
    finally:
        spawn.get_preparation_data = prepare


@contextmanager
def shared_with_clients(security: Any) -> Iterator[None]:
    """Let other clients in this process find the certificate of a cluster in Dask's configuration."""
    names = {"ca-file": "tls_ca_file", "client.cert": "tls_client_cert", "client.key": "tls_client_key"}
    values = {f"distributed.comm.tls.{key}": getattr(security, name) for key, name in names.items()}
    with import_module("dask").config.set(values):
        yield
