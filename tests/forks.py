"""Processes of their own that need not load torch: they are forked from one that has, once for all tests.

A spawned process takes 2 to 3 s for that. These are as alone as spawned ones: what they get must be pickled,
their modules are found by name, and they can be killed. What is about the start of a process, its environment
or its signals starts it as a user does.
"""

import multiprocessing
from contextlib import contextmanager

LOADED = ("unet2015.training.loop", "unet2015.segmentation.worker", "distributed", "tests.pipelines.killed")


def loaded_context():
    """Return the context of such processes, as `multiprocessing.get_context` does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    return context


@contextmanager
def loaded_workers():
    """Let the worker processes that Dask starts in the body be such ones."""
    import dask
    import distributed  # noqa: F401, whose settings would go with this one

    loaded_context()
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield
