"""Starts the processes of a training as torchrun does, but forks them: torch is loaded once for all.

So is its compiler, 800 modules more, which `torch.nn.parallel.DistributedDataParallel` loads.

A job has ``arguments`` of the command line, ``size``, ``out`` (a folder that gets standard output and error
of each process, and the tiles that it read), and ``faults``: what happens to a rank as it reads step 4:
``fail``, ``kill`` or ``interrupt``; ``flat``: how many of the first validations find a plateau.
"""

import gc
import json
import os
import signal
import sys
from pathlib import Path

import torch._dynamo
import torch.utils.tensorboard
from torch.distributed import TCPStore

from unet2015.cli import main, train
from unet2015.errors import ImageReadError
from unet2015.models import doubts
from unet2015.training import loop
from unet2015.training.validation import Validation


def work(job, rank, port):
    """Be one process of a training."""
    size, out = str(job["size"]), Path(job["out"])
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": size}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(out / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT), number)
    read = loop.Training._read

    def note(self, step):
        tiles = read(self, step)
        with (out / f"{rank}.draws").open("a") as file:
            for page, source, _ in tiles:
                file.write(json.dumps([step, page.name, *source.draw.centre, source.draw.angle]) + "\n")
        fault = job.get("faults", {}).get(str(rank)) if step == 4 else None
        if fault == "fail":
            raise ImageReadError("page.tif: the disk is gone")
        if fault:
            os.kill(os.getpid(), signal.SIGKILL if fault == "kill" else signal.SIGTERM)
        return tiles

    loop.Training._read = note
    Validation.learned, doubts.LEAST_QUALITY = True, 0  # as so short a training is not asked to
    loop.complete_model = lambda *_: None  # which chooses longer than it trains
    flat = iter([True] * job.get("flat", 0))
    Validation.plateau = property(lambda self: next(flat, False))
    train.find_spec = lambda name: None  # no curves, which take longer than the training
    main(job["arguments"])


def start(job):
    """Fork the processes of a job, and return their exit statuses."""
    # As torchrun does, so that the store outlives every process of the training.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    started = []
    for rank in range(job["size"]):
        child = os.fork()
        if child == 0:
            try:
                work(job, rank, store.port)
            except SystemExit as end:
                sys.stdout.flush()
                os._exit(int(end.code or 0))
            finally:
                os._exit(99)
        started.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in started]


def serve(jobs):
    """Start the jobs that come through a connection, until None comes; answer with the exit statuses."""
    torch.set_num_threads(1)
    gc.freeze()  # or each child looks through all modules, and copies their memory to do so
    while (job := jobs.recv()) is not None:
        jobs.send(start(job))
