"""The record of a training in its model file, and whether that file can still be read."""

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unet2015.errors import ImageWriteError, ModelError
from unet2015.images.pixel_size import pixel_size, usual_size
from unet2015.models.appearance import APPEARANCE
from unet2015.models.model_file import ModelInfo, read_model_file
from unet2015.models.trained_scale import PIXEL_HEIGHT, trained_sides
from unet2015.models.training_pages import FILES, HELD_OUT, HELD_OUT_SEEN, PIXELS, START, TOGETHER
from unet2015.provenance import versions
from unet2015.settings import TrainingSettings
from unet2015.settings.lengths import that_count
from unet2015.training.identity import same_pages
from unet2015.training.page_names import short_names
from unet2015.training.pages import TrainingSet
from unet2015.training.state import State
from unet2015.training.thresholds import model_thresholds
from unet2015.training.validation import Validation

_DIGESTS = 2**17
"""Pages of a set whose digests a model keeps: 3 MiB."""
_CELLS = ("background", "cell")
_NAMES = {"instances": _CELLS, "mask": _CELLS, "membrane": ("membrane", "cell")}
_log = logging.getLogger("unet2015")


def model_info(
    data: TrainingSet,
    settings: TrainingSettings,
    state: State,
    result: Validation,
    device: str,
    start: ModelInfo | None = None,
) -> ModelInfo:
    """Return what a model says beside its weights: how it is used, and the record of its training.

    `start` is of the model that the training started from.
    """
    classes = settings.labels.classes
    sides, appearance = _seen(data, state.step, start)
    record = _record(data, state, result, device) | _height(sides)
    if appearance:
        record[APPEARANCE] = appearance
    return ModelInfo(
        in_channels=data.channels,
        classes=classes,
        network=settings.network,
        mapping=data.mapping,
        dtype=data.dtype,
        class_names=_NAMES.get(settings.labels.kind, tuple(f"class {number}" for number in range(classes))),
        axes="YX" if data.channels == 1 else "CYX",
        learned=result.learned,
        ended=False,
        training=record,
        pixel_size_nm=None if sides is None else sides[1],
        **model_thresholds(result),
    )


def _seen(
    data: TrainingSet, step: int, start: ModelInfo | None
) -> tuple[tuple[float, float] | None, Mapping[str, Any] | None]:
    """Return the height and width of the pixels that weights have seen, in nm, and their `APPEARANCE`.

    Before the first step the weights are those of the start, so what they have seen is, too. Later its scale
    still counts where no new image tells its pixel size.
    """
    if start is None:
        return _sides(data), data.appearance
    if step == 0:
        return trained_sides(start), start.training.get(APPEARANCE)
    told = any(pixel_size(one.calibration) for one in data.images)
    return _sides(data) if told else trained_sides(start), data.appearance


def is_good_model(path: Path, state: State, axes: str | None) -> bool:
    """Return whether the best model of a training exists and is whole; warn if not.

    A model that cannot be read is removed. Otherwise the training would not write a new one, and would fail
    when it reads its best model at the end.

    Parameters
    ----------
    path : Path
        Where the model lies.
    state : State
        Of the training.
    axes : str or None
        Those that were given for the images.

    Raises
    ------
    ModelError
        It is the model of another training, or an older one of this; it stays.
    ImageWriteError
        It cannot be removed.
    """
    if not path.exists():
        if state.best:
            _log.warning("%s is gone; the next validation writes another", path)
        return False
    try:
        info = read_model_file(path).info
    except ModelError as error:
        _log.warning("%s; it is removed, and the next validation writes another", error)
    else:
        if other := _other_training(info.training, state, axes):
            raise ModelError(
                f"{path}: expected the best model of this training, but it was trained {other}; "
                "move it elsewhere, and resume: the next validation writes another"
            )
        return True
    try:
        path.unlink()
    except OSError as error:
        raise ImageWriteError(
            f"{path}: cannot remove it: {error.strerror or error}; see that its folder can be written to"
        ) from error
    return False


def _height(sides: tuple[float, float] | None) -> dict[str, float]:
    """Return for the record the height of pixels that are not square."""
    return {} if sides is None or math.isclose(*sides, rel_tol=1e-3) else {PIXEL_HEIGHT: sides[0]}


def _sides(data: TrainingSet) -> tuple[float, float] | None:
    """Return height and width of the pixels of a training in nanometres; see `usual_size`."""
    size = usual_size(data.images)
    return None if size is None else (round(1000 * size[0], 6), round(1000 * size[1], 6))


def _record(data: TrainingSet, state: State, result: Validation, device: str) -> dict[str, Any]:
    record = {
        "settings": state.settings,
        "seed": state.seed,
        "precision": state.precision,
        FILES: _files(data),
        "training_pages": len(data.training),
        "validation_pages": len(data.validation),
        HELD_OUT: data.held_out,
        "class_weights": data.class_weights,
        "step": state.step,
        "seconds": round(state.seconds, 1),
        "validation": result.as_dict(),
        "learned": result.learned,
        "device": device,
        "versions": versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    record |= {name: data.identity[name] for name in ("channel", "scene") if name in data.identity}
    if len(named := {names for image in data.images if (names := image.channel_names)}) == 1:
        record["channel_names"] = list(*named)
    if data.axes is not None:
        record["axes"] = data.axes
    if any(image.bits < 8 * image.dtype.itemsize for image in data.images):
        record["bits"] = sorted({image.bits for image in data.images})
    if significant := {image.significant_bits for image in data.images if image.significant_bits}:
        record["significant_bits"] = sorted(significant)
    if state.encoder:
        record["encoder_weights"] = state.encoder
    if data.held_out_seen:
        record[HELD_OUT_SEEN] = list(data.held_out_seen)
    if data.together:
        record[TOGETHER] = [list(names) for names in data.together]
    if state.start:
        record[START] = state.start
    rule = state.settings["optimisation"]
    if "epochs" in rule or state.settings.get("phase"):
        record["epoch"] = round(state.step * rule["batch"] * state.processes / len(data.training), 2)
    if state.settings.get("phase"):
        record["phase"] = state.phase + 1
    if state.processes > 1:
        record["processes"] = state.processes
    return record


def _other_training(record: dict[str, Any], state: State, axes: str | None = None) -> str:
    """Return in what the record of a model differs from a training; nothing where it is of this one.

    `axes` are those that were given. What a record of an earlier version does not tell is not compared.
    """
    settings = record.get("settings")
    if (that_count(settings) if isinstance(settings, dict) else settings) != state.settings:
        return "with other settings"
    if other := _other_beginning(record, state, axes):
        return other
    step, best = record.get("step"), state.best.get("step")
    # Of more steps it may be: it is written before the checkpoint of its step.
    if isinstance(step, int) and isinstance(best, int) and step < best:
        return f"for {step} steps, and the best one for {best}"
    if state.best and record.get("seed", state.seed) != state.seed:
        return f"with the seed {record['seed']}, and this attempt has {state.seed}"
    files = record.get("files")
    if not isinstance(files, list) or not all(isinstance(pair, dict) for pair in files):
        return ""
    digests = [[pair.get(f"{side}_sha256") for side in ("image", "labels")] for pair in files]
    return "" if digests == state.identity.get("pairs") else "with other images or labels"


def _other_beginning(record: dict[str, Any], state: State, axes: str | None) -> str:
    """Return which option, of those that are no settings, the record of a model has otherwise."""
    for name in ("channel", "scene"):
        theirs, ours = record.get(name), state.identity.get(name)
        if theirs != ours:
            return f"with {_said(f'--{name}', theirs)}, and this one {_said(f'--{name}', ours)}"
    theirs = record.get("axes")
    if theirs is not None and axes is not None and not same_pages(theirs, axes):
        return f"with --axes {theirs}, and this one with --axes {axes}"
    for key, option, begun in (
        ("start", "--from", state.start),
        ("encoder_weights", "--encoder-weights", state.encoder),
    ):
        given = record.get(key)
        digest = given.get("sha256") if isinstance(given, dict) else None
        if digest != begun.get("sha256"):
            return f"from other first weights (see {option})"
    processes = record.get("processes", 1)
    return (
        "" if processes == state.processes else f"by {processes} processes, and this one by {state.processes}"
    )


def _said(option: str, value: object) -> str:
    return f"no {option}" if value is None else f"{option} {value}"


def _files(data: TrainingSet) -> list[dict[str, Any]]:
    """Return what is known of each image and its labels, which often have the image's name.

    That are names, SHA-256 and, where the set was checked, by what copies of its pages are known.
    """
    sides = [[Path(pair[side]) for pair in data.files] for side in (0, 1)]
    names = zip(*map(short_names, sides), strict=True)
    files: list[dict[str, Any]] = [
        {"image": image, "image_sha256": of_image, "labels": labels, "labels_sha256": of_labels}
        for (image, labels), (of_image, of_labels) in zip(names, data.identity["pairs"], strict=True)
    ]
    first = 0
    for file, image in zip(files, data.images if 0 < len(data.digests) <= _DIGESTS else (), strict=False):
        digests = list(data.digests[first : first + image.pages])
        file[PIXELS] = {"height": image.height, "width": image.width, "digests": digests}
        first += image.pages
    return files
