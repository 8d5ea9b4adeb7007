"""Drop-out is where the release has it, in training only, and every parameter learns."""

import pytest
import torch
from torch.nn import functional

from tests.networks.small import noise, small, traced


def test_no_dropout_outside_training() -> None:
    network = small()
    image = noise(1, 1, 44, 44)
    assert torch.equal(network(image), network(image))
    without = small(dropout=0.0)
    without.load_state_dict(network.state_dict())
    assert torch.equal(network(image), without(image))
    assert torch.equal(network(image), without.train()(image))
    network.train()
    assert not torch.equal(network(image), network(image))


@pytest.mark.parametrize("rate", [0.5, 0.25])
def test_dropout_where_the_release_has_it(rate: float) -> None:
    """After the last ReLU of the 512 level, before its pool and its skip, and of the bottom."""
    network = small(width=4, depth=3, dropout=rate).train()
    torch.manual_seed(3)
    got, gave = traced(network, noise(4, 1, 124, 124))
    skip = got["expand.2"][:, 16:]
    dropped = {
        "512 level": (gave["contract.2"][..., 4:-4, 4:-4], skip),
        "bottom": (gave["contract.3"], got["upsample.2"]),
    }
    for name, (before, after) in dropped.items():
        alive = before != 0
        kept = after != 0
        assert not (kept & ~alive).any(), name
        torch.testing.assert_close(after[kept], before[kept] / (1 - rate), rtol=1e-14, atol=0)
        n = int(alive.sum())
        share = (alive & ~kept).sum().item() / n
        assert abs(share - rate) < 4.5 * (rate * (1 - rate) / n) ** 0.5, name
        # Single values, not whole feature channels.
        channels = alive.transpose(0, 1).flatten(1)
        for ours, left in zip(channels, kept.transpose(0, 1).flatten(1), strict=True):
            assert ours.sum() < 30 or 0 < left[ours].double().mean() < 1, name
        assert channels.sum(dim=1).max() >= 30, name
    # One mask for the pool and the skip.
    assert torch.equal(got["contract.3"][..., 2:-2, 2:-2], functional.max_pool2d(skip, 2))
    # Nowhere else.
    assert torch.equal(got["contract.1"], functional.max_pool2d(gave["contract.0"], 2))
    assert torch.equal(got["contract.2"], functional.max_pool2d(gave["contract.1"], 2))
    assert torch.equal(
        got["expand.1"], torch.cat([gave["upsample.1"], gave["contract.1"][..., 16:-16, 16:-16]], 1)
    )
    assert torch.equal(
        got["expand.0"], torch.cat([gave["upsample.0"], gave["contract.0"][..., 40:-40, 40:-40]], 1)
    )
    assert torch.equal(got["expand.2"][:, :16], gave["upsample.2"])
    for level in (1, 2):
        assert torch.equal(got[f"upsample.{level - 1}"], gave[f"expand.{level}"])
    assert torch.equal(got["head"], gave["expand.0"])


def test_every_parameter_gets_a_gradient() -> None:
    network = small().train()
    network(noise(1, 1, 44, 44)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).any(), name
