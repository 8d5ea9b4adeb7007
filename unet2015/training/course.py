"""The course of a training: phases, the learning rate, patience, checkpoints."""

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from unet2015.models.model_file import read_model_file
from unet2015.models.training_pages import HELD_OUT, HELD_OUT_SEEN, TOGETHER
from unet2015.tiling.progress import Bar
from unet2015.training import run_folder
from unet2015.training.device_descent import DeviceDescent
from unet2015.training.learner import Learner
from unet2015.training.log import SilentLog, TrainingLog
from unet2015.training.record import is_good_model
from unet2015.training.run_folder import CHECKPOINTS, MODEL
from unet2015.training.schedules import Plateau, learning_rate
from unet2015.training.state import load_state, remove_older, save_state
from unet2015.training.validation import Validation
from unet2015.training.validation_steps import RULES, is_validation_step, rules_of, validations

_log = logging.getLogger("unet2015")


class Course(DeviceDescent):
    """Gradient descent that knows how far it has come, and keeps that in checkpoints."""

    _flat = False
    """Whether the last validation says that the rate must be divided; in the first process."""

    @property
    def model_path(self) -> Path:
        """Where the best model lies."""
        return self.folder / MODEL

    @property
    def _first(self) -> bool:
        """Whether this is the first phase."""
        return self.state.phase == 0

    def _rate(self) -> float:
        return learning_rate(self.settings.optimisation, self.done, self.state.plateau.get("cuts", 0))

    def _is_validation(self) -> bool:
        return is_validation_step(self.settings, self.done, self._first)

    def _waited_enough(self) -> bool:
        rule = self.settings.validation
        waited = 0 < rule.patience <= self.state.waited
        return waited and validations(self.settings, self.done, self._first) >= rule.at_least

    @property
    def _has_ended(self) -> bool:
        """Whether no step of this phase is left to do."""
        return self.done >= self.settings.optimisation.steps or self._waited_enough()

    def _look(self, result: Validation) -> None:
        """Take in a validation for the schedule ``plateau``."""
        rule = self.settings.optimisation
        if rule.schedule == "plateau":
            plateau = Plateau(**self.state.plateau)
            self._flat = plateau.look(rule, result.cross_entropy)
            self.state.plateau = asdict(plateau)

    def _cut(self, flat: bool) -> None:
        """Divide the learning rate, in all processes, where the cross-entropy no longer falls."""
        self._flat = False
        if not flat:
            return
        self.state.plateau["cuts"] = self.state.plateau.get("cuts", 0) + 1
        if self.writes:
            words = "step %d: the cross-entropy no longer falls; learning rate now %.3g"
            _log.info(words, self.state.step, self._rate())

    def _is_over(self, end: bool) -> bool:
        """Whether the phase is over, and another one follows; `end` says that it has waited enough."""
        over = end or self.done == self.settings.optimisation.steps
        return over and self.state.phase + 1 < len(self.parts)

    def _begin_phase(self, log: TrainingLog | SilentLog) -> None:
        """Go on with the next phase: from the best weights so far, with an optimizer without memory."""
        self.group.wait()  # for the model
        best = read_model_file(self.model_path)
        state = self.state
        self.state = replace(state, phase=state.phase + 1, begun=state.step, waited=0, plateau={})
        self.learner = self._new_learner(self.state.phase, best.network.state_dict())
        log.write(state.step, phase=self.state.phase + 1, of=best.info.training["step"])
        if self.writes:
            words = "step %d: phase %d of %d begins, from the best weights (step %d)"
            _log.info(words, state.step, self.state.phase + 1, len(self.parts), best.info.training["step"])

    def _is_checkpoint(self) -> bool:
        last = self.done == self.settings.optimisation.steps
        return last or self.state.step % self.settings.checkpoint_interval == 0

    def _bar(self) -> Bar:
        steps = self.state.begun + sum(
            part.optimisation.steps for part in self.parts[self.state.phase :]
        )  # a phase may have ended early
        return Bar(steps, "training", "step", first=self.state.step, silent=not self.writes, leave=True)

    def _open_log(self) -> TrainingLog | SilentLog:
        if not self.writes:
            return SilentLog()
        names, state = self.data.held_out, self.state
        begin: dict[str, Any] = {"seed": state.seed, "precision": state.precision, HELD_OUT: names}
        begin[RULES] = rules_of(self.parts)
        if self.step_kind:
            begin["steps"] = self.step_kind
        if self.data.held_out_seen:
            begin[HELD_OUT_SEEN] = list(self.data.held_out_seen)
        if self.data.together:
            begin[TOGETHER] = [list(names) for names in self.data.together]
        return TrainingLog(self.folder, state.step, begin)

    def _note_at_end(
        self, pending: Callable[[], float | None], log: TrainingLog | SilentLog, bar: Bar, rate: float
    ) -> None:
        """Note the mean loss of the step that was begun last, when it is there."""
        step = self.state.step

        def note(loss: float | None) -> None:
            log.write(step, loss=loss, learning_rate=rate)
            bar.note(loss="-" if loss is None else f"{loss:.4f}")

        self.flight.add(pending, note)

    def _begin_again(self) -> None:
        """Take the next seed; its first checkpoint removes the files of the last one."""
        seed = self.state.seed + 1
        self.state = replace(self.state, seed=seed, step=0, best={}, waited=0, phase=0, begun=0, plateau={})
        self.learner = self._new_learner()
        if self.writes:
            _log.warning("beginning again with seed %d", self.state.seed)
            save_state(self.folder / CHECKPOINTS, self.learner, self.state)
            run_folder.remove_events(self.folder / run_folder.EVENTS)

    def _restore(self) -> None:
        def of_phase(phase: int) -> Learner:
            self.learner = self._new_learner(phase)
            return self.learner

        state = load_state(self.folder / CHECKPOINTS, self.learner, self.state, of_phase)
        if state is None:
            _log.warning("%s holds no good checkpoint; starting from the first step", self.folder)
        else:
            self.state = state
            if self.writes:
                remove_older(self.folder / CHECKPOINTS, state.step)
        if self.writes:
            # Also where there is no best one yet: the next would replace what lies there.
            good = is_good_model(self.model_path, self.state, self.data.axes)
            self.state.best = self.state.best if good else {}

    def _say_if_ended(self) -> None:
        """Say of a training that was resumed after its last step that it had ended, and with what."""
        best = self.state.best
        if not self.writes or not self._has_ended or not best:
            return
        words = "%s: the training had ended before, at step %d; its model is of step %s: %s"
        found = Validation.from_dict(best).describe()
        _log.info(words, self.folder, self.state.step, best["step"], found)

    def _save(self, log: TrainingLog | SilentLog) -> None:
        self._settle()
        log.sync()
        if not self.learner.is_finite():
            self._stop("the weights are not finite", "the checkpoint")
        save_state(self.folder / CHECKPOINTS, self.learner, self.state)
