"""The initial weights (section 3 of doi:10.1007/978-3-319-24574-4_28)."""

from collections.abc import Sequence

import torch
from torch import nn

from unet2015.settings import InitialisationSettings


def draw_weights(
    network: nn.Module,
    heads: Sequence[nn.Conv2d],
    rule: InitialisationSettings,
    generator: torch.Generator | None = None,
) -> None:
    """Draw the weights of all convolutions from N(0, 2/N), N the incoming nodes of one neuron; biases 0.

    The weights of `heads`, the last layers, are multiplied by ``rule.head``. Normalisation starts as the
    identity. On the device ``meta`` there are no values, and nothing is drawn.
    """
    if heads[0].weight.is_meta:  # drawing there would do nothing, but load torch's compiler: seconds
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=(2 / _nodes(module, rule)) ** 0.5, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    with torch.no_grad():
        for head in heads:
            head.weight.mul_(rule.head)


def _nodes(module: nn.Conv2d | nn.ConvTranspose2d, rule: InitialisationSettings) -> float:
    """Return the incoming nodes of one neuron, or those that Caffe's filler counts."""
    if isinstance(module, nn.ConvTranspose2d) and rule.up_convolutions == "incoming":
        # Each output pixel of a 2x2 up-convolution of stride 2 sees one input pixel.
        seen = module.weight[0, 0].numel() / (module.stride[0] * module.stride[1])
        return module.in_channels // module.groups * seen
    # Caffe takes the first axis for the outputs; in an up-convolution it is that of the inputs.
    return module.weight[0].numel()
