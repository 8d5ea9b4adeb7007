"""What drop-out drops on a device: fair, anew in each step and call, and the same for a seed and a step."""

import pytest
import torch
from torch import nn

from unet2015.networks.unet2015 import UNet
from unet2015.training.drop_out import DrawnDropout, DropoutDraws

CPU = torch.device("cpu")
RATE = 0.3


def taken_over(kind=nn.Dropout, seed=5, rate=RATE):
    network = nn.Sequential(kind(rate), nn.Sequential(kind(rate))).train()
    draws = DropoutDraws(network, CPU)
    draws.seed(seed)
    return network, draws


def masks(step, seed=5, shape=(2, 16, 32, 32), kind=nn.Dropout):
    """What both modules keep in a step: two bool arrays of a shape."""
    network, draws = taken_over(kind, seed)
    draws.begin(torch.tensor([step]))
    return [module(torch.ones(shape)) != 0 for module in (network[0], network[1][0])]


def test_each_value_is_kept_alike_and_by_itself():
    (kept, _), expected = masks(0), 1 - RATE
    allowed = 5 * (RATE * expected / kept[0, 0].numel()) ** 0.5
    assert (kept.float().mean((2, 3)) - expected).abs().max() < allowed  # each channel of each tile
    for axis, length in enumerate(kept.shape):
        both = kept.narrow(axis, 0, length - 1) == kept.narrow(axis, 1, length - 1)
        assert abs(both.float().mean() - (RATE**2 + expected**2)) < 0.02, axis  # neighbours are independent


def test_all_calls_of_all_steps_and_seeds_drop_others():
    found = [*masks(0), *masks(1), *masks(2), *masks(0, seed=6), *masks(0, seed=5 + 2**40)]
    expected = RATE**2 + (1 - RATE) ** 2
    for k, one in enumerate(found):
        for other in found[:k]:
            assert abs((one == other).float().mean() - expected) < 0.02
    assert all(map(torch.equal, masks(1), found[2:4]))


def test_what_is_kept_is_scaled_and_nothing_is_dropped_outside_training():
    network, draws = taken_over()
    draws.begin(torch.tensor([3]))
    x = torch.randn(1, 8, 6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = network[0](x)
    torch.testing.assert_close(y[y != 0], x[y != 0] / (1 - RATE))
    y.sum().backward()
    torch.testing.assert_close(x.grad, (y != 0) / (1 - RATE))
    assert network.eval()(x) is x
    assert taken_over(rate=0.0)[0](x) is x
    half = network.train()[0](x.bfloat16())
    assert half.dtype == torch.bfloat16


def test_the_layout_of_a_map_does_not_matter():
    network, draws = taken_over()
    x = torch.randn(2, 8, 6, 5, generator=torch.Generator().manual_seed(0))
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        draws.begin(torch.tensor([3]))
        found.append(network[0](x.contiguous(memory_format=layout)))
    assert torch.equal(*found)


def test_whole_channels_are_dropped_where_the_network_drops_them():
    kept = masks(0, shape=(3, 64, 5, 4), kind=nn.Dropout2d)[0].flatten(2).float().mean(-1)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert 0.5 < kept.mean() < 0.9


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_the_papers_network_is_taken_over(rate):
    network = UNet(1, 2, width=2, depth=2, dropout=rate)
    names = list(network.state_dict())
    DropoutDraws(network, CPU)
    assert [m.rate for m in network.modules() if isinstance(m, DrawnDropout)] == [rate]
    assert not [m for m in network.modules() if type(m) in (nn.Dropout, nn.Dropout2d)]
    assert list(network.state_dict()) == names
