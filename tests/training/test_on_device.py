"""A training on the device learns what the loop learns, step by step, and can be put back where it stood."""

from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from pipelines.on_device.trainings import draws
from unet2015.errors import SettingsError
from unet2015.networks import build
from unet2015.settings import load_settings
from unet2015.tiling.averaging import VERSIONS
from unet2015.tiling.engine import run
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor
from unet2015.tiling.sinks import ArraySink
from unet2015.training.deform import DevicePages
from unet2015.training.drop_out import DropoutDraws
from unet2015.training.on_device import DeviceTraining
from unet2015.training.pages import TrainingPage
from unet2015.training.schedules import learning_rate
from unet2015.training.steps import GradientDescent

CPU = torch.device("cpu")
STEPS = 5


@pytest.fixture(scope="module")
def pages():
    """Three pages of smooth noise; on the first hardly anything is annotated, so that tiles differ."""
    random = np.random.default_rng(0)
    images = ndimage.gaussian_filter(random.standard_normal((3, 1, 50, 56)), (0, 0, 2, 2)).astype(np.float32)
    images /= images.std()
    classes = (images[:, 0] > 0.3).astype(np.uint8)
    classes[0, 8:] = 255
    weights = random.random(classes.shape, dtype=np.float32) + 0.5
    weights[classes == 255] = 0
    return DevicePages(images, classes, weights)


def recipe(dropout=0.0, **rule):
    """Settings of a small network under a recipe."""
    length = {} if "epochs" in rule else {"steps": STEPS}
    base = length | {"tile": 60, "warmup": 2, "momentum_ramp": 0, "clip": 0.0, "learning_rate": 3e-3}
    values = {
        "seed": 3,
        "network": {"width": 4, "depth": 2, "dropout": dropout},
        "labels": {"kind": "membrane"},
        "augmentation": {"scale": 0.2, "blur": 1.0, "interpolation": "bicubic", "elastic_std": 3.0},
        "sampling": {"pages": "alike"},
        "optimisation": {name: value for name, value in (base | rule).items() if value is not None},
    }
    return load_settings(None, values)


def on_device(settings, pages, capacity=STEPS):
    training = DeviceTraining(settings, pages.images.shape, capacity, CPU)
    training.load(settings, pages, draws(settings, pages))
    return training


def in_the_loop(settings, pages, folder):
    """Take all steps as the loop does, but drop what a device drops; return the descent and the losses."""
    whole = [
        TrainingPage(str(k), SimpleNamespace(read=lambda _, *box, k=k: cut(pages.images[k], box)), *planes)
        for k, planes in enumerate(zip(pages.classes, pages.weights, strict=True))
    ]
    data = SimpleNamespace(training=whole, channels=1, identity="", hashes={})
    descent, losses = GradientDescent(data, settings, folder, CPU), []
    descent._choose_precision()
    drops = DropoutDraws(descent.learner.trained, CPU)
    drops.seed(settings.seed)
    for step in range(settings.optimisation.steps):
        tiles = Future()
        tiles.set_result(descent._read(step))
        drops.begin(torch.tensor([step]))
        losses.append(descent._descend(tiles, learning_rate(settings.optimisation, step)))
        descent.state.step += 1
    return descent, losses


def cut(image, box):
    y0, y1, x0, x1 = box
    return image[:, y0:y1, x0:x1].copy()


def assert_same_weights(found, expected, atol=1e-5):
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=atol, rtol=0, msg=lambda m, n=name: f"{n}: {m}")


def assert_same_state(training, state):
    found = training.state()
    assert list(found) == list(state)
    assert [name for name, value in found.items() if not torch.equal(value, state[name])] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [
        {"momentum_ramp": 4},
        {"dropout": 0.4},
        {"nesterov": True, "momentum": 0.9, "weight_decay": 1e-2},
        {"weight_decay": 1e-2, "clip": 0.5, "average": 0.6},
        {"optimizer": "adam", "weight_decay": 1e-2, "learning_rate": 1e-3},
        {
            "optimizer": "adamw",
            "weight_decay": 0.1,
            "betas": [0.8, 0.9],
            "average": 0.7,
            "learning_rate": 1e-3,
        },
        {
            "optimizer": "muon",
            "momentum": 0.95,
            "momentum_ramp": 0,
            "weight_decay": 0.1,
            "average": 0.7,
            "learning_rate": 1e-3,
        },
        {"batch": 2, "clip": 0.5, "momentum": 0.9},
        {"batch": 2, "loss_divisor": "weights", "schedule": "polynomial"},
    ],
    ids=lambda rule: " ".join(rule),
)
def test_the_steps_are_those_of_the_loop(rule, pages, tmp_path):
    settings = recipe(**rule)
    descent, losses = in_the_loop(settings, pages, tmp_path)
    training = on_device(settings, pages)
    first = {name: value.clone() for name, value in training.network.state_dict().items()}
    training.run(STEPS)
    assert_same_weights(training.network.state_dict(), descent.network.state_dict())
    assert_same_weights(training.weights(), descent.learner.model.state_dict())
    moved = max(float((training.weights()[name] - value).abs().max()) for name, value in first.items())
    assert moved > 1e-4  # ten times what they may differ by
    np.testing.assert_allclose(training.losses[:STEPS], losses, atol=1e-4)
    assert int(training.at) == STEPS


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "muon"])
def test_a_training_put_back_goes_on_as_if_nothing_had_been(optimizer, pages):
    settings = recipe(optimizer=optimizer, average=0.6, dropout=0.4)
    whole = on_device(settings, pages)
    whole.run(2)
    state = whole.state()
    whole.run(STEPS - 2)
    again = on_device(settings, pages)
    again.run(1)  # what is there is replaced
    again.restore(state)
    again.run(STEPS - 2)
    assert_same_state(whole, again.state())


def test_the_final_number_of_steps_may_come_after_the_first_steps(pages):
    settings = recipe(steps=STEPS, warmup=2)
    some = recipe(steps=2, warmup=2)
    training = DeviceTraining(settings, pages.images.shape, STEPS, CPU)
    training.load(settings, pages, draws(some, pages))
    training.run(2)
    done = training.losses[:2].clone()
    training.extend(settings, draws(settings, pages))
    training.run(STEPS - 2)
    whole = on_device(settings, pages)
    whole.run(STEPS)
    assert torch.equal(training.losses[:2], done)
    assert_same_state(whole, training.state())


def test_one_training_after_another_is_as_each_alone(pages):
    one = recipe(dropout=0.4)
    two = one.model_copy(update={"seed": 8})
    training = on_device(one, pages)
    training.run(STEPS)
    training.load(two, pages, draws(two, pages))
    training.run(STEPS)
    alone = on_device(two, pages)
    alone.run(STEPS)
    assert_same_weights(training.weights(), alone.weights(), atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("average", list(VERSIONS))
@pytest.mark.parametrize("size", [(40, 44), (50, 31)])
def test_maps_are_those_of_the_engine(average, size, pages):
    settings = recipe(average=0.6)
    training = on_device(settings, pages)
    training.run(STEPS)
    state = training.state()
    images = pages.images[1:, :, : size[0], : size[1]]
    found = training.predict(list(images), average)
    assert found.dtype == np.uint8
    network = build(settings.network, 1, 2)
    network.load_state_dict(training.weights())
    predict = Predictor(network.eval(), CPU, average=average)
    for image, levels in zip(images, found, strict=True):
        tile = network.geometry.input_for(24)
        plan = TilePlan(1, *size, (tile, tile), 1, network.geometry)
        sink = ArraySink(plan, 2)
        source = SimpleNamespace(read=lambda _, *box, image=image: cut(image, box))
        run(plan, source, predict, sink)
        expected = np.asarray(sink.array)[0, 1] * 255
        np.testing.assert_allclose(levels, expected, atol=0.51)
    assert_same_state(training, state)


def test_a_precision_left_open_is_refused(pages):
    with pytest.raises(SettingsError, match="float32 or bfloat16, not auto"):
        on_device(recipe(precision="auto"), pages)
    for more in ({"epochs": 2, "steps": None}, {"schedule": "plateau"}):
        with pytest.raises(SettingsError, match="one phase, a number of steps and no validation"):
            on_device(recipe(**more), pages)
