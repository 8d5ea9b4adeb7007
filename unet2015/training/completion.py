"""What is chosen for the model at the end of its training: the threshold for whole cells, and objects."""

import logging
from pathlib import Path

import torch

from unet2015.models.model_file import Model, ModelInfo, read_model_file, save_model
from unet2015.settings import TrainingSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training.log import read_log
from unet2015.training.object_choice import FEW_OBJECTS, choose_objects
from unet2015.training.object_maps import OF_PARTS, PARTS, measure_objects
from unet2015.training.pages import TrainingSet
from unet2015.training.run_folder import LOG
from unet2015.training.thresholds import rand_threshold
from unet2015.wording import counted

LAST_LOOK = "last_validation"
"""Key of the last validation in the record of a training, where that network had not learned."""
_log = logging.getLogger("unet2015")


def complete_model(path: Path, settings: TrainingSettings, data: TrainingSet, device: torch.device) -> None:
    """Store in a model what is chosen once, for the network that is kept, and that its training has ended.

    What it has already stays. What is worth knowing of it is said, also of a training that had ended before.

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
    info = _with_last_look(model.info.model_copy(update={"ended": True}), path.parent / LOG)
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
    _say(info)


def _with_last_look(info: ModelInfo, log: Path) -> ModelInfo:
    """Record that the last network, after that of the model, had learned nothing any more."""
    looks = [line for line in read_log(log) if "validation_learned" in line]
    if not looks or not info.learned or looks[-1]["validation_learned"] is not False:
        return info
    found = {"step": looks[-1]["step"], "why": list(looks[-1].get("validation_why", ()))}
    if found["step"] == info.training.get("step") or info.training.get(LAST_LOOK) == found:
        return info
    return info.model_copy(update={"training": info.training | {LAST_LOOK: found}})


def _with_objects(
    model: Model, info: ModelInfo, settings: TrainingSettings, data: TrainingSet, device: torch.device
) -> ModelInfo:
    threshold = 0.5 if info.threshold is None else info.threshold
    tile, pages = model.network.inference_tile(settings.optimisation.tile), data.validation
    if (found := choose_objects(model.network, pages, threshold, device, tile)) is None:
        return info
    objects, compared = found
    # A choice takes few pages, and windows of large ones; what is said of it is of all, as `evaluate` has it.
    measured = measure_objects(model.network, pages, threshold, objects, device, tile)
    if measured is None:
        return info
    training = info.training | {"objects": measured | {"chosen_on": compared}}
    return info.model_copy(update={"objects": objects, "training": training})


def _say(info: ModelInfo) -> None:
    """Say what a finished model is to be used with."""
    if (last := info.training.get(LAST_LOOK)) is not None:
        _log.warning(
            "the model that is kept is of step %s, as the network of step %s has not learned any more (%s); "
            "look at results of this model with care",
            info.training.get("step"),
            last["step"],
            "; ".join(last["why"]),
        )
    measured, objects = info.training.get("objects"), info.objects
    if measured is None or objects is None:
        return
    _log.info(
        "objects: %s; panoptic quality %.3f on held-out pages%s%s",
        objects.describe(),
        measured["panoptic_quality"],
        OF_PARTS if measured.get("truth") == PARTS else "",
        "" if objects == ObjectSettings() else f"; as in the paper {measured['plain']:.3f}",
    )
    true = measured.get("chosen_on", measured)["true"]  # models made before hold one count
    if objects.smallest and true < FEW_OBJECTS:
        _log.warning(
            "objects: the least size of %d px was chosen by %s alone; in use smaller ones are left out, also "
            "those that have shrunk: hold out more pages, or give `segment` a smaller one where such may be",
            objects.smallest,
            counted(true, "object"),
        )
