"""The graph for programs that know only a halo: what is kept of its blocks is the model's answer."""

import numpy as np
import pytest
import torch

from tests.exchange.conftest import small_model
from tests.networks.others import EVERY
from unet2015 import networks
from unet2015.exchange.graph import Halo, ModelGraph, halo_of
from unet2015.geometry import Geometry, unet_geometry
from unet2015.networks.unet2015 import UNet
from unet2015.settings import NetworkSettings

pytestmark = pytest.mark.usefixtures("others")
PAPER = networks.NETWORKS["unet2015"]
DEPTHS = [
    pytest.param(PAPER, NetworkSettings(width=1, depth=depth), id=f"depth {depth}") for depth in (0, 3, 4)
]


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (unet_geometry(4), Halo(96, 208, 4)),
        (unet_geometry(3), Halo(48, 104, 4)),
        (unet_geometry(1), Halo(8, 18, 0)),
        (unet_geometry(0), Halo(2, 5, 0)),
        (Geometry(16, 32, 80), Halo(32, 80, 0)),
        (Geometry(1, 0, 1), Halo(0, 1, 0)),
        (Geometry(4, 0, 8), Halo(0, 8, 0)),
        (Geometry(2, 1, 5), Halo(2, 6, 1)),
    ],
)
def test_the_halo(geometry, expected):
    found = halo_of(geometry)
    assert found == expected
    kept = found.smallest - 2 * found.halo
    assert kept >= geometry.factor
    assert kept % geometry.factor == 0
    assert geometry.is_legal(found.smallest - found.shift)


@pytest.mark.parametrize(("entry", "settings"), [*DEPTHS, *EVERY])
def test_blocks_put_together_are_the_whole_image(entry, settings):
    channels = (entry.channels(settings) or (1,))[0]
    model = small_model(settings, in_channels=channels)
    network = model.network.double()
    halo = halo_of(network.geometry)
    graph = ModelGraph(network, None, halo)
    kept = halo.smallest - 2 * halo.halo
    blocks = 3
    image = np.random.default_rng(0).normal(size=(1, channels, 2 * halo.halo + blocks * kept, halo.smallest))
    pieces = []
    with torch.inference_mode():
        for number in range(blocks):
            block = torch.from_numpy(image[..., number * kept :, :][..., : halo.smallest, :])
            made = graph(block)
            assert made.shape == (1, 2, halo.smallest, halo.smallest)
            pieces.append(made[..., halo.halo : halo.halo + kept, halo.halo : halo.halo + kept])
        whole = network(torch.from_numpy(image[..., halo.shift :, halo.shift :])).softmax(1)
    found = torch.cat(pieces, dim=2)
    assert found.std() > 1e-3
    if network.geometry.exact:
        assert (found - whole[..., : blocks * kept, :kept]).abs().max() < 1e-12


def test_a_graph_does_not_change_the_network():
    model = small_model()
    geometry = model.network.geometry
    ModelGraph(model.network)
    assert model.network.geometry is geometry
    assert isinstance(model.network, UNet)
    assert all(parameter.requires_grad for parameter in model.network.parameters())
    assert np.isfinite(geometry.smallest)
