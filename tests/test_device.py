"""What a device is called and can do, also for devices that this machine does not have."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from unet2015 import memory
from unet2015.device import (
    accelerator_names,
    available_memory,
    choose_device,
    cuda_arithmetic,
    exact_float32,
    fetch,
    hardware_name,
    has_bfloat16,
    is_out_of_memory,
    process_memory,
    record_name,
    release_cached_memory,
    send,
    synchronize,
    thread_count,
    transfer_array,
)
from unet2015.errors import UsageError

CPU, CUDA, MPS = (torch.device(kind) for kind in ("cpu", "cuda:1", "mps"))


@pytest.fixture
def gpu(monkeypatch):
    """A machine with two GPUs that only says what it is asked for."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_name", lambda device: f"GPU {getattr(device, 'index', device)}"
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 9))


def test_devices_that_are_not_there_are_refused():
    with pytest.raises(UsageError, match="auto"):
        choose_device("gpu")
    with pytest.raises(UsageError, match="not available"):
        choose_device("cuda:99")
    assert choose_device("cpu").type == "cpu"


def test_auto_takes_a_gpu_first(gpu):
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == CUDA
    with pytest.raises(UsageError, match="not available"):
        choose_device("cuda:2")


@pytest.mark.parametrize(("there", "expected"), [(True, "mps"), (False, "cpu")])
def test_auto_without_a_gpu(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there)
    assert choose_device().type == expected


def test_names(gpu):
    assert hardware_name(CUDA) == "GPU 1"
    assert record_name(CUDA) == "cuda:1 (GPU 1)"
    assert hardware_name(CPU) == "cpu"
    assert record_name(CPU) == f"cpu ({thread_count()} threads)"
    assert record_name(MPS) == hardware_name(MPS) == "mps"
    assert accelerator_names() == ["GPU 0", "GPU 1"]


@pytest.mark.parametrize("native", [True, False])
def test_an_emulated_bfloat16_does_not_count(monkeypatch, native):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation or native
    )
    assert has_bfloat16(CUDA) == native
    assert has_bfloat16(CPU)


def test_memory_of_a_gpu_is_what_it_says(gpu):
    assert available_memory(CUDA) == process_memory(CUDA) == 5


@pytest.fixture
def system(monkeypatch):
    """Files of the system, by path; others are not there."""
    files = {"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    8192 kB\n"}

    def read(path, *arguments, **options):
        if str(path) not in files:
            raise FileNotFoundError(path)
        return files[str(path)]

    monkeypatch.setattr(Path, "read_text", read)
    return files


def test_free_memory_is_within_the_control_group(system):
    assert available_memory(CPU) == 8192 * 1024
    group = "/sys/fs/cgroup/memory."
    system |= {group + "max": "max\n", group + "current": "1000\n"}
    assert available_memory(CPU) == 8192 * 1024
    system[group + "max"] = "5000\n"
    assert available_memory(CPU) == 4000
    system[group + "max"] = "500\n"
    assert available_memory(CPU) == 0


def test_a_system_that_does_not_say_how_much_is_free(system, monkeypatch):
    system.clear()
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 100, "SC_PAGE_SIZE": 10}[name])
    assert available_memory(CPU) == 500
    monkeypatch.setattr(os, "sysconf", {}.__getitem__)
    monkeypatch.setattr(memory, "_system_memory", lambda: None)
    assert available_memory(CPU) == 4 * 2**30


def test_memory_of_a_process_is_within_its_address_space(system, monkeypatch):
    resource = pytest.importorskip("resource")
    system["/proc/self/statm"] = "3 2 1"
    page = os.sysconf("SC_PAGE_SIZE")
    for limit, expected in ((10 * page, 7 * page), (page, 0), (resource.RLIM_INFINITY, 8192 * 1024)):
        monkeypatch.setattr(resource, "getrlimit", lambda kind, limit=limit: (limit, limit))
        assert process_memory(CPU) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("any"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("sizes do not match"), False),
    ],
)
def test_errors_that_mean_too_little_memory(error, expected):
    assert is_out_of_memory(error) == expected


def test_exact_float32_is_restored_and_leaves_other_devices_alone():
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    try:
        matmul.allow_tf32 = True
        with exact_float32(CPU):
            assert matmul.allow_tf32
        with exact_float32(CUDA):
            assert not matmul.allow_tf32
            assert not torch.backends.cudnn.allow_tf32
            assert torch.backends.cudnn.deterministic
        assert matmul.allow_tf32
        with pytest.raises(KeyError), exact_float32(CUDA):
            raise KeyError
        assert matmul.allow_tf32
    finally:
        matmul.allow_tf32 = before


def test_what_cuda_may_do_is_said_for_a_while():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn

    def state():
        return matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic

    before = state()
    for allowed, search, fixed in ((True, True, False), (False, False, True)):
        with cuda_arithmetic(CUDA, tensor_float32=allowed, benchmark=search, deterministic=fixed):
            assert state() == (allowed, allowed, search, fixed)
        assert state() == before


def test_on_a_cpu_there_is_nothing_to_wait_for_or_release():
    synchronize(CPU)
    release_cached_memory(CPU)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_arrays_go_to_a_device_and_come_back(dtype):
    array = np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)
    sent = send(array, CPU, dtype)
    assert sent.dtype == dtype
    found = fetch(sent.float().permute(0, 2, 1))()
    assert np.array_equal(found, torch.from_numpy(array).to(dtype).float().permute(0, 2, 1).numpy())
    assert transfer_array((2, 3), np.float32, CPU) is None


def test_where_no_memory_can_be_locked_any_array_will_do(monkeypatch):
    def refuse(*arguments, pin_memory=False, **options):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch, "empty", refuse)
    assert transfer_array((2, 3), np.float32, CUDA) is None


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("strides", ["rows", "channels_last"])
def test_arrays_go_to_a_gpu_and_come_back(strides):
    device, generator = torch.device("cuda"), np.random.default_rng(0)
    fetched, expected = [], []
    for _ in range(20):  # the same memory again and again, while other copies are under way
        array = transfer_array((2, 3, 300, 500), np.float32, device)
        array[:] = generator.random(array.shape, np.float32)
        expected.append(array.copy())
        sent = send(array, device, torch.float32)
        if strides == "channels_last":
            sent = sent.contiguous(memory_format=torch.channels_last)
        fetched.append((array, fetch(sent + 1)))
    for (_, wait), wanted in zip(fetched, expected, strict=True):
        assert np.array_equal(wait(), wanted + 1)
        assert wait().flags.c_contiguous
