"""The stages of :mod:`pipelines.one_gpu`, what they found, and what becomes of one that fails."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import torch

from pipelines.base.command import INTERRUPTED
from pipelines.on_device.trainings import begin
from pipelines.one_gpu.plan import Clock, OutOfTimeError, Plan
from pipelines.one_gpu.results import Results, read_notes
from pipelines.one_gpu.timing import agreement, augmentation_seconds, bfloat16_peak, inference_seconds
from pipelines.one_gpu.training import SideBySide, choose, try_recipe
from unet2015.device import hardware_name
from unet2015.errors import SettingsError, TrainingError, UNet2015Error
from unet2015.networks import build
from unet2015.provenance import versions
from unet2015.safe_files import write_json
from unet2015.settings import load_settings
from unet2015.training.interruption import interruptible


class OneGPU:
    """The stages and what they found.

    Parameters
    ----------
    plan : Plan
        What there is to do.
    out : Path
        Folder of the results.
    device : torch.device
        The GPU, or a CPU to try the code.
    clock : Clock
        How long it may take.

    Raises
    ------
    SettingsError
        The folder holds results of other settings.
    DataSetError
        What an earlier run noted there cannot be read.
    """

    def __init__(self, plan: Plan, out: Path, device: torch.device, clock: Clock) -> None:
        self.plan, self.device, self.clock = plan, device, clock
        self.results, self.stop = Results(out, plan), Event()
        self.path = out / "one_gpu.json"
        self.notes = read_notes(self.path)
        if self.notes.get("settings", plan.given) != plan.given:
            raise SettingsError(
                f"{out} holds results of other settings, which are not mixed; choose another folder"
            )

    def say(self, text: str) -> None:
        """Print a line with the time."""
        print(f"[{self.clock.gone:6.1f} s] {text}", flush=True)

    def run(self) -> int:
        """Run all stages that are not done; return the exit status: 1 where one failed or had no time."""
        if self.notes.get("finished"):
            self.say(f"all is done already: {self.path}")
            return 0
        self.notes |= {"settings": self.plan.given, "device": hardware_name(self.device)}
        self.notes |= {"versions": versions(), "date": datetime.now(UTC).date().isoformat()}
        self.notes["failed"], self.notes["left_out"] = {}, []
        with interruptible(alone=True) as self.stop:
            for stage in (self.agree, self.peak, self.augmentation, self.choose, self.train, self.inference):
                if not self.stop.is_set():
                    self._take(stage)
                    self.write()
        if self.stop.is_set():
            return INTERRUPTED
        self.notes["finished"] = not self.notes["failed"] and not self.notes["left_out"]
        self.write()
        return 0 if self.notes["finished"] else 1

    def _take(self, stage: Callable[[], None]) -> None:
        """Run a stage; what is there is kept whatever becomes of it, and said."""
        name = stage.__name__
        try:
            stage()
        except OutOfTimeError as error:
            self.notes["left_out"].append(name)
            self.say(f"{name} is left out: {error}")
        except Exception as error:
            self.failed(name, error)

    def failed(self, name: str, error: Exception) -> None:
        """Note and say what failed."""
        text = f"{type(error).__name__}: {error}"[:500]
        self.notes["failed"][name] = text
        self.say(f"{name} failed: {text}; what is there is kept, and the same command goes on")

    def write(self) -> None:
        """Write what was found so far."""
        self.notes["seconds"] = round(self.clock.gone, 1)
        write_json(self.path, self.notes)

    # The stages.

    def agree(self) -> None:
        """See that a network gives the same on the CPU and here."""
        if "agreement" in self.notes:
            return
        self.clock.check()
        found = agreement(load_settings(None, {"network": {"width": 8}}).network, self.device)
        self.notes["agreement"] = found
        single, half = found["float32"], found["bfloat16"]
        self.say(f"scores next to a CPU: {single:.1e} (float32), {half:.1e} (bfloat16)")
        if single > 1e-4:
            raise UNet2015Error(f"this device and a CPU differ by {single:.1e} of the scores' scale")

    def peak(self) -> None:
        """Measure the rate of a product of large matrices in bfloat16."""
        if "bfloat16_peak" in self.notes:
            return
        self.clock.check()
        self.notes["bfloat16_peak"] = bfloat16_peak(self.plan.given.get("matrix", 8192), self.device)
        self.say(f"bfloat16 peak: {self.notes['bfloat16_peak'] / 1e12:.3g} TFLOP/s")

    def augmentation(self) -> None:
        """Time the augmentation alone, as it is recorded in a step, next to the step."""
        if "augmentation" in self.notes or self.device.type != "cuda":
            return
        self.clock.check()
        name, recipe = next(iter(self.plan.trainings)), next(iter(self.plan.recipes.values()))
        settings = self.plan.settings(name, recipe, self.plan.shortest)
        pages = self.plan.pages(name, settings)
        self.notes["augmentation"] = augmentation_seconds(begin(settings, pages, self.device, drawn=1))
        self.say(f"augmentation of a tile: {self.notes['augmentation'] * 1000:.3f} ms")

    def choose(self) -> None:
        """Take some steps of each recipe on some trainings; the lowest loss that has learned goes on."""
        plan = self.plan
        if "chosen" in self.notes:
            return
        if len(plan.recipes) == 1:
            self.notes["chosen"] = dict.fromkeys(plan.trainings, next(iter(plan.recipes)))
            return
        found: dict[str, dict[str, Any]] = {name: {} for name in plan.trials}
        for name in plan.trials:
            for recipe in plan.recipes:
                if self.stop.is_set():
                    return
                self.clock.check()
                tried = found[name][recipe] = try_recipe(plan, name, recipe, self.device)
                level, constant = tried["cross_entropy"], tried["best_constant"]
                self.say(f"trial, {name}, {recipe}: {level:.4f}; best constant answer {constant:.4f}")
        self.notes["trials"], self.notes["chosen"] = found, choose(plan, found)
        self.say(f"chosen: {self.notes['chosen']}")

    def train(self) -> None:
        """Train all that is not finished, side by side, as long as the time allows."""
        names = [name for name in self.plan.trainings if not self.results.maps(name).exists()]
        if not names:
            return
        self.clock.check()
        if "chosen" not in self.notes:
            raise TrainingError("no recipe is chosen, and so nothing is trained")
        side = SideBySide(self.plan, self.results, self.clock, self.stop, self.say)
        chosen = {name: self.notes["chosen"][name] for name in names}
        side.begin(chosen, self.notes.get("steps", {}), self.device)
        new = [name for name, begun in side.begun.items() if not begun.resumed]
        if new and not self._choose_steps(side, new):
            return
        try:
            self._descend(side)
        except BaseException:
            kept = side.keep(names)
            self.say(f"kept as they stand: {', '.join(kept) or 'no training'}")
            earlier = [n for n in names if n not in kept and self.results.stopped(n).exists()]
            if earlier:
                self.say(f"as they stood some time ago: {', '.join(earlier)}")
            raise
        self._finish(side)

    def _choose_steps(self, side: SideBySide, names: list[str]) -> bool:
        rate = side.choose_steps(names)
        if rate is None:
            if not self.stop.is_set():
                raise OutOfTimeError("no time is left after the first steps; give more --seconds")
            self.say("stopped before the trainings began in earnest: nothing of them is kept")
            return False
        steps = {name: side.begun[name].settings.optimisation.steps for name in names}
        self.notes["steps"] = self.notes.get("steps", {}) | steps
        self.say(f"{rate:.0f} steps a second; steps: {self.notes['steps']}")
        self.write()
        return True

    def _descend(self, side: SideBySide) -> None:
        """Take all steps that are left, and note how fast."""
        counts, work = {name: begun.left for name, begun in side.begun.items()}, side.operations()
        start = time.monotonic()
        left = side.rounds(counts, say=True)
        seconds, count = time.monotonic() - start, sum(counts.values()) - sum(left.values())
        if left and not self.stop.is_set():
            self.say(f"the time is up with {sum(left.values())} steps to go")
            self.notes["cut_short"] = left
        if not count:
            return
        rate = (work - side.operations()) / seconds
        share = rate / self.notes.get("bfloat16_peak", math.inf)
        self.notes["training"] = {
            "steps": count,
            "seconds": round(seconds, 2),
            "steps_a_second": count / seconds,
            "flop_a_second": rate,
            "share_of_peak": share,
        }
        speed = f"{count / seconds:.0f} a second, {100 * share:.0f} % of the peak"
        self.say(f"{count} steps in {seconds:.0f} s: {speed}")

    def _finish(self, side: SideBySide) -> None:
        """Write what the trainings give; keep those that the run was stopped before."""
        waiting = dict(side.begun)
        while waiting and not self.stop.is_set():
            name, begun = next(iter(waiting.items()))
            del waiting[name]
            try:
                self.results.finish(name, begun.training, begun.settings)
                self.say(f"{name}: maps written, {self.results.maps(name).stat().st_size / 2**20:.1f} MiB")
            except Exception as error:  # one training must not cost the others
                self.failed(name, error)
                side.keep([name])
        if waiting:
            kept = side.keep(waiting)
            self.say(f"stopped; kept as they stand: {', '.join(kept)}; the same command goes on")

    def inference(self) -> None:
        """Time tiled inference of some sizes at full width."""
        if "inference" in self.notes:
            return
        self.clock.check(0.02)
        network = build(load_settings(None, self.plan.given["base"]).network, 1, 2)
        sides = self.plan.given.get("inference", [512, 2048])
        self.notes["inference"] = inference_seconds(network, sides, self.device)
        for side, found in self.notes["inference"].items():
            self.say(f"inference of {side} px: {found['seconds'] * 1000:.1f} ms")
