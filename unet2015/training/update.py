"""A step down the gradient for all weights at once, with rates that lie on the device, for a CUDA graph."""

import math

import torch
from torch import Tensor

from unet2015.settings import OptimisationSettings
from unet2015.training.muon import ADAM_EPS, hidden_weights
from unet2015.training.muon_batches import HiddenMatrices
from unet2015.training.schedules import learning_rate, momentum

RATES = 4
"""Numbers that change from step to step."""


def step_rates(rule: OptimisationSettings, step: int, rate: float) -> tuple[float, ...]:
    """Return learning rate, momentum, decay of the average and largest norm of the gradient."""
    return rate, momentum(rule, step), min(rule.average, (1 + step) / (10 + step)), rule.clip or math.inf


def rates(rule: OptimisationSettings) -> Tensor:
    """Return the `step_rates` of all steps: (steps, 4) float32."""
    rows = [step_rates(rule, step, learning_rate(rule, step)) for step in range(rule.steps)]
    return torch.tensor(rows)


class Update:
    """Changes weights as :class:`unet2015.training.learner.Learner` does, but never waits for the host.

    Parameters
    ----------
    rule : OptimisationSettings
        Decides which operations are done: optimizer, weight decay, Nesterov, clipping, average.
    parameters : list of Tensor
        The weights; their gradients are read, and may be changed.
    hidden : set of int, optional
        Which of them Muon makes orthogonal. Default: as if there were no others in the network.
    average : list of Tensor, optional
        Where the average is kept. Default: in copies of the weights, where the recipe has one.

    Attributes
    ----------
    average : list of Tensor
        The averaged weights; empty where the recipe has none.
    moments : list of list of Tensor
        Velocity, or the means of the gradient and of its square.
    """

    def __init__(
        self,
        rule: OptimisationSettings,
        parameters: list[Tensor],
        hidden: set[int] | None = None,
        average: list[Tensor] | None = None,
    ) -> None:
        self.rule, self.parameters = rule, parameters
        if average is None:
            average = [p.detach().clone() for p in parameters] if rule.average else []
        self.average = average
        self.moments = [[torch.zeros_like(p) for p in parameters] for _ in range(2)]
        if hidden is None:
            hidden = hidden_weights(parameters)
        hidden = hidden if rule.optimizer == "muon" else set()
        self.hidden = HiddenMatrices(parameters, hidden)
        self.rest = [k for k in range(len(parameters)) if k not in hidden]

    @torch.no_grad()
    def reset(self) -> None:
        """Begin anew, from the present weights."""
        for mean, value in zip(self.average, self.parameters, strict=False):
            mean.copy_(value)
        for moments in self.moments:
            for moment in moments:
                moment.zero_()

    @torch.no_grad()
    def __call__(self, values: Tensor, at: Tensor) -> Tensor:
        """Take a step with a row of `rates`; return the norm of the gradient before it was clipped.

        `at` is the number of the step, from 0, shape (1,).
        """
        rate, inertia, decay, longest = values.unbind()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        assert len(gradients) == len(self.parameters)
        norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if self.rule.clip:
            # 1e-6 as in torch.nn.utils.clip_grad_norm_.
            torch._foreach_mul_(gradients, (longest / (norm + 1e-6)).clamp(max=1))
        if self.rule.optimizer == "sgd":
            self._sgd(gradients, rate, inertia)
        else:
            if self.rule.optimizer == "muon":
                self._muon(gradients, rate, inertia)
            adam = self._fused_adam if norm.device.type == "cuda" else self._adam
            adam(gradients, rate, at)
        if self.average:
            torch._foreach_mul_(self.average, decay)
            torch._foreach_add_(self.average, torch._foreach_mul(self.parameters, 1 - decay))
        return norm

    def _sgd(self, gradients: list[Tensor], rate: Tensor, inertia: Tensor) -> None:
        velocity = self.moments[0]
        if self.rule.weight_decay:
            torch._foreach_add_(gradients, self.parameters, alpha=self.rule.weight_decay)
        torch._foreach_mul_(velocity, inertia)
        torch._foreach_add_(velocity, gradients)
        way = velocity
        if self.rule.nesterov:
            way = list(torch._foreach_add(gradients, torch._foreach_mul(velocity, inertia)))
        torch._foreach_sub_(self.parameters, torch._foreach_mul(way, rate))

    def _muon(self, gradients: list[Tensor], rate: Tensor, inertia: Tensor) -> None:
        """Let all weights decay, and take Muon's step for the hidden ones; the rest is left to Adam."""
        if self.rule.weight_decay:
            torch._foreach_mul_(self.parameters, 1 - rate * self.rule.weight_decay)
        self.hidden.step(gradients, self.moments[0], rate, inertia)

    def _for_adam(self, gradients: list[Tensor]) -> list[list[Tensor]]:
        """Return weights, gradients and both means of all that is not Muon's."""
        every = (self.parameters, gradients, *self.moments)
        return [[tensors[k] for k in self.rest] for tensors in every]

    def _fused_adam(self, gradients: list[Tensor], rate: Tensor, at: Tensor) -> None:
        """Update the weights in one kernel, torch's own; it takes a step counter for each parameter."""
        rule = self.rule
        kernel = torch._fused_adamw_ if rule.optimizer == "adamw" else torch._fused_adam_
        weights, gradients, mean, square = self._for_adam(gradients)
        kernel(
            weights,
            gradients,
            mean,
            square,
            [],  # largest squares: for amsgrad only
            [(at + 1.0)[0].float()] * len(self.rest),
            lr=rate,
            beta1=rule.betas[0],
            beta2=rule.betas[1],
            weight_decay=0.0 if rule.optimizer == "muon" else rule.weight_decay,
            eps=ADAM_EPS,
            amsgrad=False,
            maximize=False,
        )

    def _adam(self, gradients: list[Tensor], rate: Tensor, at: Tensor) -> None:
        """Do the same in torch's lists, on any device."""
        rule = self.rule
        weights, gradients, mean, square = self._for_adam(gradients)
        if rule.optimizer == "adamw":
            torch._foreach_mul_(weights, 1 - rate * rule.weight_decay)
        elif rule.optimizer == "adam" and rule.weight_decay:
            torch._foreach_add_(gradients, weights, alpha=rule.weight_decay)
        torch._foreach_lerp_(mean, gradients, 1 - rule.betas[0])
        torch._foreach_mul_(square, rule.betas[1])
        torch._foreach_addcmul_(square, gradients, gradients, 1 - rule.betas[1])
        # The means began at 0: dividing by 1 - beta^t corrects that (Kingma and Ba 2015, arXiv:1412.6980).
        first, second = (1 - beta ** (at + 1.0)[0] for beta in rule.betas)
        spread = torch._foreach_sqrt(torch._foreach_div(square, second))
        torch._foreach_add_(spread, ADAM_EPS)
        steps = torch._foreach_div(mean, spread)
        torch._foreach_sub_(weights, torch._foreach_mul(steps, rate / first))
