"""The peers of `benchmarks.time_to_quality`: MONAI's BasicUNet, and a recipe like nnU-Net's by MONAI."""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.peers import peer
from benchmarks.quality_curves import Clock, Point, Task, say

KEYS = ["image", "label"]
PRECISIONS = ("float32", "bfloat16")
WARM, TIMED = 2, 5
"""Steps before and while a precision is timed."""


@dataclass(frozen=True)
class Recipe:
    """How a peer is trained.

    Attributes
    ----------
    network : callable
        Makes the network, of one channel and two classes.
    patch, batch : int
        Side of a patch, and patches of a step.
    prepared, augmented : list
        Transforms of the image that are done once, and of image and label that are drawn anew each time.
    optimizer : callable
        Makes the optimizer of the weights.
    rate : callable
        What the learning rate is multiplied with, by the share of the steps that are done.
    clip : float
        Longest gradient; 0 leaves any.
    """

    network: Callable[[], nn.Module]
    patch: int
    batch: int
    prepared: list[Any]
    augmented: list[Any]
    optimizer: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]
    rate: Callable[[float], float]
    clip: float = 0.0


def monai_recipe(tiny: bool) -> Recipe:
    """Return MONAI's BasicUNet as it comes, trained in the manner of MONAI's tutorials.

    Patches of 256 px from a random place, batch 2, Adam 1e-3 with cosine decay; flips, quarter turns, small
    rotations and changes of scale, noise, and changes of contrast and brightness.
    """
    t, nets = _modules()
    patch = 32 if tiny else 256

    def network() -> nn.Module:
        features = {"features": (2, 2, 2, 2, 2, 2)} if tiny else {}
        made: nn.Module = nets.BasicUNet(spatial_dims=2, in_channels=1, out_channels=2, **features)
        return made

    augmented = [
        t.RandSpatialCropd(KEYS, roi_size=(patch, patch), random_size=False),
        t.RandFlipd(KEYS, prob=0.5, spatial_axis=0),
        t.RandFlipd(KEYS, prob=0.5, spatial_axis=1),
        t.RandRotate90d(KEYS, prob=0.5, max_k=3),
        t.RandAffined(
            KEYS,
            prob=0.5,
            rotate_range=math.pi / 12,
            scale_range=0.1,
            mode=["bilinear", "nearest"],
            padding_mode="reflection",
        ),
        t.RandGaussianNoised("image", prob=0.15, std=0.05),
        t.RandScaleIntensityd("image", factors=0.1, prob=0.5),
        t.RandShiftIntensityd("image", offsets=0.1, prob=0.5),
    ]
    return Recipe(
        network,
        patch,
        2,
        [t.ScaleIntensity()],
        augmented,
        lambda weights: torch.optim.Adam(weights, 1e-3),
        lambda done: (1 + math.cos(math.pi * done)) / 2,
    )


def nnunet_recipe(tiny: bool) -> Recipe:
    """Return a recipe like nnU-Net's (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z), by MONAI's means.

    The network that nnU-Net plans for slices of 512 x 512: eight stages of 32 to 512 channels, instance norm,
    leaky ReLU, here with deep supervision of four maps; z-score, SGD 1e-2 with Nesterov momentum 0.99, weight
    decay 3e-5, gradient clipped at 12, polynomial decay 0.9, and its augmentations with their probabilities.
    Batch 2, nnU-Net's smallest; it would plan 12 for a GPU, of which a processor does too few in the time.
    """
    t, nets = _modules()
    stages, patch = (3, 32) if tiny else (8, 512)

    def network() -> nn.Module:
        made: nn.Module = nets.DynUNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=2,
            kernel_size=[3] * stages,
            strides=[1] + [2] * (stages - 1),
            upsample_kernel_size=[2] * (stages - 1),
            filters=[4] * stages if tiny else [min(32 << level, 512) for level in range(stages)],
            deep_supervision=True,
            deep_supr_num=1 if tiny else 3,
        )
        return made

    augmented = [
        t.RandSpatialCropd(KEYS, roi_size=(patch, patch), random_size=False),
        t.RandRotated(
            KEYS, range_x=math.pi, prob=0.2, mode=["bilinear", "nearest"], padding_mode="reflection"
        ),
        t.RandAffined(
            KEYS,
            prob=0.2,
            scale_range=[(-0.3, 0.4)] * 2,
            mode=["bilinear", "nearest"],
            padding_mode="reflection",
        ),
        t.RandGaussianNoised("image", prob=0.1, std=math.sqrt(0.1)),
        t.RandGaussianSmoothd("image", sigma_x=(0.5, 1.0), sigma_y=(0.5, 1.0), prob=0.2),
        t.RandScaleIntensityd("image", factors=0.25, prob=0.15),
        t.RandScaleIntensityFixedMeand("image", factors=0.25, preserve_range=True, prob=0.15),
        t.RandSimulateLowResolutiond("image", prob=0.25, upsample_mode="bilinear", zoom_range=(0.5, 1.0)),
        t.RandAdjustContrastd("image", prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
        t.RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
        t.RandFlipd(KEYS, prob=0.5, spatial_axis=0),
        t.RandFlipd(KEYS, prob=0.5, spatial_axis=1),
    ]
    return Recipe(
        network,
        patch,
        2,
        [t.NormalizeIntensity()],
        augmented,
        lambda weights: torch.optim.SGD(weights, 1e-2, momentum=0.99, nesterov=True, weight_decay=3e-5),
        lambda done: (1 - done) ** 0.9,
        clip=12.0,
    )


RECIPES = {"monai": monai_recipe, "nnunet": nnunet_recipe}


def _modules() -> tuple[ModuleType, ModuleType]:
    """Return MONAI's transforms and networks; `benchmarks.time_to_quality` has seen that they are here."""
    transforms, nets = peer("monai.transforms"), peer("monai.networks.nets")
    assert transforms is not None
    assert nets is not None
    return transforms, nets


class PeerTraining:
    """A training of a peer, step by step."""

    def __init__(self, recipe: Recipe, task: Task, seed: int, precision: str) -> None:
        losses = peer("monai.losses")
        transforms, _ = _modules()
        assert losses is not None
        torch.manual_seed(seed)
        self.recipe, self.precision = recipe, precision
        self.network = recipe.network()
        self.optimizer = recipe.optimizer(self.network.parameters())
        self._first_rates = [group["lr"] for group in self.optimizer.param_groups]
        self._loss = losses.DiceCELoss(to_onehot_y=True, softmax=True)
        self._once = transforms.Compose(recipe.prepared)
        self._augment = transforms.Compose(recipe.augmented)
        self._augment.set_random_state(seed)
        self._pages = [
            {"image": self._prepared(image), "label": torch.from_numpy((label > 0).astype(np.float32))[None]}
            for image, label in zip(task.images, task.labels, strict=True)
        ]
        self._queue: list[int] = []

    def step(self, done: float) -> float:
        """Take a step, after a share of all; return its loss."""
        samples = [self._augment(self._pages[self._next()]) for _ in range(self.recipe.batch)]
        image, label = (torch.stack([sample[key].as_tensor() for sample in samples]) for key in KEYS)
        for group, rate in zip(self.optimizer.param_groups, self._first_rates, strict=True):
            group["lr"] = rate * self.recipe.rate(done)
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
            scores = self.network(image)
        loss = self._supervised(scores.float(), label)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        return loss.item()

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of class 1 by MONAI's sliding windows as they come."""
        inferers = peer("monai.inferers")
        assert inferers is not None
        self.network.eval()
        with torch.inference_mode():
            scores = [
                inferers.sliding_window_inference(
                    self._prepared(image)[None], (self.recipe.patch,) * 2, 1, self.network
                )
                for image in images
            ]
            return torch.cat(scores).softmax(1)[:, 1].numpy()

    def _supervised(self, scores: Tensor, label: Tensor) -> Tensor:
        """Return the loss; with deep supervision each map counts half of the one above it."""
        maps = scores.unbind(1) if scores.ndim == 5 else (scores,)
        weights = [0.5**level for level in range(len(maps))]
        parts = [w * self._loss(one, label) for w, one in zip(weights, maps, strict=True)]
        return torch.stack(parts).sum() / sum(weights)

    def _prepared(self, image: NDArray[np.uint8]) -> Tensor:
        made: Tensor = self._once(torch.from_numpy(image.astype(np.float32))[None])
        return torch.as_tensor(np.asarray(made))

    def _next(self) -> int:
        if not self._queue:
            self._queue = torch.randperm(len(self._pages)).tolist()
        return self._queue.pop()


def step_seconds(recipe: Recipe, task: Task, seed: int) -> dict[str, float]:
    """Return the median seconds of processor time of a step in each precision."""
    found = {}
    for precision in PRECISIONS:
        trial, times = PeerTraining(recipe, task, seed, precision), []
        for _ in range(WARM + TIMED):
            begun = time.process_time()
            trial.step(0.0)
            times.append(time.process_time() - begun)
        found[precision] = statistics.median(times[WARM:])
    return found


def train_peer(side: str, task: Task, seed: int) -> dict[str, Any]:
    """Train a peer in its faster precision, with a schedule that ends at the budget; return the curve.

    How long a step takes is tried before the clock starts.
    """
    recipe = RECIPES[side](task.tiny)
    tried = step_seconds(recipe, task, seed)
    precision = min(tried, key=lambda name: tried[name])
    steps = max(task.checkpoints, round(task.budget / tried[precision]))
    words = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in tried.items())
    print(f"{side}, seed {seed}: a step takes {words}; {steps} steps in {precision}", flush=True)
    marks, points, losses = task.marks(steps), list[Point](), list[float]()
    clock = Clock()
    training = PeerTraining(recipe, task, seed, precision)
    for step in range(steps):
        losses.append(training.step(step / steps))
        if step + 1 in marks:
            with clock.paused():
                measures = task.measure(training.predict(task.test))
            point = {"step": step + 1, "seconds": clock.seconds, **measures, "loss": statistics.mean(losses)}
            say(side, seed, point)
            points.append(point)
            losses.clear()
    return {
        "steps": steps,
        "settings": {"patch": recipe.patch, "batch": recipe.batch},
        "precision": precision,
        "step_seconds": tried,
        "points": points,
    }
