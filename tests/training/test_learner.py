"""What a step computes with: on a CPU the faster copy of the network, with the network's own weights."""

import torch

from unet2015.networks.cpu_training import CPUConvolutionReLU
from unet2015.settings import load_settings
from unet2015.training.augment import Sample
from unet2015.training.learner import Learner
from unet2015.training.processes import SINGLE_PROCESS


def test_a_step_on_a_cpu_runs_the_copy_and_moves_the_network():
    settings = load_settings(None, {"network": {"width": 2, "depth": 1}, "labels": {"kind": "membrane"}})
    learner = Learner(1, settings, 0, torch.device("cpu"), SINGLE_PROCESS)
    fused = {name for name, module in learner.trained.named_modules() if type(module) is CPUConvolutionReLU}
    assert fused == {f"{block}.{k}" for block in ("contract.0", "contract.1", "expand.0") for k in (0, 2)}
    assert not any(type(module) is CPUConvolutionReLU for module in learner.network.modules())
    ran, before = [], [weight.clone() for weight in learner.network.parameters()]
    learner.trained.contract[0].register_forward_hook(lambda *_: ran.append(True))
    sample = Sample(torch.rand(1, 1, 28, 28), torch.ones(1, 12, 12, dtype=torch.long), torch.ones(1, 12, 12))
    learner.backward(learner.forward(sample, "float32"))
    learner.descend(0, 0.1)
    assert ran
    assert all(
        not torch.equal(one, other) for one, other in zip(before, learner.network.parameters(), strict=True)
    )


def test_the_optimizer_knows_the_precision_of_a_step():
    settings = load_settings("quick", {"network": {"width": 2, "depth": 1}, "labels": {"kind": "membrane"}})
    learner = Learner(1, settings, 0, torch.device("cpu"), SINGLE_PROCESS)
    for precision, half in (("bfloat16", True), ("float32", False)):
        learner.descend(0, 0.1, precision)
        assert learner.optimizer.half == half
