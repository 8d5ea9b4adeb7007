"""What must be known of the measures of a model, by the record of its training."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from unet2015.models.training_pages import why_too_good
from unet2015.wording import listed

NOT_FOUND = "not_found"
"""Key of the classes, in the record of a validation, that are found no better than by chance."""
LEAST_QUALITY, LEAST_TRUE = 0.05, 5
"""Below this panoptic quality a model does not find objects, if so many true ones are on the held-out pages:
of 5, a single match gives about 0.1. Even a training of 8 steps has reached 0.13."""
_POOR_AUC = 0.8
"""Below this AUC, parts that are not found are no question of how they are divided."""
_NAMED = 5  # classes that a message lists before it says how many more


def doubts_of_measures(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what must be known at each use, in words.

    Parameters
    ----------
    record : mapping
        The record of a training, ``ModelInfo.training``.

    Returns
    -------
    tuple of str
        That classes or objects are not found, or that held-out pages were trained on.
    """
    return (*not_found(record), *filter(None, (why_too_good(record),)))


def not_found(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which classes the model does not find, and that it finds no objects, where that is a failure.

    It is one where labels are of single objects, or pixels are hardly found either. Masks of vessels or
    tissue have parts that no model finds as such, though it may find each pixel.
    """
    lost = lost_objects(record) if _about_objects(record) else ""
    return tuple(filter(None, (lost_classes(record), lost)))


def doubts_of_objects(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what must be known where objects are made, beside what is said at each use."""
    said = lost_objects(record)
    return (said,) if said and said not in doubts_of_measures(record) else ()


def lost_classes(record: Mapping[str, Any]) -> str:
    """Return which classes the model does not find, in words; empty where that is not known."""
    said = record.get("validation")
    lost = said.get(NOT_FOUND) if isinstance(said, dict) else None
    if not isinstance(lost, list) or not lost:
        return ""
    return f"this model has not learned to find each class, by its held-out pages: {listed(lost, _NAMED)}"


def lost_objects(record: Mapping[str, Any]) -> str:
    """Return that the model finds next to no true object, in words; empty where it does, or is not known."""
    said = record.get("objects")
    if not isinstance(said, dict):
        return ""
    quality = said.get("panoptic_quality")
    true, matched, called = (said.get(name) for name in ("true", "matched", "called"))
    if not (_is_number(quality) and _is_number(true) and _is_number(matched) and _is_number(called)):
        return ""
    if true < LEAST_TRUE or not quality < LEAST_QUALITY:
        return ""
    labels = _labels_of(record)
    joined = labels.get("kind") == "instances" and labels.get("separation_border") is False
    border = "; cells that touch are one where they are trained without separation_border" if joined else ""
    return (
        f"this model has not learned to find objects: of {true:,} on its held-out pages it finds {matched:,} "
        f"among {called:,} that it makes (panoptic quality {quality:.3f}), so its objects mean little; "
        f"see whether images and labels lie upon each other, or train it longer{border}"
    )


def _about_objects(record: Mapping[str, Any]) -> bool:
    """Return whether labels are of single objects, or pixels hardly found."""
    measured = record.get("validation")
    auc = measured.get("auc") if isinstance(measured, dict) else None
    return _labels_of(record).get("kind") == "instances" or (_is_number(auc) and auc < _POOR_AUC)


def _labels_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of the labels; nothing where the record has none."""
    settings = record.get("settings")
    labels = settings.get("labels") if isinstance(settings, dict) else None
    return labels if isinstance(labels, dict) else {}


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
