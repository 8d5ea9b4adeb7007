"""Which convolutions of a network use Winograd on this machine: measured once, and kept.

How much faster Winograd is depends on the processor: on how fast it multiplies matrices of this size, and
reads and adds beside it. More channels favour it, so a choice is the least product of channels in and out
from which on it is used, in words: ``winograd from 16384``, or ``direct`` where it never is. It decides how
results are rounded, and so stands in records.

What was measured is kept in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``), one file for
each processor, version of torch, number of threads and precision. ``UNET2015_CONVOLUTIONS`` fixes the choice
instead.
"""

import hashlib
import json
import logging
import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch

from unet2015 import provenance
from unet2015.device import has_matrix_units
from unet2015.errors import UNet2015Error, UsageError
from unet2015.networks.architecture import FASTEST
from unet2015.networks.cpu.packed_weights import Convolution, can_pack
from unet2015.networks.cpu.winograd import Scratch
from unet2015.networks.cpu.winograd_layers import MIN_CHANNEL_PRODUCT, WinogradConvolution, uses_winograd
from unet2015.networks.cpu.winograd_weights import can_multiply
from unet2015.networks.unet2015 import UNet
from unet2015.safe_files import atomic_path, is_edited, is_signed, read_text, signed

DIRECT = "direct"
USUAL = {torch.float32: f"winograd from {MIN_CHANNEL_PRODUCT}", torch.bfloat16: DIRECT}
"""The way where nothing is measured."""
VARIABLE = "UNET2015_CONVOLUTIONS"
_TIMED = {torch.float32: ((256, 256), (128, 256), (128, 128)), torch.bfloat16: ((512, 512),)}
"""Channels in and out, the most first: with fewer, or where these gain nothing, Winograd is not used."""
_SIDE = 32
"""Of the outputs that are computed: 256 tiles, about as many as are multiplied at a time."""
_CLEAR = {torch.float32: 0.8, torch.bfloat16: 1.0}
"""Winograd is left where the other takes less than this part of its time. On a busy machine two measurements
of 128 channels differ by a tenth; where products of float32 run at half of the rate of convolutions, it takes
0.7. In bfloat16, where the usual way is the other, Winograd must be faster."""
_ROUNDS, _SECONDS = 6, 0.5
"""Most rounds, and the time after which no other begins."""
_WIDEST = 512 * 512
"""Channels in times channels out of the widest layer from which on a network is worth the measurement."""

_log = logging.getLogger("unet2015")


def way_of(network: UNet, dtype: torch.dtype, wanted: str | None = None) -> str | None:
    """Return which convolutions of a network use Winograd, in words; None where none can.

    Parameters
    ----------
    network : UNet
    dtype : torch.dtype
        What it is computed in.
    wanted : str, optional
        ``fastest``: what `VARIABLE` says, or what is faster on this machine; or such words. Default: what is
        usually faster.

    Raises
    ------
    UsageError
        They are no such words.
    """
    if wanted not in (None, FASTEST):
        least_product(wanted)
    if not (uses_winograd(network, dtype) and can_pack(dtype) and can_multiply(dtype)):
        return None
    if wanted != FASTEST:
        return wanted or USUAL[dtype]
    fixed = os.environ.get(VARIABLE)
    if fixed:
        try:
            least_product(fixed)
        except UsageError as error:
            raise UsageError(f"the environment variable {VARIABLE}: {error}") from error
        return fixed
    if dtype == torch.bfloat16 and has_matrix_units():
        return USUAL[dtype]  # with AMX, Winograd gains nothing and rounds worse
    widest = (network.width << network.depth) ** 2
    return _kept(dtype) if widest >= _WIDEST else USUAL[dtype]


def least_product(way: str) -> float:
    """Return the least product of channels from which on Winograd is used; infinite where it never is.

    Raises
    ------
    UsageError
        The words are not known.
    """
    if way == DIRECT:
        return math.inf
    found = re.fullmatch(r"winograd from (\d{1,9})", way)
    if found is None:
        raise UsageError(
            f"the convolutions of a network are '{DIRECT}' or 'winograd from N', with the least product of "
            f"channels in and out such as in '{USUAL[torch.float32]}', not {way!r}"
        )
    return int(found[1])


def _kept(dtype: torch.dtype) -> str:
    """Return what was measured before for this machine and precision, or measure it and keep it."""
    machine = {
        "processor": provenance.processor_details(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "precision": str(dtype).removeprefix("torch."),
        "usual": USUAL[dtype],
    }
    key = hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()[:16]
    path = _cache_folder() / f"convolutions-{key}.json"
    try:
        said = json.loads(read_text(path))
        if said["machine"] != machine or not is_signed(said) or is_edited(said):
            raise ValueError("of another machine, or damaged")
        least_product(said["convolutions"])
        return str(said["convolutions"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, UNet2015Error) as error:
        _log.debug("%s: convolutions are measured: %s", path, error)
    found, seconds = measure(dtype)
    answer = signed({"machine": machine, "convolutions": found, "seconds": seconds})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(answer), encoding="utf-8")
    except (OSError, UNet2015Error) as error:
        _log.debug("%s: what was measured cannot be kept: %s", path, error)
    return found


def _cache_folder() -> Path:
    """Return where programs of this user keep what they can make again."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path(os.path.expanduser("~"), ".cache")
    return base / "unet2015"


def measure(dtype: torch.dtype) -> tuple[str, dict[str, list[float]]]:
    """Return the faster way on this machine, and the seconds of both forms for each pair of channels."""
    seconds: dict[str, list[float]] = {}
    least, scratch = math.inf, Scratch(dtype)
    with torch.inference_mode():
        for channels_in, channels_out in _TIMED[dtype]:
            forms = _forms(channels_in, channels_out, dtype, scratch)
            direct, winograd = _least_times(*forms, until=_SECONDS / len(_TIMED[dtype]))
            seconds[f"{channels_in} x {channels_out}"] = [direct, winograd]
            if direct < _CLEAR[dtype] * winograd:
                break  # fewer channels gain less
            least = channels_in * channels_out
    return (DIRECT if least == math.inf else f"winograd from {int(least)}"), seconds


def _forms(
    channels_in: int, channels_out: int, dtype: torch.dtype, scratch: Scratch
) -> tuple[Callable[[], object], ...]:
    """Return a convolution over the window and by Winograd, ready to run."""
    generator, side = torch.Generator().manual_seed(0), _SIDE + 2
    weight = torch.randn(channels_out, channels_in, 3, 3, generator=generator)
    x = torch.randn(1, channels_in, side, side, generator=generator)
    weight, x = (each.to(dtype).contiguous(memory_format=torch.channels_last) for each in (weight, x))
    bias = torch.zeros(channels_out, dtype=dtype)
    direct = Convolution(weight, bias, packed=True)
    winograd = WinogradConvolution(weight, bias, scratch)
    return (lambda: direct(x)), (lambda: winograd(x))


def _least_times(*forms: Callable[[], object], until: float) -> list[float]:
    """Return the least seconds of each form, in rounds of all, until the time is over."""
    # On one thread, other work on the machine does not count in the processor's time.
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    for form in forms:
        form()  # makes the kernels
    least, begin = [math.inf] * len(forms), time.perf_counter()
    for _ in range(_ROUNDS):
        for i, form in enumerate(forms):
            start = clock()
            form()
            least[i] = min(least[i], clock() - start)
        if time.perf_counter() - begin > until:
            break
    return least
