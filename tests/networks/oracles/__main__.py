"""Writes what the libraries' networks give for drawn weights: ``python -m tests.networks.oracles``.

It needs MONAI and torchvision, which the tests do not: they read the files that this writes. Each holds the
weights by the library's names, an image, and the scores; its description names library, version and network.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

FOLDER = Path(__file__).parent


def draw(network: nn.Module) -> nn.Module:
    """Draw all weights and running means, so that no layer is the identity."""
    random = torch.Generator().manual_seed(2015)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=random)
            elif tensor.is_floating_point():
                tensor.normal_(0, (1 / max(1, tensor[0].numel())) ** 0.5, generator=random)
    return network.eval()


def write(name: str, about: str, network: nn.Module, channels: int, side: int) -> None:
    """Write an oracle: weights and image in float32, what the network makes of them in float64."""
    random = torch.Generator().manual_seed(1)
    image = torch.randn(1, channels, side, side, generator=random)
    tensors: dict[str, Tensor] = {
        f"weights/{key}": value for key, value in draw(network).state_dict().items()
    }
    with torch.no_grad():
        found = network.double()(image.double())
    maps = found if isinstance(found, list) else [found]
    tensors |= {"image": image, **{f"scores/{number}": one for number, one in enumerate(maps)}}
    path = FOLDER / f"{name}.safetensors"
    save_file({key: value.clone() for key, value in tensors.items()}, path, {"about": about})
    path.chmod(0o644)


def with_monai() -> None:
    """Write those of MONAI."""
    import monai
    from monai.networks.nets import AttentionUnet, BasicUNetPlusPlus, VNet
    from monai.networks.nets.vnet import DownTransition, InputTransition, OutputTransition, UpTransition

    version = f"MONAI {monai.__version__}"
    for norm in ("batch", ("instance", {"affine": True})):
        for deep in (False, True):
            network = BasicUNetPlusPlus(2, 1, 3, (2, 2, 4, 8, 16, 2), deep, "relu", norm)
            kind = norm if isinstance(norm, str) else norm[0]
            if deep == (kind == "batch"):  # one of each
                write(f"nested-{kind}", f"{version}: BasicUNetPlusPlus, {kind} norm", network, 1, 32)
    attention = AttentionUnet(2, 1, 3, (2, 4, 8), (2, 2))
    write("attention", f"{version}: AttentionUnet", attention, 1, 24)
    vnet = VNet(spatial_dims=2, in_channels=1, out_channels=2)
    act = "prelu"  # V-Net's; MONAI's default is ELU. And 1 channel in place of 16.
    vnet.in_tr = InputTransition(2, 1, 1, act)
    for number, times in zip((1, 2, 4, 8), (1, 2, 3, 2), strict=True):
        setattr(vnet, f"down_tr{32 * number}", DownTransition(2, number, times, act))
    for name, before, after, times in ((256, 16, 16, 2), (128, 16, 8, 2), (64, 8, 4, 1), (32, 4, 2, 1)):
        setattr(vnet, f"up_tr{name}", UpTransition(2, before, after, times, act))
    vnet.out_tr = OutputTransition(2, 2, 2, act)
    write("vnet", f"{version}: VNet of its blocks, width 1", vnet, 1, 32)


def with_torchvision() -> None:
    """Write that of torchvision: VGG-19 of 2 channels, up to conv5_4 and its ReLU."""
    # torchvision does not import beside every build of torch, for want of operators of detection.
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision
    from torchvision.models.vgg import cfgs, make_layers

    layers = [one if one == "M" else one // 32 for one in cfgs["E"]]  # type: ignore[operator]
    features = make_layers(layers)[:-1]  # without the last pooling
    write("vgg19", f"torchvision {torchvision.__version__}: VGG-19's features, width 2", features, 3, 32)


if __name__ == "__main__":
    with_monai()
    with_torchvision()
