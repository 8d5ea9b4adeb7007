"""Trained models: the file that holds one, and those that come with the package.

The names below load when they are first used.
"""

from typing import TYPE_CHECKING

from unet2015.lazy import lazy_names

if TYPE_CHECKING:
    from unet2015.models.model_file import Model, ModelInfo, read_model_file, save_model
    from unet2015.models.shipped import (
        ModelDescription,
        ShippedModel,
        find_model,
        list_models,
        load_model,
        model_names,
        ship_model,
        warn_of_doubts,
    )

__all__ = [
    "Model",
    "ModelDescription",
    "ModelInfo",
    "ShippedModel",
    "find_model",
    "list_models",
    "load_model",
    "model_names",
    "read_model_file",
    "save_model",
    "ship_model",
    "warn_of_doubts",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "model_file": ["Model", "ModelInfo", "read_model_file", "save_model"],
        "shipped": [
            "ModelDescription",
            "ShippedModel",
            "find_model",
            "list_models",
            "load_model",
            "model_names",
            "ship_model",
            "warn_of_doubts",
        ],
    },
)
