"""How time, memory and rates are measured on a GPU; to try the code, a CPU stands in."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import summary
from unet2015.device import cuda_arithmetic


def device_seconds(
    device: torch.device, *candidates: Callable[[], object], repeats: int, warm: int = 3
) -> list[dict[str, Any]]:
    """Time candidates in turn, round after round, each after `warm` calls that do not count.

    On CUDA by events, from an idle device to the end of the last kernel; what the host does while the
    device waits counts, too.

    Returns
    -------
    list of dict
        For each candidate ``median``, ``least`` and ``most`` of its `repeats` times, in seconds.
    """
    for candidate in candidates:
        for _ in range(warm):
            candidate()
    times: list[list[float]] = [[] for _ in candidates]
    for _ in range(repeats):
        for found, candidate in zip(times, candidates, strict=True):
            found.append(_one(device, candidate))
    return [summary(found) for found in times]


def _one(device: torch.device, candidate: Callable[[], object]) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        candidate()
        return time.perf_counter() - start
    with torch.cuda.device(device):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(device)
        first.record()
        candidate()
        last.record()
        last.synchronize()
    return float(first.elapsed_time(last)) / 1e3


def peak_mib(device: torch.device, candidate: Callable[[], object]) -> float | None:
    """Return the most device memory that tensors held at once while a call ran; None without CUDA."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    candidate()
    torch.cuda.synchronize(device)
    return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)


def tensor_float32(
    device: torch.device, allowed: bool, benchmark: bool = False
) -> AbstractContextManager[None]:
    """Allow or forbid TensorFloat-32, and have cuDNN search for the fastest convolution if `benchmark`."""
    return cuda_arithmetic(device, tensor_float32=allowed, benchmark=benchmark, deterministic=False)


KINDS: dict[str, tuple[torch.dtype, bool]] = {
    "bfloat16": (torch.bfloat16, False),
    "tf32": (torch.float32, True),
    "float32": (torch.float32, False),
}
"""Kinds of numbers whose products are measured: their type, and whether TensorFloat-32 may round them."""


def matrix_rates(
    device: torch.device, sizes: Sequence[int], repeats: int, kinds: Sequence[str] = tuple(KINDS)
) -> dict[str, dict[str, Any]]:
    """Measure the best rate of a product of two square matrices, in FLOP/s, for each kind of number.

    Returns
    -------
    dict
        For ``bfloat16``, ``tf32`` (float32 in and out) and ``float32``: the best ``rate``, by the median
        time, its ``size``, and the rates of all ``sizes``.
    """
    found = {}
    for name in kinds:
        dtype, tf32 = KINDS[name]
        rates = {}
        for size in sizes:
            a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
            out, often = torch.empty_like(a), 10 if device.type == "cuda" else 1

            def products(a: Tensor = a, b: Tensor = b, out: Tensor = out, often: int = often) -> None:
                for _ in range(often):
                    torch.mm(a, b, out=out)

            with tensor_float32(device, tf32):
                (times,) = device_seconds(device, products, repeats=repeats)
            rates[str(size)] = often * 2 * size**3 / times["median"]
        best, rate = max(rates.items(), key=lambda item: item[1])
        found[name] = {"rate": rate, "size": int(best), "sizes": rates}
    return found


def forward_flops(network: nn.Module, shape: Sequence[int]) -> int:
    """Return the floating-point operations (two a multiplication and addition) of one pass; on no device."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.empty(*shape, device="meta"))
    return int(counter.get_total_flops())


def relative_error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the root of the summed squared differences, relative to that of what is expected."""
    differences = sum(
        float((f.double() - e.double()).square().sum()) for f, e in zip(found, expected, strict=True)
    )
    return float((differences / sum(float(e.double().square().sum()) for e in expected)) ** 0.5)


class NotCloseError(RuntimeError):
    """A result is too far from the exact one to be timed."""


def see_close(name: str, error: float, limit: float) -> float:
    """Return `error`; raise `NotCloseError` where it is above `limit`, or no number."""
    if not error <= limit:
        raise NotCloseError(f"{name}: off by {error:.2g} (relative), more than {limit:.2g}; it is not timed")
    return error
