"""The device that torch computes on: how it is chosen, what it can do, how it is named in records.

No other file looks this up in torch, so that a new kind of device changes one file.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from threading import RLock
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from unet2015.arguments import device_name
from unet2015.errors import UsageError
from unet2015.memory import process_free, system_free

_RANDOM = RLock()


@contextmanager
def drawing(seed: int | None = None) -> Iterator[None]:
    """Keep other threads from torch's random numbers, of which a process has one sequence for each device.

    Without it, of two trainings in threads each would take numbers of the other, and neither were that of its
    seed. Whoever draws, seeds or restores that sequence does it here; code of others may still disturb.

    Parameters
    ----------
    seed : int, optional
        Where the sequences of all devices begin then; a number that torch accepts.
    """
    with _RANDOM:
        if seed is not None:
            torch.manual_seed(seed)
        yield


@contextmanager
def restoring_random(device: torch.device | None = None) -> Iterator[None]:
    """Take the random numbers of processor and device back to where they were before the body.

    Other threads may draw meanwhile, so it is not for the body to rely on what it seeds outside of `drawing`.
    """
    fork = torch.random.fork_rng(devices=[device] if device is not None and device.type == "cuda" else [])
    with _RANDOM:
        fork.__enter__()
    try:
        yield
    finally:
        with _RANDOM:
            fork.__exit__(None, None, None)


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto``: CUDA if there is a GPU, else MPS, else the CPU.

    Raises
    ------
    UsageError
        The name is not known, or this machine has no such device.
    """
    name = device_name(name)
    if name == "auto":
        name = "cuda" if gpu_count() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        usable = {
            "cpu": True,
            "cuda": (device.index or 0) < gpu_count(),
            "mps": torch.backends.mps.is_available(),
        }[device.type]
    except (RuntimeError, KeyError) as error:
        raise UsageError(f"device {name!r} is not known; choose auto, cpu, cuda, cuda:N or mps") from error
    if not usable:
        raise UsageError(f"device {name!r} is not available on this machine; choose auto or cpu")
    return device


def gpu_count() -> int:
    """Return how many CUDA devices this machine has."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def thread_count() -> int:
    """Return how many threads torch uses for one operation on the CPU."""
    return torch.get_num_threads()


def hardware_name(device: torch.device) -> str:
    """Return the product name of a GPU ("NVIDIA H100 80GB HBM3"); of other devices, the type ("cpu")."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def record_name(device: torch.device) -> str:
    """Return the name of a device for a record: ``cuda:0 (NVIDIA H100 80GB HBM3)``, ``cpu (2 threads)``.

    The number of threads belongs to it: with another number a convolution may sum in another order,
    and so round differently.
    """
    if device.type == "cuda":
        return f"{device} ({hardware_name(device)})"
    if device.type == "cpu":
        return f"cpu ({thread_count()} threads)"
    return str(device)


def accelerator_names() -> list[str]:
    """Return the product names of all CUDA GPUs of this machine."""
    return [torch.cuda.get_device_name(number) for number in range(gpu_count())]


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself.

    Older GPUs emulate it, which is slower than float32. CPUs and MPS count as able: how fast they are
    in it must be measured.
    """
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


@cache
def has_matrix_units() -> bool:
    """Whether this processor multiplies matrices of bfloat16 several times as fast as of float32: AMX."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)  # not public
    return supported is not None and bool(supported())


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16: those of AVX-512, or AMX."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # not public
    return has_matrix_units() or (supported is not None and bool(supported()))


def available_memory(device: torch.device) -> int:
    """Return the free memory of `device` in bytes; on a CPU, within the limits of its control group."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return system_free()


def process_memory(device: torch.device) -> int:
    """Return the bytes that this process can still take on `device`.

    As :func:`available_memory`, and on a CPU also within the limit of the address space (``ulimit -v``).
    """
    return process_free() if device.type == "cpu" else available_memory(device)


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its queue; other devices have none to wait for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def release_cached_memory(device: torch.device) -> None:
    """Give the unused memory that torch keeps on a GPU back to it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def seed_device(device: torch.device, seed: int) -> None:
    """Seed the random numbers that a device draws; of several GPUs those of this one."""
    if device.type != "cuda":
        torch.manual_seed(seed)
        return
    number = torch.cuda.current_device() if device.index is None else device.index
    torch.cuda.default_generators[number].manual_seed(seed)


def transfer_array(shape: Sequence[int], dtype: DTypeLike, device: torch.device) -> NDArray[Any] | None:
    """Return an array that a GPU reads by itself, while the processor goes on; None for other devices.

    Its memory is locked, and used again when it is freed, so that it is not cleared page by page each time.
    None also where the system locks no more.
    """
    if device.type != "cuda":
        return None
    kind = torch.from_numpy(np.empty(0, dtype)).dtype
    try:
        return torch.empty(tuple(shape), dtype=kind, pin_memory=True).numpy()
    except RuntimeError:
        return None


def send(array: NDArray[Any], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return an array on a device, as `dtype`; a GPU may read it later, so do not change or free it."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device, dtype)
    return tensor.to(device, non_blocking=True).to(dtype)


def fetch(values: Tensor) -> Callable[[], NDArray[Any]]:
    """Begin to copy values from their device; what is returned waits for their end and gives the array.

    A GPU has then also done all that was asked of it before.
    """
    if values.device.type != "cuda":
        array = values.cpu().numpy()
        return lambda: array
    values = values.contiguous()
    kind = np.dtype(str(values.dtype).removeprefix("torch."))
    there = transfer_array(values.shape, kind, values.device)
    if there is None:
        there = np.empty(tuple(values.shape), kind)
    torch.from_numpy(there).copy_(values, non_blocking=True)
    done = torch.cuda.Event()  # type: ignore[no-untyped-call]
    done.record(torch.cuda.current_stream(values.device))

    def wait() -> NDArray[Any]:
        done.synchronize()
        return there

    return wait


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch means that there is not enough memory, on whatever device."""
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
        or "could not create a primitive" in text  # oneDNN, in a process that has reached its limit
    )


@contextmanager
def usual_torch() -> Iterator[None]:
    """Compute for a while as torch does unless told: what the caller has set of it would change results.

    That is autocast, another default device or type, and what is not recorded for gradients.
    """
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps"):
            if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if (dtype := torch.get_default_dtype()) != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        yield


def exact_float32(device: torch.device) -> AbstractContextManager[None]:
    """Compute float32 on CUDA as float32, and reproducibly.

    TensorFloat-32 would round inputs to 10 bits, and cuDNN's search for the fastest algorithm may choose
    another one, with another order of summation, in each process.
    """
    return cuda_arithmetic(device, tensor_float32=False, benchmark=False, deterministic=True)


@contextmanager
def cuda_arithmetic(
    device: torch.device, *, tensor_float32: bool, benchmark: bool, deterministic: bool
) -> Iterator[None]:
    """Say how CUDA computes products and convolutions for a while; other devices are left alone.

    Parameters
    ----------
    device : torch.device
        Where it will be computed.
    tensor_float32 : bool
        Allow TensorFloat-32 for float32.
    benchmark : bool
        Have cuDNN search for the fastest convolution.
    deterministic : bool
        Have cuDNN take only algorithms that always sum in the same order.
    """
    if device.type != "cuda":
        yield
        return
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, tensor_float32
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=benchmark, deterministic=deterministic, allow_tf32=tensor_float32
        ):
            yield
    finally:
        matmul.allow_tf32 = before
