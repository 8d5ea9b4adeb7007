"""Training with several processes: through the command line, two of them, talking through Gloo."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.forks import loaded_context
from tests.training.conftest import equal
from unet2015.errors import SettingsError, UsageError
from unet2015.models.model_file import read_model_file
from unet2015.models.tensors import load_tensors
from unet2015.networks import build
from unet2015.settings import SamplingSettings, TrainingSettings
from unet2015.training.augment import augment
from unet2015.training.draw import draw
from unet2015.training.log import read_log
from unet2015.training.loop import train
from unet2015.training.losses import weighted_cross_entropy
from unet2015.training.pages import load_training_set
from unet2015.training.pairing import pair_images
from unet2015.training.processes import ProcessGroup
from unet2015.training.sampling import TileSampler, draw_pages
from unet2015.training.schedules import learning_rate
from unet2015.training.tile_source import TileSource

pytestmark = pytest.mark.slow

SETTINGS = """
checkpoint_interval = {interval}
[labels]
kind = "membrane"
[network]
width = 2
depth = 2
[augmentation]
elastic_std = 2.0
[optimisation]
steps = 8
warmup = 2
tile = 60
learning_rate = 1e-2
momentum_ramp = 0
clip = 0.0
[sampling]
mirrored = 1.0
[validation]
fraction = 0.25
interval = 4
attempts = {attempts}
"""


class Launcher:
    """Starts trainings of several processes and keeps what they left."""

    def __init__(self, folder, small_set):
        self.folder, self.set = folder, small_set
        self.jobs, theirs = Pipe()
        code = "from tests.training.processes import serve; serve(jobs)"  # which loads torch's compiler, too
        self.process = loaded_context().Process(target=exec, args=(code, {"jobs": theirs}))
        self.process.start()
        theirs.close()

    def close(self):
        self.jobs.send(None)
        self.process.join(60)
        assert self.process.exitcode == 0
        self.jobs.close()

    def arguments(self, run, *more, interval=3, attempts=1):
        settings = self.folder / f"{interval}-{attempts}.toml"
        settings.write_text(SETTINGS.format(interval=interval, attempts=attempts))
        images, labels = self.set
        return [
            *("train", "--images", str(images), "--labels", str(labels), "--settings", str(settings)),
            *("-o", str(run), "--device", "cpu", *more),
        ]

    def __call__(self, name, *more, size=2, faults=None, run=None, flat=0):
        out = self.folder / f"{name}-words"
        out.mkdir()
        arguments = self.arguments(run or self.folder / name, *more, attempts=flat + 1)
        job = {"arguments": arguments, "size": size, "out": str(out), "faults": faults or {}, "flat": flat}
        self.jobs.send(job)
        return Ended(self.jobs.recv(), out, run or self.folder / name)


class Ended:
    """What a training of several processes left."""

    def __init__(self, statuses, words, run):
        self.statuses, self.words, self.run = statuses, words, run

    def said(self, kind="err"):
        return ["".join(self.words.joinpath(f"{rank}.{kind}").read_text()) for rank in range(2)]

    def draws(self, rank):
        lines = self.words.joinpath(f"{rank}.draws").read_text().splitlines()
        return {step: tuple(rest) for step, *rest in map(json.loads, lines)}

    def tensors(self):
        return load_tensors(sorted((self.run / "checkpoints").iterdir())[-1])[0]

    def log(self):
        return read_log(self.run / "log.jsonl")


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    launcher = Launcher(folder, make_set(folder))
    yield launcher
    launcher.close()


def make_set(folder):
    import numpy as np
    import tifffile

    labels = np.full((4, 50, 56), 255, np.uint8)
    labels[:, ::12] = labels[:, :, ::14] = 0
    images = np.where(labels, 170, 60) + np.random.default_rng(0).normal(0, 15, labels.shape)
    for name, stack in (("images", images.clip(0, 255).astype(np.uint8)), ("labels", labels)):
        tifffile.imwrite(folder / f"{name}.tif", stack, photometric="minisblack")
    return folder / "images.tif", folder / "labels.tif"


@pytest.fixture(scope="module")
def whole(launch):
    """A training of two processes that nothing befell."""
    return launch("whole")


def reference(settings, files, processes):
    """The training written down once more, one tile after the other: weights and momenta at its end."""
    rule, seed = settings.optimisation, settings.seed
    with (
        torch.random.fork_rng(),
        closing(load_training_set(pair_images(*[[file] for file in files]), settings)) as data,
    ):
        torch.manual_seed(seed)
        network = build(settings.network, 1, 2, settings.initialisation)
        network = network.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(network.parameters(), rule.learning_rate, rule.momentum)
        for step in range(rule.steps):
            optimizer.zero_grad()
            sums = [torch.zeros_like(weight) for weight in network.parameters()]
            for number in range(step * processes, (step + 1) * processes):
                turn, position = divmod(number, len(data.training))
                order = draw_pages(seed, turn, range(len(data.training)), "alike")
                page = data.training[order[position]]
                shape = page.classes.shape
                source = TileSource.of(draw(settings.augmentation, seed, number, *shape), rule.tile, *shape)
                planes = (torch.from_numpy(source.cut(plane)) for plane in (page.classes, page.weights))
                image = torch.from_numpy(page.source.read(0, *source.box))
                output = network.geometry.output_size(rule.tile)
                sample = augment(image, *planes, source, output)
                torch.manual_seed(seed * 1_000_003 + number)
                scores = network(sample.image.contiguous(memory_format=torch.channels_last))
                loss = weighted_cross_entropy(scores, sample.classes, sample.weights)
                gradients = torch.autograd.grad(loss, list(network.parameters()))
                for total, gradient in zip(sums, gradients, strict=True):
                    total += gradient
            for weight, total in zip(network.parameters(), sums, strict=True):
                weight.grad = total / processes
            optimizer.param_groups[0]["lr"] = learning_rate(rule, step)
            optimizer.step()
    tensors = {f"network.{name}": weight.detach() for name, weight in network.named_parameters()}
    for name, weight in network.named_parameters():
        tensors[f"optimizer.momentum_buffer.{name}"] = optimizer.state[weight]["momentum_buffer"]
    return tensors


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as the processes have
    yield
    torch.set_num_threads(before)


def settings_of(run):
    return TrainingSettings.model_validate_json((run / "settings.json").read_text())


def test_no_two_processes_or_steps_show_the_same_tile(whole):
    assert whole.statuses == [0, 0]
    draws = [whole.draws(rank) for rank in range(2)]
    assert [sorted(one) for one in draws] == [list(range(8))] * 2
    assert len({one[step] for one in draws for step in one}) == 16
    # Draw s * 2 + r, so that each page is shown once in three draws.
    pages = [draws[number % 2][number // 2][0] for number in range(15)]
    assert all(len(set(pages[i : i + 3])) == 3 for i in range(0, 15, 3))


def test_all_follow_the_mean_of_their_gradients(whole, launch, one_thread):
    assert equal(whole.tensors(), reference(settings_of(whole.run), launch.set, 2))


def test_one_process_trains_as_ever(launch, tmp_path, small_settings, one_thread):
    plain = {"optimisation": {"momentum_ramp": 0, "clip": 0.0}, "sampling": {"mirrored": 1.0}}
    settings = small_settings(**plain)
    train(*launch.set, tmp_path / "run", settings=settings, device="cpu")
    ended = Ended([0], tmp_path, tmp_path / "run")
    assert equal(ended.tensors(), reference(settings, launch.set, 1))
    last = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    assert "processes" not in load_tensors(last)[1]
    assert "processes" not in read_model_file(tmp_path / "run" / "model.safetensors").info.training


def test_torchrun_with_one_process_changes_nothing(launch, tmp_path, small_settings, one_thread):
    for name in ("alone", "torchrun"):
        with pytest.MonkeyPatch.context() as patch:
            if name == "torchrun":
                for key, value in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")):
                    patch.setenv(key, value)
            train(*launch.set, tmp_path / name, settings=small_settings(), device="cpu")
    one, other = (Ended([0], tmp_path, tmp_path / name) for name in ("alone", "torchrun"))
    assert equal(one.tensors(), other.tensors())
    assert one.log() == other.log()


def test_one_process_writes_and_speaks(whole):
    model = whole.run / "model.safetensors"
    assert whole.said("out") == [f"{model}\n", ""]
    messages, others = whole.said()
    assert messages.count("step 4: F1") == messages.count("step 8: F1") == 1
    assert others == ""
    begin, *log = whole.log()
    assert begin == {"step": 0, "seed": 0, "precision": "float32", "held_out": ["images.tif page 3"]} | {
        "validations": begin["validations"]
    }
    steps = [(line["step"], "loss" in line) for line in log]
    assert steps == [(step, True) for step in range(1, 5)] + [(4, False)] + [
        *((step, True) for step in range(5, 9)),
        (8, False),
    ]
    assert len(list((whole.run / "tensorboard").iterdir())) == 1
    assert len(list((whole.run / "checkpoints").iterdir())) == 2
    assert read_model_file(model).info.training["processes"] == 2


def test_an_interrupted_training_saves_once_and_goes_on_to_the_same_bits(launch, whole):
    ended = launch("cut", faults={"1": "interrupt"})
    assert ended.statuses == [130, 130]
    assert ended.said()[0].splitlines()[-1] == "unet2015: interrupted"
    assert ended.said()[1] == ""
    (last,) = (ended.run / "checkpoints").glob("step-0000000[45].safetensors")
    assert not sorted((ended.run / "checkpoints").iterdir())[2:]
    resumed = launch("resumed", "--resume", run=ended.run)
    assert resumed.statuses == [0, 0]
    assert min(resumed.draws(0)) == int(last.stem[5:])
    assert equal(resumed.tensors(), whole.tensors())
    assert resumed.log() == whole.log()


def test_all_begin_again_with_the_same_seed(launch):
    again, second = launch("again", flat=1), launch("second", "--seed", "1")
    assert again.statuses == second.statuses == [0, 0]
    assert equal(again.tensors(), second.tensors())
    assert again.log() == second.log()


def test_another_number_of_processes_does_not_resume(launch, whole):
    settings = settings_of(whole.run)
    with pytest.raises(SettingsError, match="begun with 2 processes; with 1 process the tiles"):
        train(*launch.set, whole.run, settings=settings, device="cpu", resume=True)
    ended = launch("more", "--resume", size=3, run=whole.run)
    assert ended.statuses.count(2) == 1
    words = [ended.words.joinpath(f"{rank}.err").read_text() for rank in range(3)]
    assert "".join(words).count("unet2015: error:") == 1
    assert "begun with 2 processes; with 3 processes" in "".join(words)


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_fails_ends_all_with_one_message(launch, rank):
    ended = launch(f"fails-{rank}", faults={str(rank): "fail"})
    assert ended.statuses == [1, 1]
    said = [
        [line for line in words.splitlines() if not re.search(": step |F1|held out", line)]
        for words in ended.said()
    ]
    assert said[rank] == ["unet2015: error: page.tif: the disk is gone"]
    assert said[1 - rank] == []


def test_one_that_is_killed_ends_all_with_one_message(launch):
    ended = launch("killed", faults={"1": "kill"})
    assert ended.statuses == [1, -signal.SIGKILL]
    assert len(re.findall(r"unet2015: error: the connection to .*--resume\n", ended.said()[0])) == 1


def test_what_all_find_wrong_is_said_once(launch):
    ended = launch("wrong", "--label-kind", "instances")
    assert ended.statuses[0] == 1
    assert "".join(ended.said()).count("unet2015: error:") == 1


def test_the_real_command_interrupted_and_resumed(launch, whole, tmp_path):
    command = [Path(sys.executable).with_name("torchrun"), "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "unet2015", *launch.arguments(tmp_path / "run")]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    while not read_log(tmp_path / "run" / "log.jsonl") and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    words = process.communicate()[1]
    assert words.count("interrupted: finishing the step") == 1
    assert words.count("\nunet2015: interrupted\n") == 1
    resumed = launch("real", "--resume", run=tmp_path / "run")
    assert equal(resumed.tensors(), whole.tensors())
    assert resumed.log() == whole.log()


def test_each_process_takes_the_gpu_of_its_own_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    assert [str(ProcessGroup(rank, 4, rank % 2).device("cuda")) for rank in range(4)] == [
        "cuda:0",
        "cuda:1",
    ] * 2
    assert str(ProcessGroup(1, 2, 1).device("auto")) == "cuda:1"
    assert str(ProcessGroup(1, 2, 1).device("cpu")) == "cpu"
    with pytest.raises(UsageError, match="there are 2; give torchrun a smaller"):
        ProcessGroup(2, 3, 2).device("cuda")
    with pytest.raises(UsageError, match="cuda:1"):
        ProcessGroup(1, 2, 1).device("cuda:1")


def test_every_process_of_several_shows_every_page_in_turn():
    classes = [np.ones((4, 4), np.uint8)] * 7
    samplers = [TileSampler.of(classes, SamplingSettings(), 5, 4) for _ in range(3)]
    shown = [samplers[number % 3].page(number) for number in range(42)]
    assert [shown[i : i + 7] for i in range(0, 42, 7)] == [
        draw_pages(5, turn, range(7), "alike") for turn in range(6)
    ]
