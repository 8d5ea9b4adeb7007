import multiprocessing

import pytest

forkserver = multiprocessing.get_context("forkserver")


@pytest.fixture
def loaded_processes():
    """Return a stand-in for `get_context` whose processes have loaded torch, which takes a spawned one 2 s.

    They are as alone as spawned ones: what they get must be pickled, and their modules be found by name.
    """
    forkserver.set_forkserver_preload(["unet2015.segmentation.batch"])
    return lambda kind: forkserver
