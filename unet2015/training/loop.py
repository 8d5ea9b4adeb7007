"""The training loop: stochastic gradient descent as in the paper, interruptible and resumable."""

import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

from unet2015.checkpoint import Model, ModelInfo, load_model, save_model
from unet2015.errors import NothingLearnedError, SettingsError, TrainingError
from unet2015.files import make_folder, write_json
from unet2015.geometry import unet_geometry
from unet2015.heap import kept_heap
from unet2015.network import UNet
from unet2015.settings import OptimisationSettings, TrainingSettings, load_settings
from unet2015.training.augment import Sample, Source, augment, draw
from unet2015.training.checks import check_pairs
from unet2015.training.dataset import pair_images
from unet2015.training.distributed import ALONE, Group, join
from unet2015.training.interruption import interruptible
from unet2015.training.log import SilentLog, TrainingLog
from unet2015.training.loss import weighted_cross_entropy
from unet2015.training.pages import TrainingPage, TrainingSet, load_training_set
from unet2015.training.state import State, checkpoints, load_state, save_state
from unet2015.training.thresholds import model_thresholds
from unet2015.training.validation import Validation, advice, validate
from unet2015.versions import versions

Paths = str | Path | Sequence[str | Path]
_log = logging.getLogger("unet2015")


def train(
    images: Paths,
    labels: Paths,
    out: str | Path,
    *,
    settings: TrainingSettings | str | Path | None = None,
    device: str = "auto",
    resume: bool = False,
    axes: str | None = None,
    stop_if_constant: bool = False,
) -> Model:
    """Train a U-Net as in the paper, sections 3 and 3.1 (doi:10.1007/978-3-319-24574-4_28).

    Started by ``torchrun --nproc-per-node N``, N processes train one network, each on a GPU of its
    own: at step s process r shows tile number s * N + r of the sequence, and all go down the mean of
    the N gradients. Each tile counts the same, whatever the sum of its weights, as in N steps of one
    process. So a step costs the time of one tile and learns from N; neither the number of steps nor
    the learning rate is changed.

    Parameters
    ----------
    images, labels : path or sequence of paths
        Files, folders or patterns. One file goes with one file; more are paired by name.
    out : path
        Folder of the run: ``checkpoints/``, ``log.jsonl``, ``tensorboard/``, ``settings.json`` and
        ``model.safetensors``, the best model so far.
    settings : TrainingSettings or path, optional
        A settings file; the paper's settings unless given.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; with several processes ``auto``, ``cpu``
        or ``cuda``.
    resume : bool
        Go on from the last checkpoint in `out`; the result is that of an uninterrupted training
        (on a CPU to the last bit). There must be as many processes as before.
    axes : str, optional
        Axes of the images where the files do not say.
    stop_if_constant : bool
        Stop with an error where a validation finds every pixel predicted alike: some trainings never
        leave that plateau, and another seed or a lower learning rate may.

    Returns
    -------
    Model
        The best model: the one with the highest F1 on the held-out images.

    Raises
    ------
    DataSetError, LabelError, ImageError
        Images and labels do not go together, or would spoil the training.
    SettingsError
        The settings do not fit the data, or differ from those of the run to resume.
    TrainingError
        The loss is not finite, or another process of the training is gone; the last good checkpoint
        stays. `NothingLearnedError`: every pixel is predicted alike, and `stop_if_constant`.
    """
    with join() as group:
        chosen = settings if isinstance(settings, TrainingSettings) else load_settings(settings)
        target = group.device(device)
        unet_geometry(chosen.network.depth).check(chosen.optimisation.tile)
        pairs = pair_images(_listed(images), _listed(labels))
        for warning in check_pairs(pairs, chosen, axes):
            _log.warning("%s", warning)
        folder = make_folder(out)
        if not resume and (checkpoints(folder / "checkpoints") or (folder / "model.safetensors").exists()):
            raise SettingsError(f"{folder} already holds a training; resume it, or choose another folder")
        with closing(load_training_set(pairs, chosen, axes)) as data:
            return Training(data, chosen, folder, target, group, stop_if_constant).run(resume)


class Training:
    """One training: network, optimizer and state, and what a step does with them."""

    def __init__(
        self,
        data: TrainingSet,
        settings: TrainingSettings,
        folder: Path,
        device: torch.device,
        group: Group = ALONE,
        stop_if_constant: bool = False,
    ) -> None:
        self.stop_if_constant = stop_if_constant
        self.data, self.settings, self.folder, self.device = data, settings, folder, device
        self.group = group
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = UNet(data.channels, settings.labels.classes, **settings.network.model_dump())
        # Several times faster than channels first, on CPUs and GPUs alike.
        self.network: UNet = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rule = settings.optimisation
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), rule.learning_rate, rule.momentum, weight_decay=rule.weight_decay
        )
        self.state = State(
            settings.seed,
            settings=settings.model_dump(mode="json"),
            hashes=data.hashes,
            processes=group.size,
        )
        group.check_same("settings, images or labels", [self.state.settings, sorted(data.hashes.values())])
        self.shared = group.share(self.network)

    @property
    def model_path(self) -> Path:
        """Where the best model lies."""
        return self.folder / "model.safetensors"

    def run(self, resume: bool = False) -> Model:
        """Train to the last step, from the last checkpoint if `resume`, and return the best model."""
        if resume:
            self._restore()
        self.group.check_same("checkpoint", self.state.step)
        writes = self.group.first
        if writes:
            write_json(self.folder / "settings.json", self.state.settings)
        steps, rule = self.settings.optimisation.steps, self.settings
        bar = tqdm(
            total=steps,
            initial=self.state.step,
            desc="training",
            unit="step",
            disable=None if writes else True,
            smoothing=0.05,
        )
        started = time.perf_counter() - self.state.seconds
        with (
            bar,
            TrainingLog(self.folder, self.state.step) if writes else SilentLog() as log,
            ThreadPoolExecutor(1) as ahead,
            torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []),
            interruptible(alone=self.group.size == 1) as interrupted,
            kept_heap() if self.device.type == "cpu" else nullcontext(),
        ):
            prepared = ahead.submit(self._read, self.state.step)
            while self.state.step < steps:
                step = self.state.step
                sample, name = self._augment(prepared)
                if step + 1 < steps:
                    prepared = ahead.submit(self._read, step + 1)
                rate = learning_rate(rule.optimisation, step)
                loss = self._step(sample, rate, name)
                self.state.step += 1
                self.state.seconds = time.perf_counter() - started
                log.write(self.state.step, loss=loss, learning_rate=rate)
                bar.set_postfix(loss=f"{loss:.4f}", rate=f"{rate:.2e}", refresh=False)
                bar.update()
                last = self.state.step == steps
                if writes and (last or self.state.step % rule.validation.interval == 0):
                    self._validate(log)
                stop = self.group.any(interrupted.is_set())
                if writes and (last or stop or self.state.step % rule.checkpoint_interval == 0):
                    self._save()
                if stop:
                    self.group.wait()  # for the checkpoint
                    raise KeyboardInterrupt
            if writes and not self.model_path.exists():
                self._validate(log)
            self.group.wait()  # for the model
        return load_model(self.model_path)

    def _restore(self) -> None:
        state = load_state(self.folder / "checkpoints", self.network, self.optimizer, self.state)
        if state is None:
            _log.warning("%s holds no checkpoint; starting from the first step", self.folder)
            return
        self.state = state
        if state.best and not self.model_path.exists():
            _log.warning("%s is gone; the next validation writes another", self.model_path)
            state.best = {}

    def _read(self, step: int) -> tuple[TrainingPage, Source, Tensor]:
        """Read what one step needs of its page; runs beside the step before."""
        number = self.group.draw(step)
        page = self.data.training[self.state.page(number, len(self.data.training))]
        height, width = page.classes.shape
        chosen = draw(self.settings.augmentation, self.settings.seed, number, height, width)
        source = Source.of(chosen, self.settings.optimisation.tile, height, width)
        return page, source, torch.from_numpy(page.source.read(0, *source.box))

    def _augment(self, prepared: Future[tuple[TrainingPage, Source, Tensor]]) -> tuple[Sample, str]:
        page, source, image = prepared.result()
        classes, weights = (torch.from_numpy(source.cut(plane)) for plane in (page.classes, page.weights))
        image, classes, weights = (plane.to(self.device) for plane in (image, classes, weights))
        output = self.network.geometry.output_size(source.tile)
        sample = augment(image, classes, weights, source, output)
        return sample, f"{page.name}, tile centre {source.draw.centre}"

    def _step(self, sample: Sample, rate: float, name: str) -> float:
        """Take one step of gradient descent and return the loss before it, the mean of all processes."""
        self.network.train()
        number = self.group.draw(self.state.step)
        torch.manual_seed(self.settings.seed * 1_000_003 + number)  # for the drop-out
        image = sample.image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.settings.optimisation.precision == "bfloat16"
        ):
            scores = self.shared(image)
        loss = weighted_cross_entropy(scores, sample.classes, sample.weights)
        value = float(loss.detach())
        if not math.isfinite(value):
            self._stop(f"the loss is {value}", name)
        mean = self.group.mean(value)  # here all wait for each other, and learn who is gone
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with self.group.exchange():
            loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return mean

    def _stop(self, what: str, name: str) -> NoReturn:
        kept = checkpoints(self.folder / "checkpoints")
        rest = f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint yet"
        raise TrainingError(
            f"{what} at step {self.state.step + 1}, on {name}; {rest}. "
            "Try a lower learning rate, or look at the image"
        )

    def _save(self) -> None:
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.network.parameters()):
            self._stop("the weights are not finite", "the checkpoint")
        save_state(self.folder / "checkpoints", self.network, self.optimizer, self.state)

    def _validate(self, log: TrainingLog | SilentLog) -> None:
        """Measure on the held-out pages; keep the model if it is the best so far."""
        # With one page alone nothing can be held out, and check_pairs has said so.
        pages, tile = self.data.validation or self.data.training, self.settings.optimisation.tile
        result = validate(self.network, pages, self.device, tile)
        if result is None:
            self._stop("the network's output is not finite", "the held-out pages")
        log.write(self.state.step, **{f"validation_{key}": value for key, value in result.as_dict().items()})
        _log.info("step %d: %s", self.state.step, result.describe())
        if result.constant and self.stop_if_constant:
            raise NothingLearnedError(
                f"every pixel is predicted alike at step {self.state.step}, so nothing is learned yet; "
                "try another seed, or a lower learning rate"
            )
        if warning := advice(result):
            _log.warning("step %d: %s", self.state.step, warning)
        best = self.state.best
        if result.better_than(Validation.from_dict(best) if best else None):
            self.state.best = {"step": self.state.step, **result.as_dict()}
            save_model(self.model_path, self.network, self._info(result))

    def _info(self, result: Validation) -> ModelInfo:
        kind, classes = self.settings.labels.kind, self.settings.labels.classes
        names = {"instances": ("background", "cell"), "membrane": ("membrane", "cell")}
        record = {
            "settings": self.state.settings,
            "files": {Path(name).name: digest for name, digest in self.data.hashes.items()},
            "training_pages": len(self.data.training),
            "validation_pages": len(self.data.validation),
            "class_weights": self.data.class_weights,
            "step": self.state.step,
            "seconds": round(self.state.seconds, 1),
            "validation": result.as_dict(),
            "device": str(self.device),
            "versions": versions(),
            "date": datetime.now(UTC).date().isoformat(),
        }
        if self.group.size > 1:
            record["processes"] = self.group.size
        return ModelInfo(
            in_channels=self.data.channels,
            classes=classes,
            network=self.settings.network,
            mapping=self.data.mapping,
            dtype=self.data.dtype,
            class_names=names.get(kind, tuple(f"class {number}" for number in range(classes))),
            axes="YX" if self.data.channels == 1 else "CYX",
            learned=result.learned,
            training=record,
            **model_thresholds(result),
        )


def learning_rate(rule: OptimisationSettings, step: int) -> float:
    """Return the learning rate of a step, counted from 0: a linear warm-up, then the schedule."""
    if step < rule.warmup:
        return rule.learning_rate * (step + 1) / rule.warmup
    done = (step - rule.warmup) / max(1, rule.steps - rule.warmup)
    shape = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
    return rule.learning_rate * shape[rule.schedule]


def _listed(paths: Paths) -> list[str | Path]:
    return [paths] if isinstance(paths, str | Path) else list(paths)
