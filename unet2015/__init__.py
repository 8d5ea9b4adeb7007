"""The U-Net of 2015 exactly as published, as software that microscopists rely on.

Ronneberger, Fischer, Brox, *U-Net: Convolutional Networks for Biomedical Image Segmentation*,
MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.

`__all__` lists what is public: these names, and those of `unet2015.metrics`, keep their meaning. They load
when they are first used, so that ``import unet2015`` stays fast.
"""

from typing import TYPE_CHECKING

from unet2015.lazy import homes_of, lazy_names

if TYPE_CHECKING:
    from unet2015 import metrics
    from unet2015.errors import UNet2015Error
    from unet2015.models import list_models, load_model
    from unet2015.networks.unet2015 import UNet
    from unet2015.objects.instances import Markers, label_objects
    from unet2015.segmentation.batch import segment_files
    from unet2015.segmentation.in_memory import segment
    from unet2015.segmentation.label_files import measure_files
    from unet2015.segmentation.map_files import label_files
    from unet2015.segmentation.options import SegmentOptions
    from unet2015.segmentation.replay import replay
    from unet2015.settings import load_settings
    from unet2015.settings.objects import ObjectSettings
    from unet2015.training.loop import train
    from unet2015.training.weight_map import weight_map

# The only place of the version: pyproject.toml reads it here, without importing anything.
__version__ = "0.1.0"
__all__ = [
    "Markers",
    "ObjectSettings",
    "SegmentOptions",
    "UNet",
    "UNet2015Error",
    "__version__",
    "label_files",
    "label_objects",
    "list_models",
    "load_model",
    "load_settings",
    "measure_files",
    "metrics",
    "replay",
    "segment",
    "segment_files",
    "train",
    "weight_map",
]

_FILES = {
    "errors": ["UNet2015Error"],
    "models": ["list_models", "load_model"],
    "networks.unet2015": ["UNet"],
    "objects.instances": ["Markers", "label_objects"],
    "segmentation.batch": ["segment_files"],
    "segmentation.in_memory": ["segment"],
    "segmentation.label_files": ["measure_files"],
    "segmentation.map_files": ["label_files"],
    "segmentation.options": ["SegmentOptions"],
    "segmentation.replay": ["replay"],
    "settings": ["load_settings"],
    "settings.objects": ["ObjectSettings"],
    "training.loop": ["train"],
    "training.weight_map": ["weight_map"],
}
_HOMES = homes_of(__name__, _FILES)
__getattr__, __dir__ = lazy_names(__name__, _FILES, others=("__version__", "metrics"))
