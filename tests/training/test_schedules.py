"""Schedules by name: how rate and momentum change from step to step."""

import math

import pytest
from hypothesis import given
from hypothesis import settings as few
from hypothesis import strategies as st

from tests.training.conftest import rule
from unet2015.training.schedules import SCHEDULES, learning_rate, momentum


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
    assert half == pytest.approx(
        {"constant": 1, "cosine": 0.5, "linear": 0.5, "polynomial": 0.25, "plateau": 1}
    )
    quarter = {name: learning_rate(rule(schedule=name, warmup=0), 25) / 2 for name in SCHEDULES}
    assert quarter["cosine"] == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert quarter["polynomial"] == pytest.approx(0.75**0.9)


def test_a_momentum_that_rises_keeps_the_way_of_a_constant_gradient():
    ramped, plain = rule(momentum=0.99, momentum_ramp=40), rule(momentum=0.99)
    assert [momentum(ramped, step) for step in (0, 20, 40, 99)] == pytest.approx([0.9, 0.945, 0.99, 0.99])
    for step in range(100):
        reach = learning_rate(ramped, step) / (1 - momentum(ramped, step))
        assert reach == pytest.approx(learning_rate(plain, step) / (1 - 0.99))
