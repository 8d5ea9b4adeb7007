"""Which threshold turns a probability map into a class map."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from unet2015.errors import UsageError
from unet2015.settings.choices import ThresholdName
from unet2015.settings.objects import ObjectSettings

if TYPE_CHECKING:  # torch comes with it
    from unet2015.models.model_file import Model, ModelInfo


def choose_threshold(model: Model, wanted: float | ThresholdName | None) -> tuple[float | None, str | None]:
    """Return the number of a threshold and its name; None and None with more than two classes.

    The name is what the threshold was chosen for, ``f1`` or ``rand``; ``given`` if the caller gave a number,
    ``model`` if the model does not tell, ``default`` if the model has no threshold.

    Raises
    ------
    UsageError
        It is neither a probability nor the name of a threshold, the model has no threshold of that name, or
        the model has more than two classes.
    """
    info = model.info
    if wanted is not None and info.classes > 2:
        raise UsageError(f"a threshold needs a model of two classes; this one has {info.classes}")
    if info.classes > 2:
        return None, None
    if isinstance(wanted, str):
        if wanted not in get_args(ThresholdName):
            raise UsageError(f"a threshold is f1, rand or a probability, 0 to 1, not {wanted!r}")
        if wanted not in info.thresholds:
            known = [f"{name} ({value:g})" for name, value in info.thresholds.items()]
            unnamed = "none" if info.threshold is None else f"{info.threshold:g} without a name"
            stored = ", ".join(known) or unnamed
            raise UsageError(
                f"{model.path or 'the model'} has no threshold {wanted}; it stores {stored}; "
                "leave the threshold out to take the model's own, or give a number"
            )
        return info.thresholds[wanted], wanted
    if wanted is not None:
        if not 0 <= wanted <= 1:
            raise UsageError(f"a threshold is f1, rand or a probability, 0 to 1, not {wanted:g}")
        return float(wanted), "given"
    if info.threshold is None:
        return 0.5, "default"
    return info.threshold, info.threshold_name or "model"


def choose_settings_of_objects(
    info: ModelInfo, given: ObjectSettings, threshold: float | ThresholdName | None
) -> ObjectSettings:
    """Return the settings of objects, as `over_model` does, of a class that the model has.

    Raises
    ------
    UsageError
        A class must be chosen, or does not exist.
    """
    objects = over_model(info, given, threshold)
    class_of_objects(info, objects)
    return objects


def over_model(
    info: ModelInfo, given: ObjectSettings, threshold: float | ThresholdName | None
) -> ObjectSettings:
    """Return the settings of objects: those given, for the others the model's.

    A threshold that is given for the class map is that of the objects, too, unless they are given one of
    their own.
    """
    objects = given.over(info.objects)
    if threshold is not None and "threshold" not in given.model_fields_set:
        return objects.model_copy(update={"threshold": None})
    return objects


def class_of_objects(info: ModelInfo, settings: ObjectSettings) -> tuple[int, int]:
    """Return the channel of the probability map that tells where objects are, and their class.

    Raises
    ------
    UsageError
        The model has several classes and the settings do not say which, or it has no such class.
    """
    named = ", ".join(f"{number} ({name})" for number, name in enumerate(info.class_names) if number)
    wanted = settings.of_class
    if wanted is None and info.classes > 2:
        raise UsageError(f"the model has several classes; say which one objects are: {named}")
    if wanted is not None and wanted >= info.classes:
        raise UsageError(f"objects of class {wanted} are wanted, but the classes of the model are {named}")
    return (0, 1) if info.classes == 2 else (wanted or 0, wanted or 0)
