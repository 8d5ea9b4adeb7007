"""What the processes of `tests.forks` have loaded when they begin."""

import gc
from importlib import import_module

for name in (
    *("distributed.nanny", "skimage.measure", "zarr"),
    *("unet2015.training.loop", "unet2015.segmentation.worker", "tests.pipelines.killed"),
):
    import_module(name)
gc.freeze()  # or each of them looks through all of it for garbage, and copies its memory to do so
