"""Segments a file in forked children that are killed at random calls of the system; prints what it saw.

``python killed.py MODEL INPUT OUT REFERENCE ROUNDS SEED LAYOUT``, run by test_resume.py. A child kills
itself with SIGKILL at a call (opening, writing, renaming, removing, ... a file) that is drawn from all that a
whole run makes, so that each moment between two changes of the folder can be met; others are killed from
outside after a random time, in the middle of reading, computing and writing.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from unet2015.images.writer import ImageWriter
from unet2015.models.model_file import read_model_file
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.part_store import PartWriter
from unet2015.tiling import plan
from unet2015.tiling.predictor import Predictor

LAYOUTS = {"strips": {}, "tiles": {"tiled": True}, "pyramid": {"pyramid": True}}
MODEL, INPUT, OUT, REFERENCE = map(Path, sys.argv[1:5])
ROUNDS, SEED = int(sys.argv[5]), int(sys.argv[6])
OPTIONS = SegmentOptions(tile=44, products=("classes", "probability"), **LAYOUTS[sys.argv[7]])
plan.PART_PIXELS = 4 * 44 * 44
os.fsync = lambda handle: None  # a kill, unlike a power cut, loses nothing that was written
torch.set_num_threads(1)  # a forked child cannot use threads that its parent started
computed = calls = 0
deadly = -1
original = Predictor.__call__


def counting(self, tiles):
    global computed
    computed += len(tiles)
    return original(self, tiles)


def watch(event, arguments):
    """Count calls of the system, and die at the chosen one."""
    global calls
    if event == "open" or event.startswith(("os.", "shutil.", "fcntl.")):
        calls += 1
        if calls == deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def deadly_after(kind, name):
    """Let also a method that writes be a call to die after, when half of a file is written."""
    real = getattr(kind, name)

    def method(self, *arguments):
        real(self, *arguments)
        watch("os.write", arguments)

    setattr(kind, name, method)


def child(out, kill_at=-1, after=None):
    """Run once in a child; return whether it lived, its tiles, calls and seconds."""
    read, write = os.pipe()
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        global calls, deadly
        os.close(read)
        sys.addaudithook(watch)
        calls, deadly = 0, kill_at
        (result,) = segment_files([INPUT], out, MODEL_LOADED, OPTIONS)
        os.write(write, json.dumps([str(result.error), computed, calls]).encode())
        os._exit(0)
    os.close(write)
    if after is not None:
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    said = os.read(read, 10**6)
    os.close(read)
    return (os.WIFEXITED(status), json.loads(said) if said else None, time.monotonic() - start)


def stored(out):
    """Return the tiles in the finished parts that lie in the output folder."""
    total = 0
    for folder in out.glob(".*.parts"):
        try:
            job = json.loads((folder / "job.json").read_text())
        except OSError:
            continue
        tiles, parts = job["tiles"], job["parts"]
        assert tiles % parts == 0, "the test needs parts of one size"
        total += len(list(folder.glob("*.part"))) * tiles // parts
    return total


def contents(folder):
    """Return the bytes of each file but the record, which holds times."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".json")}


def one_job(out, all_calls, seconds, tiles):
    """Kill and run again until a run lives; return how often, and what was wrong."""
    kills, wrong = 0, []
    while True:
        before, whole = stored(out), (out / "a.record.json").exists()
        if kills < 6 and not whole:
            timed = random.random() < 0.4
            lived, said, _ = child(
                out,
                kill_at=-1 if timed else random.randint(1, all_calls),
                after=random.uniform(0, seconds) if timed else None,
            )
        else:
            lived, said, _ = child(out)
        if lived:
            if said[0] != "None":
                wrong.append(said[0])
            if said[1] != (0 if whole else tiles - before):
                wrong.append(f"{said[1]} tiles computed, {before} of {tiles} were there, record: {whole}")
            break
        kills += 1
    child(out)  # what is done is looked at once more
    return kills, wrong


if __name__ == "__main__":
    MODEL_LOADED = read_model_file(MODEL)
    Predictor.__call__ = counting
    deadly_after(PartWriter, "append")
    deadly_after(ImageWriter, "write")
    random.seed(SEED)
    lived, (error, tiles, all_calls), seconds = child(REFERENCE)
    assert lived
    assert error == "None", error
    kills, problems = 0, []
    expected = contents(REFERENCE)
    for number in range(ROUNDS):
        out = OUT / str(number)
        out.mkdir(parents=True)
        more, wrong = one_job(out, all_calls, seconds, tiles)
        kills += more
        if contents(out) != expected or len(list(out.iterdir())) != len(expected) + 1:
            wrong.append(f"other bytes or files: {sorted(path.name for path in out.iterdir())}")
        problems += [f"round {number}: {problem}" for problem in wrong]
    print(json.dumps({"kills": kills, "calls": all_calls, "tiles": tiles, "problems": problems}))
