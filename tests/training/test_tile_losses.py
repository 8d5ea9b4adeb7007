"""Losses by name: each tile of a batch counts by itself."""

import torch

from tests.training.conftest import rule
from unet2015.training.augment import Sample
from unet2015.training.losses import tile_losses, weighted_cross_entropy


def test_each_tile_of_a_batch_counts_by_itself():
    random = torch.Generator().manual_seed(0)
    scores = torch.randn((3, 2, 4, 4), generator=random)
    classes = torch.randint(2, (3, 4, 4), generator=random)
    weights = torch.rand((3, 4, 4), generator=random) * torch.tensor([1.0, 100.0, 0.0])[:, None, None]
    losses = tile_losses(rule(), [scores], Sample(torch.empty(0), classes, weights))
    expected = [
        weighted_cross_entropy(scores[k : k + 1], classes[k : k + 1], weights[k : k + 1]) for k in range(3)
    ]
    assert losses == expected
    assert losses[2] == 0


def test_of_several_maps_the_mean_of_their_losses_counts():
    random = torch.Generator().manual_seed(1)
    maps = [torch.randn((2, 3, 4, 4), generator=random) for _ in range(3)]
    classes = torch.randint(3, (2, 4, 4), generator=random)
    sample = Sample(torch.empty(0), classes, torch.rand((2, 4, 4), generator=random))
    alone = [torch.stack(tile_losses(rule(), [one], sample)) for one in maps]
    together = torch.stack(tile_losses(rule(), maps, sample))
    torch.testing.assert_close(together, sum(alone) / 3)
