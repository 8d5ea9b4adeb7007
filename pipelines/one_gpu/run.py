"""A run of :mod:`pipelines.one_gpu`: what its stages share and found, and what becomes of one that fails."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import torch

from pipelines.base.command import INTERRUPTED
from pipelines.one_gpu.plan import Clock, OutOfTimeError, Plan
from pipelines.one_gpu.results import Results, read_notes
from unet2015.device import hardware_name
from unet2015.errors import SettingsError
from unet2015.provenance import versions
from unet2015.safe_files import write_json
from unet2015.training.interruption import interruptible


class Run:
    """What the stages share, and what they found.

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

    def take(self, stages: Sequence["Stage"]) -> int:
        """Take all stages that are not done; return the exit status: 1 where one failed or had no time."""
        if self.notes.get("finished"):
            self.say(f"all is done already: {self.path}")
            return 0
        self.notes |= {"settings": self.plan.given, "device": hardware_name(self.device)}
        self.notes |= {"versions": versions(), "date": datetime.now(UTC).date().isoformat()}
        self.notes["failed"], self.notes["left_out"] = {}, []
        with interruptible(alone=True) as self.stop:
            for stage in stages:
                if not self.stop.is_set():
                    self._take(stage)
                    self.write()
        if self.stop.is_set():
            return INTERRUPTED
        self.notes["finished"] = not self.notes["failed"] and not self.notes["left_out"]
        self.write()
        return 0 if self.notes["finished"] else 1

    def _take(self, stage: "Stage") -> None:
        """Take a stage; what is there is kept whatever becomes of it, and said."""
        name = stage.__name__
        try:
            stage(self)
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


Stage = Callable[[Run], None]
"""Does its part of a run, and notes what it found."""
