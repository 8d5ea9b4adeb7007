"""The settings of an experiment on a folder of images and masks."""

from typing import Any

from pydantic import Field

from pipelines.base.settings import Changes
from unet2015.settings import Frozen, TrainingSettings, load_settings, merged


class Recipe(Frozen):
    """One training."""

    settings: str
    """Shipped settings by name, or a file."""
    training: dict[str, Any] = Field(default_factory=dict)
    """What differs from them."""


class PhotographSettings(Frozen):
    """What is done with a folder of images and masks."""

    images: str
    """Folder of the images, below that of the data."""
    masks: str
    """Folder of the masks."""
    channels: int = Field(ge=1)
    """3: colours, and gray images are shown as three equal channels; 1: colours become their mean."""
    side: int = Field(ge=16)
    """All images are resized to this square, in pixels."""
    share: float = Field(0.8, gt=0, lt=1)
    """Share of the images to train on; the others are looked at during the training, and measured."""
    seed: int = Field(42, ge=0)
    """Of the division."""
    trainings: dict[str, Recipe] = Field(min_length=1)
    """By name."""


def settings_of(recipe: Recipe, held_out: range) -> TrainingSettings:
    """Return the settings of a training in which these pages are held out."""
    fixed: Changes = {
        "labels": {"kind": "mask"},
        "validation": {"pages": f"{held_out.start}-{held_out.stop - 1}"},
    }
    return load_settings(recipe.settings, merged(recipe.training, fixed))
