"""Fine-tuning: the model that a training starts from, and what the training takes over from it."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unet2015 import networks
from unet2015.arguments import file_path
from unet2015.errors import DataSetError, SettingsError, UsageError
from unet2015.geometry import smallest_tile
from unet2015.models.as_it_is import as_it_is
from unet2015.models.model_file import Model, ModelInfo, read_model_file
from unet2015.models.shipped import find_model, warn_of_doubts
from unet2015.models.training_pages import files_of, why_unknown
from unet2015.networks import architecture, describe
from unet2015.settings import (
    AnyNetworkSettings,
    FineTuningSettings,
    LabelSettings,
    Mapping,
    MappingSettings,
    TrainingSettings,
    parse_settings,
)
from unet2015.training.pool import Reading
from unet2015.training.run_folder import MODEL
from unet2015.training.validation import Validation
from unet2015.wording import counted

_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class Start:
    """A model to start from.

    Attributes
    ----------
    model : Model
        Weights, and what the training takes over.
    name : str
        The name of a shipped model, or the last parts of the file's path: for messages and the record.
    """

    model: Model
    name: str

    @property
    def record(self) -> dict[str, Any]:
        """What the record of the training says of it."""
        unsure = {"ended": self.model.info.ended, "checked": self.model.checked}
        said = {name: value for name, value in unsure.items() if value is False}
        return {"model": self.name, "sha256": self.model.sha256} | said | files_of(self.model.info.training)


def find_start(start: str | Path | Start | Model | None) -> Start | None:
    """Return the model to start from.

    Parameters
    ----------
    start : path, name, Model or None
        A model file, the folder of a training (its best model), or the name of a shipped model. A `Model`
        stands for its file, which is read again, and must be what that holds.

    Raises
    ------
    ModelError
        There is no such model, or its file cannot be read.
    UsageError
        The `Model` has no file, or is not what that holds.
    """
    if start is None or isinstance(start, Start):
        return start
    if isinstance(start, Model):
        start = as_it_is(start).path
        if start is None:
            raise UsageError(
                "start: expected a model as its file holds it, but this one has no file, or one of them was "
                "changed; give the path of a model file"
            )
    path = find_model(file_path(start, "start"))
    model = read_model_file(path)
    warn_of_doubts(model)
    whole = path.absolute()
    where = f"{whole.parent.name}/{whole.name}" if whole.name == MODEL else whole.name
    return Start(model, model.info.name or where)


def check_start(start: Start | None, settings: TrainingSettings, out: Path) -> None:
    """Refuse settings of fine-tuning without a start, and a start that the training would replace.

    Raises
    ------
    SettingsError, UsageError
    """
    check_settings(start, settings)
    path = None if start is None else start.model.path
    if path is not None and path.absolute() == (out / MODEL).absolute():
        raise UsageError(
            f"{out}: the training would replace the model that it starts from; choose another folder for it"
        )


def check_settings(start: Start | None, settings: TrainingSettings) -> None:
    """Raise `SettingsError` where the settings are about fine-tuning, and there is nothing to start from."""
    if start is None and settings.fine_tuning != FineTuningSettings():
        raise SettingsError(
            "the settings have fine_tuning, but there is no model to start from; give one with --from "
            "(in Python start=...), or leave fine_tuning out"
        )


def check_network(settings: TrainingSettings) -> None:
    """Check that the network takes the tiles; say where those of inference will differ from the whole image.

    Raises
    ------
    GeometryError
        It does not; the message names the nearest sides that it takes.
    """
    shape = networks.training_geometry(settings.network)
    least = smallest_tile(networks.geometry(settings.network), shape)
    shape.check(settings.optimisation.tile, least=least)
    if why := networks.inexact(settings.network):
        _log.warning("tiles of this network will differ from the whole image: %s", why)


def check_channels(
    start: Start | None,
    network: AnyNetworkSettings,
    image: Path,
    reading: Reading,
) -> None:
    """Refuse images that have another number of channels than the model, or than the network reads.

    Raises
    ------
    DataSetError
        They have.
    ImageError
        The image cannot be read.
    """
    if start is None and not architecture(network).channels(network):
        return
    with reading.open(image) as opened:
        came = opened.channels
    if start is None:
        try:
            networks.check_channels(network, came)
        except UsageError as error:
            raise DataSetError(f"{image}: {error}") from error
        return
    wanted = start.model.info.in_channels
    if came != wanted:
        one = " (--channel chooses one of several)" if wanted == 1 else ""
        raise DataSetError(
            f"{image}: {start.name} reads images of {counted(wanted, 'channel')}, but this one has {came}; "
            f"give images of {counted(wanted, 'channel')}{one}, or train without --from"
        )


def take_over(
    start: Start, settings: TrainingSettings, classes_given: bool | None = None
) -> TrainingSettings:
    """Return the settings with the network of the model, its way to map intensities, and its classes.

    Parameters
    ----------
    start : Start
        The model.
    settings : TrainingSettings
        Those of the training.
    classes_given : bool, optional
        Whether somebody wrote down the number of classes; if not, it is that of the model. Default: whether
        the settings were made with one.

    Raises
    ------
    SettingsError
        The labels have another number of classes than the model, or its network has no part that the
        settings of fine-tuning are about.
    """
    info = start.model.info
    if classes_given is None:
        classes_given = "classes" in settings.labels.model_fields_set
    if info.classes != settings.labels.classes:
        if classes_given or settings.labels.kind != "classes":
            raise SettingsError(_other_classes(start, settings.labels))
        _log.info("labels: %d classes, as in %s", info.classes, start.name)
        said = settings.model_dump()
        said["labels"]["classes"] = info.classes
        settings = parse_settings(TrainingSettings, said, f"the settings, with the classes of {start.name}")
    if settings.fine_tuning != FineTuningSettings() and not architecture(info.network).encoder:
        raise SettingsError(
            f"fine_tuning: the network of {start.name} ({describe(info.network)}) has no contracting path "
            "that could be frozen or slowed down; leave fine_tuning out"
        )
    if settings.network != info.network:
        _log.info("network: %s, as in %s", describe(info.network), start.name)
    mapping = mapping_settings(info)
    if settings.mapping != mapping:
        _log.info("mapping: %s, as in %s", mapping.method, start.name)
    return settings.model_copy(update={"network": info.network, "mapping": mapping})


def _other_classes(start: Start, labels: LabelSettings) -> str:
    """Return the message where the labels have another number of classes than the model."""
    info = start.model.info
    apart = f"{start.name} tells {info.classes} classes apart ({', '.join(info.class_names)})"
    if labels.kind != "classes":
        return (
            f"labels of the kind {labels.kind} have 2 classes, but {apart}; if the labels hold the numbers "
            "of these classes, give --label-kind classes; else start from a model of 2 classes, or train "
            "without --from"
        )
    return (
        f"labels.classes = {labels.classes}, but {apart}; if the labels are of these classes, set "
        f"labels.classes = {info.classes}, or leave it out; else start from a model of {labels.classes} "
        "classes, or train without --from"
    )


def refuse_conflicts(start: Start, given: dict[str, dict[str, Any]]) -> None:
    """Refuse what was given of network and mapping, and is otherwise in the model.

    Parameters
    ----------
    start : Start
        The model.
    given : dict
        ``network`` and ``mapping``: the settings that somebody wrote down, by their names.

    Raises
    ------
    SettingsError
        It names the first key, its value and that of the model.
    """
    info = start.model.info
    own = {"network": info.network.model_dump(), "mapping": dict(mapping_settings(info))}
    meant = ["method", "fill_value", "each"]
    meant += [] if own["mapping"]["method"] in ("standardise", "integer-range") else ["low", "high"]
    for section, values in given.items():
        for key, value in values.items():
            if section == "mapping" and (key not in meant or value == "auto"):
                continue  # percentiles without meaning, or the choice left to others
            if value != own[section].get(key):
                raise SettingsError(
                    f"{section}.{key} = {value!r}, but the {section} comes from {start.name}, where it is "
                    f"{own[section].get(key)!r}; leave {section}.{key} out, or train without --from"
                )


def mapping_settings(info: ModelInfo) -> MappingSettings:
    """Return the settings that choose a mapping in the way of a model's.

    Intensities that a model has fixed are percentiles of its training images. They are chosen again, on the
    new ones, at the same percentiles.
    """
    mapping = info.mapping
    if mapping.method == "image-percentiles":
        low, high = mapping.low[0], mapping.high[0]
        return MappingSettings(low=low, high=high, **_shared(mapping))
    if mapping.method != "fixed":
        return MappingSettings(**_shared(mapping))
    settings = info.training.get("settings")
    said = settings.get("mapping") if isinstance(settings, dict) else None
    ends = {key: said[key] for key in ("low", "high") if key in said} if isinstance(said, dict) else {}
    return parse_settings(MappingSettings, {"method": "training-percentiles", **ends}, "the start's record")


def _shared(mapping: Mapping) -> dict[str, Any]:
    """Return what a mapping and the settings that choose it have in common."""
    return mapping.model_dump(include={"method", "fill_value", "each"})


def fine_tuned(model: Model) -> str:
    """Say what a fine-tuning has gained on the held-out pages, from the record of the model it kept."""
    record = model.info.training
    start, after = record["start"], Validation.from_dict(record["validation"])
    before = Validation.from_dict(start["validation"])
    pages = "held-out pages" if record["validation_pages"] else "pages trained on, as none is held out"
    if record["step"] == 0:
        return f"no step was better than {start['model']} on the {pages}; it is kept as it was"
    unknown = f"; {why}" if (why := why_unknown(record)) else ""
    return (
        f"fine-tuning, on the {pages}: before ({start['model']}) {before.describe()}; "
        f"after step {record['step']} {after.describe()}{unknown}"
    )
