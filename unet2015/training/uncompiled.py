"""Torch's optimizers, without torch's compiler.

Torch hides methods of its optimizers from its compiler, and the first call of one loads it: 800 modules,
which takes as long as torch itself. Nothing here is compiled, so that the methods themselves are called.
"""

from inspect import unwrap

import torch


class Optimizer(torch.optim.Optimizer):
    """What all optimizers have in common; their state is as that of torch's."""

    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)
    state_dict = unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = unwrap(torch.optim.Optimizer.load_state_dict)
    zero_grad = unwrap(torch.optim.Optimizer.zero_grad)


class SGD(Optimizer, torch.optim.SGD):
    """Gradient descent with momentum."""

    step = torch.no_grad()(unwrap(torch.optim.SGD.step))


class Adam(Optimizer, torch.optim.Adam):
    """Adam."""

    step = torch.no_grad()(unwrap(torch.optim.Adam.step))


class AdamW(Optimizer, torch.optim.AdamW):
    """Adam with a decay of weights that is decoupled from the gradient."""

    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))
