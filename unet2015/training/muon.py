"""Muon: gradient descent whose steps are made orthogonal, matrix by matrix.

The step of a weight matrix is its momentum with all singular values brought near 1. So directions with a
small gradient are learned as fast as those with a large one. A network without normalisation layers, such as
the paper's, needs this most.

Source: Jordan et al. 2024, *Muon: An optimizer for hidden layers in neural networks*,
https://kellerjordan.github.io/posts/muon/; the size of a step as in Liu et al. 2025, *Muon is scalable for
LLM training*, arXiv:2502.16982, section 2.2. torch has it from 2.9 on, but only for matrices.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from unet2015.device import has_matrix_units
from unet2015.matrices import product
from unet2015.training.uncompiled import Optimizer

# From Jordan et al.: five turns of this polynomial map singular values from 0.001 ... 1 to 0.7 ... 1.2.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_TURNS = 5
_HALF_TURNS = 2, 2, 1
"""The turns in bfloat16 on a CPU, divided where X X' is made anew: its error would grow from turn to turn."""
_LEAST_ROWS = 128
"""Matrices with fewer rows are iterated in float32, which takes no longer."""
_SIZE = 0.2
"""Root mean square of an Adam step divided by its rate (Liu et al.), so that Adam's rates suit Muon."""
EPS = 1e-7
"""Added to norms, so that what is zero stays zero."""
ADAM_EPS = 1e-8
"""Of Adam: torch's default."""


def hidden_weights(weights: Sequence[Tensor]) -> set[int]:
    """Return which of a network's weights Muon makes orthogonal: all matrices but the first and the last.

    A convolution's weights count as a matrix: the first axis by all others. The first layer, the last layer
    and biases are left to Adam, as in the source.

    Parameters
    ----------
    weights : sequence of Tensor
        In the network's order.
    """
    matrices = [k for k, weight in enumerate(weights) if weight.ndim > 1]
    return set(matrices[1:-1])


def orthogonal(matrix: Tensor) -> Tensor:
    """Return the matrix with the same singular vectors and all singular values near 1 (0.7 to 1.2).

    Parameters
    ----------
    matrix : Tensor of floats, shape (m, n)

    Notes
    -----
    Newton-Schulz iteration X <- (a + b X X' + c (X X')^2) X. All factors are polynomials of the same matrix
    X X'. So they are multiplied with each other first, as m x m matrices (n x n if smaller), and with X only
    once at the end: 0.4 times the operations for a convolution of 256 to 256 channels.

    On a GPU the iteration runs in bfloat16, as in the source: float32 has no fast units there, and a step at
    full width would take as long as all convolutions. X X' is then made anew in each turn, since its error
    would grow from turn to turn. :func:`half_step` is that for a CPU.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if tall else matrix
    wide = wide / (torch.linalg.matrix_norm(wide) + EPS)
    found = iterated(wide.to(iteration_dtype(matrix))).to(matrix.dtype)
    return found.T if tall else found


def iteration_dtype(matrix: Tensor) -> torch.dtype:
    """Return in which precision matrices of this device and type are iterated."""
    return torch.bfloat16 if matrix.device.type == "cuda" else matrix.dtype


def iterated(wide: Tensor) -> Tensor:
    """Return the end of the iteration, in which all singular values are near 1.

    Parameters
    ----------
    wide : Tensor of floats, shape (m, n) or (batch, m, n), m <= n
        Of Frobenius norms of 1 at most; see `EPS`.
    """
    return _one_by_one(wide) if wide.dtype == torch.bfloat16 else _factors_first(wide)


def _times(first: Tensor, second: Tensor) -> Tensor:
    return product(first, second) if first.ndim == 2 else first @ second


def _factor(gram: Tensor) -> Tensor:
    factor = _times(gram, gram).mul_(_C).add_(gram, alpha=_B)
    factor.diagonal(dim1=-2, dim2=-1).add_(_A)
    return factor


def _factors_first(wide: Tensor) -> Tensor:
    gram = _times(wide, wide.mT)
    whole = factor = _factor(gram)
    for _ in range(_TURNS - 1):
        gram = _times(_times(factor, gram), factor)  # X X' of the next X, which is factor X
        factor = _factor(gram)
        whole = _times(factor, whole)
    return _times(whole, wide)


def _in_two_parts(wide: Tensor) -> Tensor:
    """Return the end of the iteration of a matrix in bfloat16, with most factors multiplied first."""
    for turns in _HALF_TURNS:
        gram = wide @ wide.mT
        whole = factor = _half_factor(gram)
        for _ in range(turns - 1):
            gram = factor @ gram @ factor
            factor = _half_factor(gram)
            whole = factor @ whole
        wide = whole @ wide
    return wide


def _half_factor(gram: Tensor) -> Tensor:
    factor = torch.addmm(gram, gram, gram, beta=_B, alpha=_C)
    factor.diagonal().add_(_A)
    return factor


def _one_by_one(wide: Tensor) -> Tensor:
    add = torch.addmm if wide.ndim == 2 else torch.baddbmm
    for _ in range(_TURNS):
        gram = wide @ wide.mT
        factor = add(gram, gram, gram, beta=_B, alpha=_C)
        factor.diagonal(dim1=-2, dim2=-1).add_(_A)
        wide = factor @ wide
    return wide


def muon_step(gradient: Tensor, velocity: Tensor, momentum: float | Tensor) -> Tensor:
    """Update the velocity with a gradient and return the step for a rate of 1, in the gradient's shape.

    Nesterov's momentum, made orthogonal and scaled by `step_size`.
    """
    velocity.mul_(momentum).add_(gradient)
    ahead = gradient + velocity * momentum
    matrix = _matrix(ahead)
    return _in_shape(orthogonal(matrix).mul_(step_size(*matrix.shape)), ahead)


def half_step(gradient: Tensor, velocity: Tensor, momentum: float) -> tuple[Tensor, float]:
    """Do what `muon_step` does with an iteration in bfloat16, in float32 but for that, and with fewer copies.

    Returns
    -------
    direction : Tensor
        Bfloat16, in the gradient's shape.
    size : float
        By which it is still to be multiplied.
    """
    torch.add(gradient, velocity, alpha=momentum, out=velocity)
    ahead = torch.add(gradient, velocity, alpha=momentum)
    matrix = _matrix(ahead)
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if tall else matrix
    norm = torch.linalg.vector_norm(wide) + EPS
    found = _in_two_parts(torch.div(wide, norm, out=torch.empty_like(wide, dtype=torch.bfloat16)))
    return _in_shape(found.T if tall else found, ahead), step_size(*matrix.shape)


def _matrix(values: Tensor) -> Tensor:
    """Return a weight's values as a matrix, in the order in which they lie: columns may change places."""
    if values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last):
        values = values.permute(0, 2, 3, 1)
    return values.reshape(len(values), -1)


def _in_shape(matrix: Tensor, like: Tensor) -> Tensor:
    """Return what `_matrix` made of a weight in the weight's shape."""
    if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
        return matrix.reshape(like.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
    return matrix.reshape(like.shape)


def step_size(m: int, n: int) -> float:
    """Return by how much an orthogonal matrix (m, n) is multiplied: 0.2 sqrt(max(m, n))."""
    return _SIZE * math.sqrt(max(m, n))


def _is_for_half(weight: Tensor) -> bool:
    """Whether the iteration of a weight is faster in bfloat16: on a CPU with units for its products."""
    rows = min(len(weight), weight.numel() // len(weight))
    return (
        rows >= _LEAST_ROWS
        and weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and has_matrix_units()
    )


class Muon(Optimizer):
    """Muon for the hidden matrices of a network, Adam for the rest, both with the same rate.

    Parameters
    ----------
    weights : iterable of Tensor, or of dict
        All weights of a network, in its order; see `hidden_weights`. Or groups of them, as torch has them,
        one after the other in the same order.
    lr : float
        Learning rate, as large as for Adam.
    momentum : float
        Of the hidden matrices, Nesterov's.
    betas : tuple of float
        Of Adam.
    weight_decay : float
        Decoupled from the gradient, as AdamW's.

    Attributes
    ----------
    half : bool
        Whether large matrices on a CPU are iterated in bfloat16: `half_step`. Weights and velocities stay as
        they are.
    """

    half = False

    def __init__(
        self,
        weights: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": weight_decay}
        super().__init__(list(weights), settings)  # type: ignore[arg-type]
        self._hidden = hidden_weights([weight for _, weight in self._weights()])

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step down the gradients; `closure` is not used."""
        for number, (group, weight) in enumerate(self._weights()):
            if weight.grad is None:
                continue
            if group["weight_decay"]:
                weight.mul_(1 - group["lr"] * group["weight_decay"])
            if number in self._hidden:
                self._muon(weight, group)
            else:
                self._adam(weight, group)

    def _weights(self) -> list[tuple[dict[str, Any], Tensor]]:
        return [(group, weight) for group in self.param_groups for weight in group["params"]]

    def _muon(self, weight: Tensor, group: dict[str, Any]) -> None:
        memory = self.state[weight]
        if not memory:
            memory["momentum_buffer"] = torch.zeros_like(weight)
        given = weight.grad, memory["momentum_buffer"], group["momentum"]
        if self.half and _is_for_half(weight):
            step, size = half_step(*given)  # type: ignore[arg-type]
            weight.sub_(step, alpha=group["lr"] * size)
        else:
            weight.sub_(muon_step(*given), alpha=group["lr"])  # type: ignore[arg-type]

    def _adam(self, weight: Tensor, group: dict[str, Any]) -> None:
        memory, gradient = self.state[weight], weight.grad
        assert gradient is not None
        if not memory:
            memory["step"] = torch.zeros(())
            memory["exp_avg"] = torch.zeros_like(weight)
            memory["exp_avg_sq"] = torch.zeros_like(weight)
        memory["step"] += 1
        first, second = (1 - beta ** float(memory["step"]) for beta in group["betas"])
        memory["exp_avg"].lerp_(gradient, 1 - group["betas"][0])
        memory["exp_avg_sq"].mul_(group["betas"][1]).addcmul_(gradient, gradient, value=1 - group["betas"][1])
        spread = (memory["exp_avg_sq"] / second).sqrt_().add_(ADAM_EPS)
        weight.addcdiv_(memory["exp_avg"], spread, value=-group["lr"] / first)
