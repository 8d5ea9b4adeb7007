"""Addresses where no Dask scheduler is: refused after a while, with a reason, and nothing is written."""

import gc
import importlib
import socket
import sys
import threading

import pytest

from unet2015.errors import UsageError
from unet2015.segmentation import connection

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def refused(address, words):
    with pytest.raises(UsageError, match=words) as told, connection.connect(address):
        pass
    return str(told.value)


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(connection, "WAIT", 0.5)
    yield
    gc.collect()  # Dask leaves the sockets of attempts that it gave up to the collector


@pytest.fixture
def listening():
    """A port of this machine that nobody serves; connections wait in its queue."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        yield server


@pytest.mark.parametrize("scheme", ["tcp", "ws"])
def test_an_address_that_takes_a_connection_and_says_nothing(listening, scheme):
    address = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
    assert address in refused(
        address, r"no answer within 0\.5 s; give the address that dask scheduler prints"
    )


def test_an_address_that_takes_no_connection_because_its_queue_is_full(listening):
    waiting = [socket.socket() for _ in range(8)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(listening.getsockname())
    refused(f"tcp://127.0.0.1:{listening.getsockname()[1]}", r"no answer within 0\.5 s")
    for one in waiting:
        one.close()


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\0" * 8, bytes([1, *[0] * 7]) + b"?"]
)
def test_an_address_where_another_program_answers(listening, said):
    def serve():
        with listening.accept()[0] as peer:
            peer.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    refused(f"tcp://127.0.0.1:{listening.getsockname()[1]}", "no Dask scheduler answers at tcp://127")
    thread.join()


def test_an_address_where_nobody_listens(listening):
    address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()
    refused(address, "no Dask scheduler answers at tcp://127")


@pytest.mark.parametrize(
    "address", ["", "nonsense", "foo://here:1", "tcp://", "tcp://127.0.0.1:99999", "inproc://1"]
)
def test_a_text_that_is_no_address(address):
    refused(address, "no Dask scheduler answers")


@pytest.mark.parametrize(
    "address", ["local", "local:", "local:0", "local:-1", "local:\u00b2", "local:1e3", "local:2:2"]
)
def test_a_number_of_processes_that_is_none(address):
    refused(address, "expected local:N with a number of processes, such as local:4")


def test_a_certificate_that_the_configuration_does_not_give_or_that_is_missing(listening):
    address = f"tls://127.0.0.1:{listening.getsockname()[1]}"
    refused(address, "certificates in Dask's configuration")
    files = {
        f"distributed.comm.tls.{name}": "/no/file.pem" for name in ("ca-file", "client.cert", "client.key")
    }
    with importlib.import_module("dask").config.set(files):
        refused(address, "No such file")


def test_processes_that_do_not_start(monkeypatch):
    from unet2015.segmentation import local_cluster  # which needs Dask

    def failing(_):
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(local_cluster, "local_cluster", failing)
    refused("local:2", "the processes did not start: Nanny failed to start")


@pytest.mark.parametrize(
    ("package", "words"), [("distributed", "needs Dask"), ("cryptography", "other users")]
)
def test_a_package_that_is_not_installed(monkeypatch, package, words):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    refused("local:2", rf"{words}.*unet2015\[dask\]")
