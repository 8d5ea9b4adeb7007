"""Processes of their own that need not load torch: they are forked from one that has, once for all tests.

A spawned process takes 2 to 3 s for that. These are as alone as spawned ones: what they get must be pickled,
their modules are found by name, and they can be killed. What is about the start of a process, its environment
or its signals starts it as a user does.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
import time
from contextlib import chdir, contextmanager
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOADED = "tests.loaded"


@cache
def loaded_context():
    """Return the context of such processes, as `multiprocessing.get_context` does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([LOADED])
    with chdir(ROOT):  # where the server looks for it, and says nothing if it is not there
        forkserver.ensure_running()  # now, as Dask would have its own modules loaded instead
    return context


@contextmanager
def loaded_workers():
    """Let the worker processes that Dask starts in the body be such ones."""
    import dask
    import distributed  # noqa: F401, whose settings would go with this one

    loaded_context()
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield


def peak_of(command):
    """Do as `benchmarks.peak.peak_of`, for a command of Python's, in such a process; needs Linux."""
    from benchmarks.peak import MIB, high_water

    start, most, used = time.perf_counter(), 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        said = os.path.join(folder, "said")
        words = [str(word) for word in command]
        words = words[1:] if words[0] == sys.executable else words
        process = loaded_context().Process(target=_be_python, args=(words, said, os.getcwd()))
        process.start()
        while process.is_alive():
            most, used = max(most, high_water(process.pid)), max(used, _seconds_of(process.pid))
            process.join(0.05)
        if process.exitcode:
            with open(said) as words:
                raise RuntimeError(f"{command}: {words.read()}")
    return {
        "peak_mib": round(most / MIB, 1),
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(used, 1),
    }


def _seconds_of(pid):
    """Return the processor time that a process has used so far; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            ticks = file.read().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0.0
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _be_python(words, said, folder):
    """Do as ``python WORDS`` in a folder: ``-c CODE``, ``-m MODULE`` or a script, and arguments."""
    os.chdir(folder)
    for number in (1, 2):
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.argv = ["-c", *words[2:]] if words[0] == "-c" else words[words[0] == "-m" :]
    if words[0] == "-c":
        exec(words[1], {"__name__": "__main__"})
    elif words[0] == "-m":
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")
