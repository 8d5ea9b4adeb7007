"""All that is made of objects has the same bytes for any tile, batch, memory, parts and kills."""

from functools import cache, partial

import numpy as np
import pytest
import tifffile
import zarr as zarr_library
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import unet2015
from tests.segmentation.conftest import _make_model
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.tiling import plan as plan_module
from unet2015.tiling.predictor import Predictor

VIEWS = ("imagej", "geojson", "overlay")
OBJECTS = (
    ObjectSettings(smallest=3),
    ObjectSettings(fill_holes=False, connectivity=2, markers=MarkerSettings(level=0.52, blur=1)),
)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """Two images, a model, and as threshold one of its probabilities, in the middle of them."""
    folder = tmp_path_factory.mktemp("task")
    drawn = np.random.default_rng(2)
    (folder / "in").mkdir()
    stack = drawn.integers(0, 256, (2, 61, 75)).astype(np.uint8)
    tifffile.imwrite(folder / "in" / "a.tif", stack, imagej=True, metadata={"axes": "ZYX", "unit": "um"})
    tifffile.imwrite(folder / "in" / "b.tif", drawn.integers(0, 2**16, (93, 50)).astype(np.uint16))
    model = _make_model(folder / "m.safetensors", width=4)
    values = unet2015.segment(folder / "in" / "a.tif", model, probabilities=True, device="cpu")
    return folder, model, float(np.sort(values.ravel())[values.size // 2])


@cache
def whole(task, objects, zarr):
    """Return the files that are made of whole pages at once."""
    results, files = run(task, task[0] / f"whole {hash(objects)} {zarr}", zarr, objects=objects)
    assert all(result.objects["objects"] > 10 for result in results)
    return files


def run(task, out, zarr, **options):
    """Return the results of one image as OME-Zarr or of both as TIFF, and the bytes of their files."""
    folder, model, threshold = task
    options = SegmentOptions(
        device="cpu", threshold=threshold, views=VIEWS, products=("probability",), **options
    )
    inputs, place = ([folder / "in" / "a.tif"], out / "r.zarr") if zarr else ([folder / "in"], out)
    results = segment_files(inputs, place, model, options)
    assert [result.error for result in results if result.error] == []
    return results, contents(out)


def contents(folder):
    """Return by path the bytes of all files but records, and of an OME-Zarr image those of its arrays.

    Its chunks are as high as a row of tiles.
    """
    files = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".json"]
    found = {path.name: path.read_bytes() for path in files}
    for path in folder.glob("*.zarr"):
        for name in ("0", "labels/classes/0", "labels/labels/0"):
            array = zarr_library.open_array(path / name, mode="r")[:]
            found[name] = str(array.dtype).encode() + array.tobytes()
    return found


def interrupted(patch, after, work):
    """Run until so many batches went through the network, and then to the end."""
    real, seen = Predictor.__call__, []

    def counting(self, tiles):
        if len(seen) == after:
            raise KeyboardInterrupt
        seen.append(len(tiles))
        return real(self, tiles)

    patch.setattr(Predictor, "__call__", counting)
    try:
        return work()
    except KeyboardInterrupt:
        patch.setattr(Predictor, "__call__", real)
        return work()


@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    objects=st.sampled_from(OBJECTS),
    zarr=st.booleans(),
    tile=st.sampled_from([48, 60, 76, 100]),
    batch=st.integers(1, 4),
    part=st.sampled_from([500, 2000, 2**20]),
    kill=st.integers(0, 20),
)
def test_no_byte_depends_on_how_it_was_computed(
    tmp_path_factory, task, objects, zarr, tile, batch, part, kill
):
    expected, out = whole(task, objects, zarr), tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "PART_PIXELS", part)
        work = partial(run, task, out, zarr, objects=objects, tile=tile, batch=batch)
        _, found = interrupted(patch, kill, work)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
