"""The training loop: gradient descent by a recipe, interruptible and resumable."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from threading import Event

from unet2015.arguments import callback, device_name, file_path, file_paths, flag
from unet2015.device import restoring_random, usual_torch
from unet2015.errors import SettingsError, UsageError
from unet2015.heap import kept_heap
from unet2015.models.doubts import doubts_of_measures
from unet2015.models.model_file import Model, read_model_file, save_model
from unet2015.safe_files import claim, make_folder, write_json
from unet2015.settings import TrainingSettings
from unet2015.tiling.progress import reporting, unnamed
from unet2015.training import run_folder
from unet2015.training.begun_before import begun_before
from unet2015.training.checks.problem import merged
from unet2015.training.checks.training_set import check_pairs
from unet2015.training.chosen_settings import settings_of
from unet2015.training.completion import complete_model
from unet2015.training.course import Course
from unet2015.training.drawn import check_encoder
from unet2015.training.interruption import interruptible
from unet2015.training.log import SilentLog, TrainingLog
from unet2015.training.memory import check_memory
from unet2015.training.page_names import describe_held_out
from unet2015.training.pages import load_training_set
from unet2015.training.pairing import pair_images
from unet2015.training.pictures import Pictures
from unet2015.training.pool import checked_reading
from unet2015.training.processes import process_group
from unet2015.training.record import model_info
from unet2015.training.run_folder import CHECKPOINTS, MODEL, SETTINGS, check_folder, checkpoints, say_place
from unet2015.training.start import (
    Start,
    check_channels,
    check_network,
    check_start,
    find_start,
    fine_tuned,
)
from unet2015.training.validation import Validation, advice, validate
from unet2015.training.validation_steps import first_validation

_log = logging.getLogger("unet2015")


@usual_torch()
def train(
    images: str | Path | Sequence[str | Path],
    labels: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    settings: TrainingSettings | str | Path | None = None,
    device: str = "auto",
    resume: bool = False,
    start: str | Path | Model | Start | None = None,
    encoder_weights: str | Path | None = None,
    axes: str | None = None,
    channel: int | str | None = None,
    scene: int | str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Model:
    """Train a U-Net as in the paper, sections 3 and 3.1 (doi:10.1007/978-3-319-24574-4_28).

    Started by ``torchrun --nproc-per-node N``, N processes train one network, each on its own GPU.
    At step s, process r shows batch number s * N + r, with B tiles, and all processes follow the mean
    of the gradients of all tiles. Each tile counts the same, whatever the sum of its weights. So a step
    takes the time of B tiles and learns from N * B tiles. The number of steps and the learning rate do
    not change.

    If the first validation (see `first_validation`) finds that nothing is learned, the training begins
    again with the next seed. There are at most ``validation.attempts`` attempts; the last one runs to
    its end.

    Parameters
    ----------
    images, labels : path or sequence of paths
        Files, folders or patterns. One file goes with one file; more are paired by name.
    out : path
        Folder of the run: ``checkpoints/``, ``log.jsonl``, ``tensorboard/``, ``settings.json`` and
        ``model.safetensors``, the best model so far. No other training may be using it.
    settings : TrainingSettings, name or path, optional
        The settings, the name of settings that are shipped, or a settings file. Default: ``quick`` on
        a CPU, the paper's ``ronneberger2015`` elsewhere.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; with several processes ``auto``, ``cpu``
        or ``cuda``.
    resume : bool
        Go on from the last checkpoint in `out`. The result equals that of an uninterrupted training, on
        a CPU with the same number of threads to the last bit. The number of processes must be the same.
    start : path, name or Model, optional
        Fine-tune this model: begin with its weights. A model file, the folder of a training, or the name of
        a shipped model. Its network and its way to map intensities take the place of those in the settings;
        images and labels must have as many channels and classes. ``fine_tuning`` in the settings freezes the
        contracting path or slows it down. The start is validated, too, and kept if no step is better. To
        resume, give the same again.
    encoder_weights : path, optional
        First weights of the encoder, for a network that has published ones (``vgg19``): a file of
        torchvision's (``.pth``), or safetensors with the same names. Its SHA-256 stands in the record. To
        resume, give it again. Default: drawn weights, and a line that says so.
    axes : str, optional
        Axes of the images where the files do not say; stored in the record. To resume, give the same again.
    channel : int or str, optional
        Use this channel of the images alone: its number from 0, its name, if the files declare names, or
        both as ``1:GFP``. It is stored in the model's record.
    scene : int or str, optional
        Of CZI, ND2 or LIF files with several images, use this one, named in the same ways; stored, too.
    progress : callable, optional
        Called after each step with the number of steps done, and of all; in the first process.

    Returns
    -------
    Model
        The best model: the one with the highest F1 on the held-out images. Its record says under
        ``learned`` whether it has learned anything.

    Raises
    ------
    DataSetError, LabelError, ImageError
        Images and labels do not go together, or would spoil the training.
    SettingsError
        The settings do not fit the data or the start, or differ from those of the run to resume.
    ModelError
        There is no model to start from, or it cannot be read.
    UsageError
        Another training is running in the folder, or it holds the model to start from.
    ImageWriteError
        The folder cannot be written, or holds files of other programs by the names of a training's.
    MemoryLimitError
        A step does not fit into the memory of the device; the message says what fits.
    TrainingError
        The loss is not finite, or another process of the training is gone; the last good checkpoint
        stays.
    """
    images, labels, out = file_paths(images, "images"), file_paths(labels, "labels"), file_path(out, "out")
    device, resume = device_name(device), flag(resume, "resume")
    encoder = None if encoder_weights is None else file_path(encoder_weights, "encoder_weights")
    reading = checked_reading(axes, channel, scene)
    report = unnamed(callback(progress, "progress"))
    with process_group() as group:
        target = group.device(device)
        begun = find_start(start)
        chosen = settings_of(settings, target, begun)
        check_start(begun, chosen, out)
        check_encoder(encoder, begun, chosen)
        check_network(chosen)
        if group.first:
            check_folder(out)
            say_place(out, images, labels)
        pairs = pair_images(images, labels)
        check_channels(begun, chosen.network, pairs[0][0], reading)
        before = begun_before(out) if resume else None
        info, silent = (begun.model.info if begun else None), not group.first
        checked = check_pairs(pairs, chosen, reading, silent=silent, start=info, before=before)
        for warning in merged(checked.problems):
            _log.warning("%s", warning)
        folder = make_folder(out)
        busy = UsageError(f"{folder}: another training is running in this folder; wait, or choose another")
        with claim(folder / "training", busy) if group.first else nullcontext():
            if not resume and (checkpoints(folder / CHECKPOINTS) or (folder / MODEL).exists()):
                said = "already holds a training; resume it (--resume), or choose another folder"
                raise SettingsError(f"{folder} {said}")
            with closing(load_training_set(pairs, chosen, reading, checked)) as data:
                check_memory(chosen, data, target)
                with reporting(report if group.first else None):
                    return Training(data, chosen, folder, target, group, begun, encoder).run(resume)


class Training(Course):
    """One training from its first step to its last: checkpoints, validations, the log."""

    pictures: Pictures | None = None
    """Drawn at each validation."""

    def run(self, resume: bool = False) -> Model:
        """Train to the last step, from the last checkpoint if `resume`, and return the best model."""
        if self.writes:
            run_folder.tidy(self.folder)
        if resume:
            self._restore()
            self._say_if_ended()
        self.group.check_same("checkpoint", [self.state.seed, self.state.step])
        if self.writes:
            write_json(self.folder / SETTINGS, self.state.settings, run_folder.settings_guard)
        _log.info("%s", describe_held_out(self.data.held_out))
        with (
            ThreadPoolExecutor(1) as ahead,
            restoring_random(self.device),
            interruptible(alone=self.group.size == 1) as interrupted,
            kept_heap() if self.device.type == "cpu" else nullcontext(),
        ):
            self._choose_precision()
            while not self._attempt(ahead, interrupted):
                pass
            if self.writes:
                complete_model(self.model_path, self.settings, self.data, self.device)
                # None where a run was killed after its last validation.
                (self.pictures or Pictures(self.folder, (), self.state.step)).finish()
            self.group.wait()  # for the model
        model = read_model_file(self.model_path)
        if self.state.start:
            _log.info("%s", fine_tuned(model))
        if model.info.learned is False:
            reasons = "; ".join(model.info.why_not_learned)
            _log.warning("the model that is kept has learned nothing: %s", reasons)
        for doubt in doubts_of_measures(model.info.training):
            _log.warning("the model that is kept: %s", doubt)
        return model

    def _attempt(self, ahead: ThreadPoolExecutor, interrupted: Event) -> bool:
        """Train with one seed; return True at the end, or False if the next seed should be tried."""
        again = False
        self._choose_step()
        started = time.perf_counter() - self.state.seconds
        with self._bar() as bar, self._open_log() as log:
            if self.start is not None and self.writes and self.state.step == 0:
                self._validate(log)
            prepared = ahead.submit(self._read, self.state.step)
            while not self._has_ended:
                tiles, rate = prepared, self._rate()
                if self.done + 1 < self.settings.optimisation.steps:
                    prepared = ahead.submit(self._read, self.state.step + 1)
                pending = self._begin(tiles, rate)
                self.state.step += 1
                self.state.seconds = time.perf_counter() - started
                self._note_at_end(pending, log, bar, rate)
                if not interrupted.is_set():  # the terminal may be gone
                    bar.update()
                again = self.writes and self._is_validation() and self._validate(log)
                flags = (interrupted.is_set(), again, self._waited_enough(), self._flat)
                stop, again, end, flat = self.group.any(*flags)
                self._cut(flat)
                over = self._is_over(end)
                if again:
                    self._begin_again()
                elif over:
                    self._begin_phase(log)
                    self._choose_step()
                    prepared = ahead.submit(self._read, self.state.step)
                if self.writes and not again and (stop or end or over or self._is_checkpoint()):
                    self._save(log)
                if stop:
                    with suppress(OSError):
                        bar.close()
                    self.group.wait()  # for the checkpoint
                    raise KeyboardInterrupt
                if again or (end and not over):
                    break
            if self.writes and not again and not self.model_path.exists():
                self._validate(log, last=True)
        return not again

    def _validate(self, log: TrainingLog | SilentLog, last: bool = False) -> bool:
        """Measure on the held-out pages and keep the best model; return whether to begin again instead."""
        # A single page cannot be held out; check_pairs has said so.
        self._settle()
        pages, rule = self.data.validation or self.data.training, self.settings
        self.pictures = self.pictures or Pictures(self.folder, pages, self.state.step)
        result = validate(self.learner.model, pages, self.device, self._inference_tile, self.pictures.see)
        if result is None:
            self._stop("the network's output is not finite", "the held-out pages")
        log.write(self.state.step, **{f"validation_{key}": value for key, value in result.as_dict().items()})
        _log.info("step %d: %s", self.state.step, result.describe())
        if warning := advice(result):
            _log.warning("step %d: %s", self.state.step, warning)
        if self.state.step == 0:  # the start of a fine-tuning
            self.state.start["validation"] = result.as_dict()
        self._look(result)
        others = self.state.seed < rule.seed + rule.validation.attempts - 1
        early = self._first and self.state.step == first_validation(rule)
        if result.plateau and others and not last and early:
            return True
        self.state.waited += 1
        best = Validation.from_dict(self.state.best) if self.state.best else None
        better = result.better_than(best, rule.validation.best)
        self.pictures.after(self.state.step, result.threshold, better)
        if better:
            self.state.best, self.state.waited = {"step": self.state.step, **result.as_dict()}, 0
            start = None if self.start is None else self.start.model.info
            info = model_info(self.data, rule, self.state, result, str(self.device), start)
            save_model(self.model_path, self.learner.model, info)
        return False
