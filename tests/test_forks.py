"""Processes that are forked for tests have loaded what takes long, also those that Dask starts."""

import sys

from distributed.utils import get_mp_context

from tests.forks import loaded_context, loaded_workers

LONG = {"torch", "distributed", "zarr", "unet2015.training.loop", "unet2015.segmentation.worker"}


def say_loaded(connection):
    connection.send(LONG & {*sys.modules})


def test_what_takes_long_is_loaded_before_a_process_begins():
    with loaded_workers():
        get_mp_context()  # which asks for what Dask needs, and no more, as the start of a worker does
    context = loaded_context()
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=say_loaded, args=(there,))
    process.start()
    assert here.recv() == LONG
    process.join()
    assert process.exitcode == 0
