"""Muon's step in batches is that of each matrix alone."""

import pytest
import torch
from torch import nn

from unet2015.settings import OptimisationSettings
from unet2015.training import muon_batches
from unet2015.training.muon import muon_step
from unet2015.training.muon_batches import HiddenMatrices
from unet2015.training.update import Update

# Wide and tall, as many rows but fewer columns, twice the same, one row, and a matrix of two axes.
SHAPES = [(6, 4, 3, 3), (6, 2, 3, 3), (6, 4, 3, 3), (5, 8, 2, 2), (40, 3, 2, 2), (1, 3, 1, 1), (7, 4)]


def noise(seed, shape, last):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return made.contiguous(memory_format=torch.channels_last) if last and made.ndim == 4 else made


def all_alone(weights, gradients, velocities, rate, inertia):
    for weight, gradient, velocity in zip(weights, gradients, velocities, strict=True):
        weight.sub_(muon_step(gradient, velocity, inertia) * rate)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("padded", [0, 5, 256])
@pytest.mark.parametrize(("precision", "close"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_it_is_the_step_of_each_matrix(last, padded, precision, close, monkeypatch):
    monkeypatch.setattr(muon_batches, "_PADDED", padded)
    monkeypatch.setattr(muon_batches, "iteration_dtype", lambda _: precision)
    rate, inertia = torch.tensor(0.01), torch.tensor(0.9)
    sets = []
    for in_batches in (True, False):
        weights = [noise(k, shape, last) for k, shape in enumerate(SHAPES)]
        velocities = [torch.zeros_like(weight) for weight in weights]
        hidden = HiddenMatrices(weights, set(range(len(SHAPES))))
        for turn in range(3):
            gradients = [noise(100 * turn + k + 50, shape, last) for k, shape in enumerate(SHAPES)]
            if in_batches:
                hidden.step(gradients, velocities, rate, inertia)
            else:
                all_alone(weights, gradients, velocities, rate, inertia)
        sets.append((weights, velocities))
    for k, shape in enumerate(SHAPES):
        (found, velocity), (expected, same) = ((weights[k], moved[k]) for weights, moved in sets)
        torch.testing.assert_close(velocity, same)
        moved = float((expected - noise(k, shape, last)).norm())
        assert float((found - expected).norm()) <= close * moved


def test_what_one_step_spoils_the_next_does_not_see():
    """A gradient that is no number: its matrix is lost, and the padding of its batch is zero again."""
    shapes = [(4, 3, 3, 3), (4, 1, 3, 3)]
    weights = [torch.zeros(shape) for shape in shapes]
    hidden, velocities = HiddenMatrices(weights, {0, 1}), [torch.zeros(shape) for shape in shapes]
    one = torch.tensor(1.0)
    hidden.step([noise(0, shapes[0], False), torch.full(shapes[1], torch.nan)], velocities, one, one * 0)
    assert weights[0].isfinite().all()
    assert weights[1].isnan().all()
    weights[1].zero_()
    hidden.step([noise(0, s, False) for s in shapes], [torch.zeros(s) for s in shapes], one, one * 0)
    assert all(weight.isfinite().all() for weight in weights)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_the_kernel_for_gpus_takes_the_steps_of_adam(optimizer):
    """torch has it for CPUs, too."""
    rule = OptimisationSettings(optimizer=optimizer, weight_decay=0.1, momentum=0.9, momentum_ramp=0)
    ends = []
    for name in ("_adam", "_fused_adam"):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 1))
        update = Update(rule, weights := [weight.detach() for weight in network.parameters()])
        update._adam = getattr(update, name)
        for step in range(3):
            for k, weight in enumerate(weights):
                weight.grad = noise(10 * step + k, weight.shape, False)
            update(torch.tensor([0.01, 0.9, 0.0, 1.0]), torch.tensor([step]))
        ends.append(weights)
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
