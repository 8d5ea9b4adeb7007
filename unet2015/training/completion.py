"""What is chosen for the model at the end of its training: the threshold for whole cells, and objects."""

import logging
from pathlib import Path

import torch

from unet2015.models.model_file import Model, ModelInfo, read_model_file, save_model
from unet2015.settings import TrainingSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training.object_choice import FEW_OBJECTS, choose_objects
from unet2015.training.pages import TrainingSet
from unet2015.training.thresholds import rand_threshold
from unet2015.wording import counted

_JOINED = (
    "objects: not compared, and as in the paper: without a separation border cells that touch are one part "
    "of the map; compare them with `unet2015 evaluate objects`"
)
_log = logging.getLogger("unet2015")


def complete_model(path: Path, settings: TrainingSettings, data: TrainingSet, device: torch.device) -> None:
    """Store in a model what is chosen once, for the network that is kept, and that its training has ended.

    What it has already stays.

    Parameters
    ----------
    path : Path
        The model file.
    settings : TrainingSettings
        Of its training.
    data : TrainingSet
        What it was trained and validated on.
    device : torch.device
        Device that computes.
    """
    model = read_model_file(path)
    info = model.info.model_copy(update={"ended": True})
    if settings.labels.kind == "membrane" and "rand" not in info.thresholds:
        tile = model.network.inference_tile(settings.optimisation.tile)
        found = rand_threshold(model.network, data.training, device, tile)
        if found is not None:
            thresholds = info.thresholds | {"rand": found}
            info = info.model_copy(update={"threshold": found, "thresholds": thresholds})
    if info.classes == 2 and info.learned and info.objects is None:
        info = _with_objects(model, info, settings, data, device)
    if info != model.info:
        save_model(path, model.network, info)


def _with_objects(
    model: Model, info: ModelInfo, settings: TrainingSettings, data: TrainingSet, device: torch.device
) -> ModelInfo:
    if settings.labels.kind == "instances" and not settings.labels.separation_border:
        _log.info("%s", _JOINED)
        return info
    threshold = 0.5 if info.threshold is None else info.threshold
    tile = model.network.inference_tile(settings.optimisation.tile)
    found = choose_objects(model.network, data.validation, threshold, device, tile)
    if found is None:
        return info
    objects, measured = found
    quality, plain = measured["panoptic_quality"], measured["plain"]
    before = "" if objects == ObjectSettings() else f"; as in the paper {plain:.3f}"
    _log.info("objects: %s; panoptic quality %.3f on held-out pages%s", objects.describe(), quality, before)
    many = measured.get("objects", FEW_OBJECTS)
    if many < FEW_OBJECTS:
        _log.warning(
            "objects: the least size of %d px was chosen by %s alone; in use smaller ones are left out, also "
            "those that have shrunk: hold out more pages, or give segment --smallest where there may be some",
            objects.smallest,
            counted(many, "object"),
        )
    training = info.training | {"objects": measured}
    return info.model_copy(update={"objects": objects, "training": training})
