"""A run whose time ends: before it begins, in the middle, and how the rest is shared."""

import json

import pytest

from pipelines.base.command import INTERRUPTED
from pipelines.on_device import trainings
from pipelines.one_gpu import plan, training
from unet2015.training.on_device import DeviceTraining


def notes(folder):
    return json.loads((folder / "one_gpu.json").read_text())


@pytest.mark.parametrize("seconds", [0, 1e-9, -5])
def test_no_time_at_all_is_said(seconds, command, tmp_path, capsys):
    assert command(seconds=seconds) == 1
    assert notes(tmp_path / "out")["left_out"] == ["agree", "peak", "choose", "train", "inference"]
    assert "train is left out: no time is left" in capsys.readouterr().out
    assert not list((tmp_path / "out").glob("*.npz"))


@pytest.mark.parametrize(("steps", "there"), [(6, False), (22, True)])
def test_time_that_ends_in_the_middle_is_said(steps, there, command, tmp_path, monkeypatch, capsys):
    """Before the steps are chosen nothing is written; afterwards what was learned so far."""
    monkeypatch.setattr(trainings, "CHUNK", 2)
    original, clock = DeviceTraining.run, []
    made = plan.Clock.__init__

    def init(self, seconds):
        made(self, seconds)
        clock.append(self)

    def run(self, count):
        original(self, count)
        clock.append(count)
        if sum(clock[1:]) > steps:
            clock[0].seconds = clock[0].gone  # nothing is left

    monkeypatch.setattr(plan.Clock, "__init__", init)
    monkeypatch.setattr(DeviceTraining, "run", run)
    assert command() == 1
    found, said = notes(tmp_path / "out"), capsys.readouterr().out
    assert ("cut_short" in found) == there
    assert bool(list((tmp_path / "out").glob("*.npz"))) == there
    assert "no time is left" in said
    assert ("the time is up with" in said) == there


def test_the_steps_share_one_rest_of_the_time(command, settings, monkeypatch):
    """Drawing for one training takes time, which must not be taken from the next."""
    steps = {}

    def extend(self, name, count):
        steps[name] = count
        self.clock.seconds -= 2
        if len(steps) == 4:
            self.stop.set()

    monkeypatch.setattr(training.SideBySide, "_extend", extend)
    monkeypatch.setattr(plan.Plan, "_check", lambda self, name: self.trainings[name].pop("steps"))
    monkeypatch.setattr(plan.Plan, "longest", property(lambda _: 20_000, lambda _, value: None), False)
    assert command(seconds=30) == INTERRUPTED
    assert steps["em-4"] == steps["em-all"] == steps["dic-02"] > 6
