"""What must be known of the measures of a model, by the record of its training."""

from collections.abc import Mapping
from typing import Any

from unet2015.models.training_pages import why_too_good
from unet2015.wording import listed

NOT_FOUND = "not_found"
"""Key of the classes, in the record of a validation, that are found no better than by chance."""
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
        That classes are not found, or that held-out pages were trained on.
    """
    return tuple(filter(None, (lost_classes(record), why_too_good(record))))


def lost_classes(record: Mapping[str, Any]) -> str:
    """Return which classes the model does not find, in words; empty where that is not known."""
    said = record.get("validation")
    lost = said.get(NOT_FOUND) if isinstance(said, dict) else None
    if not isinstance(lost, list) or not lost:
        return ""
    return f"this model has not learned to find each class, by its held-out pages: {listed(lost, _NAMED)}"
