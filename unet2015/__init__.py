"""The U-Net of 2015 exactly as published, as software that microscopists rely on.

Ronneberger, Fischer, Brox, *U-Net: Convolutional Networks for Biomedical Image Segmentation*,
MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.

The names below load when they are first used, so that ``import unet2015`` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unet2015 import metrics
    from unet2015.models import load_model
    from unet2015.networks.unet2015 import UNet
    from unet2015.segmentation.segmenter import segment
    from unet2015.training.loop import train
    from unet2015.training.weights import weight_map

__version__ = "0.1.0"
__all__ = ["UNet", "__version__", "load_model", "metrics", "segment", "train", "weight_map"]

_HOMES = {
    "UNet": "unet2015.networks.unet2015",
    "load_model": "unet2015.models",
    "segment": "unet2015.segmentation.segmenter",
    "train": "unet2015.training.loop",
    "weight_map": "unet2015.training.weights",
}


def __getattr__(name: str) -> object:
    if name == "metrics":
        return import_module("unet2015.metrics")
    if name not in _HOMES:
        raise AttributeError(f"module 'unet2015' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
