"""The cost of a training step on a CPU: one tile of 572 x 572, the network of width 64, next to its peers.

``python -m benchmarks.training_step [--quick] [--out FILE]``

A step is augmentation, forward and backward pass, and stochastic gradient descent with momentum. All
candidates have the same network (the paper's, without drop-out, whose masks differ between memory
layouts), the same weights, the same loss and the same kinds of augmentation: mirroring, rotation, an
elastic field over 3 x 3 vectors, gray values.

``eager``: what is found in common repositories: modules for double convolution, down and up, in
channels-first order; the augmentation by NumPy and SciPy, with the same draws.
``MONAI``: that network and loss with MONAI's transforms.

The first loss of ours and of ``eager``, augmentation included, and of MONAI's network on our sample must
agree before time is taken. The candidates run in turn; each turn begins with a step that is not timed, and
only ours keeps the heap (`kept_heap`), as a training does.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import keep_result, row, said, summary
from benchmarks.peers import peer, peer_versions
from unet2015.device import thread_count
from unet2015.heap import kept_heap
from unet2015.networks import Network
from unet2015.networks.unet2015 import UNet
from unet2015.settings import NetworkSettings, TrainingSettings, load_settings
from unet2015.synthetic import em_stack
from unet2015.training.augment import Sample
from unet2015.training.draw import Draw, draw
from unet2015.training.loop import Training
from unet2015.training.pages import TrainingPage, TrainingSet, load_training_set

AIM = 2.0
TOLERANCE = 1e-4
"""Relative difference of two losses: places are known to 3e-5 px, and sums run in other orders."""
RATE, MOMENTUM = 1e-5, 0.99


class DoubleConv(nn.Sequential):
    """Two convolutions with ReLU, as everywhere."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, after, 3),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3),
            nn.ReLU(inplace=True),
        )


class Up(nn.Module):
    """Up-convolution, crop, concatenation and double convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(before, after, 2, stride=2)
        self.conv = DoubleConv(before, after)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return the next map."""
        x = self.up(x)
        dy, dx = ((skip.shape[axis] - x.shape[axis]) // 2 for axis in (2, 3))
        cropped = skip[:, :, dy : dy + x.shape[2], dx : dx + x.shape[3]]
        made: Tensor = self.conv(torch.cat([cropped, x], dim=1))
        return made


class EagerUNet(nn.Module):
    """The paper's network the way it is usually written; channels first."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        widths = [width << level for level in range(depth + 1)]
        self.inc = DoubleConv(1, width)
        self.downs = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), DoubleConv(a, b)) for a, b in pairwise(widths)
        )
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairwise(widths))
        self.outc = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores."""
        maps = [self.inc(x)]
        for down in self.downs:
            maps.append(down(maps[-1]))
        x = maps.pop()
        for up in reversed(self.ups):
            x = up(x, maps.pop())
        scores: Tensor = self.outc(x)
        return scores

    def take(self, network: UNet) -> None:
        """Take the weights of the package's network."""
        self.inc.load_state_dict(network.contract[0].state_dict())
        for down, theirs in zip(self.downs, list(network.contract)[1:], strict=True):
            down[1].load_state_dict(theirs.state_dict())  # type: ignore[index]
        for up, raise_, theirs in zip(self.ups, network.upsample, network.expand, strict=True):
            assert isinstance(up, Up)
            up.up.load_state_dict(raise_.state_dict())
            state = theirs.state_dict()
            # Here the skip comes first.
            half = up.up.out_channels
            state["0.weight"] = torch.cat([state["0.weight"][:, half:], state["0.weight"][:, :half]], dim=1)
            up.conv.load_state_dict(state)
        self.outc.load_state_dict(network.head.state_dict())


def loss_of(scores: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted cross entropy as it is usually written."""
    losses = functional.cross_entropy(scores, classes, reduction="none")
    return (losses * weights).mean()  # all pixels are annotated


def augment_by_scipy(
    page: TrainingPage, image: NDArray[np.float32], drawn: Draw, tile: int, output: int
) -> Sample:
    """Make the sample of a draw with ``map_coordinates``."""
    middle = (tile - 1) / 2
    y, x = np.mgrid[:tile, :tile] - middle
    if drawn.flip:
        x = -x
    angle = math.radians(drawn.angle)
    turned = math.cos(angle) * y - math.sin(angle) * x, math.sin(angle) * y + math.cos(angle) * x
    moved = [ndimage.zoom(v, tile / v.shape[0], order=3, mode="mirror") for v in drawn.vectors]
    at = np.stack(
        [t + m + middle - tile // 2 + c for t, m, c in zip(turned, moved, drawn.centre, strict=True)]
    )
    edge = (tile - output) // 2
    inner = at[:, edge : edge + output, edge : edge + output]
    made = ndimage.map_coordinates(image, at, order=1, mode="mirror")
    made = (made - made.mean()) * (1 + drawn.gray_scale) + made.mean() + drawn.gray_shift
    classes = ndimage.map_coordinates(page.classes, inner, order=0, mode="mirror")
    weights = ndimage.map_coordinates(page.weights, inner, order=1, mode="mirror")
    return Sample(
        torch.from_numpy(made.astype(np.float32))[None, None],
        torch.from_numpy(classes.astype(np.int64))[None],
        torch.from_numpy(weights)[None],
    )


@dataclass
class Candidate:
    """A way to train: how it makes a sample, and what it does with it."""

    prepare: Callable[[], Sample]
    descend: Callable[[Sample], float]
    heap: Callable[[], AbstractContextManager[Any]] = nullcontext

    def step(self) -> tuple[float, float, float]:
        """Take a step; return its loss, and the seconds of the augmentation and of the rest."""
        times = [time.perf_counter()]
        sample = self.prepare()
        times.append(time.perf_counter())
        loss = self.descend(sample)
        times.append(time.perf_counter())
        return loss, times[1] - times[0], times[2] - times[1]


def ours(training: Training) -> Candidate:
    """The training loop's own way."""

    def prepare() -> Sample:
        ready: Future[Any] = Future()
        ready.set_result(training._read(training.state.step))
        return training._augment(ready)[0]

    def descend(sample: Sample) -> float:
        loss = training._step(sample, RATE, "the benchmark")
        training.state.step += 1
        assert loss is not None, "every tile of the drawn pages teaches"
        return loss

    return Candidate(prepare, descend, kept_heap)


def eager_step(network: Network) -> Callable[[Sample], float]:
    """Return the gradient step of the eager network with the weights of ours."""
    assert isinstance(network, UNet)
    module = EagerUNet(network.width, network.depth)
    module.take(network)
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE, momentum=MOMENTUM)

    def descend(sample: Sample) -> float:
        optimizer.zero_grad()
        loss = loss_of(module(sample.image), sample.classes, sample.weights)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    return descend


def eager(training: Training) -> Candidate:
    """Common PyTorch, with the pages in memory and the draws of ours."""
    settings, network = training.settings, training.network
    pages = training.data.training
    images = {
        page.name: page.source.read(0, 0, page.classes.shape[0], 0, page.classes.shape[1])[0]
        for page in pages
    }
    tile = settings.optimisation.tile
    steps = iter(range(10**9))

    def prepare() -> Sample:
        step = next(steps)
        page = pages[step % len(pages)]
        drawn = draw(settings.augmentation, settings.seed, step, *page.classes.shape)
        output = network.geometry.output_size(tile)
        return augment_by_scipy(page, images[page.name], drawn, tile, output)

    return Candidate(prepare, eager_step(network))


def monai(training: Training) -> Candidate | None:
    """MONAI's transforms, all of the elastic and affine in one as it offers, before the eager network."""
    transforms = peer("monai.transforms")
    if transforms is None:
        return None
    tile = training.settings.optimisation.tile
    page = training.data.training[0]
    image = page.source.read(0, 0, page.classes.shape[0], 0, page.classes.shape[1])
    keys = ["image", "classes", "weights"]
    pipeline = transforms.Compose(
        [
            transforms.RandFlipd(keys, prob=0.5, spatial_axis=1),
            transforms.Rand2DElasticd(
                keys,
                spacing=tile / 2,
                magnitude_range=(10, 10),
                spatial_size=(tile, tile),
                prob=1,
                rotate_range=math.pi,
                mode=["bilinear", "nearest", "bilinear"],
                padding_mode="reflection",
            ),
            transforms.RandScaleIntensityd("image", factors=0.1, prob=1),
            transforms.RandShiftIntensityd("image", offsets=0.1, prob=1),
            transforms.CenterSpatialCropd(keys[1:], (training.network.geometry.output_size(tile),) * 2),
        ]
    )
    data = {
        "image": torch.from_numpy(image),
        "classes": torch.from_numpy(page.classes[None]),
        "weights": torch.from_numpy(page.weights[None]),
    }

    def prepare() -> Sample:
        made = pipeline(data)
        image, classes, weights = (made[key].as_tensor() for key in keys)
        return Sample(image[None], classes.long(), weights)

    return Candidate(prepare, eager_step(training.network))


def first_losses(candidates: dict[str, Candidate]) -> dict[str, float]:
    """Take the first step of all and return the losses; losses that differ are an error."""
    sample = candidates["ours"].prepare()
    losses = {}
    for name, candidate in candidates.items():
        own = name == "eager"  # its augmentation is to give the same sample
        losses[name] = candidate.descend(candidate.prepare() if own else sample)
    for name, loss in losses.items():
        if not abs(loss - losses["ours"]) <= TOLERANCE * losses["ours"]:
            raise RuntimeError(
                f"the first loss of {name} is {loss}, ours {losses['ours']}: they do not do the same work"
            )
    return losses


def measure(candidates: dict[str, Candidate], rounds: int, steps: int) -> dict[str, dict[str, Any]]:
    """Time steps of each candidate in turn; the first of each turn warms it up."""
    parts: dict[str, list[tuple[float, float, float]]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            with candidate.heap():
                candidate.step()
                for _ in range(steps):
                    cpu = time.process_time()
                    _, augmentation, rest = candidate.step()
                    parts[name].append((augmentation, rest, time.process_time() - cpu))
    result = {}
    for name, taken in parts.items():
        result[name] = {
            **summary([augmentation + rest for augmentation, rest, _ in taken]),
            "cpu": statistics.median(cpu for _, _, cpu in taken),
            "augmentation": summary([augmentation for augmentation, _, _ in taken]),
            "network_and_optimizer": summary([rest for _, rest, _ in taken]),
        }
    return result


@contextmanager
def training_set(folder: Path, settings: TrainingSettings, side: int) -> Iterator[TrainingSet]:
    """Yield a training set of one page of synthetic tissue, read from a TIFF."""
    images, labels = em_stack(1, side, side)
    for name, stack in (("images.tif", images), ("labels.tif", labels)):
        tifffile.imwrite(folder / name, stack, photometric="minisblack")
    with closing(load_training_set([(folder / "images.tif", folder / "labels.tif")], settings)) as data:
        yield data


def compare(settings: TrainingSettings, side: int, rounds: int, steps: int) -> dict[str, Any]:
    """Check the first losses, then time the steps."""
    with (
        tempfile.TemporaryDirectory() as folder,
        training_set(Path(folder), settings, side) as data,
        torch.random.fork_rng(devices=[]),
    ):
        training = Training(data, settings, Path(folder) / "run", torch.device("cpu"))
        others = {"eager": eager(training), "MONAI": monai(training)}
        candidates = {"ours": ours(training)} | {name: c for name, c in others.items() if c is not None}
        losses = first_losses(candidates)
        times = measure(candidates, rounds, steps)
    for name, taken in times.items():
        print(
            f"{name:6}: {said(taken, 3)}, of it augmentation {taken['augmentation']['median']:.4f} s; "
            f"first loss {losses[name]:.7f}",
            flush=True,
        )
    assert isinstance(settings.network, NetworkSettings)
    return {
        "threads": thread_count(),
        "width": settings.network.width,
        "tile": settings.optimisation.tile,
        "gflop": operations(settings.network.width, settings.optimisation.tile),
        "first_losses": losses,
        "seconds": times,
    }


def table(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each peer."""
    question = f"training step on a CPU, width {result['width']}, tile {result['tile']}"
    names = {"eager": "eager PyTorch, augmentation by SciPy", "MONAI": "MONAI's transforms, the same network"}
    times = result["seconds"]
    rates = {name: result["gflop"] / taken["median"] for name, taken in times.items()}
    return [
        row(
            question,
            against,
            times[name]["median"] / times["ours"]["median"],
            "x",
            AIM,
            note=f"{result['gflop']:.0f} GFLOP in oneDNN's convolutions on both sides, at "
            f"{rates['ours']:.0f} and {rates[name]:.0f} GFLOP/s; {AIM:g} times as fast would be "
            f"{AIM * rates[name]:.0f}",
        )
        for name, against in names.items()
        if name in times
    ]


def operations(width: int, tile: int) -> float:
    """Return the operations of a step in GFLOP: a pass, and two for the gradients of inputs and weights."""
    network = UNet(width=width).to("meta")
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 1, tile, tile, device="meta"))
    return 3 * float(counter.get_total_flops()) / 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that the losses agree, measure, print, and write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_step", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tiny network and tile, to see that it runs")
    parser.add_argument(
        "--out", type=Path, help="result file (default: results/training_step.json beside this)"
    )
    options = parser.parse_args(arguments)
    width, tile, side, rounds, steps = (4, 188, 128, 1, 2) if options.quick else (64, 572, 512, 6, 1)
    settings = load_settings(
        None,
        {
            "labels": {"kind": "membrane"},
            "network": {"width": width, "dropout": 0.0},
            "sampling": {"mirrored": 1.0},
            "optimisation": {"tile": tile, "learning_rate": RATE, "momentum": MOMENTUM}
            | {"momentum_ramp": 0, "clip": 0.0},  # what neither of the others has
        },
    )
    result = compare(settings, side, rounds, steps)
    answer = {**result, "peers": peer_versions("monai", "torch", "scipy"), "table": table(result)}
    keep_result(options, "training_step", __doc__.partition("\n")[0], answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
