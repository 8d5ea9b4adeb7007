"""The graph for programs that know only a halo: what is kept of its blocks is the model's answer."""

import numpy as np
import pytest
import torch

from tests.exchange.conftest import small_model
from unet2015.exchange.graph import Halo, ModelGraph, halo_of
from unet2015.geometry import Geometry, unet_geometry
from unet2015.networks.unet2015 import UNet
from unet2015.settings import NetworkSettings


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (unet_geometry(4), Halo(94, 204, 2)),
        (unet_geometry(3), Halo(46, 100, 2)),
        (unet_geometry(1), Halo(8, 18, 0)),
        (unet_geometry(0), Halo(2, 5, 0)),
        (Geometry(16, 32, 80), Halo(32, 80, 0)),
        (Geometry(1, 0, 1), Halo(0, 1, 0)),
        (Geometry(4, 0, 8), Halo(0, 8, 0)),
        (Geometry(2, 1, 5), None),  # an odd side less twice a halo is never even
    ],
)
def test_the_halo(geometry, expected):
    found = halo_of(geometry)
    assert found == expected
    if found is not None:
        assert geometry.is_legal(found.smallest)
        kept = found.smallest - 2 * found.halo
        assert kept >= geometry.factor
        assert kept % geometry.factor == 0
        assert found.halo == geometry.margin + found.shift


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_blocks_put_together_are_the_whole_image(depth):
    model = small_model(NetworkSettings(width=1, depth=depth))
    sides, halo = model.network.geometry, halo_of(unet_geometry(depth))
    graph = ModelGraph(model.network, None, halo)
    kept = halo.smallest - 2 * halo.halo
    blocks = 3
    image = torch.randn(1, 1, 2 * halo.halo + blocks * kept, halo.smallest)
    pieces = []
    with torch.inference_mode():
        for number in range(blocks):
            made = graph(image[..., number * kept :, :][..., : halo.smallest, :])
            assert made.shape == (1, 2, halo.smallest, halo.smallest)
            pieces.append(made[..., halo.halo : -halo.halo, halo.halo : -halo.halo])
        first = (
            sides.nearest_legal(image.shape[2] - 2 * halo.shift)[0],
            halo.smallest - sides.factor * (halo.shift > 0),
        )
        part = image[..., halo.shift :, halo.shift :][..., : first[0], : first[1]]
        whole = model.network(part).softmax(1)
    found = torch.cat(pieces, dim=2)[..., : whole.shape[2], : whole.shape[3]]
    assert found.shape[2] > kept
    assert torch.allclose(found, whole[..., : found.shape[2], : found.shape[3]], atol=1e-6)


def test_a_graph_does_not_change_the_network():
    model = small_model()
    geometry = model.network.geometry
    ModelGraph(model.network)
    assert model.network.geometry is geometry
    assert isinstance(model.network, UNet)
    assert all(parameter.requires_grad for parameter in model.network.parameters())
    assert np.isfinite(geometry.smallest)
