"""Dask: a real scheduler and worker processes, started as a user does; the same bytes, clear refusals."""

import asyncio
import multiprocessing
import os
import sys
import types
from multiprocessing import spawn

import numpy as np
import psutil
import pytest
import tifffile
import torch
import zarr

from tests.images.test_zarr import make
from unet2015.errors import UsageError
from unet2015.images import zarr_layout, zarr_levels
from unet2015.images.zarr_writer import ZarrSegmentation
from unet2015.safe_files import sha256
from unet2015.segmentation import connection
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.local_cluster import shared_with_clients
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import MarkerSettings, ObjectSettings

pytestmark = pytest.mark.slow

OPTIONS = SegmentOptions(tile=60, device="cpu")
ALL = SegmentOptions(
    tile=60,
    device="cpu",
    products=("classes", "probability"),
    objects=ObjectSettings(smallest=2, markers=MarkerSettings(level=0.6, blur=1)),
    views=("geojson",),
)


@pytest.fixture(scope="module")
def client():
    """A client of two worker processes, each a process of one thread."""
    with connection.connect("local:2") as client:
        yield client


@pytest.fixture
def dask(client):
    """The address, for a client that finds its certificate in Dask's configuration, as on a cluster."""
    with shared_with_clients(client.security):
        yield client.scheduler.address


def digests(results):
    assert [result.error for result in results] == [None] * len(results)
    return {path.name: sha256(path) for result in results for path in result.outputs}


def test_workers_do_not_import_the_program_that_starts_them(client, monkeypatch):
    """A script without a guard would run again in each of them."""
    main = types.ModuleType("__main__")
    main.__file__ = "/tmp/script.py"
    monkeypatch.setitem(sys.modules, "__main__", main)
    names = set(client.run(lambda: multiprocessing.current_process().name).values())
    assert len(names) == 1
    assert "init_main_from_path" not in spawn.get_preparation_data(names.pop())
    assert spawn.get_preparation_data("another")["init_main_from_path"] == main.__file__


def test_an_image_that_was_changed_in_place_between_two_runs_is_read_anew(tmp_path, job, dask):
    _, model = job
    pixels = np.random.default_rng(0).integers(0, 256, (61, 75)).astype(np.uint8)
    image = make(tmp_path / "a.zarr", pixels, version="0.5", chunks=(20, 20))

    def digest(out, **more):
        return digests(segment_files([image], tmp_path / out / "a.tif", model, OPTIONS, **more))

    for out in ("here", "there", "again"):
        (tmp_path / out).mkdir()
    before = digest("there", dask=dask)
    zarr.open_group(image, mode="r+")["0"][...] = pixels[::-1]  # neither time nor place of the folder changes
    assert digest("again", dask=dask) == digest("here") != before


def test_the_model_is_loaded_once_by_each_worker(tmp_path, job, dask, client):
    image, model = job
    client.run(_count)
    segment_files([image], tmp_path / "out.zarr", model, OPTIONS, dask=dask)
    assert max(client.run(_counted).values()) == 1
    client.run(_restore)


def _count():
    from unet2015.segmentation import worker as module

    module._loaded.clear()
    module._loads, module._honest = [], module.read_model_file
    module.read_model_file = lambda path: (module._loads.append(path), module._honest(path))[1]


def _counted():
    from unet2015.segmentation import worker as module

    return len(module._loads)


def _restore():
    from unet2015.segmentation import worker as module

    module.read_model_file = module._honest


def test_the_workers_make_the_lower_resolutions(tmp_path, job, dask, client, monkeypatch):
    image, model = job
    made, honest = [], ZarrSegmentation.halve

    def halve(self, shards):
        found = list(shards)
        made.extend(shard.level for shard in found)
        honest(self, found)

    monkeypatch.setattr(zarr_layout, "SMALLEST_LEVEL", 16)
    monkeypatch.setattr(zarr_levels, "_BLOCK", 1)
    monkeypatch.setattr(ZarrSegmentation, "halve", halve)
    client.run(_set_smallest_level, 16)
    for name, address in (("here", None), ("there", dask)):
        (tmp_path / name).mkdir()
        made.clear()
        found = digests(segment_files([image], tmp_path / name / "out.zarr", model, OPTIONS, dask=address))
        assert min(made) == (1 if address is None else 2)
        assert found == {"out.zarr": sha256(tmp_path / "here" / "out.zarr")}
    client.run(_set_smallest_level, 1024)


def _set_smallest_level(pixels):
    from unet2015.images import zarr_layout

    zarr_layout.SMALLEST_LEVEL = pixels


def test_a_batch_goes_file_by_file_and_bad_files_do_not_stop_it(tmp_path, job, dask, monkeypatch):
    _, model = job
    for name in ("b", "c"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((50, 50), ord(name), np.uint8))
    (tmp_path / "b.tif").write_bytes((tmp_path / "b.tif").read_bytes()[:1000])
    monkeypatch.chdir(tmp_path)  # workers may be elsewhere, and results have the paths that were given
    here = segment_files(["a.tif", "b.tif", "c.tif"], "here", model, ALL)
    there = segment_files(["a.tif", "b.tif", "c.tif"], "there", model, ALL, dask=dask)
    assert [result.error is None for result in there] == [True, False, True]
    assert [str(result.input) for result in there] == ["a.tif", "b.tif", "c.tif"]
    assert str(there[1].error).replace(f"{tmp_path}{os.sep}", "") == str(here[1].error)
    for one, other in zip(here, there, strict=True):
        assert [str(path).replace("here", "there", 1) for path in one.outputs] == [*map(str, other.outputs)]
        assert [sha256(path) for path in one.outputs] == [sha256(path) for path in other.outputs]
    assert (tmp_path / "there" / "objects.csv").read_bytes() == (
        tmp_path / "here" / "objects.csv"
    ).read_bytes()


def test_what_fails_on_a_worker_is_told_as_here(tmp_path, job, dask):
    _, model = job
    bad = np.zeros((61, 75), np.float32)
    bad[30, 30] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", bad)
    (here,) = segment_files([tmp_path / "nan.tif"], tmp_path / "out", model, OPTIONS)
    (there,) = segment_files([tmp_path / "nan.tif"], tmp_path / "out", model, OPTIONS, dask=dask)
    assert (type(there.error), str(there.error)) == (type(here.error), str(here.error))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["failures.csv"]


def test_processes_here_share_the_threads_of_this_one_but_for_the_network(client, job, dask, tmp_path):
    environment = dict(os.environ)
    shared = max(1, torch.get_num_threads() // 2)
    assert set(client.run(os.getenv, "OMP_NUM_THREADS").values()) == {str(shared)}
    # The network is computed with as many threads as here: another number may round in another way.
    image, model = job
    digests(segment_files([image], tmp_path / "out", model, OPTIONS, dask=dask))
    assert torch.get_num_threads() in client.run(torch.get_num_threads).values()
    with connection._environment({"OMP_NUM_THREADS": "77", "UNET2015_TEST": "1"}):
        assert os.environ["UNET2015_TEST"] == "1"
        os.environ["MALLOC_TRIM_THRESHOLD_"] = "1"  # as Dask does
    assert dict(os.environ) == environment
    assert "MALLOC_TRIM_THRESHOLD_" not in environment, "Dask slows down what this process starts"
    assert set(client.run(os.getenv, "MALLOC_TRIM_THRESHOLD_").values()) == {None}


def settings_there():
    import dask

    return {name: dask.config.get(name) for name in connection._QUIET}


def test_processes_here_watch_themselves_less(client):
    assert set(map(str, client.run(settings_there).values())) == {str(connection._QUIET)}


def test_workers_that_do_not_see_the_files(tmp_path, client):
    with pytest.raises(UsageError, match=r"does not see .*elsewhere\.tif.*share"):
        connection.check_workers(client, [tmp_path / "elsewhere.tif"])


def test_workers_of_other_versions(client, monkeypatch):
    monkeypatch.setattr(connection, "versions", lambda: {"torch": "1.0"})
    with pytest.raises(UsageError, match=r"has torch .*, not 1\.0"):
        connection.check_workers(client, [])


def addresses(client):
    """Return the addresses of the scheduler, of the workers and of their nannies."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return [client.scheduler.address, *workers, *(worker["nanny"] for worker in workers.values())]


def answered(address, security):
    """Tell whether who listens at an address goes on after the handshake of a client."""
    from distributed.comm import connect

    async def ask():
        comm = await connect(address, timeout=2, **security.get_connection_args("client"))
        comm.abort()

    try:
        asyncio.run(asyncio.wait_for(ask(), 2))
    except OSError:  # also if the connection is cut, or nothing is said
        return False
    return True


def test_only_who_holds_the_certificate_of_the_run_is_answered(client):
    from distributed import Security

    found, other = addresses(client), Security.temporary()
    assert len(found) == 5
    assert {address.rpartition(":")[0] for address in found} == {"tls://127.0.0.1"}
    for address in found:
        assert answered(address, client.security)
        assert not answered(address, other)
        assert not answered(address.replace("tls", "tcp"), Security())


def test_no_other_port_is_open_such_as_that_of_a_dashboard(client):
    here = psutil.Process()
    opened = {
        connection.laddr.port
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert opened == {int(address.rpartition(":")[2]) for address in addresses(client)}
