"""Trainings in threads of one process: each draws as if it were alone."""

import time
from concurrent.futures import ThreadPoolExecutor

import torch

from unet2015.device import restoring_random
from unet2015.models.model_file import read_model_file
from unet2015.networks import build
from unet2015.training.drawn import drawn_network
from unet2015.training.learner import Learner
from unet2015.training.loop import train


def weights(network):
    return torch.cat([value.flatten() for value in network.state_dict().values()])


def test_two_trainings_in_threads_are_each_that_of_its_seed(tmp_path, small_set, small_settings, monkeypatch):
    forward = Learner.forward

    def slow(learner, *given):
        time.sleep(0.03)  # after the seed: the other training comes between
        return forward(learner, *given)

    monkeypatch.setattr(Learner, "forward", slow)

    def model(name, seed):
        chosen = {"seed": seed, "network": {"dropout": 0.4}}
        settings = small_settings(optimisation={"steps": 4}, **chosen)
        train(*small_set, tmp_path / name, settings=settings, device="cpu")
        return weights(read_model_file(tmp_path / name / "model.safetensors").network)

    alone = [model(f"alone{seed}", seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as threads:
        beside = [*threads.map(model, ["beside0", "beside1"], [0, 1])]
    assert not torch.equal(*alone)
    for one, other in zip(alone, beside, strict=True):
        assert torch.equal(one, other)


def test_first_weights_drawn_in_threads_are_each_those_of_their_seed(small_settings):
    settings = small_settings()
    alone = [weights(drawn_network(settings, 1, seed)) for seed in range(2)]

    def drawn(seed):
        for _ in range(40):
            build(settings.network, 2, 3)  # as a segmentation beside it does
            assert torch.equal(weights(drawn_network(settings, 1, seed)), alone[seed])

    with ThreadPoolExecutor(2) as threads:
        assert [*threads.map(drawn, (0, 1))] == [None, None]


def test_the_random_numbers_of_the_caller_go_on_as_before():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    for _ in range(2):
        with restoring_random():
            torch.manual_seed(9)
        torch.testing.assert_close(torch.rand(2), expected)
        torch.manual_seed(5)
