"""Workers of Dask that are killed change no byte of the results, and others take their place."""

import os
import signal
from contextlib import suppress

import pytest

from tests.forks import loaded_workers
from tests.segmentation.test_cluster import ALL, digests
from unet2015.segmentation import connection
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.local_cluster import shared_with_clients

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client():
    """A client of two worker processes; neither they nor those that take their place need load torch."""
    with loaded_workers(), connection.connect("local:2") as client:
        yield client


@pytest.mark.parametrize("out", ["out.zarr", "out.tif"])
def test_the_same_bytes_with_a_worker_killed_in_the_middle(tmp_path, job, client, out):
    image, model = job
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    expected = digests(segment_files([image], tmp_path / "here" / out, model, ALL))
    before = set(client.run(os.getpid).values())
    client.run(_arm, str(tmp_path / "died"))
    with shared_with_clients(client.security):
        address = client.scheduler.address
        results = segment_files([image], tmp_path / "there" / out, model, ALL, dask=address)
    assert digests(results) == expected
    assert results[0].objects["objects"] > 1
    client.wait_for_workers(2, timeout=60)
    assert len(before & set(client.run(os.getpid).values())) == 1
    assert not list((tmp_path / "there").glob(".*"))


def _arm(flag):
    """Let the first worker that computes a second part die before that is kept."""
    from unet2015.segmentation import worker as module

    honest, begun = module.compute_parts, []

    def dying(computation, parts, keep):
        def die(band):
            with suppress(FileExistsError):  # the other worker has died
                os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), signal.SIGKILL)
            keep(band)

        begun.extend(parts)
        honest(computation, parts, die if len(begun) == 2 else keep)

    module.compute_parts = dying
