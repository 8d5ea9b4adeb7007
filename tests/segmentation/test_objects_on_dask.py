"""Objects of `segment --objects --dask`: those of one process, for any tile, batch, parts and workers."""

from contextlib import ExitStack, nullcontext
from functools import cache

import distributed
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import unet2015
from tests.segmentation.conftest import _make_model
from unet2015.images.reader import open_image, read_pages
from unet2015.segmentation import cluster
from unet2015.segmentation import worker as worker_module
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.local_cluster import QuietScheduler, QuietWorker
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.tiling import plan as plan_module

pytestmark = pytest.mark.slow

COUNTS = (1, 3)


@pytest.fixture(scope="module")
def clusters():
    """Let an address ``workers:N`` stand for a cluster of N workers, threads of this process."""
    options = {"protocol": "inproc://", "memory_limit": 0}
    worker = {"cls": QuietWorker, "options": {**options, "nthreads": 1}}
    scheduler = {"cls": QuietScheduler, "options": {"protocol": "inproc://", "dashboard": False}}
    with ExitStack() as stack:
        clients = {}
        for count in COUNTS:
            workers = dict.fromkeys(range(count), worker)
            made = stack.enter_context(distributed.SpecCluster(workers, scheduler, worker))
            clients[count] = stack.enter_context(distributed.Client(made, set_as_default=False))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(cluster, "connect", lambda address: nullcontext(clients[int(address[-1])]))
        yield
        for client in clients.values():
            there = client.scheduler_info(n_workers=-1)["workers"]
            client.gather([client.submit(close_image, address, workers=[address]) for address in there])


def close_image(_):
    """Close the image that the thread of a worker keeps open for the next part."""
    if hasattr(worker_module._opened, "image"):
        worker_module._opened.image.close()


@pytest.fixture(scope="module")
def task(tmp_path_factory, clusters):
    """A folder, an image, a model, and as threshold one of its probabilities, in the middle of them."""
    folder = tmp_path_factory.mktemp("task")
    stack = np.random.default_rng(2).integers(0, 256, (2, 61, 75)).astype(np.uint8)
    tifffile.imwrite(folder / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    model = _make_model(folder / "m.safetensors", width=4)
    values = unet2015.segment(folder / "a.tif", model, probabilities=True, device="cpu")
    return folder, folder / "a.tif", model, float(np.sort(values.ravel())[values.size // 2])


@cache
def reference(task, objects):
    """Return labels and table of one process, whole pages at once."""
    folder, image, model, threshold = task
    options = SegmentOptions(device="cpu", threshold=threshold, objects=objects)
    out = folder / f"whole {hash(objects)}"
    (result,) = segment_files([image], out, model, options)
    assert result.error is None
    return read_pages(result.outputs[1]), (out / "a.objects.csv").read_bytes()


objects = st.builds(
    ObjectSettings,
    smallest=st.sampled_from([0, 4]),
    fill_holes=st.booleans(),
    connectivity=st.sampled_from([1, 2]),
    markers=st.sampled_from([None, MarkerSettings(level=0.55, blur=1)]),
)


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    wanted=objects,
    tile=st.sampled_from([60, 68, 76, 100]),
    batch=st.integers(1, 4),
    part=st.sampled_from([500, 2000, 5000, 2**20]),
    workers=st.sampled_from(COUNTS),
    zarr=st.booleans(),
)
def test_objects_are_those_of_one_process(tmp_path_factory, task, wanted, tile, batch, part, workers, zarr):
    _, image, model, threshold = task
    labels, table = reference(task, wanted)
    options = SegmentOptions(device="cpu", threshold=threshold, objects=wanted, tile=tile, batch=batch)
    out = tmp_path_factory.mktemp("out") / ("r.zarr" if zarr else "r.tif")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "PART_PIXELS", part)
        (result,) = segment_files([image], out, model, options, dask=f"workers:{workers}")
    assert result.error is None
    if zarr:
        with open_image(out / "labels" / "labels") as found:
            pages = np.stack([found.read(page, 0, 61, 0, 75)[0] for page in range(2)])
    else:
        pages = read_pages(result.outputs[1])
    assert np.array_equal(pages, labels)
    assert labels.max() > 0
    assert out.with_name("r.objects.csv").read_bytes() == table
