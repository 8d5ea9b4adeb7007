"""The network on its device: precision, a copy of its own, and a device that runs out of memory."""

import logging

import numpy as np
import pytest
import torch

from unet2015.errors import MemoryLimitError, UsageError
from unet2015.networks.unet2015 import UNet
from unet2015.tiling import predictor
from unet2015.tiling.predictor import Predictor


def network_of(channels, classes, depth, dtype, seed=0, width=2, variant="paper"):
    torch.manual_seed(seed)
    return UNet(channels, classes, width, depth, variant).to(dtype)


def test_bfloat16_is_close_and_its_probabilities_are_float32():
    network = network_of(1, 2, 3, torch.float32, width=8)
    array = np.random.default_rng(0).random((1, 1, 1, 100, 100), np.float32)[0]
    exact = Predictor(network)(array[:, :, :92, :92])
    rough = Predictor(network, precision="bfloat16")(array[:, :, :92, :92])
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - exact).max() < 0.05
    assert next(network.parameters()).dtype == torch.float32, "the caller's network must stay as it is"


def test_predicting_switches_drop_out_off_in_a_copy():
    network = network_of(1, 2, 1, torch.float32).train()
    predict = Predictor(network)
    tile = np.random.default_rng(0).random((1, 1, 34, 34), np.float32)
    assert np.array_equal(predict(tile), predict(tile))
    assert network.training


class Exhausted:
    """A predictor's scores that fail above so many tiles at a time, as a full device does."""

    def __init__(self, network, most):
        self.network, self.most, self.calls = network, most, []

    def __call__(self, x):
        self.calls.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return self.network(x)


def test_out_of_memory_halves_the_batch_says_so_and_goes_on(caplog):
    predict = Predictor(network_of(1, 2, 1, torch.float32))
    tiles = np.random.default_rng(0).random((8, 1, 34, 34), np.float32)
    expected = predict(tiles)
    predict.scores = full = Exhausted(predict.scores, 2)
    with caplog.at_level(logging.WARNING, "unet2015"):
        assert np.allclose(predict(tiles), expected, rtol=0, atol=1e-6)
        predict(tiles)
    assert full.calls == [8, 4, 2, 2, 2, 2] + [2] * 4
    assert "going on with 2" in caplog.text


def test_one_tile_too_large_for_the_device_is_an_error_that_says_what_to_do():
    predict = Predictor(network_of(1, 2, 1, torch.float32))
    predict.scores = Exhausted(predict.scores, 0)
    with pytest.raises(MemoryLimitError, match="--tile"):
        predict(np.zeros((2, 1, 34, 34), np.float32))


def test_other_errors_of_the_network_are_not_taken_for_a_full_device():
    predict = Predictor(network_of(1, 2, 1, torch.float32))
    with pytest.raises(RuntimeError, match="channels"):
        predict(np.zeros((1, 2, 34, 34), np.float32))


@pytest.mark.parametrize("option", [{"precision": "float16"}, {"average": "some"}])
def test_unknown_options_are_refused(option):
    with pytest.raises(UsageError, match="must be"):
        Predictor(network_of(1, 2, 1, torch.float32), **option)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("size", [(1, 1), (129, 4), (255, 7), (256, 4), (700, 301)])
def test_probabilities_some_rows_at_a_time_have_the_bits_of_all_at_once(classes, size):
    scores = torch.randn(2, classes, *size, generator=torch.Generator().manual_seed(0)) * 8
    for layout in (torch.contiguous_format, torch.channels_last):
        given = scores.clone(memory_format=layout)
        expected = torch.softmax(given, dim=1)
        found = predictor._probabilities(given)
        assert torch.equal(found, expected)
        assert found.data_ptr() == given.data_ptr()  # no second copy of a large tile
