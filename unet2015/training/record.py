"""What a model file says of its training."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unet2015.checkpoint import ModelInfo
from unet2015.settings import TrainingSettings
from unet2015.training.pages import TrainingSet
from unet2015.training.state import State
from unet2015.training.thresholds import model_thresholds
from unet2015.training.validation import Validation
from unet2015.versions import versions

_NAMES = {"instances": ("background", "cell"), "membrane": ("membrane", "cell")}


def model_info(
    data: TrainingSet, settings: TrainingSettings, state: State, result: Validation, device: str
) -> ModelInfo:
    """Return what a model says beside its weights: how it is used, and the record of its training."""
    classes = settings.labels.classes
    return ModelInfo(
        in_channels=data.channels,
        classes=classes,
        network=settings.network,
        mapping=data.mapping,
        dtype=data.dtype,
        class_names=_NAMES.get(settings.labels.kind, tuple(f"class {number}" for number in range(classes))),
        axes="YX" if data.channels == 1 else "CYX",
        learned=result.learned,
        training=_record(data, state, result, device),
        **model_thresholds(result),
    )


def _record(data: TrainingSet, state: State, result: Validation, device: str) -> dict[str, Any]:
    record = {
        "settings": state.settings,
        "seed": state.seed,
        "precision": state.precision,
        "files": {Path(name).name: digest for name, digest in data.hashes.items()},
        "training_pages": len(data.training),
        "validation_pages": len(data.validation),
        "held_out": data.held_out,
        "class_weights": data.class_weights,
        "step": state.step,
        "seconds": round(state.seconds, 1),
        "validation": result.as_dict(),
        "learned": result.learned,
        "device": device,
        "versions": versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    if state.processes > 1:
        record["processes"] = state.processes
    return record
