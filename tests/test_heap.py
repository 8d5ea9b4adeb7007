"""The kept heap: results and memory are as without it, and what it changed is restored."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest
import torch

from unet2015 import heap
from unet2015.heap import kept_heap

GLIBC = platform.libc_ver()[0] == "glibc"
needs_glibc = pytest.mark.skipif(not GLIBC, reason="the C library is another than glibc")


class Library:
    """A C library that notes its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []
        self.trimmed = 0

    def mallopt(self, parameter: int, value: int) -> int:
        self.calls.append((parameter, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        self.trimmed += 1
        return 1


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setattr(heap, "_glibc", lambda: library)
    return library


def test_every_parameter_is_restored_and_the_memory_given_back(library: Library) -> None:
    with kept_heap() as kept:
        assert kept
        changed = dict(library.calls)
        assert changed == {-4: 0, -1: 2**31 - 1}
        assert library.trimmed == 0
    restored = dict(library.calls[len(changed) :])
    assert restored.keys() >= changed.keys()
    assert restored == {-4: 65536, -3: 32 * 2**20, -1: 64 * 2**20}
    assert library.trimmed == 1


def test_after_an_error_it_is_restored_too(library: Library) -> None:
    with pytest.raises(RuntimeError), kept_heap():
        raise RuntimeError
    assert dict(library.calls)[-4] == 65536


def test_nested_the_last_one_out_restores(library: Library) -> None:
    with kept_heap():
        with kept_heap():
            pass
        assert library.trimmed == 0
        assert dict(library.calls)[-4] == 0
    assert library.trimmed == 1


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_glibc", lambda: None)
    with kept_heap() as kept:
        assert not kept


@needs_glibc
def test_glibc_is_found_and_takes_the_parameters() -> None:
    library = heap._glibc()
    assert library is not None
    for parameter, value in {**heap._KEEP, **heap._USUAL}.items():
        assert library.mallopt(ctypes.c_int(parameter), ctypes.c_int(value)) == 1


def test_a_c_library_without_mallopt_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert heap._glibc.__wrapped__() is None


@pytest.mark.slow
@needs_glibc
def test_a_large_block_is_mapped_once_and_given_back_at_the_end() -> None:
    """Page faults and resident memory, in a process of its own."""
    code = """
import ctypes, resource
from unet2015.heap import kept_heap
def fill():
    block = ctypes.create_string_buffer(64 << 20)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20
def again():
    before = faults()
    fill()
    return faults() - before
fill()
usual = again()
with kept_heap():
    fill()
    kept, held = again(), resident()
print(usual, kept, again(), held, resident())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    usual, kept, after, held, left = map(int, done.stdout.split())
    assert kept < usual / 10
    assert after > usual / 2
    assert held - left > 50


def test_results_are_the_same_bits() -> None:
    image = torch.randn(1, 8, 120, 120, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(8, 8, 3, 3, generator=torch.Generator().manual_seed(1))
    plain = torch.nn.functional.conv2d(image, weight)
    with kept_heap():
        assert torch.equal(torch.nn.functional.conv2d(image, weight), plain)


@pytest.mark.slow
@needs_glibc
def test_the_usual_heap_undoes_what_the_environment_set():
    """Blocks of 16 MiB are asked for anew with a trim threshold from the environment, as Dask sets it."""
    code = (
        "import resource, numpy as np\n"
        "from unet2015.heap import usual_heap\n"
        "def faults():\n"
        "    for _ in range(3): np.ones(2**21)\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(10): np.ones(2**21)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "print(faults(), usual_heap(), faults())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        check=True,
    )
    before, changed, after = run.stdout.split()
    assert changed == "True"
    assert int(after) * 10 < int(before)
