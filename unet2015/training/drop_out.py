"""Drop-out in a recorded step: what it drops follows from the seed and the step, on every device alike.

torch's own drop-out draws from one generator for all that runs on a GPU. Trainings side by side would then
disturb each other, and a training that is put back would go on with other draws. Here a number of each value
of a map is mixed by integers alone, so that a CPU and a GPU drop the same.
"""

import torch
from torch import Tensor, nn

_LOW = (1 << 32) - 1
_ODD, _FIRST, _SECOND = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35
"""Odd numbers of 32 bits with mixed digits: the golden ratio's, and those of MurmurHash3 (Appleby)."""


class DrawnDropout(nn.Module):
    """Drop-out whose draws are those of a training's present step.

    Parameters
    ----------
    draws : DropoutDraws
        Of the training.
    rate : float
        Share of the values that become 0, below 1; the others are divided by 1 - rate.
    whole : bool
        Drop whole channels of a tile, in place of single values.
    """

    def __init__(self, draws: "DropoutDraws", rate: float, whole: bool) -> None:
        super().__init__()
        self._draws, self.rate, self.whole = [draws], rate, whole  # in a list: it is no part of the network

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, C, H, W) with some values dropped; in training only."""
        if not self.training or not self.rate:
            return x
        tiles, channels, height, width = x.shape
        if self.whole:
            height = width = 1
        # Numbered as maps whose channels lie side by side, as they do on a GPU.
        bits = self._draws[0].bits(tiles * height * width * channels, x.device)
        kept = (bits >= int(self.rate * (_LOW + 1))).view(tiles, height, width, channels).permute(0, 3, 1, 2)
        return x * (kept.to(x.dtype) / (1 - self.rate))


class DropoutDraws:
    """Takes over the drop-out of a network in training on a device.

    Parameters
    ----------
    network : nn.Module
        Its ``nn.Dropout`` and ``nn.Dropout2d`` are replaced.
    device : torch.device
        Where it is trained.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._seed = torch.zeros(1, dtype=torch.long, device=device)
        self._step, self._calls = self._seed, 0
        for module in list(network.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Dropout | nn.Dropout2d):
                    drawn = DrawnDropout(self, child.p, isinstance(child, nn.Dropout2d))
                    setattr(module, name, drawn.train(child.training))

    def seed(self, seed: int) -> None:
        """Begin a training with a seed, from 0 to below 2**63."""
        self._seed.fill_((seed ^ seed >> 32) & _LOW)

    def begin(self, at: Tensor) -> None:
        """Begin a step; `at` is its number, shape (1,), on the device."""
        self._step, self._calls = _mixed(_mixed(self._seed) ^ at), 0

    def bits(self, count: int, device: torch.device) -> Tensor:
        """Return evenly distributed numbers of 32 bits, others at each call of a step: (count,) int64."""
        self._calls += 1
        key = _mixed((self._step + self._calls * _ODD) & _LOW)
        return _mixed(torch.arange(count, device=device) ^ key)


def _mixed(numbers: Tensor) -> Tensor:
    """Return numbers of 32 bits, one to one, in which each bit depends on all bits (MurmurHash3's last part).

    In int64, whose product keeps its low bits where it is too large.
    """
    found = numbers ^ numbers >> 16
    found.mul_(_FIRST).bitwise_and_(_LOW)
    found.bitwise_xor_(found >> 13).mul_(_SECOND).bitwise_and_(_LOW)
    return found.bitwise_xor_(found >> 16)
