"""Where the arrays of a segmentation begin and end in OME-Zarr: one writer a chunk, axes in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet2015.errors import AxesError, UsageError
from unet2015.geometry import unet_geometry
from unet2015.images.array_image import ArrayImage
from unet2015.images.zarr_layout import ZarrLayout, ZarrMap, plan_layout
from unet2015.tiling.plan import plan_axis

NAMES = ("membrane", "cell", "border")
CLASSES = ZarrMap("classes", "class map", "uint8", None, label=True, names=NAMES)
PROBABILITY = ZarrMap("probability", "probability map", "float32", 3, label=False, names=NAMES)


@given(
    height=st.integers(1, 9000),
    width=st.integers(1, 9000),
    depth=st.integers(1, 4),
    steps=st.integers(1, 200),
)
def test_no_chunk_or_shard_belongs_to_two_rows_of_tiles(height, width, depth, steps):
    geometry = unet_geometry(depth)
    rows = plan_axis(height, geometry.input_for(min(height, geometry.factor * steps)), geometry)
    layout = ZarrLayout("", (), height, width, rows[0].length, (PROBABILITY,))
    (down, across), (chunk_down, chunk_across) = layout.shard, layout.chunk
    assert down % chunk_down == across % chunk_across == 0
    owners = [set(range(row.kept_start // down, -(-row.kept_stop // down))) for row in rows]
    assert sum(map(len, owners)) == len(set.union(*owners)) == -(-height // down)


def test_axes_are_put_in_the_order_of_the_format():
    image = ArrayImage(np.zeros((3, 2, 5, 6), np.uint8), "ZTYX")
    layout = plan_layout(image, 5, [CLASSES, PROBABILITY])
    assert (layout.axes("probability"), layout.shape("probability")) == ("TCZYX", (2, 3, 3, 5, 6))
    assert layout.place("classes", 1) == (1, 0)  # pages are counted along ZT
    pages = ArrayImage(np.zeros((3, 5, 6), np.uint8), "IYX")
    assert plan_layout(pages, 5, [CLASSES]).axes("classes") == "IYX"
    with pytest.raises(AxesError, match="T or Z, or write TIFF"):
        plan_layout(pages, 5, [CLASSES, PROBABILITY])


def test_two_maps_that_would_be_the_image_itself_are_refused():
    image = ArrayImage(np.zeros((5, 6), np.uint8), "YX")
    entropy = ZarrMap("entropy", "entropy map", "float32", None, label=False, names=("entropy",))
    assert plan_layout(image, 5, [CLASSES, entropy]).paths("entropy") == ["0"]
    with pytest.raises(UsageError, match="one of probability map and entropy map, not both"):
        plan_layout(image, 5, [CLASSES, PROBABILITY, entropy])
