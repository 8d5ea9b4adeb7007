"""Optimizers by name, and what they do to the weights."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import settings as few
from hypothesis import strategies as st
from torch import nn

from tests.training.conftest import rule
from unet2015.settings import OptimisationSettings
from unet2015.training.losses import LOSSES
from unet2015.training.optimizers import OPTIMIZERS, MovingAverage, clip_gradient, descend
from unet2015.training.schedules import SCHEDULES, learning_rate, momentum


@pytest.mark.parametrize(
    ("name", "table"), [("optimizer", OPTIMIZERS), ("loss", LOSSES), ("schedule", SCHEDULES)]
)
def test_the_settings_know_the_names_of_the_table(name, table):
    assert get_args(OptimisationSettings.model_fields[name].annotation) == tuple(table)


def by_hand(name, weight, gradients, rates, momenta, rule):
    """The formulas of torch's documentation, one number at a time."""
    v = m1 = m2 = 0.0
    for t, (g, rate, mu) in enumerate(zip(gradients, rates, momenta, strict=True), 1):
        if name == "adamw":
            weight -= rate * rule.weight_decay * weight
        else:
            g += rule.weight_decay * weight
        if name == "sgd":
            v = g if t == 1 else mu * v + g
            weight -= rate * (g + mu * v if rule.nesterov else v)
        else:
            b1, b2 = rule.betas
            m1, m2 = b1 * m1 + (1 - b1) * g, b2 * m2 + (1 - b2) * g * g
            weight -= rate * (m1 / (1 - b1**t)) / (math.sqrt(m2 / (1 - b2**t)) + 1e-8)
    return weight


@pytest.mark.parametrize(
    "values",
    [
        {"optimizer": "sgd", "momentum": 0.95, "momentum_ramp": 3},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "adam", "betas": (0.8, 0.9), "weight_decay": 0.1},
        {"optimizer": "adamw", "weight_decay": 0.1},
    ],
)
def test_each_optimizer_takes_all_its_settings(values):
    chosen = rule(learning_rate=0.1, **values)
    weight = nn.Parameter(torch.tensor([0.7], dtype=torch.float64))
    optimizer = OPTIMIZERS[chosen.optimizer]([weight], chosen)
    gradients = [0.3, -1.0, 0.5, 2.0, 0.1]
    for step, gradient in enumerate(gradients):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        descend(optimizer, chosen, step, learning_rate(chosen, step))
    steps = range(len(gradients))
    rates, momenta = [learning_rate(chosen, k) for k in steps], [momentum(chosen, k) for k in steps]
    assert weight.item() == pytest.approx(by_hand(chosen.optimizer, 0.7, gradients, rates, momenta, chosen))


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6), st.sampled_from([0.0, 0.5, 10.0]))
@few(max_examples=40)
def test_a_gradient_is_shortened_to_the_norm_and_not_turned(values, longest):
    weights = [nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in values]
    for weight, value in zip(weights, values, strict=True):
        weight.grad = torch.tensor([value], dtype=torch.float64)
    norm = clip_gradient(weights, longest)
    assert norm == pytest.approx(math.hypot(*values))
    scale = min(1, longest / norm) if longest and norm else 1
    after = [float(weight.grad) for weight in weights]
    assert after == pytest.approx([value * scale for value in values], rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("longest", [0.0, 1.0])
def test_the_norm_tells_of_a_gradient_that_is_not_finite(bad, longest):
    weights = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))]
    weights[0].grad, weights[1].grad = torch.ones(3), torch.tensor([0.0, bad])
    assert not math.isfinite(clip_gradient(weights, longest))


def test_the_average_forgets_its_first_weights_and_takes_the_buffers_as_they_are():
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = MovingAverage(network, 0.5)
    weight = mean = network[0].weight.item()
    for step in range(9):
        with torch.no_grad():
            network[0].weight += 1
            network[1].running_mean += 2
            network[1].num_batches_tracked += 1
        average.update(network, step)
        decay = min(0.5, (1 + step) / (10 + step))
        weight += 1
        mean = decay * mean + (1 - decay) * weight
    assert average.network[0].weight.item() == pytest.approx(mean, rel=1e-5)
    assert float(average.network[1].running_mean) == 18
    assert int(average.network[1].num_batches_tracked) == 9
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
