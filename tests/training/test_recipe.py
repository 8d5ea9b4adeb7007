"""Optimizers, losses, schedules: each by its name, and what they do to the weights."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import settings as few
from hypothesis import strategies as st
from torch import nn

from unet2015.settings import OptimisationSettings
from unet2015.training.augment import Sample
from unet2015.training.loss import weighted_cross_entropy
from unet2015.training.recipe import (
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    MovingAverage,
    clip_gradient,
    descend,
    learning_rate,
    momentum,
    tile_losses,
)


def rule(**values):
    return OptimisationSettings(
        **{"steps": 100, "warmup": 10, "momentum_ramp": 0, "learning_rate": 2.0} | values
    )


@pytest.mark.parametrize(
    ("name", "table"), [("optimizer", OPTIMIZERS), ("loss", LOSSES), ("schedule", SCHEDULES)]
)
def test_the_settings_know_the_names_of_the_table(name, table):
    assert get_args(OptimisationSettings.model_fields[name].annotation) == tuple(table)


@given(
    steps=st.integers(1, 300),
    warmup=st.integers(0, 400),
    schedule=st.sampled_from(list(SCHEDULES)),
    power=st.floats(0.1, 3),
)
@few(max_examples=40)
def test_the_rate_rises_to_its_peak_and_never_again(steps, warmup, schedule, power):
    chosen = rule(steps=steps, warmup=warmup, schedule=schedule, power=power)
    rates = [learning_rate(chosen, step) for step in range(steps)]
    peak = min(warmup, steps) - 1 if warmup else 0
    assert rates[peak] == pytest.approx(2)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 < rate <= 2 + 1e-12 for rate in rates)


def test_the_schedules_by_hand():
    half = {name: learning_rate(rule(schedule=name, power=2.0, warmup=0), 50) / 2 for name in SCHEDULES}
    assert half == pytest.approx({"constant": 1, "cosine": 0.5, "linear": 0.5, "polynomial": 0.25})
    quarter = {name: learning_rate(rule(schedule=name, warmup=0), 25) / 2 for name in SCHEDULES}
    assert quarter["cosine"] == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert quarter["polynomial"] == pytest.approx(0.75**0.9)


def test_a_momentum_that_rises_keeps_the_way_of_a_constant_gradient():
    ramped, plain = rule(momentum=0.99, momentum_ramp=40), rule(momentum=0.99)
    assert [momentum(ramped, step) for step in (0, 20, 40, 99)] == pytest.approx([0.9, 0.945, 0.99, 0.99])
    for step in range(100):
        reach = learning_rate(ramped, step) / (1 - momentum(ramped, step))
        assert reach == pytest.approx(learning_rate(plain, step) / (1 - 0.99))


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


def test_each_tile_of_a_batch_counts_by_itself():
    random = torch.Generator().manual_seed(0)
    scores = torch.randn((3, 2, 4, 4), generator=random)
    classes = torch.randint(2, (3, 4, 4), generator=random)
    weights = torch.rand((3, 4, 4), generator=random) * torch.tensor([1.0, 100.0, 0.0])[:, None, None]
    losses = tile_losses(rule(), scores, Sample(torch.empty(0), classes, weights))
    expected = [
        weighted_cross_entropy(scores[k : k + 1], classes[k : k + 1], weights[k : k + 1]) for k in range(3)
    ]
    assert losses == expected
    assert losses[2] == 0


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
