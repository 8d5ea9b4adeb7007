"""Small networks of the paper, and what their layers got and gave."""

from typing import Any

import torch
from torch import Tensor, nn

from unet2015.networks.unet2015 import UNet, Variant

VARIANTS: list[Variant] = ["paper", "release"]


def traced(network: UNet, image: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run the network; return what each of its layers got and gave, by name."""
    got, gave = {}, {}
    hooks = []
    for name, module in network.named_modules():

        def keep(_: nn.Module, inputs: Any, output: Tensor, name: str = name) -> None:
            # Copied, as the ReLUs work in place.
            got[name], gave[name] = inputs[0].detach().clone(), output.detach().clone()

        hooks.append(module.register_forward_hook(keep))
    network(image)
    for hook in hooks:
        hook.remove()
    return got, gave


def small(**options: Any) -> UNet:
    """A tiny network in float64 with random weights and biases."""
    torch.manual_seed(0)
    network = UNet(**{"width": 2, "depth": 2} | options).double().eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return network


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
