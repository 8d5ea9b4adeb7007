"""The convolutions of a U-Net for a CPU: made from its modules, and checked against overflow."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf

import torch
from torch import Tensor, nn

from unet2015.device import multiplies_bfloat16
from unet2015.networks.cpu import winograd
from unet2015.networks.cpu.composed import ComposedConvolution, composed
from unet2015.networks.cpu.packed_weights import ConcatConvolution, Convolution, can_pack
from unet2015.networks.cpu.winograd_layers import (
    WinogradConcatConvolution,
    WinogradConvolution,
    is_worthwhile,
    uses_winograd,
)
from unet2015.networks.cpu.winograd_weights import MAX_WEIGHT, can_multiply
from unet2015.networks.unet2015 import UNet

AnyConvolution = Convolution | WinogradConvolution
AnyConcatConvolution = ConcatConvolution | WinogradConcatConvolution

MAX_OUTPUT = 1e38 / winograd.SUM_GROWTH
"""Outputs below this have intermediate sums that are finite in float32 and bfloat16 (largest: 3.4e38)."""


class OverflowRiskError(Exception):
    """Sums may leave the range of float32."""


@dataclass(frozen=True)
class ConvolutionFactory:
    """Makes convolutions of one precision from the modules of a network.

    Attributes
    ----------
    dtype : torch.dtype
    packed : bool
        Pack weights for oneDNN.
    winograd_from : float
        Use Winograd from this product of channels in and out on, where it is worthwhile.
    """

    dtype: torch.dtype
    packed: bool
    winograd_from: float = 0

    @cached_property
    def scratch(self) -> winograd.Scratch:
        """Scratch memory, shared by all layers that use it."""
        return winograd.Scratch(self.dtype)

    def copy(self, module: nn.Module) -> tuple[Tensor, Tensor]:
        """Return copies of weight, channels last, and bias, on the CPU."""
        assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        assert module.bias is not None
        given, bias = module.weight.detach(), module.bias.detach().to("cpu", self.dtype, copy=True)
        weight = given.to("cpu", self.dtype).contiguous(memory_format=torch.channels_last)
        return weight.clone() if weight.data_ptr() == given.data_ptr() else weight, bias

    def convolution(self, module: nn.Module) -> AnyConvolution:
        """Return a convolution with its ReLU."""
        weight, bias = self.copy(module)
        if self._uses_winograd(weight):
            return WinogradConvolution(weight, bias, self.scratch)
        return Convolution(weight, bias, self.packed)

    def concat_convolution(self, module: nn.Module, raised: int) -> AnyConcatConvolution:
        """Return the convolution after crop-and-copy; the first `raised` channels come from below."""
        weight, bias = self.copy(module)
        parts = [
            part.contiguous(memory_format=torch.channels_last)
            for part in (weight[:, :raised], weight[:, raised:])
        ]
        if self._uses_winograd(weight):
            return WinogradConcatConvolution(parts[0], parts[1], bias, self.scratch)
        return ConcatConvolution(
            Convolution(parts[0], None, self.packed),
            Convolution(parts[1], bias, self.packed, relu=False),
        )

    def composed(self, up: nn.Module, concat: AnyConcatConvolution) -> ComposedConvolution | None:
        """Return an up-convolution and the convolution after it as one, where that is known to be faster."""
        if self.dtype != torch.bfloat16 or not self.packed or not multiplies_bfloat16():
            return None
        return composed(self.copy(up), concat) if isinstance(concat, ConcatConvolution) else None

    def _uses_winograd(self, weight: Tensor) -> bool:
        channels_out, channels_in = weight.shape[:2]
        if not is_worthwhile(channels_in, channels_out, self.dtype, self.winograd_from):
            return False
        if not (self.packed and can_multiply(self.dtype)):
            return False
        # NaN makes both NaN, which is not below anything, and so stays with the usual convolution, too.
        least, most = map(float, torch.aminmax(weight))
        return -least <= MAX_WEIGHT and most <= MAX_WEIGHT


@dataclass(frozen=True)
class Layers:
    """The convolutions of each level, down and up, two for each block.

    Where there are `composed` ones, they stand for the up-convolution and the first of `expand`.
    """

    contract: list[tuple[AnyConvolution, AnyConvolution]]
    expand: list[tuple[AnyConcatConvolution, AnyConvolution]]
    composed: list[ComposedConvolution | None]
    packed: bool

    @classmethod
    def of(cls, network: UNet, dtype: torch.dtype, winograd_from: float = 0) -> "Layers":
        """Return the convolutions, made from the parameters of a network; see `ConvolutionFactory`."""
        least = winograd_from if uses_winograd(network, dtype) else inf
        factory = ConvolutionFactory(dtype, can_pack(dtype), least)
        contract = [
            (factory.convolution(block[0]), factory.convolution(block[2]))
            for block in _blocks(network.contract)
        ]
        expand = [
            (factory.concat_convolution(block[0], raised), factory.convolution(block[2]))
            for block, raised in zip(_blocks(network.expand), network.raised, strict=True)
        ]
        linear = network.variant == "paper"  # that of the release has a ReLU after the up-convolution
        compose = [
            factory.composed(up, first) if linear else None
            for up, (first, _) in zip(network.upsample, expand, strict=True)
        ]
        return cls(contract, expand, compose, factory.packed)

    def plain(self) -> "Layers":
        """Return the same layers by torch's public functions."""
        return Layers(
            [(first.plain(), second.plain()) for first, second in self.contract],
            [(first.plain(), second.plain()) for first, second in self.expand],
            [None] * len(self.expand),
            False,
        )

    def check_contract(self, largest: float, level: int) -> None:
        """Check that a level on the way down cannot overflow for inputs of at most `largest`.

        Raises
        ------
        OverflowRiskError
            It can.
        """
        first, second = self.contract[level]
        self._check_bounds(largest, first.bound(largest), second.bound(first.bound(largest)))

    def check_expand(self, raised: float, skip: float, level: int) -> None:
        """Check that a level on the way up cannot overflow, for raised and cropped maps of at most so much.

        Raises
        ------
        OverflowRiskError
            It can.
        """
        first, second = self.expand[level]
        concat = first.bounds[0](raised) + first.bounds[1](skip)
        self._check_bounds(raised, skip, concat, second.bound(concat))

    def _check_bounds(self, *bounds: float) -> None:
        # Each of them, as a later layer with small weights would hide an overflow before it. `not all(<)`
        # instead of `any(>=)`, as NaN must be caught, too.
        if self.packed and not all(bound < MAX_OUTPUT for bound in bounds):
            raise OverflowRiskError


def _blocks(modules: nn.ModuleList) -> Iterator[nn.Sequential]:
    for module in modules:
        assert isinstance(module, nn.Sequential)
        yield module
