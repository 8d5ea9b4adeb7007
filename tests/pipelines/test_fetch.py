"""Downloads from a local server: cut and gone on with, checked, unpacked."""

import hashlib
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("pooch")

from pipelines.fetch import fetch, unpack, unpack_folder
from unet2015.errors import DataSetError

CONTENT = bytes(range(256)) * 40_000


class Server(ThreadingHTTPServer):
    """Serves one file; cuts the first `cuts` answers short, and may forget how to answer ranges."""

    daemon_threads = True

    def __init__(self):
        self.content, self.etag, self.cuts, self.ranges, self.asked = CONTENT, '"one"', 0, True, []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/set.zip"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if self.path != "/set.zip":
            self.send_error(404)
            return
        start = 0
        if asked and server.ranges and self.headers.get("If-Range") == server.etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start > len(server.content):
            self.send_error(416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.etag)
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_download_is_whole_and_not_repeated(server, tmp_path):
    path = fetch(server.url, tmp_path, hashlib.sha256(CONTENT).hexdigest())
    assert path.read_bytes() == CONTENT
    assert fetch(server.url, tmp_path, hashlib.sha256(CONTENT).hexdigest()) == path
    assert server.asked == [None]
    assert [item.name for item in tmp_path.iterdir()] == ["set.zip"]


def test_a_cut_download_goes_on_where_it_was(server, tmp_path):
    server.cuts = 1
    with pytest.raises(DataSetError, match=r"cannot download.*goes on from what has come"):
        fetch(server.url, tmp_path)
    assert not (tmp_path / "set.zip").exists()
    come = (tmp_path / "set.zip.part").stat().st_size
    assert 0 < come < len(CONTENT)
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={come}-"]
    assert [item.name for item in tmp_path.iterdir()] == ["set.zip"]


@pytest.mark.parametrize("ranges", [True, False])
def test_halves_of_two_versions_are_never_joined(server, tmp_path, ranges):
    server.cuts, server.ranges = 1, ranges
    with pytest.raises(DataSetError):
        fetch(server.url, tmp_path)
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT[::-1]


def test_a_part_longer_than_what_the_server_has_is_forgotten(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT + b"more")
    (tmp_path / "set.zip.part.version").write_text(server.etag)
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_and_a_missing_archive_are_errors(server, tmp_path):
    with pytest.raises(DataSetError, match="not the archive that was expected"):
        fetch(server.url, tmp_path, "0" * 64)
    assert not (tmp_path / "set.zip").exists()
    with pytest.raises(DataSetError, match="404"):
        fetch(server.url.replace("set", "other"), tmp_path)
    with pytest.raises(DataSetError, match="cannot download"):
        fetch("http://127.0.0.1:9/set.zip", tmp_path)


def archive(path, entries):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in entries.items():
            zipped.writestr(name, content)
    return path


def test_files_are_taken_from_wherever_they_lie_in_the_archive(tmp_path):
    packed = archive(tmp_path / "a.zip", {"deep/er/one.tif": b"1", "two.tif": b"2", "../evil.tif": b"3"})
    made = unpack(packed, ["one.tif", "two.tif"], tmp_path / "out")
    assert [path.read_bytes() for path in made] == [b"1", b"2"]
    assert not (tmp_path / "evil.tif").exists()
    with pytest.raises(DataSetError, match=r"one file three\.tif in it, found 0"):
        unpack(packed, ["three.tif"], tmp_path / "out")


def test_a_folder_is_unpacked_and_never_outside_of_itself(tmp_path):
    unpack_folder(
        archive(tmp_path / "a.zip", {"x/Set/01/t000.tif": b"1", "x/Set/b": b"2", "other": b""}),
        "Set",
        tmp_path,
    )
    assert (tmp_path / "Set/01/t000.tif").read_bytes() == b"1"
    assert (tmp_path / "Set/b").read_bytes() == b"2"
    assert not (tmp_path / "other").exists()
    with pytest.raises(DataSetError, match="outside"):
        unpack_folder(archive(tmp_path / "b.zip", {"Set/../../evil": b"1"}), "Set", tmp_path)
    with pytest.raises(DataSetError, match="no folder Other"):
        unpack_folder(tmp_path / "a.zip", "Other", tmp_path)


@pytest.mark.parametrize("damage", [b"", b"PK no archive", None])
def test_a_damaged_archive_is_an_error_and_leaves_nothing(tmp_path, damage):
    path = archive(tmp_path / "a.zip", {"Set/one.tif": b"1" * 5000})
    whole = bytearray(path.read_bytes())
    if damage is None:
        whole[60] ^= 0xFF  # a pixel: the checksum in the archive tells
    path.write_bytes(bytes(whole) if damage is None else damage)
    for act in (
        lambda: unpack(path, ["one.tif"], tmp_path / "out"),
        lambda: unpack_folder(path, "Set", tmp_path / "out"),
    ):
        with pytest.raises(DataSetError, match=r"a\.zip: cannot be unpacked"):
            act()
    assert not list((tmp_path / "out").rglob("*.tif"))
