"""A training whose steps a device takes is that of the host up to rounding, and its own to the last bit.

On a CPU the same steps run directly, operation by operation.
"""

import logging
import os
import shutil
import signal

import numpy as np
import pytest
import tifffile
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.training.conftest import equal
from unet2015.errors import DataSetError, TrainingError
from unet2015.models.tensors import load_tensors
from unet2015.networks import NETWORKS
from unet2015.settings import load_settings
from unet2015.training import device_descent, device_step, loop
from unet2015.training.device_step import DeviceStep
from unet2015.training.flight import Flight
from unet2015.training.learner import Learner
from unet2015.training.log import read_log
from unet2015.training.loop import train
from unet2015.training.pages import TrainingPage
from unet2015.training.processes import SINGLE_PROCESS
from unet2015.training.recording import Recorded
from unet2015.training.validation import Validation

CPU = torch.device("cpu")
ON_DEVICE = "recorded, tiles made on the device"


class Killed(BaseException):
    """Ends a training as a kill does."""


pytestmark = pytest.mark.usefixtures("nothing_chosen")


@pytest.fixture
def by_device(monkeypatch):
    monkeypatch.setattr(device_descent, "RECORDING", {"cpu"})


def tensors(folder):
    return load_tensors(sorted((folder / "checkpoints").glob("*.safetensors"))[-1])[0]


def lines(folder):
    return read_log(folder / "log.jsonl")


def assert_near(found, expected, share):
    """Tensors lie near each other, as a share of all of a kind: weights, means, what the optimizer keeps."""
    assert found.keys() == expected.keys()
    for kind in {name.partition(".")[0] for name in expected}:
        names = [name for name in expected if name.startswith(kind)]
        one, other = (torch.cat([one[name].double().ravel() for name in names]) for one in (found, expected))
        assert float((one - other).norm()) <= share * float(other.norm()), kind


RECIPES = {
    "sgd": ({"network": {"dropout": 0.5}, "optimisation": {"momentum_ramp": 4, "weight_decay": 0.01}}, 1e-4),
    "adam": ({"optimisation": {"optimizer": "adam", "average": 0.7, "batch": 2}}, 1e-4),
    "muon": ({"optimisation": {"optimizer": "muon", "momentum": 0.95, "clip": 0.1}}, 1e-3),
    "statistics": ({"network": {"kind": "nested"}, "optimisation": {"loss": "dice", "average": 0.5}}, 1e-5),
    "frozen": (
        {
            "network": {"kind": "nested"},
            "phase": [
                {"steps": 4, "freeze": ["contract"], "release": ["contract.1"]},
                {"steps": 4, "learning_rate": 1e-4},
            ],
        },
        1e-4,
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_training_is_that_of_the_host(name, tmp_path, small_set, small_settings, monkeypatch, caplog):
    recipe, share = RECIPES[name]
    settings = small_settings(**recipe)
    train(*small_set, tmp_path / "host", settings=settings, device="cpu")
    monkeypatch.setattr(device_descent, "RECORDING", {"cpu"})
    # Made elsewhere, a tile may have the other class at a pixel between two.
    given = name in ("statistics", "muon", "frozen")
    monkeypatch.setattr(device_descent, "SHARE", 0 if given else 1)
    monkeypatch.setattr(device_step, "_BAND", 300)  # a page is read in many parts
    with caplog.at_level(logging.INFO, "unet2015"):
        train(*small_set, tmp_path / "device", settings=settings, device="cpu")
    said = "recorded, tiles made on the host" if given else ON_DEVICE
    assert f"steps: {said}" in caplog.messages
    assert_near(tensors(tmp_path / "device"), tensors(tmp_path / "host"), share)
    found, expected = lines(tmp_path / "device"), lines(tmp_path / "host")
    assert found[0].pop("steps") == said
    assert [list(line) for line in found] == [list(line) for line in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["step"] == other["step"]
        assert one.get("loss") == pytest.approx(other.get("loss"), abs=1e-4)


def test_killed_and_resumed_it_ends_with_the_same_bits(
    tmp_path, small_set, small_settings, monkeypatch, by_device
):
    settings = small_settings(optimisation={"optimizer": "adam", "average": 0.5})
    train(*small_set, tmp_path / "whole", settings=settings, device="cpu")
    begin, count = loop.Training._begin, []

    def dying(self, *arguments):
        count.append(1)
        if len(count) in (6, 9):
            raise Killed
        return begin(self, *arguments)

    monkeypatch.setattr(loop.Training, "_begin", dying)
    for _ in range(2):
        with pytest.raises(Killed):
            train(*small_set, tmp_path / "parts", settings=settings, device="cpu", resume=True)
    train(*small_set, tmp_path / "parts", settings=settings, device="cpu", resume=True)
    assert len(count) == 6 + 3 + 5  # killed in step 6, twice: begun again after the checkpoint of step 3
    assert equal(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")


def test_an_interrupt_saves_the_steps_that_were_begun(
    tmp_path, small_set, small_settings, monkeypatch, by_device
):
    settings, begin = small_settings(), loop.Training._begin
    train(*small_set, tmp_path / "whole", settings=settings, device="cpu")

    def interrupting(self, *arguments):
        if self.state.step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return begin(self, *arguments)

    run = tmp_path / "run"
    # A process that was started in the background may ignore the signal, and then goes on ignoring it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(loop.Training, "_begin", interrupting)
            with pytest.raises(KeyboardInterrupt):
                train(*small_set, run, settings=settings, device="cpu")
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted((run / "checkpoints").iterdir())[-1].name == "step-00000005.safetensors"
    assert [line["step"] for line in lines(run) if "loss" in line] == [1, 2, 3, 4, 5]
    train(*small_set, run, settings=settings, device="cpu", resume=True)
    assert equal(tensors(run), tensors(tmp_path / "whole"))


def test_the_next_seed_begins_as_if_it_had_been_the_first(
    tmp_path, small_set, small_settings, monkeypatch, by_device
):
    validate = loop.Training._validate

    def first_fails(self, *words, **more):
        monkeypatch.setattr(Validation, "plateau", self.state.seed == 5)
        return validate(self, *words, **more)

    monkeypatch.setattr(loop.Training, "_validate", first_fails)
    for seed, name in ((5, "again"), (6, "first")):
        settings = small_settings(seed=seed, validation={"attempts": 2})
        train(*small_set, tmp_path / name, settings=settings, device="cpu")
    assert equal(tensors(tmp_path / "again"), tensors(tmp_path / "first"))


@pytest.mark.parametrize("bad", ["loss", "norm"])
def test_what_is_not_finite_ends_the_training_with_its_own_step_and_tile(
    bad, tmp_path, small_set, small_settings, monkeypatch, by_device
):
    call, names, count = DeviceStep.__call__, [], []
    begin = loop.Training._begin

    def noting(self, prepared, rate):
        names.append(prepared.result().names)
        return begin(self, prepared, rate)

    def spoilt(self, *words):
        wait, number = call(self, *words), len(count)
        count.append(1)
        spot = 0 if bad == "loss" else 2

        def waited():
            values = wait().copy()
            values[spot] = np.nan if number == 2 else values[spot]
            return values

        return waited

    monkeypatch.setattr(loop.Training, "_begin", noting)
    monkeypatch.setattr(DeviceStep, "__call__", spoilt)
    settings = small_settings(checkpoint_interval=8, validation={"interval": 8})
    what = "the loss is nan" if bad == "loss" else "the norm of the gradient is nan"
    with pytest.raises(TrainingError) as ended:
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert str(ended.value).startswith(f"{what} at step 3, on {names[2]}; there is no checkpoint yet.")
    assert len(names) > 3  # others were begun meanwhile
    assert [line["step"] for line in lines(tmp_path / "run") if "loss" in line] == [1, 2]


def test_a_file_that_changes_is_noticed_though_it_is_not_read_any_more(
    tmp_path, small_set, small_settings, monkeypatch, by_device
):
    begin, pixels = loop.Training._begin, tifffile.imread(small_set[0])
    images, labels = ([tmp_path / f"{name}{end}.tif" for name in "ab"] for end in ("", "_mask"))
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        tifffile.imwrite(image, pixels + np.uint8(k), photometric="minisblack")
        shutil.copy(small_set[1], label)

    def changing(self, *arguments):
        if self.state.step == 1:
            tifffile.imwrite(images[0], pixels[::-1], photometric="minisblack")
        return begin(self, *arguments)

    monkeypatch.setattr(loop.Training, "_begin", changing)
    settings = small_settings(validation={"pages": "4-7"})
    with pytest.raises(DataSetError, match=r"a.tif: the file was changed or replaced since the training"):
        train(images, labels, tmp_path / "run", settings=settings, device="cpu")


REFUSALS = {
    "a number is asked for": RuntimeError("operation not permitted when stream is capturing\nmore"),
    "memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_where_a_step_cannot_be_recorded_the_host_takes_it(
    why, tmp_path, small_set, small_settings, monkeypatch, caplog
):
    settings = small_settings(optimisation={"optimizer": "adam", "average": 0.5})
    train(*small_set, tmp_path / "host", settings=settings, device="cpu")

    def refused(self):
        raise REFUSALS[why]

    monkeypatch.setattr(device_descent, "RECORDING", {"cpu"})
    monkeypatch.setattr(Recorded, "record", refused)
    with caplog.at_level(logging.INFO, "unet2015"):
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    said = {
        "a number is asked for": "operation not permitted when stream is capturing",
        "memory": "there is too little memory",
    }[why]
    assert f"steps: not recorded: {said}" in caplog.messages
    assert lines(tmp_path / "run")[0]["steps"] == f"not recorded: {said}"
    assert equal(tensors(tmp_path / "run"), tensors(tmp_path / "host"))


def test_where_only_the_pages_are_too_much_the_rest_is_recorded(
    tmp_path, small_set, small_settings, monkeypatch, by_device
):
    init = DeviceStep.__init__

    def small(self, learner, settings, precision, pages):
        if pages:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        init(self, learner, settings, precision, pages)

    monkeypatch.setattr(DeviceStep, "__init__", small)
    train(*small_set, tmp_path / "run", settings=small_settings(optimisation={"steps": 1}), device="cpu")
    assert lines(tmp_path / "run")[0]["steps"] == "recorded, tiles made on the host"


def test_a_rate_of_its_own_for_the_encoder_is_left_to_the_host(
    tmp_path, small_set, small_settings, by_device, ended_run
):
    settings = small_settings(fine_tuning={"encoder_rate": 0.5}, optimisation={"steps": 1})
    train(*small_set, tmp_path / "run", settings=settings, device="cpu", start=ended_run)
    assert lines(tmp_path / "run")[0]["steps"] == "not recorded: the encoder has a learning rate of its own"


class NothingAsked(TorchDispatchMode):
    """Fails where the host reads a number of the device, or makes a tensor of its own numbers.

    Neither can be recorded.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket._qualified_op_name not in (
            *("aten::_local_scalar_dense", "aten::nonzero", "aten::lift_fresh", "aten::item"),
        ), func
        return func(*args, **(kwargs or {}))


EVERY = [(kind, number) for kind, entry in NETWORKS.items() for number in range(len(entry.examples))]


@pytest.mark.parametrize(("kind", "number"), EVERY)
def test_the_step_of_every_network_can_be_recorded(kind, number):
    network = NETWORKS[kind].examples[number]
    tile = NETWORKS[kind].training_geometry(network).input_for(4)
    batch = 2
    rule = {"tile": tile, "batch": batch, "optimizer": "muon", "average": 0.5, "clip": 0.5}
    mapping = {"method": "integer-range" if network.needs_unit_range else "standardise"}
    values = {"network": network.model_dump(), "optimisation": rule, "mapping": mapping}
    settings = load_settings(None, values)
    channels = (*NETWORKS[kind].channels(network), 1)[0]
    learner = Learner(channels, settings, 0, CPU, SINGLE_PROCESS)
    random = np.random.default_rng(0)
    image = random.standard_normal((channels, 30, 41), dtype=np.float32)
    classes = random.integers(0, 2, (30, 41), dtype=np.uint8)

    class Held:
        def read(self, page, y0, y1, x0, x1):
            return image[:, y0:y1, x0:x1]

    page = TrainingPage("page", Held(), classes, np.ones((30, 41), np.float32), (1.0,) * channels, 100)
    step = DeviceStep(learner, settings, "bfloat16", [page])
    with NothingAsked():
        step._step()


def test_steps_under_way_are_noted_in_their_order_and_never_more_than_allowed():
    flight, done, waiting = Flight(2), [], [0]

    def wait(k):
        waiting[0] -= 1
        return k

    for k in range(5):
        waiting[0] += 1
        flight.add(lambda k=k: wait(k), done.append)
        assert waiting[0] <= 2
    assert done == [0, 1, 2]
    flight.settle()
    assert done == [0, 1, 2, 3, 4]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("share", [0, 1 / 3])
def test_cuda_takes_the_steps_of_the_host(share, tmp_path, small_set, small_settings, monkeypatch):
    monkeypatch.setattr(device_descent, "SHARE", share)
    settings = small_settings(network={"dropout": 0.5}, optimisation={"optimizer": "adam", "average": 0.5})
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for name in ("device", "again"):
            train(*small_set, tmp_path / name, settings=settings, device="cuda")
        monkeypatch.setattr(device_descent, "RECORDING", set())
        train(*small_set, tmp_path / "host", settings=settings, device="cuda")
    assert lines(tmp_path / "device")[0]["steps"].startswith("recorded")
    assert "steps" not in lines(tmp_path / "host")[0]
    assert equal(tensors(tmp_path / "device"), tensors(tmp_path / "again"))
    assert_near(tensors(tmp_path / "device"), tensors(tmp_path / "host"), 1e-2)
