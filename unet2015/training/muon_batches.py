"""Muon's step for all hidden matrices of a network at once: few kernels, and no copies between them.

A large GPU multiplies two small matrices in less time than it takes to start the kernel. So matrices with the
same number of rows are iterated together.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from unet2015.training.muon import EPS, iterated, iteration_dtype, step_size

_PADDED = 256
"""Matrices of so many rows at most are filled up with columns of zeros, to be as wide as the widest."""


@dataclass(frozen=True)
class _Member:
    number: int  # in the network
    columns: int
    tall: bool


class HiddenMatrices:
    """The matrices of a network that Muon makes orthogonal, in batches.

    Parameters
    ----------
    weights : list of Tensor
        All weights of the network. A matrix has one row for each entry of a weight's first axis; the order
        of its columns is that of the memory, since it decides nothing.
    hidden : set of int
        Which of them are such matrices.
    """

    def __init__(self, weights: list[Tensor], hidden: set[int]) -> None:
        self.weights = weights
        batches: defaultdict[tuple[int, int], list[_Member]] = defaultdict(list)
        for number in sorted(hidden):
            m, n = _matrix(weights[number], weights[number]).shape
            rows, columns = sorted((m, n))
            batches[rows, 0 if rows <= _PADDED else columns].append(_Member(number, columns, m > n))
        self.batches = [(rows, members) for (rows, _), members in batches.items()]
        shapes = {k: _matrix(weights[k], weights[k]).shape for k in hidden}
        sizes = [-step_size(*shapes[member.number]) for _, members in self.batches for member in members]
        self.sizes = torch.tensor(sizes, device=weights[0].device)

    def step(self, gradients: list[Tensor], velocities: list[Tensor], rate: Tensor, inertia: Tensor) -> None:
        """Update velocities and weights as `muon_step` does, for a rate and a momentum of shape ()."""
        rates = iter((self.sizes * rate).unbind())
        for rows, members in self.batches:
            found = self._orthogonal(rows, members, gradients, velocities, inertia)
            for member, matrix in zip(members, found, strict=True):
                weight = self.weights[member.number]
                _matrix(weight, weight).addcmul_(_piece(matrix, member), next(rates))

    def _orthogonal(
        self,
        rows: int,
        members: list[_Member],
        gradients: list[Tensor],
        velocities: list[Tensor],
        inertia: Tensor,
    ) -> Tensor:
        """Update the velocities of a batch, and return its orthogonal matrices (batch, rows, columns)."""
        weight = self.weights[members[0].number]
        widest = max(member.columns for member in members)
        wide = weight.new_zeros((len(members), rows, widest), dtype=iteration_dtype(weight))
        for member, matrix in zip(members, wide, strict=True):
            weight = self.weights[member.number]
            gradient, velocity = (_matrix(one[member.number], weight) for one in (gradients, velocities))
            torch.addcmul(gradient, velocity, inertia, out=velocity)
            torch.addcmul(gradient, velocity, inertia, out=_piece(matrix, member))
        norms = torch.linalg.vector_norm(wide, dim=(1, 2), keepdim=True, dtype=weight.dtype)
        return iterated(wide.div_(norms + EPS))


def _matrix(values: Tensor, weight: Tensor) -> Tensor:
    """Return the values of a weight, or what belongs to it, as a matrix: a view in the weight's order."""
    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        values = values.permute(0, 2, 3, 1)
    return values.view(len(values), -1)


def _piece(wide: Tensor, member: _Member) -> Tensor:
    """Return the part of a member of a batch that is no padding, turned as the member is."""
    piece = wide[:, : member.columns]
    return piece.mT if member.tall else piece
