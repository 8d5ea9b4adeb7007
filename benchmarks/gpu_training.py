"""The GPU's part about training: one step, its augmentation, and variants of the network's call."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile
import torch
from torch import Tensor, nn

from benchmarks.device import (
    device_seconds,
    forward_flops,
    peak_mib,
    relative_error,
    see_close,
    tensor_float32,
)
from unet2015.networks.unet2015 import UNet
from unet2015.settings import TrainingSettings, load_settings
from unet2015.synthetic import em_stack
from unet2015.training.augment import Sample
from unet2015.training.loop import Training
from unet2015.training.pages import TrainingSet, load_training_set

FARTHEST = 0.2
"""Error of all gradients that bfloat16 may have next to float32; what is broken is off by about 1."""
FLOOR = 1e-3
"""Error of the gradients below which a variant is close enough whatever the plain step's is."""


@dataclass(frozen=True)
class Sizes:
    """What is trained."""

    width: int
    depth: int
    tile: int
    page: int
    repeats: int


def settings_of(sizes: Sizes, precision: str) -> TrainingSettings:
    """Return the paper's settings, but drop-out off, so that one step of each variant must give the same.

    Nothing is clipped: a gradient that is too long must be seen.
    """
    return load_settings(
        None,
        {
            "network": {"width": sizes.width, "depth": sizes.depth, "dropout": 0.0},
            "labels": {"kind": "membrane"},
            "optimisation": {"tile": sizes.tile, "precision": precision, "clip": 0.0},
        },
    )


@contextmanager
def training_set(sizes: Sizes) -> Iterator[TrainingSet]:
    """Yield a set of two drawn pages."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "images.tif", Path(folder) / "labels.tif"
        for path, pages in zip(paths, em_stack(2, sizes.page, sizes.page), strict=True):
            tifffile.imwrite(path, pages, photometric="minisblack")
        data = load_training_set([paths], settings_of(sizes, "float32"))
        try:
            yield data
        finally:
            data.close()


class Step:
    """One step of `unet2015.train`, again and again on the same tile; at rate 0 the weights stay.

    Parameters
    ----------
    data : TrainingSet
        What is trained on.
    sizes, precision, device
        The network, the tile, and where and how it is computed.
    variant : callable, optional
        Makes of the network, and of a tile for it, what a step calls instead.
    """

    def __init__(
        self,
        data: TrainingSet,
        sizes: Sizes,
        precision: str,
        device: torch.device,
        variant: Callable[[nn.Module, Tensor], Any] | None = None,
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:  # nothing is written by a step
            self.training = Training(data, settings_of(sizes, precision), Path(folder), device)
        self._read: Future[Any] = Future()
        self._read.set_result(self.training._read(0))
        self._sample = self.augment()
        if variant is not None:
            image = self._sample.image.contiguous(memory_format=torch.channels_last)
            self.training.network.train()
            # A graph must not hold casts that autocast keeps from an earlier call.
            with torch.autocast(
                device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False
            ):
                made = variant(self.training.network, image)
            self.training.learner.shared = OneMap(made)

    def augment(self) -> Sample:
        """Bring what was read to the device, and deform it."""
        return self.training._augment(self._read)[0]

    def learn(self) -> float | None:
        """Take a step on a sample made before; return the loss."""
        return self.training._step(self._sample, 0.0, "the benchmark's tile")

    def whole(self) -> float | None:
        """Take a step from what was read on."""
        return self.training._step(self.augment(), 0.0, "the benchmark's tile")

    def gradients(self) -> list[Tensor]:
        """Return the gradients of a step."""
        self.learn()
        found = [parameter.grad for parameter in self.training.network.parameters()]
        return [gradient.detach().float().cpu() for gradient in found if gradient is not None]


class OneMap(nn.Module):
    """A variant of the network's call as a step takes it: a list of maps, of which the paper has one."""

    def __init__(self, made: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.made = made

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the scores."""
        return [self.made(image)]


def graphed(network: nn.Module, image: Tensor) -> Any:
    """Return the network, its way there and back each recorded as a CUDA graph."""
    return torch.cuda.make_graphed_callables(network, (image,))


def compiled(network: nn.Module, image: Tensor) -> Any:
    """Return the network compiled; on a CPU by Dynamo alone, which is enough to try the code."""
    return torch.compile(network, backend="inductor" if image.is_cuda else "eager")


def compiled_graphed(network: nn.Module, image: Tensor) -> Any:
    """Return the network compiled, and run from CUDA graphs."""
    return torch.compile(network, mode="reduce-overhead")


def variants(device: torch.device) -> dict[str, Callable[[nn.Module, Tensor], Any]]:
    """Return the variants that can be had on a device."""
    if device.type != "cuda":
        return {"compile": compiled}
    return {"compile": compiled, "cuda graphs": graphed, "compile, cuda graphs": compiled_graphed}


def measure_training(
    device: torch.device,
    sizes: Sizes,
    rates: dict[str, Any],
    precisions: Sequence[str] = ("bfloat16", "float32"),
    variants_too: bool = True,
) -> dict[str, Any]:
    """Measure steps in some precisions, plain and as variants."""
    flops = 3 * forward_flops(UNet(1, 2, sizes.width, sizes.depth).to("meta"), (1, 1, sizes.tile, sizes.tile))
    answer: dict[str, Any] = {"width": sizes.width, "tile": sizes.tile, "flops_a_step": flops}
    with training_set(sizes) as data:
        with tensor_float32(device, allowed=False):
            exact = Step(data, sizes, "float32", device).gradients()
        made = variants(device) if variants_too else {}
        for precision in precisions:
            answer[precision] = _measure(Case(device, data, sizes, precision, exact, flops, made), rates)
    return answer


@dataclass(frozen=True)
class Case:
    """What is measured of one precision."""

    device: torch.device
    data: TrainingSet
    sizes: Sizes
    precision: str
    exact: list[Tensor]
    flops: int
    variants: dict[str, Callable[[nn.Module, Tensor], Any]]


def _measure(case: Case, rates: dict[str, Any]) -> dict[str, Any]:
    device, data, sizes, precision = case.device, case.data, case.sizes, case.precision
    exact, flops = case.exact, case.flops
    # As `unet2015.train` runs: torch's defaults, which let cuDNN use TF32 for float32.
    plain = Step(data, sizes, precision, device)
    error = relative_error(plain.gradients(), exact)
    see_close(f"a training step in {precision}", error, FARTHEST)
    whole, augment = device_seconds(device, plain.whole, plain.augment, repeats=sizes.repeats)
    peak = rates["bfloat16" if precision == "bfloat16" else "tf32"]["rate"]
    found: dict[str, Any] = {
        "gradients_error": error,
        "step": whole,
        "augmentation": augment,
        "steps_a_second": 1 / whole["median"],
        "share_of_peak": flops / whole["median"] / peak,
        "share_of_augmentation": augment["median"] / whole["median"],
        "peak_mib": peak_mib(device, plain.whole),
        "variants": {},
    }
    print(
        f"training, {precision}: {found['steps_a_second']:.2f} steps/s, "
        f"{100 * found['share_of_peak']:.1f} % of the peak, "
        f"augmentation {100 * found['share_of_augmentation']:.1f} % of a step, peak {found['peak_mib']} MiB",
        flush=True,
    )
    for name, make in case.variants.items():
        # A variant that this machine or this torch cannot run must not cost the other figures.
        try:
            step = Step(data, sizes, precision, device, make)
            off = relative_error(step.gradients(), exact)
            see_close(f"{name}, {precision}", off, max(2 * error, FLOOR))
            before, times = device_seconds(device, plain.whole, step.whole, repeats=sizes.repeats)
            found["variants"][name] = {
                "gradients_error": off,
                "step": times,
                "times_as_fast": before["median"] / times["median"],
                "share_of_peak": flops / times["median"] / peak,
            }
            print(f"    {name}: {found['variants'][name]['times_as_fast']:.2f} times as fast", flush=True)
        except Exception as reason:
            found["variants"][name] = {"left_out": f"{type(reason).__name__}: {reason}"[:500]}
            print(f"    {name} is left out: {reason}", flush=True)
    return found
