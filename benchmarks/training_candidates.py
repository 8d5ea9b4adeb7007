"""The ways to train that `benchmarks.training_step` compares: ours, eager PyTorch with SciPy, and MONAI."""

import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from benchmarks.eager_unet import EagerUNet
from benchmarks.peers import peer
from unet2015.heap import kept_heap
from unet2015.networks import Network
from unet2015.networks.unet2015 import UNet
from unet2015.training.augment import Sample
from unet2015.training.draw import Draw, draw
from unet2015.training.loop import Training
from unet2015.training.pages import TrainingPage

RATE, MOMENTUM = 1e-5, 0.99


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


def eager_step(network: Network, precision: str) -> Callable[[Sample], float]:
    """Return the gradient step of the eager network with the weights of ours; bfloat16 by autocast."""
    assert isinstance(network, UNet)
    module = EagerUNet(network.width, network.depth)
    module.take(network)
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE, momentum=MOMENTUM)

    def descend(sample: Sample) -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            scores = module(sample.image)
        loss = loss_of(scores.float(), sample.classes, sample.weights)
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

    return Candidate(prepare, eager_step(network, settings.optimisation.precision))


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

    return Candidate(prepare, eager_step(training.network, training.settings.optimisation.precision))
